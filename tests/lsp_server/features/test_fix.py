"""Fixes as pure functions: which repairs may be offered, what their titles say."""

import pytest
from capabilities import capabilities

from lsp_server.engine_link import EngineState
from lsp_server.features.fix import sentence_of, usable, whole_words, why_no_engine
from lsp_server.outcome import Reason
from model.engine import api
from model.syntax.errors import Rows


def found(source: str, old: str, new: str, confidence: float = 0.5) -> api.Finding:
    start = source.index(old)
    return api.Finding(start=start, end=start + len(old), text=new, confidence=confidence, kind="replaced")


def test_a_repair_of_a_syntax_error_must_mend_it():
    source = "def f(a)\n    return a\n"
    rows = Rows(0, 1, by_parser=True)
    assert usable(source, "python", rows, [found(source, "return a", "return b")]) is Reason.UNSOUND_FIX
    (repair,) = usable(source, "python", rows, [found(source, "(a)", "(a):")])
    assert repair.applied(source) == "def f(a):\n    return a\n"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("x", "x", Reason.UNSOUND_FIX),
        ("x = 1", "x = (1", Reason.UNSOUND_FIX),
        ("y", "z", Reason.UNSOUND_FIX),  # not in the named row
        ("x = 1\ny", "z", Reason.UNSOUND_FIX),  # reaches beyond it
        ("x", "x\u200b", Reason.UNSAFE_TEXT),
        ("x", "\x00", Reason.UNSAFE_TEXT),
    ],
)
def test_what_is_never_offered(old, new, reason):
    source = "x = 1\ny = 2\n"
    assert usable(source, "python", Rows(0, 0), [found(source, old, new)]) is reason


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (3, 2), (0, 99)])
def test_places_outside_the_text_are_dropped(start, end):
    odd = api.Finding(start=start, end=end, text="", confidence=1.0, kind="removed")
    assert usable("x = 1\n", "python", None, [odd]) is Reason.UNSOUND_FIX


def test_the_surest_comes_first_and_there_are_two_at_most():
    source = "x = a\n"
    findings = [found(source, "a", name, confidence) for name, confidence in (("b", 0.2), ("c", 0.9), ("d", 0.5))]
    assert [one.text for one in usable(source, "python", Rows(0, 0), findings)] == ["c", "d"]
    assert len(usable(source, "python", Rows(0, 0), findings, None)) == 3
    assert usable(source, "python", Rows(0, 0), []) is Reason.NOTHING_TO_FIX


@pytest.mark.parametrize(("old", "new"), [("1\ny", "2\nz"), ("1\n", ""), ("1", "1\nz = 3")])
def test_what_nobody_named_stays_in_its_line(old, new):
    source = "x = 1\ny = 2\n"
    assert usable(source, "python", None, [found(source, old, new)]) is Reason.UNSOUND_FIX
    assert usable(source, "python", Rows(0, 1), [found(source, old, new)]) != Reason.UNSOUND_FIX


def test_what_cannot_be_seen_is_shown_in_a_title():
    source = "x = 'a\u202eb'\n"
    (repair,) = usable(source, "python", None, [found(source, "'a\u202eb'", "'c'")])
    assert sentence_of(repair) == "`'a\\u202eb'` → `'c'`"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("x = totl", "x = total", "`totl` → `total`"),
        ("if x = 2", "if x == 2", "`=` → `==`"),
        ("f(a)", "f(a):", "add `:`"),
        ("f(a))", "f(a)", "remove `)`"),
        ("a.b", "self.a.b", "add `self.`"),
        ("return", "return None", "add `None`"),
        ("a < b", "a <= b", "`<` → `<=`"),
        ("`a`", "`ab`", "`a` → `ab`"),
        ("x", "x" * 90, "`x` → `" + "x" * 31 + "…`"),
    ],
)
def test_titles_show_whole_words(old, new, sentence):
    from model.mending.edits import smallest

    edit = smallest(old, new)
    (repair,) = usable(
        old, "brainfuck", None, [api.Finding(start=edit.start, end=edit.end, text=edit.text, confidence=1.0, kind="")]
    )
    assert sentence_of(repair) == sentence


def test_whole_words_are_the_same_change():
    for source, start, end, text in [("ab cd", 1, 4, "x"), ("a==b", 1, 2, "!"), ("", 0, 0, "a"), ("éa", 1, 2, "ü")]:
        left, old, new = whole_words(source, start, end, text)
        assert source[:left] + new + source[left + len(old) :] == source[:start] + text + source[end:]
        assert source[left : left + len(old)] == old


def test_without_an_engine_there_is_a_reason():
    assert why_no_engine(EngineState(kind="loading"), "python", "fix") is Reason.LOADING
    assert why_no_engine(EngineState(kind="failed"), "python", "mend") is Reason.NO_ENGINE


def test_another_server_completes_and_does_nothing_else():
    other = EngineState(kind="ready", capabilities=capabilities(fix=False, mend=False), completes_only=True)
    for ability in ("fix", "mend"):
        assert why_no_engine(other, "python", ability) is Reason.COMPLETES_ONLY
