"""The engine's log: lines for people, or one JSON object a line; never code.

Source: the project's rules on privacy. What a program should find in a JSON line stands in `fields` of a record
(`log.info("…", extra={"fields": {…}})`); people read the message alone. A log that cannot be written (a full disk)
costs nobody a request. Left out: what is logged (runner.py, app.py).
"""

import datetime
import logging
import logging.handlers
from pathlib import Path
from typing import Literal

import msgspec

LOG_BYTES = 1_000_000
NUM_OLD_LOGS = 2

LogFormat = Literal["text", "json"]


def log_to(path: Path | None, log_format: LogFormat = "text") -> None:
    """Rotating, readable by the user alone (by the umask); without a path to standard error."""
    logging.raiseExceptions = False  # a full disk: no traceback for every line that is lost
    handler: logging.Handler = logging.StreamHandler()
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=NUM_OLD_LOGS)
        except OSError as error:
            logging.getLogger("seedling.engine").error("no log at %s (%s)", path, error.strerror)
    text = logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A traceback's message may quote code; uvicorn and asyncio print them in full.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_without_traceback)


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, process, message, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": record.process,
            "message": record.getMessage(),
        }
        return msgspec.json.encode({**line, **getattr(record, "fields", {})}).decode()


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
