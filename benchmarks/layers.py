"""Whether an engine of this run writes with compiled layers: they come from a cache, or a minute after the start.

Times taken before that are those of eager layers. The engine's log says it (model/engine/compiling.py). Left out:
engines that somebody else has started.
"""

import time

from lsp_server.engine_client import control
from model.evaluation.options import EvalError

TIMEOUT_S = 1900.0  # above the engine's own limit for its compiler
IN_USE = "compiled layers in use"
EAGER = ("eager mode", "no compiled layers")
UNKNOWN = "the engine did not say whether it has compiled layers"


def are_compiled() -> bool | None:
    """None: that is not known yet."""
    path = control.log_path()
    log = path.read_text("utf-8", "replace") if path.exists() else ""
    return True if IN_USE in log else False if any(sign in log for sign in EAGER) else None


def wait_until_known() -> str:
    """ "compiled layers" or "eager layers", as soon as the engine says so. Raises EvalError."""
    until_s = time.monotonic() + TIMEOUT_S
    while are_compiled() is None:
        if time.monotonic() > until_s:
            raise EvalError(UNKNOWN)
        time.sleep(0.2)
    return "compiled layers" if are_compiled() else "eager layers"
