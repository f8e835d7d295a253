"""The command line: help that helps, one sentence and exit code 2 for a wrong use, never a traceback."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from lsp_server import cli, complete_command
from lsp_server.engine_client.errors import EngineUnavailable


def run(*words: str) -> int:
    """The exit code of `seedling WORDS`."""
    return cli.main(words)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["fly"], "fly"),
        (["--fly"], "--fly"),
        (["complete"], "FILE:LINE"),
        (["complete", "no/such/file.py:3"], "no/such/file.py"),
        (["complete", "file.py"], "LINE"),
        (["complete", "file.py:0"], "0"),
        (["complete", "file.py:three"], "three"),
        (["complete", "file.py:1:\x1b[31m"], "\\x1b[31m"),
        (["serve", "--tcp", "70000"], "70000"),
        (["serve", "--tcp", "-1"], "--tcp"),
        (["serve", "--tcp", "0"], "SEEDLING_LSP_TOKEN"),
        (["engine"], "ACTION"),
        (["engine", "fly"], "fly"),
        (["doctor", "now"], "now"),
        (["clean", "--everything"], "--everything"),
    ],
)
def test_a_wrong_use_gets_one_sentence_and_code_2(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEEDLING_LSP_TOKEN", raising=False)
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("seedling")
    assert captured.err.count("\n") == 1
    assert named in captured.err


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    shown = capsys.readouterr().out
    for command in ("complete", "fix", "mend", "serve", "engine", "doctor", "clean", "train", "corpus", "tokenizer"):
        assert f"    {command}" in shown
    assert "examples:" in shown


@pytest.mark.parametrize("command", ["complete", "fix", "mend", "serve", "engine", "doctor", "clean"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert f"usage: seedling {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("seedling 0.")


def test_a_fault_of_ours_is_one_sentence_and_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lsp_server import doctor

    def break_down(_: bool) -> int:
        raise ValueError("two\nlines and \x1b[2J")

    monkeypatch.setattr(doctor, "run", break_down)
    assert run("doctor") == 1
    assert capsys.readouterr().err == "seedling: ValueError: two lines and \\x1b[2J\n"
    monkeypatch.setenv("SEEDLING_TRACEBACK", "1")
    assert run("doctor") == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reason", "code"), [("model_failed", 2), ("bad_address", 2), ("crashed", 1), ("missing_extras", 1)]
)
def test_complete_tells_a_wrong_model_or_address_from_a_failure(
    reason: Literal["model_failed", "bad_address", "crashed", "missing_extras"],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuse(*_args: object, **_options: object) -> None:
        raise EngineUnavailable(reason, "There is no checkpoint folder at /none.")

    (tmp_path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(complete_command, "connect", refuse)
    assert run("complete", f"{tmp_path / 'a.py'}:1") == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "seedling: There is no checkpoint folder at /none.\n")


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from lsp_server import doctor

    def interrupt(_: bool) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupt)
    assert run("doctor") == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    """`seedling … | head -0`: no traceback when the pipe closes."""
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{sys.executable}" -m seedling_lsp --help | true'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.stderr == ""


def test_closed_standard_output_is_no_fault(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m seedling_lsp engine status >&-'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert "AttributeError" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["engine", "--help"], ["complete", "x"]])
def test_the_command_line_imports_little(words: list[str]) -> None:
    """`seedling serve` must start fast, so reading the command line brings none of the heavy libraries."""
    program = (
        "import sys\nfrom lsp_server.cli import main\n"
        f"main({words!r})\n"
        "heavy = {'torch', 'numpy', 'pygls', 'lsprotocol', 'httpx', 'rich'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_what_asyncio_logs_about_libraries_never_reaches_the_user(tmp_path: Path) -> None:
    program = (
        "import logging, sys; from lsp_server import cli; cli.main(['engine', 'status']);"
        "logging.getLogger('asyncio').error('Exception in callback')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SEEDLING_RUNTIME_DIR": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Exception in callback" not in done.stderr
    assert "Traceback" not in done.stderr
