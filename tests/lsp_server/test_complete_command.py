"""`seedling complete`, from the command line to the embedded model and back: in a pipe, as JSON, on a terminal.

No test compares a completion with a stored text: what the weights say is theirs.
"""

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp_server import user_settings
from lsp_server.complete_command import Answer, as_object, figures_text, project_folder, request_at, surrounding_text
from lsp_server.context.exclude import exclusion
from lsp_server.outcome import Item, Outcome, Reason, nothing
from lsp_server.place import read_place
from lsp_server.positions import Position
from model.engine.api import Done

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = "examples/shopping_basket.py"
LINES = [
    number for number, line in enumerate((ROOT / EXAMPLE).read_text().splitlines(), 1) if line.rstrip()[-1:] in "(."
]
DONE = Done(
    text="append(item)",
    reason="stop",
    confidence=0.5,
    steps=3,
    forwards=4,
    num_tokens=5,
    prompt_tokens=60,
    cached_tokens=50,
    model="m",
    device="cpu",
    engine_ms=12.3,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "basket.py"
    path.write_bytes(b"def f(items):\r\n\titems.(1)\r\n")
    return path


def test_the_snapshot_is_the_language_servers(file: Path) -> None:
    snapshot = request_at(read_place(f"{file}:2:8")).snapshot
    assert snapshot.trigger == "invoked"
    assert snapshot.path == "basket.py"
    assert snapshot.document.language == "python"
    assert (snapshot.line_before, snapshot.line_after) == ("\titems.", "(1)")
    assert snapshot.indent.unit == "\t"
    assert surrounding_text(snapshot) == ("def f(items):\n\titems.", "(1)")


def test_a_file_of_another_language_is_named_so(tmp_path: Path) -> None:
    for name, language in (("a.js", "javascript"), ("a.foo", "foo"), ("a", "plaintext")):
        (tmp_path / name).write_text("x\n")
        assert request_at(read_place(f"{tmp_path / name}:1")).snapshot.document.language == language


def test_the_folder_that_an_editor_would_have_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "project" / "src" / "a.py"
    path.parent.mkdir(parents=True)
    assert project_folder(path) == path.parent
    monkeypatch.chdir(tmp_path)
    assert project_folder(path) == tmp_path
    (tmp_path / "project" / ".git").mkdir()
    assert project_folder(path) == tmp_path / "project"
    (path.parent / ".seedling.toml").write_text("")
    assert project_folder(path) == path.parent


@pytest.mark.parametrize(
    ("file_name", "content"),
    [
        ("config/seedling/settings.toml", "exclude = ['src/*']"),
        ("project/.seedling.toml", "exclude = ['src/']"),
        ("project/.seedlingignore", "src/"),
    ],
)
def test_what_is_excluded_is_refused_on_the_command_line_too(
    file_name: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_settings, "user_settings_path", lambda: tmp_path / "config/seedling/settings.toml")
    path = tmp_path / "project" / "src" / "a.py"
    path.parent.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    path.write_text("x = 1\n")

    def reason() -> Reason | None:
        request = request_at(read_place(f"{path}:1"))
        refused = exclusion(request.snapshot, request.settings)
        return None if refused is None else refused.reason

    assert reason() is None
    (tmp_path / "project" / ".seedling.toml").write_text("comments = 7")
    (sentence,) = request_at(read_place(f"{path}:1")).ignored
    assert "comments" in sentence
    (tmp_path / file_name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file_name).write_text(content)
    assert reason() is Reason.EXCLUDED


def test_the_object_of_a_completion(file: Path) -> None:
    item = Item(id="1", text="append", start=Position(1, 7), end=Position(1, 8))
    shown = as_object(read_place(f"{file}:2:8"), Answer(Outcome(items=(item,)), DONE, 45.67))
    assert shown["text"] == "append"  # the shaped text, not the raw one
    assert (shown["line"], shown["column"], shown["replaces_characters"]) == (2, 8, 1)
    assert (shown["steps"], shown["forwards"], shown["confidence"], shown["total_ms"]) == (3, 4, 0.5, 45.7)
    assert shown["why"] is None


def test_the_object_of_no_completion(file: Path) -> None:
    shown = as_object(read_place(f"{file}:2:8"), Answer(nothing(Reason.EMPTY_ANSWER), None, 1.0))
    assert (shown["text"], shown["why"]) == (None, "empty_answer")
    assert "steps" not in shown


def test_the_figures_name_everything() -> None:
    text = figures_text(DONE, 45.6)
    assert text == "confidence 0.50 · 5 tokens in 3 steps, 4 forwards · 12 ms in the engine, 46 ms in all"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment of an own engine with the embedded model (or SEEDLING_MODEL's); it is stopped at the end."""
    # Short: a socket's path has 103 bytes at most.
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SEEDLING_R", "SEEDLING_E", "XDG_"))
        }
        environment = kept | {
            "SEEDLING_RUNTIME_DIR": f"{folder}/run",
            "XDG_STATE_HOME": folder,
            "TERM": "xterm-256color",
        }
        yield environment
        stop = subprocess.run(seedling("engine", "stop"), env=environment, capture_output=True, text=True, check=False)
        assert stop.returncode == 0, stop.stderr


def seedling(*words: str) -> list[str]:
    return [sys.executable, "-m", "seedling_lsp", *words]


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(seedling(*words), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def answers(environment: dict[str, str]) -> dict[int, subprocess.CompletedProcess[str]]:
    """What `--json` gives for each unfinished line of the example."""
    return {line: run(environment, "complete", f"{EXAMPLE}:{line}", "--json") for line in LINES}


@pytest.fixture(scope="module")
def completed_line(answers: dict[int, subprocess.CompletedProcess[str]]) -> int:
    """A line that the model completes; a model that completes none of them is of no use."""
    completed = [line for line, done in answers.items() if json.loads(done.stdout)["text"] is not None]
    assert completed
    return completed[0]


def test_json_is_one_object(answers: dict[int, subprocess.CompletedProcess[str]]) -> None:
    for line, done in answers.items():
        assert done.stdout.count("\n") == 1, done.stderr
        found = json.loads(done.stdout)
        assert (found["file"], found["line"], found["device"]) == (EXAMPLE, line, "cpu")
        assert found["forwards"] >= found["steps"] >= 1
        assert (found["text"] is None) == (found["why"] is not None) == (done.returncode == 1)


def test_a_pipe_gets_the_text_alone(environment: dict[str, str], completed_line: int) -> None:
    # Not compared with the JSON answer: that one was computed without a cached prefix, in the shipped precision.
    done = run(environment, "complete", f"{EXAMPLE}:{completed_line}")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert "confidence" not in done.stdout
    assert re.search(r"confidence \d\.\d\d · \d+ tokens in \d+ steps", done.stderr)


def test_a_terminal_sees_the_steps_and_the_completed_line(environment: dict[str, str], completed_line: int) -> None:
    shown = on_terminal(environment, "complete", f"{EXAMPLE}:{completed_line}")
    end = re.search(r"confidence \d\.\d\d · \d+ tokens in (\d+) steps", shown)
    assert end is not None
    assert ("step 1  confidence" in shown) == (int(end[1]) > 1)  # the last step shows as the completed line


def on_terminal(environment: dict[str, str], *words: str) -> str:
    """What the command prints on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(seedling(*words), cwd=ROOT, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass  # Linux reports the closed other end as an error
        finally:
            os.close(ours)
    assert process.returncode in (0, 1)
    return shown.decode()


def test_another_language_is_refused_with_its_reason(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("let x = \n")
    done = run(environment, "complete", f"{tmp_path / 'a.js'}:1")
    assert done.returncode == 1
    assert done.stdout == ""
    reason = Reason.LANGUAGE_NOT_SUPPORTED.value
    assert done.stderr == f"seedling: no completion: {reason} (javascript; it knows python)\n"


def test_the_engine_commands_tell_the_truth(environment: dict[str, str]) -> None:
    run(environment, "complete", f"{EXAMPLE}:{LINES[0]}")
    status = run(environment, "engine", "status")
    assert status.returncode == 0
    assert status.stdout.startswith("ready: model ")
    process = re.search(r"process (\d+)", status.stdout)
    assert process
    assert Path(f"/proc/{process[1]}").exists()
    restarted = run(environment, "engine", "restart")
    assert restarted.returncode == 0, restarted.stderr
    assert process[1] not in restarted.stdout
    assert run(environment, "engine", "logs").returncode == 0
    assert run(environment, "engine", "stop").stdout == "The engine was stopped.\n"
    assert run(environment, "engine", "stop").stdout == "No engine was running.\n"
    status = run(environment, "engine", "status")
    assert status.returncode == 1
    assert "No engine is running" in status.stdout


def test_an_engine_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    environment = dict(os.environ, SEEDLING_ENGINE=f"unix:{tmp_path}/none.sock")
    done = run(environment, "complete", f"{EXAMPLE}:{LINES[0]}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("seedling: ")
    assert done.stderr.count("\n") == 1
