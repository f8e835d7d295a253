"""Filter: lines that already stand below the cursor are not offered again.

Source: Copilot's maybeSnipCompletion (the last line may be cut short by the deadline) and tabby-agent's
removeDuplicateSuffixLines.ts. Blank lines on either side do not count.
"""

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings


def drop_repeated_lines(draft: Draft, around: Surroundings) -> Draft | Reason:
    """Drops trailing lines that equal the next lines of the document; `same_as_suffix` where nothing else is left."""
    below = [line.rstrip() for line in around.lines_below if line.strip()]
    if not below or around.line_after.strip():
        return draft
    lines = draft.text.split("\n")
    whole = [line.rstrip() for line in (around.line_before + lines[0], *lines[1:])]
    visible = [index for index, line in enumerate(whole) if line.strip()]
    for num in range(min(len(visible), len(below)), 0, -1):
        start = visible[-num]
        if _same([whole[index] for index in visible[-num:]], below[:num], may_be_cut=start > 0):
            if start == 0:
                return Reason.SAME_AS_SUFFIX
            return Draft("\n".join(lines[:start]).rstrip("\n"), draft.num_replaced)
    return draft


def _same(ours: list[str], theirs: list[str], *, may_be_cut: bool) -> bool:
    return ours[:-1] == theirs[:-1] and (ours[-1] == theirs[-1] or (may_be_cut and theirs[-1].startswith(ours[-1])))
