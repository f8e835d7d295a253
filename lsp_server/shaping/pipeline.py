"""The ordered list of filters that every completion passes. The first one that returns a reason ends it.

Order matters: text is made safe before anything measures it, cut before it is compared with its surroundings, and
checked for emptiness last.
"""

from lsp_server.outcome import Reason
from lsp_server.shaping.block_end import stop_at_block_end
from lsp_server.shaping.doubled_space import drop_doubled_space
from lsp_server.shaping.draft import Draft, Filter, Surroundings
from lsp_server.shaping.empty import refuse_empty
from lsp_server.shaping.first_line import keep_first_line
from lsp_server.shaping.indentation import match_indentation
from lsp_server.shaping.lines_below import drop_repeated_lines
from lsp_server.shaping.misplaced_clause import refuse_misplaced_clause
from lsp_server.shaping.newlines import unify_newlines
from lsp_server.shaping.repetition import cut_repetition
from lsp_server.shaping.suffix_overlap import merge_suffix
from lsp_server.shaping.trailing_space import strip_trailing_space
from lsp_server.shaping.unsafe_text import refuse_unsafe_text

FILTERS: tuple[Filter, ...] = (
    unify_newlines,
    refuse_unsafe_text,
    strip_trailing_space,
    keep_first_line,
    drop_doubled_space,
    match_indentation,
    refuse_misplaced_clause,
    stop_at_block_end,
    cut_repetition,
    merge_suffix,
    drop_repeated_lines,
    refuse_empty,
)


def shape(text: str, around: Surroundings) -> Draft | tuple[Reason, str]:
    """The shaped text, or the reason for none and the name of the filter that gave it."""
    draft = Draft(text)
    for apply in FILTERS:
        result = apply(draft, around)
        if isinstance(result, Reason):
            return result, apply.__name__
        draft = result
    return draft
