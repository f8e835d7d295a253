"""The entry point restarts itself isolated when the search path would bring in somebody else's packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = 'raise SystemExit("hostile code ran")\n'


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "model").mkdir()
    (folder / "model" / "__init__.py").write_text(HOSTILE)
    for name in ("kernels.py", "lsp_server.py", "argparse.py"):
        (folder / name).write_text(HOSTILE)
    return folder


def run(folder: Path, *flags: str, search_path: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if search_path is not None:
        environment["PYTHONPATH"] = search_path
    program = "import sys; import seedling_lsp; sys.argv = ['seedling', '--version']; sys.exit(seedling_lsp.main())"
    return subprocess.run(
        [sys.executable, *flags, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("search_path", [".", "", None])
def test_a_hostile_folder_is_not_imported(hostile_folder: Path, search_path: str | None) -> None:
    # `python -c` itself puts the current folder on the search path, so there is something to do without PYTHONPATH too.
    done = run(hostile_folder, search_path=search_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seedling 0.")


def test_the_hostile_folder_would_be_imported_without_us(hostile_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import lsp_server"], cwd=hostile_folder, capture_output=True, text=True, check=False
    )
    assert "hostile code ran" in done.stderr


def test_an_isolated_start_is_left_alone(hostile_folder: Path) -> None:
    done = run(hostile_folder, "-E", "-P", search_path=".")
    assert (done.returncode, done.stderr) == (0, "")
