"""Filter: a line completion ends at the line's end, even if the engine gave more."""

from lsp_server.shaping.draft import Draft, Surroundings


def keep_first_line(draft: Draft, around: Surroundings) -> Draft:
    """Drops everything from the first line end on, unless several lines were asked for."""
    if not around.single_line or "\n" not in draft.text:
        return draft
    return Draft(draft.text.partition("\n")[0], draft.num_replaced)
