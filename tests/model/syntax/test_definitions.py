"""Definitions: every language, whole and broken code."""

import random

import pytest

from model.syntax.definitions import QUERIES, definitions
from model.syntax.languages import LANGUAGES

WHOLE = {
    "python": ("X = 1\n\n@d\nclass A:\n    def m(self):\n        local = 1\n\nasync def f(): ...\n", "X A m f"),
    "javascript": ("function f() {}\nclass A { m() {} }\nexport const g = () => 1;\nvar v = 2;\n", "f A m g v"),
    "javascriptreact": ("const App = () => <p>hi</p>;\n", "App"),
    "typescript": (
        "export interface I { a(): void }\ntype T = string;\nenum E { A }\nabstract class C { abstract m(): void }\n",
        "I a T E C m",
    ),
    "typescriptreact": ("export function App(p: P) { return <p/>; }\n", "App"),
    "go": ("package p\ntype T struct { a int }\nfunc (t *T) M() {}\nfunc F[A any](a A) {}\nconst K = 1\n", "T M F K"),
    "rust": (
        "pub struct S<T> { a: T }\nimpl S<u8> {\n    pub fn m(&self) {}\n}\nmacro_rules! k { () => {} }\n",
        "S m k",
    ),
    "java": ("class A {\n  int f;\n  A() {}\n  int m() { return 1; }\n}\ninterface I { void n(); }\n", "A f A m I n"),
    "c": (
        "#define K 3\nstruct s { int a; };\ntypedef int t;\nint *f(int a) { return 0; }\nint g(void);\n",
        "K s t f g",
    ),
    "cpp": ("class A { int m(); };\nint A::n() { return 1; }\ntemplate<class T> T &k(T &x);\n", "A m n k"),
}


def names(source: str, language: str) -> list[str]:
    return [definition.name for definition in definitions(source, language)]


def test_every_language_with_a_grammar_has_a_query():
    assert QUERIES.keys() == LANGUAGES.keys() == WHOLE.keys()


@pytest.mark.parametrize("language", WHOLE)
def test_names_in_their_order(language):
    source, expected = WHOLE[language]
    assert names(source, language) == expected.split()
    assert definitions(source.replace("\n", "\r\n"), language) == definitions(source, language)


@pytest.mark.parametrize("language", WHOLE)
def test_rows_hold_the_definition(language):
    source, _ = WHOLE[language]
    lines = source.split("\n")
    for found in definitions(source, language):
        assert 0 <= found.row < found.end_row <= len(lines)
        assert found.name in "\n".join(lines[found.row : found.end_row])


def test_a_definition_spans_its_body_but_not_its_decorators():
    source = "@decorated\nclass A:\n    def m(self):\n        return 1\n\n\ndef f(a,\n      b):\n    return a\n"
    assert [(d.name, d.row, d.end_row) for d in definitions(source, "python")] == [
        ("A", 1, 4),
        ("m", 2, 4),
        ("f", 6, 9),
    ]


def test_names_inside_functions_are_none():
    assert names("def f():\n    x = 1\n    if x:\n        y = 2\n", "python") == ["f"]


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "x = [1,\ndef f(x:\n    a = (\n\nclass B\n    def m(self):\n        return\n\ndef g(): pass\n"),
        ("javascript", "foo({\nfunction f(x {\n  a = (\n}\nclass B {\n  m() { }\nfunction g() {}\n"),
        ("typescript", "foo({\nfunction f(x: {\n  a = (\n}\ninterface B {\n  m(): void\nexport function g() {}\n"),
        ("go", "package p\nvar x = [\nfunc f(x {\n}\ntype B struct {\nfunc (b *B) g() {}\n"),
        ("rust", "let x = [\nfn f(x {\n}\nstruct B {\npub fn g() {}\n"),
        ("java", "class A {\n int x = (\n class B {\n  void m() { g( }\n"),
        ("c", "int x = (\nstruct B {\nint g(void) { return 0; }\n"),
        ("cpp", "int x = (\nclass B {\nint g() { return 0; }\n"),
    ],
)
def test_broken_code_keeps_its_definitions(language, source):
    expected = {"java": {"A", "B"}, "c": {"B"}, "cpp": {"B"}, "rust": {"f", "B", "g"}}.get(language, {"f", "B", "g"})
    assert expected <= set(names(source, language))


@pytest.mark.parametrize("language", WHOLE)
def test_any_cut_of_a_text_is_read_without_trouble(language):
    source = WHOLE[language][0] * 3
    rng = random.Random(language)
    for _ in range(30):
        start, end = sorted(rng.sample(range(len(source)), 2))
        piece = source[:start] + rng.choice(["", "{", "(", '"', "'", "\ud800", "é😀"]) + source[end:]
        num_rows = piece.count("\n") + 1
        assert all(0 <= found.row < found.end_row <= num_rows for found in definitions(piece, language))


def test_a_language_without_a_grammar_has_none():
    assert definitions("def f(): pass\n", "cobol") == []
