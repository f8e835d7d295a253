"""Each shaping filter: goldens where it must act and where it must not. `None` stands for "unchanged"."""

import pytest

from lsp_server.outcome import Reason
from lsp_server.shaping.block_end import stop_at_block_end
from lsp_server.shaping.draft import Draft, Surroundings
from lsp_server.shaping.empty import refuse_empty
from lsp_server.shaping.first_line import keep_first_line
from lsp_server.shaping.indentation import match_indentation
from lsp_server.shaping.lines_below import drop_repeated_lines
from lsp_server.shaping.newlines import unify_newlines
from lsp_server.shaping.pipeline import FILTERS, shape
from lsp_server.shaping.repetition import cut_repetition
from lsp_server.shaping.suffix_overlap import merge_suffix
from lsp_server.shaping.trailing_space import strip_trailing_space
from lsp_server.shaping.unsafe_text import refuse_unsafe_text
from lsp_server.snapshot import IndentStyle

TABS = IndentStyle("\t", 4)
BLOCK = Surroundings(line_before="    ", line_above="def f():", single_line=False)


def check(apply, text, expected, **around):
    """`expected`: the new text, a Draft, a Reason, or None for unchanged."""
    result = apply(Draft(text), Surroundings(**around))
    wanted = Draft(text) if expected is None else Draft(expected) if isinstance(expected, str) else expected
    assert result == wanted


@pytest.mark.parametrize(("text", "expected"), [("a\r\nb\rc\n", "a\nb\nc\n"), ("a\nb", None)])
def test_newlines(text, expected):
    check(unify_newlines, text, expected)


CONTROLS = ["a\x00", "\x1b[31m", "a\x08", "\x85", "\x0c", "a\u2028b"]
INVISIBLE = ["a\u202eb", "\u2066x", "a\u200bb", "\ufeffa", "a\u00adb", "\U000e0041", "a\u200db", "\u200d", "x\ufe0fy"]
BROKEN = ["x\ud800", "x\udc00", "caf\ufffd"]


@pytest.mark.parametrize("text", [*CONTROLS, *INVISIBLE, *BROKEN])
def test_unsafe_text_is_refused(text):
    check(refuse_unsafe_text, text, Reason.UNSAFE_TEXT)


@pytest.mark.parametrize("text", ["x = '漢字 é 😀'\n\ty", "'👩‍💻'", "'❤️'", "'1️⃣'", "'می‌خواهم'", ""])
def test_text_of_any_script_is_safe(text):
    check(refuse_unsafe_text, text, None)


def test_first_line():
    check(keep_first_line, "a\nb\n", "a")
    check(keep_first_line, "\nb", "")
    check(keep_first_line, "a\nb", None, single_line=False)
    check(keep_first_line, "a", None)


def test_trailing_space():
    check(strip_trailing_space, "a  \nb\t\n\n", "a\nb")
    check(strip_trailing_space, "c, ", None, line_after="b)")
    check(strip_trailing_space, "a b", None)


def test_indentation_style():
    check(match_indentation, "x\n        y", "x\n\t\ty", line_before="\t", line_above="if a:", indent=TABS)
    check(match_indentation, "x\n\t\ty", "x\n        y", line_before="    ", line_above="if a:")
    check(match_indentation, "x\n        y", None, line_before="    ", line_above="if a:")
    check(match_indentation, " \tb", None, line_before="a =")


def test_indentation_that_the_editor_made_already():
    check(match_indentation, "    return x", "return x", line_before="    ", line_above="def f():")
    check(match_indentation, "    return x", None, line_before="", line_above="def f():")
    check(match_indentation, "   y", "y", line_before="    ", line_above="    x = 1")
    check(match_indentation, "    y", None, line_before="", line_above="    x = 1")
    check(match_indentation, "y", None, line_before="        ", line_above="    x = (")


