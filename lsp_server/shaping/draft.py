"""What a shaping filter gets and gives.

Source: tabby-agent's post-processing (an explicit list of tiny pure filters, one file each). Left out: the list itself
(pipeline.py).
"""

from collections.abc import Callable

import msgspec

from lsp_server.outcome import Reason
from lsp_server.snapshot import IndentStyle


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The document around the answer, without line ends.

    `line_above` is the nearest one above that is not blank; `lines_above` are some above, the nearest last.
    """

    line_before: str = ""
    line_after: str = ""
    line_above: str = ""
    lines_above: tuple[str, ...] = ()
    lines_below: tuple[str, ...] = ()
    indent: IndentStyle = IndentStyle()
    single_line: bool = True


class Draft(msgspec.Struct, frozen=True):
    """The text so far, with `\\n` line ends; it replaces the first `num_replaced` characters after the cursor."""

    text: str
    num_replaced: int = 0


Filter = Callable[[Draft, Surroundings], Draft | Reason]


def width(text: str, tab_size: int) -> int:
    """The width in columns of the indentation of `text`."""
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    return len(indent.expandtabs(tab_size))
