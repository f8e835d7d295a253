"""Statement starts of a draft."""

import pytest

from model.syntax.boundaries import statement_starts
from model.syntax.languages import LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_statement_of_a_program_begins_at_its_line(language: str, program: str, marked_program: str) -> None:
    marked = program
    for start in reversed(statement_starts(program, language)):
        marked = f"{marked[:start]}▸{marked[start:]}"
    assert marked == marked_program


def test_starts_are_lines_so_that_indentation_stays_with_its_statement():
    source = 'def f(ä):\n    x = "ü"; y = 2\n    return foo(\n        x,\n    )\n\n@dec\ndef g(): pass\n'
    starts = statement_starts(source, "python")
    assert [source[s:].split("\n")[0] for s in starts] == [
        "def f(ä):",
        '    x = "ü"; y = 2',
        "    return foo(",
        "@dec",
        "def g(): pass",
    ]


@pytest.mark.parametrize(
    ("language", "source", "line"),
    [
        ("python", "x = (\ndef f():\n    return 1\n", "    return 1"),
        ("javascript", "x = (\nfunction f() {\n  return 1\n}\n", "  return 1"),
        ("typescript", "class {\n  f(): void {\n    return 1\n", "    return 1"),
        ("go", "func f( {\n\treturn 1\n}\n", "\treturn 1"),
        ("rust", "fn f( {\n    return 1;\n}\n", "    return 1;"),
        ("java", "class A {\n  void f( {\n    return 1;\n  }\n", "    return 1;"),
        ("c", "int f( {\n  return 1;\n}\n", "  return 1;"),
        ("cpp", "class A { int f( {\n  return 1;\n}\n", "  return 1;"),
    ],
)
def test_broken_code_still_has_starts(language, source, line):
    assert source.index(line) in statement_starts(source, language)


def test_without_a_grammar_every_line_with_text_is_a_start():
    assert statement_starts("a\n\n  b\nc", "cobol") == [0, 3, 7]
    assert statement_starts("", "cobol") == []