def test_block_end():
    assert stop_at_block_end(Draft("a\n    b\n\n    c\nd"), BLOCK) == Draft("a\n    b\n\n    c")
    assert stop_at_block_end(Draft("if a:\n        b"), BLOCK) == Draft("if a:\n        b")
    unindented = Surroundings(line_before="", line_above="def f():", single_line=False)
    assert stop_at_block_end(Draft("    a\n    b\nc"), unindented) == Draft("    a\n    b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\nx = 1\nx = 1\ny", "x = 1"),
        ("a\nb = 1\nc = 2\nb = 1\nc = 2\nb = 1\nc = 2", "a\nb = 1\nc = 2"),
        ("foo.bar.bar.bar.bar.bar", Reason.REPETITION),
        ("and not and not and not and not and not", Reason.REPETITION),
        ("x = 1\nx = 1\ny", None),
        ("# ----------------------", None),
        ("}\n}\n}\n}", None),
        ("x = 1000000000000000", None),
        ("[[[[]]]]", None),
    ],
)
def test_repetition(text, expected):
    check(cut_repetition, text, expected)


@pytest.mark.parametrize(
    ("before", "text", "after", "expected"),
    [
        # Closed by the editor, closed by the answer as well.
        ("f(", "x)", ")", Draft("x)", 1)),
        ("f(", "x):", ")", Draft("x):", 1)),
        ("def f(", "a, b):", "):", Draft("a, b):", 2)),
        ("a[f(", "x)]", ")]", Draft("x)]", 2)),
        ('x = "', 'abc"', '"', Draft('abc"', 1)),
        ('f("', 'a")', '")', Draft('a")', 2)),
        ("f(", "x) + y", ") + y", Draft("x) + y", 5)),
        # Opened by the answer itself, or not closed by it.
        ("f(", "g(x)", ")", None),
        ("f(", "x", ")", None),
        ("f(", '"a)"', ")", None),
        ("x = [", "a(1), b[2]", "]", None),
        # The rest of the line again.
        ("a = ", "x + y", " + y", "x"),
        ("a = ", "x + yz", " + y", None),
        ("if a", " == b:", ":", Draft(" == b:", 1)),
        ("if a", " == b", ":", None),
        ("a = ", "x +", "x + y", Reason.SAME_AS_SUFFIX),
        ("f(", ")", ")", Reason.SAME_AS_SUFFIX),
        ("f(", "a, ", "b)", None),
        ("x", " = 1", "   ", None),
    ],
)
def test_suffix_overlap(before, text, after, expected):
    check(merge_suffix, text, expected, line_before=before, line_after=after)


def test_replaced_text_is_a_subsequence_of_the_new_text():
    # VS Code's condition for showing an item (isInlineSuggestion.ts, isSubword).
    cases = [("f(", "x):", ")"), ("def f(", "a):", "):"), ('f("', 'a")', '")'), ("f(", "x) + y", ") + y")]
    for before, text, after in cases:
        draft = merge_suffix(Draft(text), Surroundings(line_before=before, line_after=after))
        assert isinstance(draft, Draft)
        characters = iter(draft.text)
        assert all(character in characters for character in after[: draft.num_replaced])


def test_lines_below():
    below = {"lines_below": ("    return y", "", "    z()"), "line_before": "    "}
    check(drop_repeated_lines, "x = 1\n    return y", "x = 1", **below)
    check(drop_repeated_lines, "x = 1\n    return y\n    z()", "x = 1", **below)
    check(drop_repeated_lines, "return y", Reason.SAME_AS_SUFFIX, **below)
    check(drop_repeated_lines, "return x", None, **below)
    check(drop_repeated_lines, "return y", None, line_before="  ", lines_below=("    return y",))
    check(drop_repeated_lines, "return y", None, line_after=")", **below)


def test_empty():
    check(refuse_empty, " \n\t", Reason.EMPTY_ANSWER)
    check(refuse_empty, "x", None)


def test_the_pipeline_names_the_filter_that_refused():
    assert shape("x\x00", Surroundings()) == (Reason.UNSAFE_TEXT, "refuse_unsafe_text")
    assert shape("\r\n", Surroundings()) == (Reason.EMPTY_ANSWER, "refuse_empty")
    assert shape("a, b):  \r\nmore", Surroundings(line_before="def f(", line_after="):")) == Draft("a, b):", 2)


def test_every_filter_is_in_the_pipeline_once_and_has_its_own_file():
    modules = [filter.__module__ for filter in FILTERS]
    assert len(set(modules)) == len(modules) == 10
