"""Ignore files: git's rules (git itself is asked), only ever stricter, and no pattern that takes forever."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lsp_server.context.ignore import Ignores, bounded_pattern, read_patterns

PATHS = """
a.py a.log keep.log build/a.py src/build/a.py src/a.py src/gen/x.py src/gen/keep/y.py doc/a.md doc/sub/a.md odd
src/deep/er/z.py white/a.py white/b.txt white/sub/c.py white/sub/c.txt back/a.log back/in/b.log all/a.py all/keep.py
all/in/b.py one/a.py one/in/b.py s.tmp/a.py s.tmp/b.log dir.d x/dir.d/a.py
"""
PATTERNS = {
    ".gitignore": """
# a comment
*.log
!keep.log
/build/
gen/
!src/gen/keep/
doc/**/a.md
!back
!*.tmp
all/**
!all/keep.py
one/*
!one/in
dir.d/
""",
    "src/.gitignore": "deep/\n!a.log\n",
    "white/.gitignore": "*\n!*/\n!*.py\n",
}


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_says_the_same(tmp_path):
    paths = PATHS.split()
    put(tmp_path, dict.fromkeys(paths, ""))
    put(tmp_path, PATTERNS)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True, env=environment)
    done = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        cwd=tmp_path,
        input="\n".join(paths),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    ignores = Ignores(str(tmp_path))
    assert {path for path in paths if ignores.is_ignored(path)} == set(done.stdout.split("\n")) - {""}
    assert done.stdout.count("\n") >= 7


def test_seedlingignore_restricts_and_brings_nothing_back(tmp_path):
    put(tmp_path, {".gitignore": "secret/\n", ".seedlingignore": "!secret/\nprivate.py\n"})
    ignores = Ignores(str(tmp_path))
    assert ignores.is_ignored("secret/a.py")
    assert ignores.is_ignored("private.py")
    assert not ignores.is_ignored("public.py")


def test_the_repository_above_the_folder_counts(tmp_path):
    put(tmp_path, {".gitignore": "package/out/\n", "package/a.py": "", ".git/HEAD": ""})
    assert Ignores(str(tmp_path / "package")).is_ignored("out/a.py")
    shutil.rmtree(tmp_path / ".git")
    assert not Ignores(str(tmp_path / "package")).is_ignored("out/a.py")


def test_a_changed_ignore_file_is_read_again(tmp_path):
    ignores = Ignores(str(tmp_path))
    assert not ignores.is_ignored("a.py")
    put(tmp_path, {".gitignore": "a.py\n"})
    assert ignores.is_ignored("a.py")
    (tmp_path / ".gitignore").unlink()
    assert not ignores.is_ignored("a.py")


def ignores_of(patterns: str, path: str) -> bool:
    return any(pattern.matches(path) for pattern in read_patterns(patterns))


def test_lines_that_cannot_be_read_do_not_disable_the_others():
    patterns = "!\n[\n\\\nbad[\n/\nb.py\n"
    assert ignores_of(patterns, "b.py")
    assert not ignores_of(patterns, "c.py")


def test_an_ignore_file_that_is_too_large_ignores_everything(tmp_path):
    put(tmp_path, {".gitignore": "#" * 70_000})
    assert Ignores(str(tmp_path)).is_ignored("a.py")


def test_a_folder_called_gitignore_is_none(tmp_path):
    (tmp_path / ".gitignore").mkdir()
    assert not Ignores(str(tmp_path)).is_ignored("a.py")


def test_patterns_of_many_stars_are_cut_and_match_more():
    hostile = "*a" * 40 + "b"
    assert ignores_of(hostile, "a" * 200)
    assert bounded_pattern("!" + hostile) == ""
    assert bounded_pattern("x" * 500).endswith("x*")
    for harmless in ("*.py", "**/build/**", "a/**/b/*.c", "**/build/**/*.o"):
        assert bounded_pattern(harmless) == harmless
