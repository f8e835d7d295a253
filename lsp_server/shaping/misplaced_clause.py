"""Filter: an `else:` at an indentation where it can belong to nothing.

Editors indent a new line like the one above; a model that then writes `else:` means the block further out. Copilot
(normalizeIndent.ts) moves the line back with a range that begins before the cursor. Left out here: Neovim draws such an
item over the line, and the rest of it, once typed into, could not be found again (type_along.py). Nothing is better
than a line that breaks the file. Python's clauses only: braces say themselves where they belong.
"""

import re

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings, width

_CLAUSE = re.compile(r"[ \t]*(?:else|finally|elif\b.*|except\b.*)[ \t]*:")
_BELONGS = re.compile(r"[ \t]*(?:async\s+)?(?:if|elif|else|for|while|try|except|match|case)\b")
_CONTINUES = re.compile(r"[ \t]*[)\]}]")


def refuse_misplaced_clause(draft: Draft, around: Surroundings) -> Draft | Reason:
    """The draft, or `misplaced_clause` where no line above at its indentation begins what it would go on with."""
    first = draft.text.partition("\n")[0]
    if around.line_before.strip() or not _CLAUSE.match(first):
        return draft
    own_width = width(around.line_before + first, around.indent.tab_size)
    for line in reversed(around.lines_above):
        if not line.strip() or line.lstrip().startswith("#") or _CONTINUES.match(line):
            continue
        its_width = width(line, around.indent.tab_size)
        if its_width <= own_width:
            return draft if its_width == own_width and _BELONGS.match(line) else Reason.MISPLACED_CLAUSE
    return draft  # what it belongs to may stand further up than was looked
