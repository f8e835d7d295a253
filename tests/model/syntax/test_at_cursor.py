"""What a place stands in. (Each language's comments and texts: tests of the server's quiet rules.)"""

import re

import pytest

from model.syntax.at_cursor import place_at
from model.syntax.incremental import outer_statement_end, parse_lines


def place(text: str, language: str = "python"):
    """What the `|` stands in."""
    before, _, after = text.partition("|")
    lines = tuple(re.findall(r"[^\n]*\n|[^\n]+\Z", before + after)) or ("",)
    lines += ("",) if lines[-1].endswith("\n") else ()
    parsed = parse_lines(lines, language)
    assert parsed is not None
    return place_at(parsed, before.count("\n"), len(before) - before.rfind("\n") - 1)


@pytest.mark.parametrize(
    ("text", "kind", "begun"),
    [
        ("|", "code", ""),
        ("x|", "code", ""),
        ("# é𝒳|", "comment", "# é𝒳"),
        ("#|", "comment", "#"),
        ("|# a", "code", ""),
        ("# a\n|", "code", ""),
        ('x = "|"', "string", '"'),
        ('x = |""', "code", ""),
        ('x = ""|', "code", ""),
        ('x = "é|"', "string", '"é'),
        ('"""a|"""', "docstring", '"""a'),
        ('x = """a|"""', "string", '"""a'),
        ('x = """a\n|"""', "text", '"""a\n'),
        ('f("a" |"b")', "code", ""),
        # behind an error
        ('x = (\n"""a\n|', "docstring", '"""a\n'),
        ('x = (\ny = """a\n|', "text", '"""a\n'),
        ('x = (\ny = "a\\"|', "string", '"a\\"'),
        ('x = (\ny = "a\n|', "code", ""),
        ("x = (\n# a|", "comment", "# a"),
        ("x = (\n# a\n|", "code", ""),
        ("x = (\n'''a''' |", "code", ""),
        ('x = (\nf"{{a|', "string", '"{{a'),
        ('x = (\nf"{a|', "code", ""),
        ('x = (\nf"{a}|', "string", '"{a}'),
    ],
)
def test_python(text, kind, begun):
    found = place(text)
    assert (found.kind, found.begun) == (kind, begun)


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("/* a */|", "javascript", "code"),
        ("f(\n/*/|", "javascript", "comment"),
        ("f(\n/* a */|", "javascript", "code"),
        ("f(\n`a ${b|", "javascript", "code"),
        ("f(\n`a ${b} c|", "javascript", "string"),
        ("let a: string|", "typescript", "code"),
        ("fn f( {\n 'a: loop {\n|", "rust", "code"),
        ('fn f( {\n r#"a"|', "rust", "string"),
        ("int f( {\n 1'000; 'a|", "cpp", "string"),
        ('int f( {\n R"x(a)y" |', "cpp", "code"),
        ('class A { f( {\n """\na|', "java", "text"),
        ("func f( {\n`a\\`|", "go", "code"),
    ],
)
def test_other_languages(text, language, kind):
    assert place(text, language).kind == kind


@pytest.mark.parametrize(
    ("lines", "row", "end"),
    [
        (["def f():", "    x", "", "def g():"], 0, 3),
        (["def f():", "    x", "", "def g():"], 3, 4),
        (["f(", "  1", ")", "x"], 1, 3),
        (["function f() {", "", "}", "}", "x"], 1, 4),
        ([""], 0, 1),
        (["a", "\tb", "c"], 0, 2),
    ],
)
def test_a_place_is_decided_by_what_stands_before_the_next_outer_statement(lines, row, end):
    assert outer_statement_end(lines, row) == end
