"""VS Code with the packaged extension and the real server: ghost text appears, Tab accepts it, the saved file holds it.

VS Code is code-server, its open build behind a web page; the browser is driven by vscode_smoke.mjs. What the model
suggests is its affair: the test holds that the line that was shown is the line that the file then holds.
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

SETTINGS = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": "off",
    "chat.disableAIFeatures": True,
    "files.autoSave": "off",
    # The list of words would take the Tab key.
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    # How sure the model has to be is not what is tested here.
    "seedling.confidence": 0,
}


def run(command: list[str], timeout_s: float, env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        pytest.fail(f"{command[0]} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


@pytest.fixture(scope="session")
def vsix(tmp_path_factory, npm_program) -> Path:
    """The extension of this checkout, its types checked, bundled and packaged."""
    out = tmp_path_factory.mktemp("vsix") / "seedling.vsix"
    run(["bash", str(ROOT / "editors" / "tools" / "build-extension.sh"), str(out)], 300)
    return out


@pytest.fixture(scope="session")
def playwright(npm_program) -> None:
    """The browser driver's npm package, as locked."""
    if not (HERE / "node_modules" / "playwright-core").exists():
        run([npm_program, "ci", "--no-audit", "--no-fund", "--loglevel=error"], 120, cwd=HERE)


@pytest.fixture
def workbench(sandbox, code_server_prefix, vsix, seedling_program, wait_for, artifacts) -> Iterator[str]:
    """The address of a running VS Code with the extension installed and a workspace open."""
    data, extensions = sandbox.folder / "data", sandbox.folder / "extensions"
    (data / "User").mkdir(parents=True)
    (data / "User" / "settings.json").write_text(json.dumps(SETTINGS))
    (sandbox.workspace / "shapes.py").write_text('"""Shapes."""\n\nimport math\n\n\n')
    # VS Code takes PATH from a login shell: there the extension has to find the server, as on a person's machine.
    (sandbox.folder / "home" / ".profile").write_text(f"export PATH='{sandbox.env['PATH']}'\n")
    env = sandbox.env | {"SHELL": "/bin/bash"}
    node = code_server_prefix / "node" / "bin"
    entry = code_server_prefix / "node_modules" / "code-server" / "out" / "node" / "entry.js"
    command = [str(node / "node"), str(entry), "--user-data-dir", str(data), "--extensions-dir", str(extensions)]
    run([*command, "--install-extension", str(vsix)], 120, env)

    port = free_port()
    quiet = (
        "--disable-telemetry",
        "--disable-update-check",
        "--disable-workspace-trust",
        "--disable-getting-started-override",
    )
    with (artifacts / "code-server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *quiet, "--auth", "none", "--bind-addr", f"127.0.0.1:{port}", str(sandbox.workspace)],
            env=env, cwd=sandbox.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for("code-server", lambda: answers(f"http://127.0.0.1:{port}/healthz"), 90)
            yield f"http://127.0.0.1:{port}/?folder={sandbox.workspace}"
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_vscode(workbench, sandbox, code_server_prefix, chromium_program, playwright, openings, artifacts):
    plan = {
        "url": workbench,
        "chromium": chromium_program,
        "profile": str(sandbox.folder / "chromium"),
        "file": "shapes.py",
        "openings": openings,
        "readyMs": 180_000,
        "firstGhostTextMs": 90_000,
        "shots": str(artifacts),
    }
    node = code_server_prefix / "node" / "bin" / "node"
    seen = json.loads(run([str(node), str(HERE / "vscode_smoke.mjs"), json.dumps(plan)], 480, sandbox.env))
    (artifacts / "seen.json").write_text(json.dumps(seen, indent=1))

    assert seen["ghost"].strip(), "the ghost text was blank"
    assert seen["shown"].startswith(seen["typed"])
    accepted = (sandbox.workspace / "shapes.py").read_text().split("\n")[5:]
    assert accepted[0].rstrip() == seen["shown"].rstrip()
