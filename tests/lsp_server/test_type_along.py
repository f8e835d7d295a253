"""Ghost text that is typed into: what is left of it, and that it is never left over for other code."""

import random

import pytest

from lsp_server.outcome import Item
from lsp_server.positions import Position
from lsp_server.snapshot import Change, Document, Selected, Snapshot, open_document
from lsp_server.type_along import Shown, TypeAlong, could_become, shown_at, spot_of, typed_since

URI = "file:///w/a.py"


def at(text: str, uri: str = URI, **more) -> Snapshot:
    """The snapshot of `text` with its cursor at the `|`."""
    before, _, after = text.partition("|")
    document = open_document(uri, "python", 1, before + after)
    cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
    return Snapshot(document=document, cursor=cursor, path="a.py", **more)


def shown(text: str, answer: str, num_replaced: int = 0) -> Shown:
    return Shown(spot_of(at(text)), answer, num_replaced)


def left(offered: Shown, text: str) -> tuple[str, int] | None:
    """What is found at `text`: the rest and how much it replaces."""
    answers = TypeAlong()
    answers.add(offered)
    found = answers.find(at(text))
    return None if found is None else (found.text, found.num_replaced)


@pytest.mark.parametrize(
    ("now", "rest"),
    [
        ("a\nx = |\nb\n", ("foo(1)", 0)),
        ("a\nx = foo|\nb\n", ("(1)", 0)),
        ("a\nx = foo(|)\nb\n", ("1)", 1)),  # the editor closed the bracket
        ("a\nx = foo(1|)\nb\n", None),  # what is left stands there already
        ("a\nx = foo(1)|\nb\n", None),  # nothing is left
        ("a\nx = fop|\nb\n", None),
        ("a\nx =|\nb\n", None),  # before its beginning
        ("a\nx = foo|y\nb\n", None),
        ("a\nx = foo|\nc\n", None),  # another line below
        ("A\nx = foo|\nb\n", None),  # another line above
        ("a\nx = foo|\n", None),
        ("a\na\nx = foo|\nb\n", None),
        ("a\ny = foo|\nb\n", None),
    ],
)
def test_the_rest_of_a_line(now, rest):
    assert left(shown("a\nx = |\nb\n", "foo(1)"), now) == rest


@pytest.mark.parametrize(
    ("now", "rest"),
    [
        ("f(|):\n", ("a, b):", 2)),
        ("f(a|):\n", (", b):", 2)),
        ("f(a, b)|:\n", (":", 1)),  # typed over the bracket: one less is replaced
        ("f(a, b)|):\n", None),  # typed beside it: no editor shows that the text would take it away again
        ("f(a|)\n", None),
    ],
)
def test_closers_that_the_answer_replaces(now, rest):
    assert left(shown("f(|):\n", "a, b):", 2), now) == rest


def test_closers_that_the_editor_adds_inside_closers():
    offered = shown("f(|)\n", "g(x), h)", 1)
    assert left(offered, "f(g(|))\n") == ("x), h)", 2)
    assert left(offered, "f(g(x|))\n") == ("), h)", 2)
    assert left(offered, "f(g(x)|)\n") == (", h)", 1)
    # A bracket that the editor adds and the answer does not close on its line.
    assert left(shown("x = |\n", "g(\n    a,\n"), "x = g(|)\n") is None


def test_a_quote_that_the_editor_adds():
    assert left(shown("x = |\n", 'f("a")'), 'x = f("|")\n') == ('a")', 2)


def test_several_lines_line_by_line_in_both_newline_styles():
    answer = "if a:\n        b()\n    c()"
    for end in ("\n", "\r\n"):
        text = "def f():\n    |\nz\n".replace("\n", end)
        now = "def f():\n    if a:\n        b|\nz\n".replace("\n", end)
        assert left(shown(text, answer), now) == ("()\n    c()", 0)


def test_the_selected_popup_item_counts_as_typed():
    snapshot = at("os.pa|\n", selected=Selected(Position(0, 3), Position(0, 5), "path"))
    offered = shown_at(snapshot, Item("1", "path.join(a)", Position(0, 3), Position(0, 5)))
    assert (offered.text, offered.num_replaced) == (".join(a)", 0)
    assert left(offered, "os.path.|\n") == ("join(a)", 0)
    answers = TypeAlong()
    answers.add(shown("os.|\n", "path.join(a)"))
    found = answers.find(snapshot)
    assert found is not None
    assert found.text == ".join(a)"


def test_the_newest_answer_that_fits_wins():
    answers = TypeAlong()
    answers.add(shown("x = |", "foo(1)"))
    answers.add(shown("x = |", "bar(2)"))
    assert texts(answers, "x = |", "x = f|", "x = b|") == ["bar(2)", "oo(1)", "ar(2)"]
    answers.add(shown("x = |", "foo(1)"))  # again: newest now, and held once
    assert len(answers) == 2
    assert texts(answers, "x = |") == ["foo(1)"]


def texts(answers: TypeAlong, *places: str) -> list[str | None]:
    found = [answers.find(at(place)) for place in places]
    return [None if one is None else one.text for one in found]


def test_backspacing_and_undo_find_it_again():
    answers = TypeAlong()
    answers.add(shown("x = |\n", "foo(1)"))
    assert texts(answers, "x = fo|\n", "x = foq|\n", "x = fo|\n", "x = |\n") == ["o(1)", None, "o(1)", "foo(1)"]


