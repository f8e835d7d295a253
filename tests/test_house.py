"""The house: what every clone holds, and what no file in it may hold."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ENTRIES = [
    ".ci/run",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "ci/constraints.txt",
    "dev",
    "docs/features.md",
    "docs/glossary.md",
    "docs/install.md",
    "docs/log.md",
    "docs/privacy.md",
    "docs/training.md",
    "docs/troubleshooting.md",
    "editors/neovim",
    "editors/vscode",
    "examples",
    "kernels",
    "lsp_server",
    "model",
    "model/embedded",
    "pyproject.toml",
    "seedling_lsp.py",
    "tests",
]

# Joined here, so that this file does not hold them itself.
FORBIDDEN = {
    "the workplace's folders": r"(?<![\w.])/" + r"work/",
    "a folder beside the project": r"\.\./" + "shared",
}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            found.append((path.relative_to(ROOT).as_posix(), content.decode("utf-8", "replace")))
    return found


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_of_the_house_is_there(entry: str) -> None:
    assert (ROOT / entry).exists()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    assert [f"{name}: {match.group()}" for name, text in texts() if (match := pattern.search(text))] == []


def test_the_licence_is_apache_in_full() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) > 10_000


def test_the_embedded_model_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "model" / "embedded").rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= 64 * 2**20, sizes


def test_the_scripts_can_be_executed() -> None:
    for name in ("dev", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, name


def test_dev_without_a_command_prints_help() -> None:
    done = subprocess.run(["bash", "dev"], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("setup", "demo", "test", "bench", "editors"):
        assert re.search(rf"^  {command}\b", done.stdout, re.MULTILINE), command


def test_dev_refuses_an_unknown_command_in_one_sentence() -> None:
    done = subprocess.run(["bash", "dev", "fly"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "fly" in done.stderr


def documented_commands() -> list[tuple[str, str]]:
    """Every `seedling …` and `./dev …` in the documents (code blocks and code spans), with the file it stands in."""
    found = []
    for name, text in texts():
        if not name.endswith(".md") or name.startswith("model/embedded"):
            continue
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
        for line in [*"\n".join(blocks).splitlines(), *spans]:
            command = line.split("  #")[0].split(" #")[0].strip()
            if re.match(r"(\./dev|(\.venv/bin/)?seedling)( |$)", command):
                found.append((name, command))
    return found


def test_the_documented_commands_exist() -> None:
    from lsp_server.cli import ENGINE_ACTIONS, MODEL_COMMANDS, build_parser

    help_of_dev = subprocess.run(["bash", "dev"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    usage = build_parser().format_help()
    commands = documented_commands()
    assert {name for name, _ in commands} >= {"README.md", "docs/install.md"}
    for name, command in commands:
        words = shlex.split(command.split("|")[0])
        if words[0] == "./dev":
            assert len(words) == 1 or re.search(rf"^  {words[1]}\b", help_of_dev, re.MULTILINE), (name, command)
        elif len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in MODEL_COMMANDS or re.search(rf"^    {words[1]}\b", usage, re.MULTILINE), (name, command)
            if words[1] == "engine" and len(words) > 2 and "|" not in command:
                assert words[2] in ENGINE_ACTIONS, (name, command)


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for name, text in texts():
        if name.endswith(".md"):
            for target in re.findall(r"\]\(([^)#\s]+)", text):
                if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
                    broken.append(f"{name} → {target}")
    assert broken == []


def test_the_table_of_reasons_is_the_programs() -> None:
    from lsp_server.outcome import troubleshooting_table

    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    assert f"<!-- reasons -->\n{troubleshooting_table()}<!-- /reasons -->" in page, "run ci/troubleshooting.py"


def test_the_version_is_the_same_everywhere() -> None:
    import json
    import tomllib

    from lsp_server.server import VERSION

    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    extension = json.loads((ROOT / "editors" / "vscode" / "package.json").read_text("utf-8"))["version"]
    assert version == extension == VERSION


def test_what_is_said_to_hold_a_feature_is_there() -> None:
    """The last column of the table beside peers: scenarios behind `S:`, files below tests/."""
    page = (ROOT / "docs" / "features.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.count("|") == 5]
    held_by = [row.rstrip("| ").rsplit("|", 1)[1] for row in rows][1:]
    assert len(held_by) > 25
    named = 0
    for cell in held_by:
        for part in cell.split(";"):
            folder = ROOT / "tests"  # of the name before, for names without one
            for name in re.findall(
                r"[\w./-]+\.(?:py|mjs|txt)|(?<=[ ,])(?:show|quiet|behave)_\w+", re.sub(r"\[.*?\)", "", part)
            ):
                start = ROOT / "tests" if "/" in name else folder
                path = start / name if "." in name else ROOT / "benchmarks" / "scenarios" / f"{name}.txt"
                folder = path.parent if "." in name else folder
                assert path.exists(), (name, cell)
                named += 1
    assert named > 50
