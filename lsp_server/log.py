"""The server's own log: numbers, names and reasons, never code.

In the state folder, mode 0600, rotated, no code in them (docs/privacy.md). pygls logs whole messages, parameters
included: its loggers are switched off. The file is opened after `initialize` is answered, because that costs some
milliseconds. Left out: what the editor shows (handlers/status.py).
"""

import logging
import os
import sys
import traceback
from io import TextIOWrapper
from typing import cast

MAX_BYTES = 1_000_000
NUM_OLD_FILES = 2


def quiet_libraries() -> None:
    """Silences libraries that would log what they transport. Until `log_to_file` our own log goes nowhere."""
    for name in ("pygls", "lsprotocol", "httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger("seedling")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def log_to_file() -> None:
    """Sends our log to `server.log` in the user's state folder; without a writable folder there is no log."""
    from logging.handlers import RotatingFileHandler

    from lsp_server.folders import state_folder

    class PrivateFile(RotatingFileHandler):
        def _open(self) -> TextIOWrapper:
            # The umask would let others read it; this holds for the first file and for those after a rotation.
            return cast(TextIOWrapper, open(self.baseFilename, self.mode, encoding="utf-8", opener=_open_private))

    logging.raiseExceptions = False  # a full disk: no traceback for every line that is lost
    folder = state_folder()
    if folder is None:
        print("seedling: no log, there is no home directory to keep it in.", file=sys.stderr)
        return
    path = os.path.join(folder, "server.log")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        handler = PrivateFile(path, maxBytes=MAX_BYTES, backupCount=NUM_OLD_FILES)
    except OSError as error:
        print(f"seedling: no log, {path} cannot be written ({error.strerror}).", file=sys.stderr)
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("seedling")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def stack_without_values(error: BaseException) -> str:
    """Where `error` came from: its class and the frames, without its message, which may quote the user's code."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}\n{frames}"
