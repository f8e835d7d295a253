"""Where an answer ends, by rule, in whole and in broken surroundings."""

import pytest

from model.syntax.stop import stop_offset


def node_stop(prefix: str, canvas: str, suffix: str = "", language: str = "python") -> str | None:
    offset = stop_offset(prefix, canvas, suffix, "node", language)
    return None if offset is None else canvas[:offset]


@pytest.mark.parametrize("canvas", ["", "x = 1", "x = 1\n", "(\n"])
def test_eom_never_stops_early(canvas):
    assert stop_offset("", canvas, "", "eom", "python") is None


@pytest.mark.parametrize(
    ("canvas", "kept"),
    [("", None), ("a + 1", None), ("ä + 1\nb", "ä + 1"), ("(\nb", "("), ("\nx", ""), ("a\r\nb", "a")],
)
def test_line_ends_at_the_first_newline_whatever_is_open(canvas, kept):
    offset = stop_offset("x = ", canvas, "\ny = 2\n", "line", "python")
    assert (None if offset is None else canvas[:offset]) == kept


@pytest.mark.parametrize(
    ("prefix", "canvas", "kept"),
    [
        ("x = ", "1\ny = 2\n", "1"),
        ("x = ", "1", None),
        ("foo(", "a,\n    b)\nbar()\n", "a,\n    b)"),
        ("foo(", "a,\n    b", None),
        ('"""Doc', ' string\nmore.\n"""\nimport x\n', ' string\nmore.\n"""'),
        ("x = 'ab", "c'\ny", "c'"),
        ("x = a + ", "\\\n  b\nc\n", "\\\n  b"),
        ("def f():\n    x = [", "\n        1,\n    ]\n    return x\n", "\n        1,\n    ]"),
        ("", "\n\nx = 1\r\ny", "\n\nx = 1"),
        ("def f():\n    x = 'ü' + ", "ä\n    y", "ä"),
    ],
)
def test_a_simple_statement_ends_where_its_brackets_are_closed(prefix, canvas, kept):
    assert node_stop(prefix, canvas) == kept


@pytest.mark.parametrize(
    ("prefix", "canvas", "kept"),
    [
        ("def f(x):\n    ", "if x:\n        return 1\n    return 2\n", "if x:\n        return 1"),
        ("def f(x):\n    ", "if x:\n        return 1\n", None),
        ("def f(x):\n    ", "if x:\n        return 1\n    el", None),
        (
            "def f(x):\n    ",
            "if x:\n        a()\n    else:\n        b()\n\n    z",
            "if x:\n        a()\n    else:\n        b()",
        ),
        ("def ", "f(x):\n    return x\n\n\ndef g():\n", "f(x):\n    return x"),
        ("def f():", "\n    y = 2\n    z = 3\nx", "\n    y = 2\n    z = 3"),
        ("", "@dec\ndef f():\n    pass\n\nx", "@dec\ndef f():\n    pass"),
        ("@dec\n", "def f():\n    pass\n\nx", "def f():\n    pass"),
        ("", "try:\n    x()\nexcept E:\n    pass\nfoo()\n", "try:\n    x()\nexcept E:\n    pass"),
        ("", "def f():\n    '''a\nb'''\n    x\ny\n", "def f():\n    '''a\nb'''\n    x"),
    ],
)
def test_a_compound_statement_ends_at_the_dedent(prefix, canvas, kept):
    assert node_stop(prefix, canvas) == kept


@pytest.mark.parametrize(
    ("prefix", "canvas", "suffix", "kept"),
    [
        ("x = foo(", "a\n", ")\ny = 2\n", "a"),
        ("foo(\n    a,\n    ", "b=2,\n    c\n", "\n)\n", "b=2,"),
        ("if x", " > 1\n    y\n", ":\n    z = 1\n", " > 1"),
        ("try:\n    ", "x()\n", "\nexcept E:\n    pass\n", "x()"),
        ("", "def f(\n    a,\n):\n    pass\nx\n", "\n\ndef g(b):\n    pass\n", "def f(\n    a,\n):\n    pass"),
        ("def f():\n    ", '"""A.\n\n    B."""\n', '\n\ndef g():\n    """C."""\n', '"""A.\n\n    B."""'),
    ],
)
def test_the_suffix_closes_what_the_canvas_leaves_open(prefix, canvas, suffix, kept):
    assert node_stop(prefix, canvas, suffix) == kept


@pytest.mark.parametrize(
    ("prefix", "canvas", "suffix", "kept"),
    [
        ("foo((\n\nx = ", "1\ny = 2\n", "", "1"),
        ("x = ", "1\ny", "\ndef broken(:\n  ((\n", "1"),
        ("x = ", "1 +\ny = 2\n", "", "1 +"),
        ("x = '", "abc\ny\n", "", "abc"),
        ("class A:\n    def f(self:\n        ", "x = 1\n        y", "", "x = 1"),
    ],
)
def test_broken_code_does_not_keep_the_canvas_open(prefix, canvas, suffix, kept):
    assert node_stop(prefix, canvas, suffix) == kept


def test_plain_text_ends_at_the_first_line_with_something_on_it():
    assert node_stop("", "\nHallo Wörld\nmore", language="cobol") == "\nHallo Wörld"
    assert node_stop("Hallo ", "\nmore", language="cobol") == ""


def test_a_longer_canvas_gives_the_same_answer():
    canvas = "if x:\n        return foo(\n            1)\n    return 2\n    y = 3\n"
    answers = {node_stop("def f(x):\n    ", canvas[:n]) for n in range(len(canvas) + 1)}
    assert answers == {None, "if x:\n        return foo(\n            1)"}
