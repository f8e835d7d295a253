"""Start an engine process, detached, from this interpreter's own installation.

Source: the project's isolation rule: every process runs as `python -E -P -m …` in a private current folder, so neither
PYTHONPATH nor a workspace's `model/` folder can change what is imported. Left out: waiting for the engine (connect.py).
Two clients may launch at once: both processes start, the one without the lock exits 0 (model/engine/lock.py).
"""

import importlib.util
import os
import subprocess
import sys

from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.paths import EnginePaths
from lsp_server.engine_client.remote import TOKEN_VARIABLE

_ENGINE_MODULES = ("torch", "numpy", "safetensors", "tokenizers", "starlette", "uvicorn", "prometheus_client")


def check_extras() -> None:
    """Raises EngineUnavailable when the engine's packages are missing; finds them without importing them."""
    missing = [name for name in _ENGINE_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineUnavailable(
            "missing_extras",
            f"The engine needs packages that are not installed ({', '.join(missing)}): "
            'run pip install "seedling-lsp[engine]".',
        )


def engine_command(paths: EnginePaths, *, idle_s: float | None = None) -> list[str]:
    """The command line of an engine that listens where `paths` says."""
    command = [sys.executable, "-E", "-P", "-m", "model.engine", "serve", "--model", str(paths.model)]
    if sys.platform == "win32":
        command += ["--tcp", "127.0.0.1:0", "--endpoint-file", str(paths.endpoint)]
    else:
        command += ["--socket", str(paths.socket)]
    command += ["--lock", str(paths.lock), "--log", str(paths.log)]
    if idle_s is not None:
        command += ["--idle-s", str(idle_s)]
    return command


def launch(paths: EnginePaths, *, idle_s: float | None = None) -> subprocess.Popen[bytes]:
    """Starts the engine and returns at once. Raises EngineUnavailable when it cannot even be started.

    The process outlives this one: own session, no inherited handles but its own error file, private current folder.
    """
    check_extras()
    try:
        paths.stderr.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Truncated: only the newest start matters, and the real log (rotated) is the engine's own.
        error_file = os.open(paths.stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    except OSError as error:
        raise EngineUnavailable(
            "launch_failed", f"The engine's log folder {paths.stderr.parent} cannot be written ({error.strerror})."
        ) from None
    try:
        return subprocess.Popen(
            engine_command(paths, idle_s=idle_s),
            cwd=paths.runtime,
            stdin=subprocess.DEVNULL,
            stdout=error_file,
            stderr=error_file,
            # The token of an engine on another machine is no business of one on this.
            env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
            close_fds=True,
            start_new_session=True,
            creationflags=_detached_flags(),
        )
    except OSError as error:
        raise EngineUnavailable("launch_failed", f"The engine could not be started ({error.strerror}).") from None
    finally:
        os.close(error_file)


def last_error_line(paths: EnginePaths) -> str:
    """What the newest engine process said last before it died, or an empty string."""
    try:
        lines = paths.stderr.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip()[:300] if lines else ""


def _detached_flags() -> int:
    if sys.platform != "win32":
        return 0
    return subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
