"""Nothing is measured by the wall clock, which people and time servers set: only by clocks that never jump."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Where the time of day itself is meant, and why a jump does no harm.
TIME_OF_DAY = {
    "lsp_server/engine_client/pause.py": "when a server wants to be asked again, which may be a date; a minute at most",
    "lsp_server/switches.py": "how long ghost text is snoozed, which editors show as a time of day",
    "model/engine/ray_app.py": "which replacement of the replicas this is, another one each time",
    "model/engine/compiling.py": "the age of files, which is by the wall clock",
    "model/engine/logs.py": "the time of a line in the log",
    "model/engine/protocols/routes.py": "when an answer was made, as other tools' protocols want it",
}


def uses_time_of_day(path: Path) -> bool:
    names = {
        ast.unparse(node) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)
    }
    return bool(
        names
        & {"time.time", "time.time_ns", "datetime.now", "datetime.datetime.now", "datetime.datetime.fromtimestamp"}
    )


def test_the_server_and_the_engine_ask_for_the_time_of_day_only_where_it_is_meant() -> None:
    files = [*(ROOT / "lsp_server").rglob("*.py"), *(ROOT / "model" / "engine").rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if uses_time_of_day(path)}
    assert found <= set(TIME_OF_DAY)
    assert "model/engine/compiling.py" in found
