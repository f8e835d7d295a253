"""Material for `./dev gpu --rehearse`, made on the spot from this project's own source: shards and a benchmark file.

Two project folders (one to train on, one held out) go through `seedling corpus build`, so the rehearsal covers the
corpus too. Standard library only. Left out: anything whose scores would mean something.
"""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

TRAINED_ON, HELD_OUT = "rehearsal-model", "rehearsal-server"
NUM_ROWS = 4
INFILL_FILE = "santacoder-fim/santacoder-fim-python.jsonl.gz"


def make_shards(root: Path, folder: Path, seedling: Callable[[list[str]], int]) -> int:
    """Builds FOLDER/shards with `seedling corpus build`; its exit code. `seedling` runs a command."""
    projects = folder / "projects"
    for name, package in ((TRAINED_ON, "model"), (HELD_OUT, "lsp_server")):
        shutil.rmtree(projects / name, ignore_errors=True)
        shutil.copytree(root / package, projects / name / package, ignore=shutil.ignore_patterns("embedded", "__*__"))
        shutil.copy(root / "LICENSE", projects / name / "LICENSE")
        text = f'[project]\nname = "{name}"\nversion = "1"\nlicense = "Apache-2.0"\n'
        (projects / name / "pyproject.toml").write_text(text, encoding="utf-8")
    words = ["corpus", "build", "--from", str(projects), "--out", str(folder / "shards")]
    return seedling([*words, "--held-out", HELD_OUT, "--vocab", "512"])


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
