"""Filter: no white space at line ends, and no blank lines at the end of the text."""

from lsp_server.shaping.draft import Draft, Surroundings


def strip_trailing_space(draft: Draft, around: Surroundings) -> Draft:
    """Strips the end of each line; of the last one only where nothing follows it (`f(a, |b)` needs its space)."""
    lines = draft.text.split("\n")
    stripped = [line.rstrip(" \t") for line in lines[:-1]]
    last = lines[-1] if around.line_after.strip() else lines[-1].rstrip(" \t")
    text = "\n".join([*stripped, last])
    return Draft(text if around.line_after.strip() else text.rstrip("\n"), draft.num_replaced)
