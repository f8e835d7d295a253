"""The entry point of the command `seedling`: the one import name that nobody else has.

Our packages have generic names (`lsp_server`, `model`, `kernels`), so a workspace that holds a folder of such a name,
together with `PYTHONPATH=.`, would be imported in our place. This file imports only the standard library, looks where
the three would come from, and if they do not lie beside it starts Python once more with `-E -P` (no PYTHON* variables,
no script or current folder on the search path).
Left out: a workspace that shadows this very name or the standard library; whoever can do that runs code before any
program's first line.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

PACKAGES = ("lsp_server", "model", "kernels")


def search_path_is_safe() -> bool:
    """Whether the three packages would come from beside this file, and no import from the current folder."""
    home = Path(__file__).resolve().parent
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parent.parent != home:
            return False
    current = os.path.realpath(os.getcwd())
    return current == str(home) or all(os.path.realpath(entry or ".") != current for entry in sys.path)


def restart(arguments: list[str]) -> int:
    """Runs the same command under `-E -P`; on Unix this call does not return."""
    words = [sys.executable, "-E", "-P", os.path.abspath(__file__), *arguments]
    if os.name == "posix":
        os.execv(sys.executable, words)
    # Windows has no exec that keeps standard input and the exit code with the caller.
    return subprocess.run(words, check=False).returncode


def main() -> int:
    isolated = sys.flags.ignore_environment and sys.flags.safe_path
    if not isolated and not search_path_is_safe():
        return restart(sys.argv[1:])
    try:
        from lsp_server.cli import main as run
    except ImportError as error:
        advice = "install it anew with pip install --force-reinstall seedling-lsp"
        print(f"seedling: this installation is incomplete ({error}); {advice}", file=sys.stderr)
        return 1
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
