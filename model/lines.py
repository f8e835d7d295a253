"""Text as lines, the way tokens see it: cut behind each newline; nothing else that Python calls a line break counts.

Source: this project's tokenizer (no merge crosses a newline) and the parser's rows. Left out: what ends a line in an
editor's document (lsp_server).
"""


def lines_of(text: str) -> list[str]:
    """The lines with their newlines; the last one has none if the text ends without one. Joined they are the text."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
