"""The rewrites that a menu offers for a selection: one action for each kind that works and fits. Pure.

Nothing is asked of the engine: an action holds what is asked for, and is written when it is chosen. Left out: where a
kind fits (rewrite_kinds.py); edits that need a word of the user's, which are asked for by `seedling.rewrite`.
"""

from lsp_server.actions import REWRITE_KIND, Action
from lsp_server.features.quiet import Asked
from lsp_server.features.rewrite import target_of, why_not_rewritten
from lsp_server.features.rewrite_kinds import menu_kinds
from lsp_server.outcome import Reason
from lsp_server.positions import Position


def rewrite_actions(
    asked: Asked, start: Position, end: Position, client_range: tuple[tuple[int, int], tuple[int, int]]
) -> list[Action] | Reason:
    """The actions, or why there are none. client_range: start and end as the client sent them, which come back."""
    refused = why_not_rewritten(asked, None)
    capabilities = asked.engine.capabilities
    if refused is not None or capabilities is None:
        return Reason.NO_ENGINE if refused is None or refused.reason is None else refused.reason
    target = target_of(asked.snapshot, start, end, capabilities.context_tokens)
    if target is None:
        return Reason.NOTHING_SELECTED
    document = asked.snapshot.document
    listed = capabilities.edits_listed if capabilities.rewrite == "listed" else None
    return [
        Action(
            title=f"Seedling: {kind.title}",
            kind=REWRITE_KIND,
            data={
                "kind": "rewrite",
                "uri": document.uri,
                "version": document.version,
                "start": client_range[0],
                "end": client_range[1],
                "instruction": kind.instruction,
            },
        )
        for kind in menu_kinds(target.draft, listed)
    ] or Reason.NO_EDIT_FITS
