"""Filter: lines that already stand below the cursor are not offered again.

Source: Copilot's maybeSnipCompletion and tabby-agent's removeDuplicateSuffixLines.ts.
"""

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings


def drop_repeated_lines(draft: Draft, around: Surroundings) -> Draft | Reason:
    """Drops trailing lines that equal the next lines of the document; `same_as_suffix` where nothing else is left."""
    below = [line.rstrip() for line in around.lines_below if line.strip()]
    if not below or around.line_after.strip():
        return draft
    lines = draft.text.split("\n")
    whole = [around.line_before + lines[0], *lines[1:]]
    for num in range(min(len(lines), len(below)), 0, -1):
        if [line.rstrip() for line in whole[-num:]] == below[:num]:
            if num == len(lines):
                return Reason.SAME_AS_SUFFIX
            return Draft("\n".join(lines[:-num]).rstrip("\n"), draft.num_replaced)
    return draft
