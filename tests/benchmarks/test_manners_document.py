"""What the replayed editor takes for ghost text, a word, a position and a stray bracket."""

import pytest

from benchmarks.scenario import File
from benchmarks.scenario_document import (
    OpenDocument,
    first_word_length,
    ghost_after_typing,
    ghost_of,
    stray_bracket,
)


def document(text: str) -> OpenDocument:
    cursor = text.index("▮")
    return OpenDocument(File("a.py", "file:///a.py", "python", text.replace("▮", ""), cursor))


def item(text: str, start: int, end: int) -> dict:
    return {
        "insertText": text,
        "range": {"start": {"line": 0, "character": start}, "end": {"line": 0, "character": end}},
    }


@pytest.mark.parametrize(
    ("text", "start", "end", "selected", "is_shown"),
    [
        ("x)", 4, 4, None, True),
        ("x)", 4, 5, None, True),  # the bracket is replaced by itself
        ("x", 4, 5, None, False),  # the bracket would go
        ("sum(x", 0, 4, None, True),
        ("len(x", 0, 4, None, False),
        ("x", 5, 5, None, False),
        ("sum_of(x)", 0, 4, "sum_of(", True),
        ("sum(x)", 0, 4, "sum_of(", False),
    ],
)
def test_what_is_shown(text: str, start: int, end: int, selected: str | None, is_shown: bool) -> None:
    assert (ghost_of(item(text, start, end), document("sum(▮)"), selected) is not None) == is_shown


def test_what_is_typed_along_stays() -> None:
    shop = document("sum(▮)")
    ghost = ghost_of(item("prices", 4, 4), shop, None)
    assert ghost is not None
    shop.replace(4, 4, "p")
    rest = ghost_after_typing(ghost, shop, 1)
    assert rest is not None
    assert (rest.start, rest.end) == (4, 5)
    shop.replace(5, 5, "x")
    assert ghost_after_typing(rest, shop, 1) is None


@pytest.mark.parametrize(
    ("text", "length"), [("prices)", 6), (") + 1", 2), (" sum", 1), ("  ", 2), ("", 0), ("a b", 1), (".x", 1)]
)
def test_a_word(text: str, length: int) -> None:
    assert first_word_length(text) == length


def test_positions_count_units_of_utf16_and_all_line_ends() -> None:
    shop = document("a\r\nb\rc\n🏙x▮y")
    assert shop.position(shop.cursor) == {"line": 3, "character": 3}
    assert shop.index({"line": 3, "character": 3}) == shop.cursor
    assert shop.index({"line": 9, "character": 0}) == len(shop.text)
    assert (shop.line, shop.line_start) == ("🏙xy", 7)


def test_undo_takes_back_what_one_step_changed() -> None:
    shop = document("x = ▮")
    shop.begin_step()
    shop.replace(4, 4, "1")
    shop.replace(5, 5, "2")
    shop.begin_step()
    change = shop.undo()
    assert (shop.text, shop.cursor, shop.version) == ("x = ", 4, 4)
    assert (change["text"], change["range"]["start"]["character"], change["range"]["end"]["character"]) == ("", 4, 6)


@pytest.mark.parametrize(
    ("text", "stray"), [("f(a[0])", None), ("f(a))", ")"), ("f(a]", "]"), ("f(a", ")"), ("", None)]
)
def test_a_stray_bracket(text: str, stray: str | None) -> None:
    assert stray_bracket(text) == stray
