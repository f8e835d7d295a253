"""The few lines of text around a canvas that the stop rule looks at, and what it asks about lines.

Left out: what the lines mean (stop_by_indentation.py, stop_by_braces.py).
"""

MAX_PREFIX_LINES = 60
MAX_SUFFIX_LINES = 30


def window(prefix: str, suffix: str) -> tuple[str, str, str]:
    """The last lines above the cursor's, its line up to the cursor, and the text from the cursor on, cut short."""
    line_start = prefix.rfind("\n") + 1
    head = _last_lines(prefix[:line_start], MAX_PREFIX_LINES)
    return head, prefix[line_start:], _first_lines(suffix, MAX_SUFFIX_LINES)


def line_ends(text: str) -> list[int]:
    """The offsets of all newlines."""
    ends: list[int] = []
    end = text.find("\n")
    while end >= 0:
        ends.append(end)
        end = text.find("\n", end + 1)
    return ends


def width(line: str) -> int:
    """How many characters of indentation a line has."""
    return len(line) - len(line.lstrip(" \t"))


def _last_lines(text: str, num_lines: int) -> str:
    at = len(text)
    for _ in range(num_lines + 1):
        at = text.rfind("\n", 0, at)
        if at < 0:
            return text
    return text[at + 1 :]


def _first_lines(text: str, num_lines: int) -> str:
    at = -1
    for _ in range(num_lines):
        at = text.find("\n", at + 1)
        if at < 0:
            return text
    return text[: at + 1]
