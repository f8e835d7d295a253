"""One line or several: several only where a block is empty at the cursor.

Source: Continue's shouldCompleteMultiline (never in comments), Copilot's blockMode (by the parser where there is one):
on a begun line, and between lines that stand, the rest of the line is what is missing; in an empty block its body is.
By the syntax tree (model/syntax/empty_block.py); without a grammar by the line above and the indentation below. Left
out: how many lines (the engine's stop rule).
"""

from lsp_server.positions import without_end
from lsp_server.settings import Settings
from lsp_server.shaping.draft import width
from lsp_server.snapshot import Snapshot
from model.engine import api
from model.syntax.empty_block import begins_empty_block
from model.syntax.trees import grammar

_COMMENT_MARKS = ("#", "//", ";", "--")


def is_line_completion(snapshot: Snapshot, settings: Settings, capabilities: api.Capabilities) -> bool:
    """Whether one line is asked for."""
    if not settings.multi_line or "block" not in capabilities.complete:
        return True
    if snapshot.line_before.strip() or snapshot.line_after.strip():
        return True
    if grammar(snapshot.document.language) is None:
        return not _below_an_opener(snapshot)
    parsed = snapshot.parsed
    # A file too large for a tree gets lines.
    return parsed is None or not begins_empty_block(parsed, snapshot.cursor.line)


def _below_an_opener(snapshot: Snapshot) -> bool:
    lines, row, tab_size = snapshot.document.lines, snapshot.cursor.line, snapshot.indent.tab_size
    above = without_end(lines[row - 1]).rstrip() if row else ""
    if not above.endswith((":", "{")) or above.lstrip().startswith(_COMMENT_MARKS):
        return False
    below = next((without_end(line) for line in lines[row + 1 :] if line.strip()), "")
    return width(below, tab_size) <= width(above, tab_size)
