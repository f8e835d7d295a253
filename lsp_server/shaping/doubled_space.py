"""Filter: no second space beside the one that stands at the cursor already.

Source: tabby-agent's trimSpace.ts; users' reports of `x =  1`. Two spaces before a comment are style, not a slip.
"""

import re

from lsp_server.shaping.draft import Draft, Surroundings

_COMMENT = re.compile(r"[ \t]+(?:#|//|--|/\*)")


def drop_doubled_space(draft: Draft, around: Surroundings) -> Draft:
    """Drops leading space behind a space, and trailing space before one. Indentation is another filter's business."""
    text = draft.text
    is_behind_space = around.line_before.endswith((" ", "\t")) and bool(around.line_before.strip())
    if is_behind_space and not _COMMENT.match(text):
        text = text.lstrip(" \t")
    if around.line_after.startswith((" ", "\t")):
        text = text.rstrip(" \t")
    return draft if text == draft.text else Draft(text, draft.num_replaced)
