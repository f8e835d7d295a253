"""Nodes as character spans, in whole and in broken code."""

import pytest

from model.syntax.languages import LANGUAGES
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


# `«»` holds what is selected, `⟦⟧` the smallest node around it, `⟪⟫` the smallest statement.
SELECTIONS = [
    ("python", "⟪return foo⟦(«a, b»)⟧⟫\n"),
    ("javascript", "⟪const f = (a) => ⟦a «+» 1⟧;⟫\n"),
    ("javascript", "⟪foo(⟦«ü»⟧, b)⟫\nbar()\n"),
    ("javascript", "⟪if (x) ⟦{\n  «a();\n  b»();\n}⟧⟫\n"),
    ("javascriptreact", "⟪x = <ul>⟦<li>«{a} b»</li>⟧</ul>⟫\n"),
    ("typescript", "interface A {\n  ⟪⟦x: «number»⟧⟫;\n}\n"),
    ("typescript", "⟪const x = ⟦y «as» T⟧;⟫\n"),
    ("typescriptreact", "⟪return ⟦<A b={c} «/>»⟧;⟫\n"),
    ("go", "func f() {\n\t⟪x := g⟦(«1, 2»)⟧⟫\n}\n"),
    ("go", "func f() {\n\t⟪if err != nil ⟦{\n\t\t«a()\n\t\tb()»\n\t}⟧⟫\n}\n"),
    ("rust", "fn f() {\n    ⟪let x = ⟦«&»y⟧;⟫\n}\n"),
    ("rust", "fn f() {\n    match x {\n        ⟪⟦A «=>» 1,⟧⟫\n    }\n}\n"),
    ("java", "class A {\n  void f() {\n    ⟪int x = ⟦a.b(1)«.»c()⟧;⟫\n  }\n}\n"),
    ("java", "class A {\n  ⟪void f⟦(«int a»)⟧ {}⟫\n}\n"),
    ("c", "int f() {\n  ⟪return ⟦a «+» b⟧;⟫\n}\n"),
    ("c", "⟪struct a x = ⟦{«1, 2»}⟧;⟫\n"),
    ("cpp", "⟪auto f = [&](int a) ⟦{ «return a; }»⟧;⟫\n"),
    ("cpp", "⟪std::vector⟦<«int»>⟧ x;⟫\n"),
    ("javascript", "function f() {\n  ⟪g(⟦«a»⟧);⟫\n  if (x {\n"),
    ("rust", "fn f( {\n    ⟪g(⟦«a»⟧);⟫\n"),
    ("c", "int f( {\n  ⟪g(⟦«a»⟧);⟫\n"),
    ("cobol", "⟪a\n  ⟦«b\n  c»⟧\nend⟫\nd\n"),
    ("cobol", "⟪a⟦(«b»)⟧ c⟫\nd\n"),
]


@pytest.mark.parametrize(("language", "marked"), SELECTIONS)
def test_the_smallest_node_around_a_selection(language: str, marked: str) -> None:
    source = "".join(character for character in marked if character not in "«»⟦⟧⟪⟫")
    at = {mark: sum(character not in "«»⟦⟧⟪⟫" for character in marked[: marked.index(mark)]) for mark in "«»⟦⟧⟪⟫"}
    node = enclosing_span(source, at["«"], at["»"], language)
    assert node is not None
    assert source[node.start : node.end] == source[at["⟦"] : at["⟧"]]
    statement = enclosing_span(source, at["«"], at["»"], language, ("statement",))
    assert statement is not None
    assert source[statement.start : statement.end] == source[at["⟪"] : at["⟫"]]


@pytest.mark.parametrize("language", [*LANGUAGES, "cobol"])
def test_the_smallest_node_is_one_of_all_nodes(language: str, program: str) -> None:
    spans = node_spans(program, language)
    for start in range(0, len(program), 11):
        for end in (start, start + 3, start + 60):
            covering = [span.end - span.start for span in spans if span.start <= start and span.end >= end]
            found = enclosing_span(program, start, end, language)
            assert (found.end - found.start if found else None) == min(covering, default=None)
            assert found is None or found in spans


def test_the_smallest_enclosing_node():
    at = SOURCE.index("g(ä")
    span = enclosing_span(SOURCE, at + 2, at + 3, "python")
    assert span is not None
    assert SOURCE[span.start : span.end] == "ä"
    statement = enclosing_span(SOURCE, at + 2, at + 3, "python", ("statement",))
    assert statement is not None
    assert SOURCE[statement.start : statement.end] == 'return "ü" + g(ä, 1)'
    assert enclosing_span(SOURCE, 0, len(SOURCE) + 1, "python") is None
