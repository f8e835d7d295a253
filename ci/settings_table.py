"""Writes the table of settings into docs/features.md: `.venv/bin/python ci/settings_table.py`.

The table stands between two HTML comments and is made from lsp_server/settings.py: names, defaults, and the docstrings
below the fields. tests/test_settings_table.py fails when it is stale.
"""

import ast
import itertools
import re
from pathlib import Path

import msgspec

from lsp_server import settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "features.md"
TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


def docstrings() -> dict[str, str]:
    """The docstring of every field, on one line. Fields have none at run time, so the source is read."""
    tree = ast.parse(Path(settings.__file__).read_text("utf-8"))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    found = {}
    for field, below in itertools.pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                found[name] = " ".join(text.split())
    return found


def table() -> str:
    """All settings as a Markdown table."""
    texts = docstrings()
    defaults = msgspec.to_builtins(settings.Settings())
    rows = []
    for name, field in settings.FIELDS.items():
        default = defaults[field.encode_name]
        shown = (
            "unset"
            if default is None
            else "none"
            if default in ((), [])
            else f"`{msgspec.json.encode(default).decode()}`"
        )
        rows.append(f"| `{field.encode_name}` | {shown} | {texts[name].rstrip('.')} |")
    return "\n".join(["| setting | default | means |", "|---|---|---|", *rows]) + "\n"


def with_table(page: str) -> str:
    """The page with the table of today."""
    return TABLE.sub(lambda _: table(), page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
