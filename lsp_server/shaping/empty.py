"""Filter: white space alone is no answer."""

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings


def refuse_empty(draft: Draft, around: Surroundings) -> Draft | Reason:
    """`empty_answer` for text without a visible character."""
    return draft if draft.text.strip() else Reason.EMPTY_ANSWER
