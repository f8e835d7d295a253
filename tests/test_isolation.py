"""The built wheel, installed without extras into a fresh environment and started from a hostile folder.

The import names are generic, so nothing may rely on the search path. And issue text: with the extras
absent, the server answers in one sentence how to add an engine.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = 'raise SystemExit("hostile code ran")\n'
ADVICE = 'pip install "seedling-lsp[engine]"'

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment that holds the wheel and its core dependencies, nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    # Built from a copy: setuptools would leave build/ behind, and take in what an earlier build/ left there.
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True, text=True, cwd=folder)
    wheel = next((folder / "dist").glob("seedling_lsp-*.whl"))
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    pins = ROOT / "ci" / "constraints.txt"
    install = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--constraint", str(pins), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True, cwd=folder)
    return binaries


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "__init__.py").write_text(HOSTILE)
    for name in ("kernels.py", "lsp_server.py", "pygls.py", "msgspec.py"):
        (folder / name).write_text(HOSTILE)
    (folder / "app.py").write_text("import os\n\nfor name in os.\n")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user whose shell says PYTHONPATH=. and whose home is empty."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDLING_", "XDG_", "PYTHON"))}
    # Not below pytest's folder: a socket's path has 103 bytes at most.
    with tempfile.TemporaryDirectory(prefix="seedling-") as runtime:
        yield kept | {"PYTHONPATH": ".", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": runtime}


def test_the_wheel_brings_no_torch_and_all_of_ours(installed: Path) -> None:
    program = (
        "import importlib.util, json, pathlib, model\n"
        "home = pathlib.Path(model.__file__).parent\n"
        "print(json.dumps({'torch': bool(importlib.util.find_spec('torch')),"
        " 'schema': (home / 'engine' / 'schema.json').is_file(),"
        " 'families': (home / 'checkpoints' / 'families' / 'dreamon.json').is_file(),"
        " 'embedded': sorted(path.name for path in (home / 'embedded').iterdir())}))"
    )
    done = subprocess.run([installed / "python", "-I", "-c", program], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["torch"] is False
    assert found["schema"] is True
    assert found["families"] is True
    assert {"MODEL_CARD.md", "model.safetensors", "preset.json", "tokenizer.json"} <= set(found["embedded"])


def test_a_hostile_folder_and_no_extras(installed: Path, hostile_folder: Path, environment: dict[str, str]) -> None:
    """Initialises, answers the completion, and says in one sentence how to add an engine."""
    shown, answer = asyncio.run(ask_for_completion(installed / "seedling", hostile_folder, environment))
    assert answer is None or answer == [] or answer.get("items") == []
    assert all(sentence.count("\n") == 0 for sentence in shown)
    assert sum(ADVICE in sentence for sentence in set(shown)) == 1, shown


def test_complete_without_extras_fails_with_the_advice(
    installed: Path, hostile_folder: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [installed / "seedling", "complete", "app.py:3"],
        cwd=hostile_folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert ADVICE in done.stderr
    assert done.stderr.count("\n") == 1


async def ask_for_completion(
    program: Path, folder: Path, environment: dict[str, str]
) -> tuple[list[str], dict[str, Any] | list[Any] | None]:
    """What the server shows the user, and its answer to one inlineCompletion request over stdio."""
    server = await asyncio.create_subprocess_exec(
        program,
        "serve",
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    uri = (folder / "app.py").as_uri()
    shown: list[str] = []

    def send(message: dict[str, Any]) -> None:
        assert server.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def receive() -> dict[str, Any]:
        """The next message, after its text is kept and, if it is a request, answered."""
        assert server.stdout is not None
        header = await asyncio.wait_for(server.stdout.readuntil(b"\r\n\r\n"), 60)
        length = int(header.lower().split(b"content-length:")[1].split()[0])
        message = json.loads(await server.stdout.readexactly(length))
        if "id" in message and "method" in message:
            send({"id": message["id"], "result": None})
        parameters = message.get("params") or {}
        if isinstance(parameters, dict) and isinstance(parameters.get("message"), str):
            shown.append(parameters["message"])
        return message

    async def answer_to(request_id: int) -> Any:
        while "method" in (message := await receive()) or message.get("id") != request_id:
            continue
        assert "error" not in message, message
        return message["result"]

    try:
        capabilities = {"window": {"workDoneProgress": True}, "textDocument": {"inlineCompletion": {}}}
        send(
            {
                "id": 1,
                "method": "initialize",
                "params": {"processId": None, "rootUri": folder.as_uri(), "capabilities": capabilities},
            }
        )
        result = await answer_to(1)
        assert result["capabilities"]["inlineCompletionProvider"] is not None
        send({"method": "initialized", "params": {}})
        document = {"uri": uri, "languageId": "python", "version": 1, "text": (folder / "app.py").read_text()}
        send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        parameters = {
            "textDocument": {"uri": uri},
            "position": {"line": 2, "character": 15},
            "context": {"triggerKind": 1},
        }
        send({"id": 2, "method": "textDocument/inlineCompletion", "params": parameters})
        answer = await answer_to(2)
        # The engine is looked for in the background, so the advice may come after the answer.
        while not any(ADVICE in sentence for sentence in shown):
            await receive()
        send({"id": 3, "method": "shutdown"})
        await answer_to(3)
        send({"method": "exit"})
        assert await asyncio.wait_for(server.wait(), 30) == 0
        return shown, answer
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


def test_the_neovim_plugin_is_in_the_wheel_complete(
    installed: Path, environment: dict[str, str], hostile_folder: Path
) -> None:
    command = [str(installed / "seedling"), "editor", "neovim"]
    done = subprocess.run(command, env=environment, cwd=hostile_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder, source = Path(done.stdout.strip()), ROOT / "editors" / "neovim"
    listed = subprocess.run(["git", "ls-files", "."], cwd=source, capture_output=True, text=True, check=True).stdout
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        name for name in listed.split() if name != ".luacheckrc"
    }
