"""Tokens without a parser: brackets in strings and comments are not brackets."""

import pytest

from model.syntax.languages import LANGUAGES, PLAIN
from model.syntax.scan import tokens, unclosed, unopened


def brackets(text: str, language: str) -> str:
    return "".join(token.text for token in tokens(text, LANGUAGES[language]) if token.kind in ("open", "close"))


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("javascript", "f('(', \"[\", `{ ${x} (\n`) // )", "()"),
        ("javascript", "a = /[/(]/g; b = c / (d) / e", "()"),
        ("javascript", "return /[(]/.test(x)", "()"),
        ("javascript", "x = 'it\\'s (' + [", "["),
        ("typescriptreact", "<b onClick={() => f()}>", "{()()}"),
        ("go", 'x := `(\\` + "\\"[" + \'{\'', ""),
        ("rust", "fn f<'a>(x: &'a str) { b'(' '\\'' \"(\n\" r##\"(\"# \"## }", "(){}"),
        ("java", 'f("""\n ( "" {\n""", \'(\')', "()"),
        ("c", "#define A(x) { \\\n  (\nf('(') /* [\n */;", "()"),
        ("cpp", 'f(R"a(( )" [)a", 1\'000, u8R"({)")', "()"),
    ],
)
def test_brackets_that_are_really_brackets(language, text, found):
    assert brackets(text, language) == found


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "/* (\n(\n"),
        ("javascript", "`(\n(\n"),
        ("go", "`(\n"),
        ("rust", '"(\n('),
        ("java", '"""(\n'),
        ("cpp", 'R"(\n('),
    ],
)
def test_what_is_open_at_the_end_runs_to_the_end(language, text):
    assert brackets(text, language) == ""
    *_, last = tokens(text, LANGUAGES[language])
    assert last.end == len(text)


@pytest.mark.parametrize("language", ["javascript", "go", "java", "c", "cpp"])
def test_a_string_of_one_line_ends_with_its_line(language):
    assert brackets('x = "(\nf(', language) == "("


def test_prose_has_apostrophes():
    text = 'It\'s (here, "see (" there)'
    assert "".join(token.text for token in tokens(text, PLAIN) if token.kind in ("open", "close")) == "()"


def test_brackets_without_partner():
    items = list(tokens("a) ] ( [ { } ", PLAIN))
    assert [token.text for token in unclosed(items)] == ["(", "["]
    assert [token.text for token in unopened(items)] == [")", "]"]
