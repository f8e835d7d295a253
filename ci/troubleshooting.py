"""Writes the table of reasons into docs/troubleshooting.md: `.venv/bin/python ci/troubleshooting.py`.

The table stands between two HTML comments and is made from lsp_server/outcome.py; tests/test_house.py fails when it is
stale.
"""

import re
from pathlib import Path

from lsp_server.outcome import troubleshooting_table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md"
TABLE = re.compile(r"(?<=<!-- reasons -->\n).*?(?=<!-- /reasons -->)", re.DOTALL)


def with_table(page: str) -> str:
    """The page with the table of today."""
    return TABLE.sub(lambda _: troubleshooting_table(), page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
