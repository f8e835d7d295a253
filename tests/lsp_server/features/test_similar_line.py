"""The rest of a line that begins as the cursor's does."""

import pytest

from lsp_server.context.line_index import MAX_ALIKE, LineIndex
from lsp_server.features.similar_line import Similar, similar_line
from lsp_server.positions import Position
from lsp_server.snapshot import Snapshot, open_document

STORE = """\
def get(key):
    if key not in store:
        raise KeyError(key)
    return store[key]


def put(key, value):
    if key in store:
        raise ValueError(f"{key} is taken")
    store[key] = value


"""


def found(marked: str, *others: str) -> Similar | None:
    before, _, after = marked.partition("|")
    lines = before.split("\n")
    document = open_document("file:///p/a.py", "python", 1, before + after)
    cursor = Position(len(lines) - 1, len(lines[-1]))
    index = LineIndex(tuple(text.splitlines(keepends=True)) for text in others) if others else None
    return similar_line(Snapshot(document=document, cursor=cursor, path="a.py"), index)


def rest(marked: str, *others: str) -> str:
    similar = found(marked, *others)
    return "" if similar is None else similar.rest


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("def pop(key):\n    if key not|", " in store:\n"),
        ("def pop(key):\n    if key not in store:\n        raise |", "KeyError(key)\n"),  # the line above decides
        ("def add(key):\n    if key in store:\n        raise |", 'ValueError(f"{key} is taken")\n'),
        ("def pop(key):\n    if key not in store:\n        |", "raise KeyError(key)\n"),  # nothing begun: an equal one
        ("def pop(key):\n    if key not in store:\n        |\n", "raise KeyError(key)\n"),
        ("def pop(key):\n    if key not in store:\n\n        r|", "aise KeyError(key)\n"),
    ],
)
def test_the_rest_of_the_most_similar_line(typed, expected):
    assert rest(STORE + typed) == expected
    assert rest(typed, "import os\n", STORE) == expected  # in another file as in this one


@pytest.mark.parametrize(
    "typed",
    [
        "|",  # nothing begun, and no line above is equal
        "x|",
        "while True|",  # no line begins so
        "    return store[key]|",  # nothing is left of it
        "def pop(key):\n    if key not|:",  # code behind the cursor
        "    store[key] = value|",
    ],
)
def test_no_similar_line_is_no_guess(typed):
    assert rest(STORE + typed) == ""


def test_the_cursors_own_line_is_none():
    assert rest("def f(a):\n    |\n    return a\n") == ""
    assert rest("def f(a):\n|\n    return a\n") == ""
    assert rest("print(a, b)\nprint(|") == "a, b)\n"
    assert rest("a = 1\nprint(|\n") == ""


def test_of_equally_similar_lines_the_nearest_counts():
    assert rest("f(x, 1)\n\nf(x, 2)\n\nf(x, |\n\nf(x, 3)\n\n\n\n\nf(x, 4)\n") in ("2)\n", "3)\n")


def test_code_below_counts_and_line_ends_do_not():
    assert rest("total = |\r\n\r\ntotal = sum(prices)\r\n") == "sum(prices)\n"


def test_long_lines_and_documents_are_bounded():
    assert rest("data = |\ndata = [" + "0, " * 200 + "]\n") == ""
    far = "total = sum(prices)\n" + "x\n" * 10_500 + "total = |"
    assert rest(far) == ""


def test_lines_of_this_document_are_nearer():
    other = "    raise KeyError(name)\n"
    assert rest("raise KeyError(key)\n\nraise |", other) == "KeyError(key)\n"
    assert rest("raise |", other) == "KeyError(name)\n"
    # But where the line above is more alike elsewhere, that counts.
    assert rest("f(1)\nreturn one\n\ng(2)\nreturn |", "g(2)\nreturn two\n") == "two\n"


def test_how_much_alike_the_places_are():
    same = found(STORE + "def get(key):\n    if key not in store:\n        raise |")
    other = found(STORE + "import os\n\n\nclass A:\n        raise |")
    assert same is not None
    assert other is not None
    assert 1 >= same.likeness > 0.7 > 0.5 > other.likeness >= 0
    assert same.agreeing == 0.5
    alone = found("a = sum(prices)\n\na = |")
    assert alone is not None
    assert (alone.likeness, alone.agreeing) == (0.0, 1.0)


def test_what_too_many_lines_begin_with_says_nothing():
    assert rest("total = |", "total = 1\n" * MAX_ALIKE) == "1\n"
    assert rest("total = |", "total = 1\n" * (MAX_ALIKE + 1)) == ""


def test_a_guess_is_worth_it_where_lines_go_on_alike_or_the_places_are_alike():
    assert Similar("x\n", likeness=0.0, agreeing=1.0).is_likely
    assert Similar("x\n", likeness=0.5, agreeing=0.1).is_likely
    assert not Similar("x\n", likeness=0.2, agreeing=0.1).is_likely
