"""Does CPython read a text as a module, and which lines does it name if not?

By the Python that runs this, without its warnings. Source: ast.parse; the sentences of its syntax errors, which name a
second line ("… was never closed", "… on line 3"). Left out: tree-sitter's view (trees.py), which knows more versions.
"""

import ast
import re
import warnings

_OTHER_LINE = re.compile(r"\b(?:on|at) line (\d+)")
_QUOTES = re.compile(r"(?<![\"'\\])(?:\"{2}|'{2}|\"{4}|'{4})(?![\"'])")
MAX_TRIED = 24


def syntax_error(text: str) -> SyntaxError | None:
    """Why the text is no module; None if it is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the author's business
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):
        return SyntaxError("not a text that Python reads")
    return None


def parses(text: str) -> bool:
    """Whether the text is a module."""
    return syntax_error(text) is None


def error_row(text: str) -> int | None:
    """The line, from 0, that is named as wrong; None if the text parses or no line is named."""
    error = syntax_error(text)
    return None if error is None or error.lineno is None else error.lineno - 1


def error_rows(text: str) -> tuple[int, int] | None:
    """First and last line, from 0, of what is named as wrong: the one named and the one its sentence points to."""
    error = syntax_error(text)
    if error is None or error.lineno is None:
        return None
    pointed = _OTHER_LINE.search(error.msg)
    other = error.lineno if pointed is None else int(pointed[1])
    first, last = sorted((error.lineno, other))
    return max(0, first - 1), max(0, last - 1)


def damaged_quotes(text: str) -> int | None:
    """The line of two or four quotes that, made three, let all of the text be read; None if there is none.

    Where one of a docstring's quotes is lost, all that follows is turned inside out: the error is named anywhere below.
    """
    tried = 0
    for match in _QUOTES.finditer(text):
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        is_empty = len(match[0]) == 2 and (before in "([{=,: " and after in ")]},: .%\n") and match[0] + after != '""\n'
        if is_empty:
            continue
        tried += 1
        if tried > MAX_TRIED:
            return None
        if parses(text[: match.start()] + match[0][0] * 3 + text[match.end() :]):
            return text.count("\n", 0, match.start())
    return None
