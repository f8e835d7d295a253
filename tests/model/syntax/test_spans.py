"""Nodes as character spans, in whole and in broken code."""

import pytest

from model.syntax.spans import Span, enclosing_span, node_spans

SOURCE = 'def f(ä, b=2):\n    """Ünïcode 𝄞."""\n    return "ü" + g(ä, 1)  # é\n\nwert = ö[1:2]\n'


def texts(source: str, kind: str) -> list[str]:
    return [source[s.start : s.end] for s in node_spans(source, "python") if s.kind == kind]


def test_offsets_are_characters_behind_non_ascii_text():
    assert 'return "ü" + g(ä, 1)' in texts(SOURCE, "statement")
    assert texts(SOURCE, "statement")[-1] == "wert = ö[1:2]"
    assert texts(SOURCE, "arguments") == ["(ä, b=2)", "(ä, 1)"]
    assert "ö[1:2]" in texts(SOURCE, "expression")


def test_each_kind_is_found():
    source = "class A(B):\n    def f(self):\n        return [x for x in self.y if x]\n"
    assert texts(source, "block") == [source[16:-1], "return [x for x in self.y if x]"]
    assert "[x for x in self.y if x]" in texts(source, "expression")
    assert texts(source, "statement")[0] == source[:-1]


@pytest.mark.parametrize(
    "broken",
    ["x = (1 +\n\ndef g():\n    return h(1)\n", "if a:\nfoo(b)\n", "class :\n    def g(self):\n        return h(1)\n"],
)
def test_nodes_are_found_in_broken_code(broken):
    assert any("h(1)" in t or "foo(b)" in t for t in texts(broken, "expression"))
    assert all(0 <= s.start < s.end <= len(broken) for s in node_spans(broken, "python"))


def test_no_span_is_listed_twice():
    spans = node_spans(SOURCE, "python")
    assert len(spans) == len(set(spans))


def test_without_a_grammar_lines_stand_for_statements():
    assert node_spans("  hä lo \n\nx", "cobol") == [Span(2, 7, "statement"), Span(10, 11, "statement")]
    assert node_spans("", "cobol") == []


def test_the_smallest_enclosing_node():
    at = SOURCE.index("g(ä")
    span = enclosing_span(SOURCE, at + 2, at + 3, "python")
    assert span is not None
    assert SOURCE[span.start : span.end] == "ä"
    statement = enclosing_span(SOURCE, at + 2, at + 3, "python", ("statement",))
    assert statement is not None
    assert SOURCE[statement.start : statement.end] == 'return "ü" + g(ä, 1)'
    assert enclosing_span(SOURCE, 0, len(SOURCE) + 1, "python") is None
