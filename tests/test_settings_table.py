"""The table of settings in docs/features.md is the program's."""

import runpy
from pathlib import Path

from lsp_server.settings import FIELDS

ROOT = Path(__file__).resolve().parent.parent


def test_the_table_is_current_and_complete() -> None:
    script = runpy.run_path(str(ROOT / "ci" / "settings_table.py"))
    page = (ROOT / "docs" / "features.md").read_text("utf-8")
    assert script["TABLE"].search(page) is not None
    assert script["with_table"](page) == page, "run ci/settings_table.py"
    assert set(script["docstrings"]()) == set(FIELDS)
    assert all(f"| `{field.encode_name}` |" in script["table"]() for field in FIELDS.values())
