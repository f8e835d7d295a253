"""Filter: indentation in the document's style, and not deeper than the line above allows.

Source: Copilot's normalizeIndent.ts (tabs and spaces by the editor's options); users' reports of three extra spaces on
an indented empty line, where the editor has indented already and the model indents again. Left out: moving the
cursor's own indentation back (`else:`), which only a range that begins before the cursor could do.
"""

import re

from lsp_server.shaping.draft import Draft, Surroundings, width

_OPENS = re.compile(r"[:({\[,\\=]$")
_LEADING = re.compile(r"^[ \t]+", re.MULTILINE)


def match_indentation(draft: Draft, around: Surroundings) -> Draft:
    """Converts leading tabs and spaces of every whole line, and takes surplus indentation off the first."""
    unit, tab_size = around.indent.unit, around.indent.tab_size

    def convert(match: re.Match[str]) -> str:
        if match.start() == 0 and around.line_before.strip():
            return match[0]  # not indentation, but the space between two words of a line
        return match[0].replace(" " * tab_size, "\t") if unit == "\t" else match[0].replace("\t", unit)

    text = _LEADING.sub(convert, draft.text)
    if not around.line_before.strip():
        text = _without_surplus(text, around)
    return Draft(text, draft.num_replaced)


def _without_surplus(text: str, around: Surroundings) -> str:
    tab_size = around.indent.tab_size
    allowed = width(around.line_above, tab_size)
    if _OPENS.search(around.line_above.rstrip()):
        allowed = max(allowed + len(around.indent.unit.expandtabs(tab_size)), width(around.line_before, tab_size))
    stripped = text.lstrip(" \t")
    leading = text[: len(text) - len(stripped)]
    while leading and width(around.line_before + leading, tab_size) > allowed:
        leading = leading[:-1]
    return leading + stripped
