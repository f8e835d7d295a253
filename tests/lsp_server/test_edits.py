"""What the last changes were, told from the texts alone."""

import pytest

from lsp_server.edits import MAX_TEXTS, Edits, changed_text
from lsp_server.positions import split_lines
from lsp_server.snapshot import Change, open_document


def after(*texts: str) -> Edits:
    """The state of a document that had these texts, one after the other."""
    document = open_document("file:///w/a.py", "python", 1, texts[0])
    for version, text in enumerate(texts[1:], 2):
        document = document.changed([Change(text)], version, "utf-16")
    return document.edits


@pytest.mark.parametrize(
    ("texts", "mends"),
    [
        (["a = 1", "a = 12"], False),
        (["a = 12", "a = 1"], True),
        (["abcd", "abc", "ab"], True),
        (["abcd", "abc", "ab", "a"], False),  # the third in a row: a rewrite
        (["abcd", "abc", "abcx"], False),
        (["abcd", "abc", "abcx", "abc"], True),
        (["foo(bar)", "foo()"], True),  # a selection
        (["name", "nome"], False),  # replaced: typed over
        (["x\n    ", "x\n"], False),  # indentation taken back
        (["x\n\n\ny", "x\n\ny"], False),  # a blank line
        (["x\ny = 1\nz", "x\nz"], True),
        (["ab", "a", "a"], True),  # a change that changes nothing says nothing
        (["ab\n", "a\n", "a\n\n"], False),  # Enter is typing
    ],
)
def test_one_or_two_deletions_mend_a_typo(texts, mends):
    assert after(*texts).mends_a_typo is mends
    assert not after(*texts).is_undone


def test_a_rewrite_stays_one():
    assert not after("abcdefg", "abcdef", "abcde", "abcd", "abc", "ab").mends_a_typo


@pytest.mark.parametrize(
    ("texts", "is_undone"),
    [
        (["x = ", "x = foo(1)", "x = "], True),  # what was accepted is taken back
        (["x = Set()", "x = Map()", "x = Set()"], True),
        (["a\nb\nc", "a\nc", "a\nb\nc"], True),  # a deleted line comes back
        (["", "a\nb", "", "a\nb"], True),  # redo
        (["x", "xy", "x", "xy"], False),  # a letter is typed again
        (["x", "xf", "xfo", "xfoo", "x"], False),  # a typed word is deleted
        (["x = ", "x = foo(1)", "x = foo(1)\n", "x = foo(2)\n"], False),
    ],
)
def test_undo_brings_a_text_back_that_was_there(texts, is_undone):
    assert after(*texts).is_undone is is_undone


def test_typing_after_an_undo_is_typing():
    edits = after("x = ", "x = foo(1)", "x = ", "x = b")
    assert (edits.is_undone, edits.mends_a_typo) == (False, False)


def test_few_texts_are_remembered():
    assert len(after(*("x" * n for n in range(1, 3 * MAX_TEXTS))).texts) == MAX_TEXTS


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("a\nb\nc", "a\nxb\nc", ("", "x")),
        ("aa", "aaa", ("", "a")),
        ("aaa", "aa", ("a", "")),
        ("a\r\nb", "a\nb", ("\r", "")),
        ("a\nb", "", ("a\nb", "")),
        ("", "", ("", "")),
        ("x𝒳y", "x𝒴y", ("𝒳", "𝒴")),
        ("one\ntwo\nthree", "one\nthree", ("two\n", "")),
    ],
)
def test_what_was_removed_and_inserted(old, new, changed):
    assert changed_text(split_lines(old), split_lines(new)) == changed
