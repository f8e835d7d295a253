"""Statement starts of a draft."""

from model.syntax.boundaries import statement_starts


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


def test_broken_code_still_has_starts():
    source = "x = (\ndef f():\n    return 1\n"
    assert source.index("    return 1") in statement_starts(source, "python")


def test_without_a_grammar_every_line_with_text_is_a_start():
    assert statement_starts("a\n\n  b\nc", "cobol") == [0, 3, 7]
    assert statement_starts("", "cobol") == []
