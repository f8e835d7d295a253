"""`seedling fix` and `seedling mend`: what is printed and written, exit codes, what is left alone."""

import json
import subprocess
from pathlib import Path

import pytest
from fake_engine import FakeEngine, Script
from repairing import can_repair, replaced

from lsp_server import cli
from lsp_server.features.fix import Repair
from lsp_server.repair_command import repaired_text, together
from model.engine import api

TEXT = "def area(w, h):\n    é = w * hh\n    return é\n"


@pytest.fixture(autouse=True)
def at_home(engine: FakeEngine, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, with an engine that finds `hh` wherever it stands."""
    for name, value in environment.items():
        if name.startswith(("SEEDLING_", "XDG_", "HOME")):
            monkeypatch.setenv(name, value)
    home = tmp_path / "project"
    home.mkdir()
    monkeypatch.chdir(home)
    can_repair(engine)

    def script(request: api.RepairRequest) -> Script:
        return Script(findings=(replaced(request.text, "hh", "h"),) if "hh" in request.text else ())

    engine.repair_script = script


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ruff(name: str, row: int) -> str:
    found = [{"filename": str(Path(name).absolute()), "code": "F821", "location": {"row": row, "column": 13}}]
    return str(write("found.json", json.dumps(found)))


@pytest.mark.parametrize("content", [TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT, TEXT.removesuffix("\n")])
def test_writing_changes_the_repair_and_no_other_byte(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.py", content)
    assert cli.main(["fix", "a.py", "--from", ruff("a.py", 2), "--write"]) == 1
    assert path.read_bytes() == content.replace("hh", "h").encode()
    shown = capsys.readouterr()
    assert shown.out == "a.py:2:13: `hh` → `h` (name, 0.90)\n"
    assert shown.err == "seedling: 1 repair written in 1 file.\n"


def test_the_byte_order_mark_is_not_sent(engine: FakeEngine) -> None:
    write("a.py", "\ufeff" + TEXT.replace("\n", "\r\n"))
    cli.main(["fix", "a.py", "--from", ruff("a.py", 2)])
    (asked,) = engine.repairs
    assert (asked.text, asked.first_row, asked.last_row) == (TEXT, 1, 1)


def test_without_a_word_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.py", TEXT)
    assert cli.main(["mend", "a.py"]) == 1
    assert path.read_text("utf-8") == TEXT


@pytest.mark.parametrize("content", [TEXT, TEXT.replace("\n", "\r\n")])
def test_patch_takes_the_diff(content: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = write("a.py", content)
    assert cli.main(["mend", "a.py", "--diff"]) == 1
    shown = capfdbinary.readouterr().out
    done = subprocess.run(["git", "apply", "-p0", "-"], input=shown, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == content.replace("hh", "h").encode()


def test_nothing_found_is_code_0(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    write("a.py", "x = 1\n")
    assert cli.main(["mend", "a.py"]) == 0
    assert cli.main(["fix", "a.py"]) == 0  # no syntax error: the engine is not asked
    assert len(engine.repairs) == 1
    assert capsys.readouterr().out == ""


def test_syntax_errors_are_found_by_the_parser(engine: FakeEngine) -> None:
    path = write("a.py", "def f(a)\n    return a\n\n\ndef g(b)\n    return b\n")

    def script(request: api.RepairRequest) -> Script:
        rows = request.text.split("\n")
        bare = [row for row in range(request.first_row or 0, (request.last_row or 0) + 1) if rows[row].endswith(")")]
        ends = [sum(len(line) + 1 for line in rows[:row]) + len(rows[row]) for row in bare]
        found = [api.Finding(start=end, end=end, text=":", confidence=0.9, kind="colon") for end in ends]
        return Script(findings=tuple(found))

    engine.repair_script = script
    assert cli.main(["fix", "a.py", "--write"]) == 1
    assert path.read_text() == "def f(a):\n    return a\n\n\ndef g(b):\n    return b\n"


def test_a_file_that_changed_meanwhile_is_not_written(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a.py", TEXT)

    def script(request: api.RepairRequest) -> Script:
        path.write_text(TEXT + "# new\n", "utf-8")
        return Script(findings=(replaced(request.text, "hh", "h"),))

    engine.repair_script = script
    assert cli.main(["mend", "a.py", "--write"]) == 2
    assert path.read_text("utf-8") == TEXT + "# new\n"
    assert "has changed" in capsys.readouterr().err


def test_folders_are_searched_by_the_ignore_rules(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".git").mkdir()
    write(".gitignore", "build/\n")
    write(".seedlingignore", "private.py\n")
    for name in ("src/a.py", "src/deep/b.py", "build/c.py", ".hidden/d.py", "private.py", "e.txt", "secrets.py"):
        write(name, TEXT)
    for name in ("node_modules/f.py", "env/pyvenv.cfg", "env/g.py"):
        write(name, TEXT)
    Path("link.py").symlink_to("src/a.py")
    write("binary.py", b"x\0")
    write("latin.py", "é".encode("latin-1"))
    write("large.py", "x = 1\n" * 200_000)
    assert cli.main(["mend", "."]) == 1
    shown = capsys.readouterr()
    assert [line.partition(":")[0] for line in shown.out.splitlines()] == ["src/a.py", "src/deep/b.py"]
    skipped = {line.split(" ")[1] for line in shown.err.splitlines() if " skipped: " in line}
    assert skipped == {"binary.py", "large.py", "latin.py", "secrets.py"}
    assert len(engine.repairs) == 2


def test_sarif_has_what_the_format_requires(capsys: pytest.CaptureFixture[str]) -> None:
    write("a b.py", TEXT)
    assert cli.main(["mend", "--format", "sarif", "a b.py"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "Seedling"
    (result,) = run["results"]
    assert result["message"]["text"] == "Perhaps a mistake: `hh` → `h`?"
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in ("none", "note", "warning", "error")
    assert 0 <= result["rank"] <= 100
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b.py"
    assert place["region"] == {"startLine": 2, "startColumn": 13, "endLine": 2, "endColumn": 15}
    (change,) = result["fixes"][0]["artifactChanges"]
    (replacement,) = change["replacements"]
    assert change["artifactLocation"] == place["artifactLocation"]
    assert replacement["insertedContent"] == {"text": "h"} or replacement["deletedRegion"]["startColumn"] == 14
    write("again.sarif", json.dumps(log))
    capsys.readouterr()
    assert cli.main(["fix", "a b.py", "--from", "again.sarif"]) == 1  # what it writes it also reads


def test_sarif_without_findings_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    write("a.py", "x = 1\n")
    assert cli.main(["mend", "--format", "sarif", "a.py"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["fix"], "FILE"),
        (["mend"], "PATH"),
        (["fix", "none.py"], "none.py"),
        (["mend", "none.py"], "none.py does not exist"),
        (["mend", "b.py"], "b.py skipped"),
        (["fix", "b.py"], "binary"),
        (["fix", "a.txt"], "language"),
        (["fix", "a.py", "--from", "none.json"], "none.json"),
        (["fix", "a.py", "--from", "a.py"], "not JSON"),
        (["fix", "a.py", "--from", "odd.json"], "neither SARIF"),
        (["mend", "a.py", "--diff", "--format", "sarif"], "--diff"),
        (["mend", "a.py", "--format", "xml"], "xml"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_code_2(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a.py", "x = 1\n")
    write("a.txt", "x\n")
    write("b.py", b"\0")
    write("odd.json", "{}")
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert named in err
    assert "Traceback" not in err


@pytest.mark.parametrize("ability", ["fix", "mend"])
def test_a_model_that_cannot_is_code_2(engine: FakeEngine, ability: str, capsys: pytest.CaptureFixture[str]) -> None:
    can_repair(engine, **{ability: False})
    write("a.py", TEXT)
    assert cli.main([ability, "a.py"]) == 2
    assert "load another model" in capsys.readouterr().err
    assert engine.repairs == []


def test_an_engine_that_fails_is_code_2_and_writes_nothing(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    found = (replaced(TEXT, "hh", "h"),)
    engine.repair_script = lambda request: Script(
        findings=found, error=api.Error(code="x", sentence="No luck."), num_before_error=1
    )
    path = write("a.py", TEXT)
    assert cli.main(["mend", "a.py", "--write"]) == 2
    assert capsys.readouterr().err == "seedling: No luck.\n"
    assert path.read_text("utf-8") == TEXT


def repair(source: str, old: str, new: str, confidence: float = 0.9) -> Repair:
    start = source.index(old)
    return Repair(start, start + len(old), new, confidence, "name", start, (old, new))


def test_of_repairs_that_meet_the_surer_one_is_made() -> None:
    source = "a = b + c\n"
    kept = together(source, "python", [repair(source, "b", "x", 0.5), repair(source, "b + c", "y", 0.6)])
    assert [one.text for one in kept] == ["y"]


def test_repairs_that_break_each_other_are_not_made_at_once() -> None:
    source = "x = f(a\ny = 1\n"
    both = [repair(source, "f(a", "f(a)", 0.9), repair(source, "y = 1", ")", 0.8)]
    assert [one.text for one in together(source, "python", both)] == ["f(a)"]


def test_a_repair_over_two_lines_has_the_files_line_ends() -> None:
    text = "\ufeffa = 1\r\nb = 2\r\n"
    source = "a = 1\nb = 2\n"
    assert repaired_text(text, source, [repair(source, "a = 1\nb", "c\nd")]) == "\ufeffc\r\nd = 2\r\n"
