"""Which files of a package are ordinary Python worth learning from: rules on the path, then on the text.

Source: the limits are the usual ones of code corpora (The Stack, arXiv 2211.15533, §3: line lengths,
generated files). Each rule returns the reason for which it drops a file; the build counts the reasons. Left out: any
judgement of style, and other languages than Python.
"""

import ast
import re
import warnings
from pathlib import PurePosixPath

from model.training.corpus.licences import COPYLEFT_TEXT

MIN_FILE_BYTES = 200
MAX_FILE_BYTES = 200_000
MAX_LINE_CHARS = 500
MAX_MEAN_LINE_CHARS = 90
MAX_LITERAL_SHARE = 0.4
MAX_LITERAL_LINES = 300
MAX_PROSE_SHARE = 0.6
MAX_DIGIT_SHARE = 0.1
MAX_FOREIGN_SHARE = 0.1

_COPIED_FOLDERS = {"_vendor", "_vendored", "vendor", "vendored", "vendoring", "third_party", "thirdparty", "3rdparty",
                   "_third_party", "extern", "_extern", "externals", "_externals", "site-packages", "dist-packages",
                   "node_modules"}  # fmt: skip
_DATA_FOLDERS = {"fixtures", "fixture", "testdata", "test_data", "test-data", "snapshots", "__snapshots__", "cassettes",
                 "golden", "locale", "locales"}  # fmt: skip
_GENERATED_NAME = re.compile(r"_pb2(_grpc)?\.py$|_pb2\.pyi$|\.gen\.py$|_generated\.py$|^_version\.py$|^version\.py$")
_GENERATED_TEXT = re.compile(
    r"do not (manually )?(edit|modify)|@generated|auto-?generated|automatically generated|code generated"
    r"|this file (was|is) generated|^#.*\bgenerated (by|from|using|with)\b",
    re.IGNORECASE | re.MULTILINE,
)
_HEAD_COMMENT = re.compile(r"(?:[ \t]*(?:#.*)?\n)+")
_NOTICE = re.compile(r"copyright|licen[sc]e|all rights reserved|©", re.IGNORECASE)
_COMMENT_LINE = re.compile(r"^[ \t]*#", re.MULTILINE)
_FULL_LINE = re.compile(r"^.*\S", re.MULTILINE)
_BLANK = re.compile(r"\s+")
_DIGIT = re.compile(r"[0-9]")


def held_out_folder(path: str, import_names: frozenset[str]) -> bool:
    """Whether a path lies in a folder named like a held-out package: another project's private copy of it."""
    return any(part.lstrip("_") in import_names for part in PurePosixPath(path).parts[:-1])


def is_test(path: str) -> bool:
    """Whether a file is a test; tests come last when a project's budget is filled."""
    *folders, name = PurePosixPath(path).parts
    return (
        any(folder in ("test", "tests", "testing") for folder in folders)
        or name.startswith("test_")
        or name.endswith("_test.py")
        or name == "conftest.py"
    )


def path_reason(path: str) -> str:
    """Why a Python file is dropped for its path alone; "" keeps it."""
    *folders, name = PurePosixPath(path).parts
    lowered = {folder.lower() for folder in folders}
    if lowered & _COPIED_FOLDERS:
        return "copied from another project"
    if lowered & _DATA_FOLDERS or (is_test(path) and "data" in lowered):
        return "data or fixture folder"
    if _GENERATED_NAME.search(name):
        return "generated"
    return ""


def text_of(data: bytes) -> str | None:
    """The file as text with `\\n` newlines and no byte-order mark; None if it is not UTF-8 or holds NUL."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.replace("\r\n", "\n").replace("\r", "\n")


def text_reason(data: bytes) -> tuple[str, str]:
    """(reason, text): why a file is dropped for its content, "" keeps it.

    The text is without a copyright notice at its head, which would be learned by heart; it is "" when dropped.
    """
    if len(data) < MIN_FILE_BYTES:
        return "smaller than 200 bytes", ""
    if len(data) > MAX_FILE_BYTES:
        return "larger than 200 kB", ""
    text = text_of(data)
    if text is None:
        return "not UTF-8", ""
    reason = _head_reason(text)
    text = without_notice(text)
    reason = reason or _shape_reason(text) or _syntax_reason(text)
    return reason, "" if reason else text


def without_notice(text: str) -> str:
    """The text without the comment lines at its head if they are a copyright or licence notice."""
    head = _HEAD_COMMENT.match(text)
    return text[head.end() :] if head and _NOTICE.search(head[0]) else text


def _head_reason(text: str) -> str:
    if _GENERATED_TEXT.search(text[:1000]):
        return "generated"
    if COPYLEFT_TEXT.search(re.sub(r"[\s#]+", " ", text[:3000].lower())):
        return "file names a copyleft or restricted licence"
    return ""


def _shape_reason(text: str) -> str:
    """Rules that need no syntax tree, the cheap ones."""
    if len(text) < MIN_FILE_BYTES:
        return "smaller than 200 bytes"
    lengths = [len(line) for line in text.split("\n") if line.strip()]
    if max(lengths, default=0) > MAX_LINE_CHARS or sum(lengths) > MAX_MEAN_LINE_CHARS * len(lengths):
        return "minified or very long lines"
    visible = len(_BLANK.sub("", text))
    if len(_DIGIT.findall(text)) > MAX_DIGIT_SHARE * visible:
        return "mostly numbers"
    if len(text.encode("utf-8", "replace")) - len(text) > MAX_FOREIGN_SHARE * visible:
        return "mostly other scripts"
    return ""


def _syntax_reason(text: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, feature_version=(3, 11))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "does not parse"
    num_lines = text.count("\n") + 1
    literal_lines = _literal_lines(tree.body)
    if literal_lines > MAX_LITERAL_LINES or (literal_lines > MAX_LITERAL_SHARE * num_lines and literal_lines > 20):
        return "mostly data literals"
    comment_lines = len(_COMMENT_LINE.findall(text))
    if _docstring_lines(tree) + comment_lines > MAX_PROSE_SHARE * len(_FULL_LINE.findall(text)):
        return "mostly comments and docstrings"
    return ""


def _literal_lines(body: list[ast.stmt]) -> int:
    """Lines taken by tables and literals assigned in a module or class body; docstrings do not count."""
    lines = 0
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            lines += _literal_lines(statement.body)
        value = getattr(statement, "value", None) if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        for part in value.args if isinstance(value, ast.Call) else [value]:
            if isinstance(part, (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Constant)) and part.end_lineno:
                lines += part.end_lineno - part.lineno
    return lines


def _docstring_lines(node: ast.AST) -> int:
    """Lines of all docstrings below a node; only bodies can hold definitions, so nothing else is walked."""
    lines = 0
    body = getattr(node, "body", None)
    for place, child in enumerate(body if isinstance(body, list) else ()):
        if place == 0 and isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            if isinstance(child.value.value, str) and not isinstance(node, (ast.If, ast.Try, ast.With, ast.For)):
                lines += (child.end_lineno or child.lineno) - child.lineno + 1
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.Try, ast.With)):
            lines += _docstring_lines(child)
    return lines
