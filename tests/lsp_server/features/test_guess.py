"""The guess that is left of broken ghost text."""

import pytest

from lsp_server.features.guess import guess_after


@pytest.mark.parametrize(
    ("typed", "old", "guess"),
    [
        ("self.y =", "self.x = 1", " 1"),  # another name, the same rest
        ("res = ", "result = foo(a)", "foo(a)"),  # a shorter name
        ("value_b[", "value[key]", "key]"),
        ("for i, x in ", "for x in items:\n    print(x)", "items:\n    print(x)"),  # later lines stay part of it
    ],
)
def test_the_rest_of_the_old_text_is_the_guess(typed, old, guess):
    assert guess_after(typed, old) == guess


@pytest.mark.parametrize(
    ("typed", "old"),
    [
        ("", "foo(a)"),
        ("foo", "foo(a)"),  # it still fits: not a guess but the answer
        ("q", "foo(a)"),  # nothing in common
        ("or", "result = 1"),  # one character of two is an accident
        ("foo(bar, q", "foo(bar, baz)"),  # what follows a new character is unknown
        ("result_of(p", "result(path)"),  # another word may begin with the same letter
        ("foo(b)", "foo(a)"),  # nothing is left
        ("x = \n", "x = 1\ny = 2"),  # another line
        ("import os", "return value"),
        ("x" * 100, "x" * 60 + "y" * 200),
    ],
)
def test_text_that_does_not_fit_even_in_part_is_no_guess(typed, old):
    assert guess_after(typed, old) == ""
