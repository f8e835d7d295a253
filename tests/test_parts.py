"""The closing table of ./dev test: a part that does not run is named, and fails the run where it is required."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parts(*words: str, required: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SEEDLING_REQUIRE": required}
    command = [sys.executable, "ci/parts.py", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_skipped_part_is_named_with_its_reason() -> None:
    done = parts("--only", "slow")
    assert done.returncode == 0
    assert "slow          0      0       1" in done.stdout
    assert "asked for by --slow" in done.stdout
    assert done.stdout.endswith("0 passed, 0 failed, 1 skipped\n")


def test_a_skipped_part_that_is_required_fails() -> None:
    done = parts("--only", "slow", required="slow")
    assert done.returncode == 1
    assert "FAILED slow: required, but skipped" in done.stdout


def test_an_unknown_part_is_refused() -> None:
    done = parts("--only", "lint", required="flying")
    assert done.returncode == 2
    assert "flying" in done.stderr


def test_passes_failures_and_skips_of_pytest_are_counted(tmp_path: Path) -> None:
    sample = tmp_path / "test_sample.py"
    sample.write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "def test_skipped(): pytest.skip('no such thing here')\n"
    )
    done = parts(str(sample), "--rootdir", str(tmp_path), "-p", "no:cacheprovider")
    assert done.returncode == 1
    assert "python        1      1       1" in done.stdout
    assert "1: no such thing here" in done.stdout
    assert "test_bad" in done.stdout.split("FAILED python:")[1]


def test_a_collection_error_fails(tmp_path: Path) -> None:
    sample = tmp_path / "test_sample.py"
    sample.write_text("import no_such_module\n")
    assert parts(str(sample), "--rootdir", str(tmp_path), "-p", "no:cacheprovider").returncode == 1
    assert parts(str(tmp_path / "none.py")).returncode == 1
