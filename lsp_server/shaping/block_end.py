"""Filter: several lines end where the block that the cursor stands in ends.

Source: tabby-agent's limitScopeByIndentation.ts (indentation only, no parser: the engine's own stop rule has parsed
already, this is the net below it).
"""

from lsp_server.shaping.draft import Draft, Surroundings, width


def stop_at_block_end(draft: Draft, around: Surroundings) -> Draft:
    """Cuts before the first later line that is indented less than the cursor's line."""
    lines = draft.text.split("\n")
    if len(lines) == 1:
        return draft
    tab_size = around.indent.tab_size
    base = width(around.line_before if around.line_before.strip() else around.line_before + lines[0], tab_size)
    kept = 1
    while kept < len(lines) and (not lines[kept].strip() or width(lines[kept], tab_size) >= base):
        kept += 1
    return Draft("\n".join(lines[:kept]).rstrip("\n"), draft.num_replaced)
