"""Does CPython read a text as a module, and which lines does it name if not?

By the Python that runs this, without its warnings. Source: ast.parse; the sentences of its syntax errors, which name a
second line ("… was never closed", "… on line 3"). Left out: tree-sitter's view (trees.py), which knows more versions.
"""

import ast
import re
import warnings

_OTHER_LINE = re.compile(r"\b(?:on|at) line (\d+)")
_QUOTES = re.compile(r"(?<![\"'\\])(?:\"{2,4}|'{2,4})(?![\"'])")
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
    """The line of a run of quotes, one too few or too many, the change of which lets all of the text be read: two or
    four that should be three, or three that should be two; None if there is none.

    Behind such a run all is turned inside out, and the error is named anywhere below.
    """
    named = error_row(text)
    if named is None:
        return None
    end = sum(len(line) + 1 for line in text.split("\n")[: named + 1])
    runs = [run for run in _QUOTES.finditer(text, 0, end) if _is_doubtful(text, run)]
    for run in runs[: -MAX_TRIED - 1 : -1]:
        num = 2 if len(run[0]) == 3 else 3
        if parses(text[: run.start()] + run[0][0] * num + text[run.end() :]):
            return text.count("\n", 0, run.start())
    return None


def _is_doubtful(text: str, run: re.Match[str]) -> bool:
    """Whether the run looks neither like an empty string nor like the end of one that is set off by three quotes."""
    before, after = text[: run.start()][-1:], text[run.end() :][:1]
    is_value = before in tuple("([{=,: ") and after in ("", *")]},: .%\n")
    is_alone = before == " " and after == "\n" and not text[text.rfind("\n", 0, run.start()) + 1 : run.start()].strip()
    return is_value and not is_alone if len(run[0]) == 3 else not is_value or is_alone