def test_number_and_bytes_are_bounded_and_the_oldest_goes_first():
    answers = TypeAlong(max_entries=3)
    for number in range(5):
        answers.add(shown(f"x{number} = |", "y"))
    assert len(answers) == 3
    assert texts(answers, "x1 = |", "x2 = |", "x4 = |") == [None, "y", "y"]
    answers.add(shown("x5 = |", "y"))
    assert texts(answers, "x2 = |", "x3 = |") == ["y", None]  # used lately
    small = TypeAlong(max_bytes=3_000)
    for number in range(20):
        small.add(shown(f"{'l' * 900}\nx{number} = |", "y"))
    assert 1 < len(small) < 4
    assert small.size_bytes <= 3_000
    small.add(shown("z" * 9_000 + "|", "y"))  # the newest always stays
    assert len(small) == 1
    small.clear()
    assert (len(small), small.size_bytes) == (0, 0)


def test_a_closed_document_takes_its_answers_along():
    answers = TypeAlong()
    answers.add(shown("x = |", "y"))
    answers.add(Shown(spot_of(at("x = |", "file:///w/b.py")), "z", 0))
    answers.forget(URI)
    assert texts(answers, "x = |") == [None]
    found = answers.find(at("x = |", "file:///w/b.py"))
    assert found is not None
    assert found.text == "z"


def test_what_was_broken_and_by_what():
    answers = TypeAlong()
    answers.add(shown("a\nx = |\n", "self.b = 1"))
    assert answers.broken_at(at("a\nx = self.c|\n")) == ("self.c", "self.b = 1")
    assert answers.broken_at(at("a\nx = f(|)\n")) == ("f(", "self.b = 1")
    assert answers.broken_at(at("a\ny = |\n")) is None
    assert answers.broken_at(at("b\nx = s|\n")) is None


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a\nx = f()\nb\n", True),
        ("a\nx = \nb\n", False),
        ("a\nx = f(\nb\n", False),  # its end is gone
        ("a\ny = f()\nb\n", False),
        ("a\nx = ()\nb\n", True),
        ("a\nx = ()\nc\n", False),
        ("a\n\nx = ()\nb\n", False),
    ],
)
def test_what_may_come_of_typing_at_a_spot(text, fits):
    document = open_document(URI, "python", 2, text)
    assert could_become(spot_of(at("a\nx = |)\nb\n")), document) is fits


def test_random_typing_is_found_exactly_as_long_as_it_follows_the_answer():
    rng = random.Random(5)
    for _ in range(200):
        answer = "".join(rng.choice("ab \n") for _ in range(rng.randint(1, 12))) + "!"
        before, after = rng.choice(["", "q\n", "q\n  "]), rng.choice(["", "\n", "\nz\n"])
        start = at(f"{before}|{after}")
        answers = TypeAlong()
        answers.add(Shown(spot_of(start), answer, 0))
        document, cursor, typed = start.document, start.cursor, ""
        for _ in range(10):
            character = rng.choice([answer[len(typed) : len(typed) + 1] or "a", "a", "b", "\n"])
            document = typing(document, cursor, character)
            is_end = character == "\n"
            cursor = Position(cursor.line + is_end, 0 if is_end else cursor.column + 1)
            typed += character
            now = Snapshot(document=document, cursor=cursor, path="a.py")
            assert typed_since(spot_of(start), spot_of(now)) == typed
            found = answers.find(now)
            fits = answer.startswith(typed) and bool(answer[len(typed) :].strip())
            assert (found is not None) == fits
            assert found is None or found.text == answer[len(typed) :]


def typing(document: Document, cursor: Position, text: str) -> Document:
    return document.changed([Change(text, cursor, cursor)], document.version + 1, "utf-32")


CLOSERS = {"(": ")", "[": "]", '"': '"'}


def keystroke(line: str, column: int, character: str) -> str:
    """The line after one key in an editor that closes brackets and quotes and lets their ends be typed over."""
    if character in CLOSERS.values() and line[column : column + 1] == character:
        return line
    closer = CLOSERS.get(character, "") if line[column : column + 1] in ("", ")", "]") else ""
    return line[:column] + character + closer + line[column:]


def test_whatever_is_found_makes_the_text_that_was_offered():
    rng = random.Random(11)
    num_found = 0
    for _ in range(400):
        inner = "".join(rng.choice(["a", "b", "(a)", "[b]", '"a"', "(", ", "]) for _ in range(rng.randint(1, 5)))
        before, after, closing = rng.choice(
            [("x = ", "", ""), ("f(", ")", ")"), ("f(", "):", "):"), ("g[f(", ")]", ")")]
        )
        start = at(f"{before}|{after}\n")
        offered = Shown(spot_of(start), inner + closing, len(closing))
        whole = before + inner + closing + after[len(closing) :]
        line, column = before + after, len(before)
        for character in inner:
            line, column = keystroke(line, column, character), column + 1
            now = at(f"{line[:column]}|{line[column:]}\n")
            answers = TypeAlong()
            answers.add(offered)
            found = answers.find(now)
            if found is not None:
                num_found += 1
                assert line[:column] + found.text + line[column + found.num_replaced :] == whole
    assert num_found > 500
