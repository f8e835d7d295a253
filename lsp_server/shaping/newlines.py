"""Filter: every line end in model text becomes `\\n`, also in documents that use `\\r\\n`.

Why not the document's own: editors hold text with their own line ends and convert what they insert (VS Code's text
buffer replaces them with the document's), but Neovim 0.12 splits an accepted item at `\\n` only
(runtime/lua/vim/lsp/inline_completion.lua, `accept`), so a `\\r` would stay in the buffer as a visible character.
"""

from lsp_server.shaping.draft import Draft, Surroundings


def unify_newlines(draft: Draft, around: Surroundings) -> Draft:
    """`\\r\\n` and lone `\\r` become `\\n`."""
    if "\r" not in draft.text:
        return draft
    return Draft(draft.text.replace("\r\n", "\n").replace("\r", "\n"), draft.num_replaced)
