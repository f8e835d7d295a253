"""`seedling rewrite` as somebody at a terminal uses it, against a scripted engine."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_engine import Script
from msgspec.structs import replace

CODE = "import os\n\n\ndef f(x):\n    return x\n"


@pytest.fixture
def seedling(engine, environment, tmp_path):
    """Runs the command in a folder with `a.py`."""
    engine.capabilities = replace(engine.capabilities, rewrite="free")
    engine.script = lambda request: Script(
        text="    return x + 1\n" if request.canvas[0].text[0] == " " else "return y"
    )
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.py").write_bytes(CODE.encode())

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "seedling_lsp", "rewrite", *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)

    run.file = folder / "a.py"  # pyright: ignore[reportFunctionMemberAccess]
    return run


def test_the_new_code_is_printed_and_the_file_stays(seedling, engine):
    done = seedling("a.py:5", "-m", "add one")
    assert (done.returncode, done.stdout) == (0, "return y\n")
    assert "confidence 0.90" in done.stderr
    (request,) = engine.requests
    assert (request.prompt.instruction, request.seed) == ("add one", 0)
    assert seedling.file.read_bytes() == CODE.encode()


def test_a_diff_is_one_that_patch_takes(seedling):
    done = seedling("a.py:4-5", "-m", "x", "--diff", "--seed", "3")
    assert done.returncode == 0
    assert done.stdout.startswith("--- a.py\n+++ a.py\n@@")
    assert "-def f(x):\n-    return x\n+return y\n" in done.stdout


@pytest.mark.parametrize(("end", "mark"), [("\n", b""), ("\r\n", b""), ("\n", b"\xef\xbb\xbf")])
def test_writing_changes_the_lines_and_nothing_else(seedling, end, mark):
    file: Path = seedling.file
    text = "a = 1  # ä\nb = 2\n\tc = 3 # odd\n".replace("\n", end)
    file.write_bytes(mark + text.encode())
    file.chmod(0o640)
    done = seedling("a.py:2", "-m", "x", "--write")
    assert (done.returncode, done.stdout) == (0, "")
    assert file.read_bytes() == mark + text.replace("b = 2", "return y").encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["a.py"]


def test_a_file_that_changed_meanwhile_is_not_written(seedling, engine):
    changed = CODE + "# somebody was quicker\n"

    def script(request):
        seedling.file.write_text(changed)
        return Script(text="return y")

    engine.script = script
    done = seedling("a.py:5", "-m", "x", "--write")
    assert done.returncode == 1
    assert "has changed since it was read" in done.stderr
    assert seedling.file.read_text() == changed


def test_what_a_model_does_not_list_is_refused_with_what_it_does(seedling, engine):
    engine.capabilities = replace(engine.capabilities, rewrite="listed", edits_listed=("docstring", "f-string"))
    done = seedling("a.py:4", "-m", "sing a song")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it knows: add a docstring, use an f-string" in done.stderr
    assert engine.requests == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("a.py:9", "-m", "x"), "there is no line 9"),
        (("a.py:0", "-m", "x"), "count from 1"),
        (("a.py", "-m", "x"), "FILE:LINE-LINE"),
        (("b.py:1", "-m", "x"), "cannot be read"),
        (("a.py:1", "-m", " "), "in words"),
        (("a.py:1",), "-m"),
        (("a.py:1", "-m", "x", "--seed", "-1"), "--seed"),
        (("a.py:1", "-m", "x", "--diff", "--write"), "not allowed with"),
    ],
)
def test_wrong_use_gets_a_sentence(seedling, words, says):
    done = seedling(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_blank_lines_are_nothing_to_rewrite(seedling):
    done = seedling("a.py:2-3", "-m", "x")
    assert done.returncode == 1
    assert "no code at the cursor" in done.stderr


def test_an_engine_that_fails_is_one_sentence(seedling, engine):
    engine.script = lambda request: Script(crash=True)
    done = seedling("a.py:5", "-m", "x", "--write")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert seedling.file.read_bytes() == CODE.encode()
