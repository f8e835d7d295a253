"""Which lines of the document go into the prompt, and where they are cut.

Source: this project's own layout (model/engine/prompting.py): what may change on a keystroke stands last, so `suffix`
starts at an anchor line below the cursor, not at the cursor, and both far ends move in jumps; then typing, Enter and
moving around change only the end of the prompt and the engine's prefix cache keeps the rest.

All cuts here are stateless functions of text and cursor: the anchor is counted from the document's *end* (so lines
typed above it do not move it), the prefix' start from the document's *beginning*. Left out: snippets of other files.
"""

from lsp_server.positions import without_end
from lsp_server.snapshot import Snapshot
from model.engine import api

CHARS_PER_TOKEN = 2.6
PREFIX_SHARE = 0.70
SUFFIX_SHARE = 0.25
ANCHOR_STEP = 8
MAX_TAIL_CHARS = 240
# Some clients leave it in the text. There it counts as a character of the first line; to the model it means nothing.
BYTE_ORDER_MARK = "\ufeff"
_AVERAGE_LINE_CHARS = 32
_STEPS = (32, 16, 8, 4, 2, 1)


def prompt_window(snapshot: Snapshot, context_tokens: int) -> api.Prompt:
    """The prompt for `snapshot`: prefix + line + CANVAS + tail + suffix is a contiguous part of the document.

    Line ends are `\\n` in the prompt, whatever the document has. Sizes: prefix at most 70 %, suffix at most 25 % of
    about 2.6 characters per context token.
    """
    budget_chars = int(context_tokens * CHARS_PER_TOKEN)
    # A notebook's cells above stand before the cell as if all were one document.
    lines = (*snapshot.above, *snapshot.document.lines) if snapshot.above else snapshot.document.lines
    row = len(snapshot.above) + snapshot.cursor.line
    start = prefix_start(lines, row, int(budget_chars * PREFIX_SHARE))
    anchor = suffix_anchor(lines, row)
    end = suffix_end(lines, anchor, int(budget_chars * SUFFIX_SHARE))
    is_last = row + 1 >= len(lines)
    return api.Prompt(
        path=snapshot.path,
        language=snapshot.document.language,
        prefix=_join(lines[start:row]).removeprefix(BYTE_ORDER_MARK),
        line=snapshot.line_before.removeprefix(BYTE_ORDER_MARK),
        tail=snapshot.line_after.removeprefix(BYTE_ORDER_MARK)
        + ("" if is_last else "\n")
        + _join(lines[row + 1 : anchor]),
        suffix=_join(lines[anchor:end]),
    )


def suffix_anchor(lines: tuple[str, ...], row: int) -> int:
    """The line where the suffix begins: 1 to 8 lines below `row`, a multiple of 8 lines before the document's end.

    Where those lines are too long for the tail, the nearest multiple of 4, 2 or 1.
    """
    anchor = len(lines)
    for step in (ANCHOR_STEP, 4, 2, 1):
        below = len(lines) - (row + 1)
        anchor = row + 1 + below % step
        if sum(map(len, lines[row + 1 : anchor])) <= MAX_TAIL_CHARS:
            break
    return anchor


def suffix_end(lines: tuple[str, ...], anchor: int, max_chars: int) -> int:
    """The end (exclusive) of the lines from `anchor` on that fit into `max_chars`."""
    end = anchor
    num_chars = 0
    while end < len(lines) and num_chars + len(lines[end]) <= max_chars:
        num_chars += len(lines[end])
        end += 1
    return end


def prefix_start(lines: tuple[str, ...], row: int, max_chars: int) -> int:
    """The first line of the prefix: the smallest multiple of the step from which everything above `row` fits.

    The step is 32 lines, less where the budget is small (a jump costs about a third of it at most).
    """
    first = row
    num_chars = 0
    while first > 0 and num_chars + len(lines[first - 1]) <= max_chars:
        first -= 1
        num_chars += len(lines[first])
    largest = max(1, max_chars // 3 // _AVERAGE_LINE_CHARS)
    for step in _STEPS:
        if step > largest and step > 1:
            continue
        start = -(-first // step) * step
        if start < row or first == row:
            return min(start, row)
    return first


def _join(lines: tuple[str, ...]) -> str:
    text = "".join(lines)
    if "\r" not in text:
        return text
    return "".join(without_end(line) + ("\n" if line.endswith(("\n", "\r")) else "") for line in lines)
