"""Byte columns of the parser become character offsets, whatever the text holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.syntax.trees import CharOffsets, captures, encode, grammar, parse


@given(st.text(alphabet=st.sampled_from("ab ü€𝄞\r\n\u2028\u0000"), max_size=40), st.data())
def test_every_character_border_maps_back(source, data):
    offset = data.draw(st.integers(0, len(source)))
    row = source.count("\n", 0, offset)
    column_bytes = len(encode(source[source.rfind("\n", 0, offset) + 1 : offset]))
    assert CharOffsets(source).of((row, column_bytes)) == offset


def test_a_lone_surrogate_does_not_raise():
    source = "x = '\ud800' + ü"
    tree = parse(source, "python")
    assert tree is not None
    assert CharOffsets(source).of(tree.root_node.end_point) == len(source)


@pytest.mark.parametrize("language", ["", "cobol", "plaintext"])
def test_an_unknown_language_has_no_tree(language):
    assert parse("x = 1", language) is None
    assert grammar(language) is None


def test_the_node_types_we_name_exist_in_the_grammar():
    """A typo or a new grammar version must not silently lose a kind of node."""
    kinds = grammar("python")
    assert kinds is not None
    tree = parse("", "python")
    assert tree is not None
    language = tree.language
    known = {language.node_kind_for_id(i) for i in range(language.node_kind_count)}
    assert kinds.statements | kinds.blocks | kinds.arguments | kinds.expressions <= known
    assert "expression_statement" in kinds.statements


def test_captures_of_a_tree_and_of_a_node():
    tree = parse("def f(a):\n    return b\n\nc = 1\n", "python")
    assert tree is not None
    query = "(identifier) @name (function_definition) @function"
    found = captures(tree, query)
    assert sorted(node.text for node in found["name"]) == [b"a", b"b", b"c", b"f"]
    (function,) = found["function"]
    assert sorted(node.text for node in captures(function, query)["name"]) == [b"a", b"b", b"f"]
    assert captures(tree, "(class_definition) @class") == {}
