"""Material for `./dev gpu --rehearse`, made on the spot from this project's own source: shards and a benchmark file.

Three project folders go through `seedling corpus build`, so the rehearsal covers the corpus too. Two of them bear the
names of held-out projects, with files of this project, because evaluations ask for those names. Standard library
only. Left out: anything whose scores would mean something.
"""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

# Project → the files of this source tree that stand in for it.
PROJECTS = {"rehearsal": "model/**/*.py", "click": "lsp_server/[a-m]*.py", "httpx": "lsp_server/[n-z]*.py"}
NUM_ROWS = 4
INFILL_FILE = "santacoder-fim/santacoder-fim-python.jsonl.gz"


def make_shards(root: Path, folder: Path, seedling: Callable[[list[str]], int]) -> int:
    """Builds FOLDER/shards with `seedling corpus build`; its exit code. `seedling` runs a command."""
    projects = folder / "projects"
    for name, pattern in PROJECTS.items():
        for file in root.glob(pattern):
            target = projects / name / name / file.relative_to(root / pattern.partition("/")[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        shutil.copyfile(root / "LICENSE", projects / name / "LICENSE")
        text = f'[project]\nname = "{name}"\nversion = "1"\nlicense = "Apache-2.0"\n'
        (projects / name / "pyproject.toml").write_text(text, encoding="utf-8")
    return seedling(["corpus", "build", "--from", str(projects), "--out", str(folder / "shards"), "--vocab", "512"])


def make_benchmark(root: Path, evals: Path) -> Path:
    """A file of whole missing lines in the form of SantaCoder-FIM, cut from a source file of this project."""
    lines = (root / "ci" / "rehearsal.py").read_text(encoding="utf-8").splitlines(keepends=True)
    places = [n for n, line in enumerate(lines) if line.startswith("    ") and " = " in line][:NUM_ROWS]
    path = evals / INFILL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for n in places:
            row = {
                "name": f"line {n + 1}",
                "prompt": "".join(lines[:n]),
                "canonical_solution": lines[n],
                "suffix": "".join(lines[n + 1 :]),
            }
            file.write(json.dumps(row) + "\n")
    return path
