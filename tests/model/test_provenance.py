"""What stands above a number: taken from the system, and said to be unknown where the system does not tell."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from model import provenance

CPU_INFO = "processor\t: 0\nmodel name\t: Toy CPU @ 1 GHz\n\nprocessor\t: 1\nmodel name\t: Toy CPU @ 1 GHz\n"


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_header_names_command_machine_versions_and_commit() -> None:
    lines = provenance.header("seedling eval block")
    assert lines[0] == "# seedling eval block"
    assert all(line.startswith("# ") and "\n" not in line for line in lines)
    assert provenance.machine() in lines[1]
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in lines[2]
    assert f"torch {provenance.torch_version()}" in lines[2]
    assert provenance.commit() in lines[3]


def test_the_processor_is_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(CPU_INFO)
    monkeypatch.setattr(provenance, "CPU_INFO", tmp_path / "cpuinfo")
    assert provenance.machine().startswith("Toy CPU @ 1 GHz, ")
    for text in (None, "Hardware\t: none\n"):  # other systems have no such file, ARM names no model
        (tmp_path / "cpuinfo").unlink(missing_ok=True)
        if text is not None:
            (tmp_path / "cpuinfo").write_text(text)
        assert provenance.processor()
        assert "Toy" not in provenance.processor()


def test_a_gpu_is_named_only_where_torch_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=lambda: "Toy GPU")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert provenance.machine().endswith(" CPUs, Toy GPU")
    monkeypatch.delitem(sys.modules, "torch")
    assert provenance.machine().endswith(" CPUs")
    assert "torch" not in sys.modules


def test_the_commit_and_whether_the_tree_has_changes(tmp_path: Path) -> None:
    assert provenance.commit(tmp_path).startswith("unknown")
    git(tmp_path, "init", "-q")
    assert provenance.commit(tmp_path).startswith("unknown"), "no commit yet"
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert head.startswith(provenance.commit(tmp_path))
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path).endswith(" with changes")
    (tmp_path / "inner").mkdir()
    assert provenance.commit(tmp_path / "inner").startswith("unknown"), "another project's repository around it"
