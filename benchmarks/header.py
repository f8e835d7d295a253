"""The header that every benchmark prints: command, machine, versions, commit, date (model/provenance.py)."""

import sys
from pathlib import Path

from model.provenance import header

ROOT = Path(__file__).resolve().parents[1]


def print_header(name: str) -> None:
    """Prints what was run, where, and on which commit (marked when the tree has changes)."""
    print("\n".join(header(" ".join([f"python -m benchmarks.{name}", *sys.argv[1:]]))))
