"""Does CPython read a text as a module, and which line does it name if not?

By the Python that runs this, without its warnings. Source: ast.parse. Left out: tree-sitter's view (model/syntax).
"""

import ast
import warnings


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
