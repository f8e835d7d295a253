"""Trees of whole documents: whatever happens to the text, the same tree as parsing it anew."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from model.syntax.at_cursor import place_at
from model.syntax.empty_block import begins_empty_block
from model.syntax.incremental import MAX_CHARS, MAX_TREES, Trees, num_equal_at_end, num_equal_at_start, parse_lines

SOURCES = {
    "python": 'import os\n\n\ndef f(x):\n    """Doc."""\n    if x:\n        return "𝒳é"\n    return {"a": [1, 2]}\n',
    "javascript": "// note\nfunction f(x) {\n  const s = `é ${x}`;\n  return { a: [1, /'/] };\n}\n",
    "rust": "/* é */\nfn f(x: u8) -> u8 {\n    let s = \"𝒳\";\n    match x { 1 => 2, _ => x }\n}\n",
    "cpp": "#include <a>\n\nint f(int x) {\n  // é\n  return x ? 1 : g(\"𝒳\");\n}\n",
}  # fmt: skip
PIECES = [
    "\n", "\r\n", "\r", "    ", "\t",
    '"', '"""', "'", "`", "#", "//", "/*", "*/", "(", ")", "{", "}", ":", "x", "é", "𝒳", "\ufeff",
    "\u2028", "\x0c", "\ud800", "def g():", "return ", "",
]  # fmt: skip


def lines_of(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", text)) or ("",)


def shape(tree) -> list[tuple]:
    """Every node of a tree: its type and where it stands."""
    found = []
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        found.append((node.type, node.start_byte, node.end_byte, node.is_missing, node.start_point, node.end_point))
        waiting.extend(node.children)
    return found


edits = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2), st.sampled_from(PIECES)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(language=st.sampled_from(sorted(SOURCES)), newline=st.sampled_from(["\n", "\r\n", "\r"]), edits=edits)
def test_any_edits_give_what_a_fresh_parse_gives(language, newline, edits):
    text = SOURCES[language].replace("\n", newline)
    trees = Trees()
    for start, length, piece in [(0.0, 0.0, ""), *edits]:
        first = int(start * len(text))
        text = text[:first] + piece + text[first + int(length * len(text)) :]
        lines = lines_of(text)
        parsed, fresh = trees.of("a", lines, language), parse_lines(lines, language)
        assert parsed is not None
        assert fresh is not None
        assert parsed.tree.root_node.has_error == fresh.tree.root_node.has_error
        # Where code is broken the parser recovers by what it has seen before: same text, perhaps another recovery.
        if not fresh.tree.root_node.has_error:
            assert shape(parsed.tree) == shape(fresh.tree)
        for row, line in enumerate(lines):
            for column in (0, len(line.rstrip("\r\n")) // 2, len(line.rstrip("\r\n"))):
                assert place_at(parsed, row, column) == place_at(fresh, row, column)


def test_few_trees_are_kept_and_the_newest_ones():
    trees = Trees()
    for number in range(3 * MAX_TREES):
        assert trees.of(f"{number}", ("x\n", ""), "python") is not None
    assert len(trees) == MAX_TREES
    trees.forget(f"{3 * MAX_TREES - 1}")
    trees.forget("unknown")
    assert len(trees) == MAX_TREES - 1


def test_the_same_lines_are_not_parsed_twice_and_another_language_is_parsed_anew():
    trees = Trees()
    lines = ("f(x)\n", "")
    first = trees.of("a", lines, "python")
    assert trees.of("a", lines[:1] + lines[1:], "python") is first
    other = trees.of("a", lines, "javascript")
    assert other is not None
    assert other.tree.root_node.type == "program"


def test_without_a_grammar_and_for_huge_texts_there_is_no_tree():
    trees = Trees()
    assert trees.of("a", ("x",), "cobol") is None
    assert trees.of("a", ("x" * (MAX_CHARS + 1),), "python") is None
    assert trees.of("a", ("x",), "python") is not None
    assert trees.of("a", ("x" * (MAX_CHARS + 1),), "python") is None
    assert len(trees) == 0


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_what_two_texts_have_in_common(old, new):
    start, end = num_equal_at_start(old, new), num_equal_at_end(old, new)
    assert old[:start] == new[:start]
    assert old[start : start + 1] != new[start : start + 1] or start in (len(old), len(new))
    assert old[len(old) - end :] == new[len(new) - end :]
    assert end in (len(old), len(new)) or old[-end - 1] != new[-end - 1]


def hopeless_lines(marker: str = "") -> list[str]:
    """Sound code, then much that is broken, then a function."""
    broken = [f"this line {n} is prose, is it not (so and so\n" for n in range(400)]
    return ["import os\n", "x = 1\n", *broken, "def f(a):\n", f"    return a{marker}\n", "y = 2\n"]


def test_typing_behind_much_that_is_broken_parses_nothing(monkeypatch):
    trees = Trees()
    first = trees.of("a", hopeless_lines(), "python")
    assert first is not None
    assert first.is_hopeless
    assert first.broken_at is not None
    assert first.broken_at > 0
    num_parsed = []
    monkeypatch.setattr("model.syntax.incremental.parse_lines", lambda *args: num_parsed.append(args) or first)
    row = len(hopeless_lines()) - 2
    for marker in ("b", "b + ", "b + '", "b + '# "):
        lines = hopeless_lines(marker)
        parsed = trees.of("a", lines, "python")
        assert not num_parsed
        assert parsed is not None
        assert parsed.source == "".join(lines).encode()
        assert parsed.tree.root_node.end_byte == len(parsed.source)  # its nodes have moved along
        assert place_at(parsed, row, len(lines[row]) - 1).kind == ("string" if "'" in marker else "code")
    trees.of("a", ["import sys\n", *hopeless_lines("b")[1:]], "python")  # something above what is broken
    assert num_parsed


def test_where_a_line_comes_into_much_that_is_broken_only_its_surroundings_are_parsed(monkeypatch):
    trees, lines = Trees(), hopeless_lines()
    assert trees.of("a", lines, "python").is_hopeless
    monkeypatch.setattr("model.syntax.incremental.parse_lines", None)
    for row in (len(lines) - 1, 200, 200, 30, 3):
        lines = [*lines[:row], "if é:\n", "    \n", "# why\n", *lines[row:]]
        parsed = trees.of("a", tuple(lines), "python")
        assert parsed.source == "".join(lines).encode()
        (seen,) = parsed.tree.included_ranges
        assert 30 < parsed.source[seen.start_byte : seen.end_byte].count(b"\n") < 100 or row < 60
        assert seen.start_point[0] <= row < seen.end_point[0]
        assert parsed.byte_of(seen.start_point[0], 0) == seen.start_byte
        assert begins_empty_block(parsed, row + 1)
        assert not begins_empty_block(parsed, row)
        assert [place_at(parsed, row + below, 4).kind for below in range(3)] == ["code", "code", "comment"]
        lines[row + 1] = "    x = '\n"
        parsed = trees.of("a", tuple(lines), "python")  # typed in a line: nothing is parsed
        assert parsed.tree.included_ranges[0].start_byte == seen.start_byte
        assert place_at(parsed, row + 1, 9).kind == "string"
    for row in (350, 10):
        lines = [*lines[:row], *lines[row + 2 :]]
        assert trees.of("a", tuple(lines), "python").source == "".join(lines).encode()


def test_what_is_no_longer_broken_is_parsed_whole_again():
    trees, lines = Trees(), hopeless_lines()
    assert trees.of("a", lines, "python").is_hopeless
    parsed = trees.of("a", lines[:1] + lines[-3:], "python")  # the first broken line is gone with the others
    assert parsed.broken_at is None
    assert not parsed.is_hopeless


def test_an_error_without_a_node():
    """Two statements on a line: the line end between them is missing, and is no node of the tree."""
    lines = ('"""Doc.\n', '"""x = 1  # so\n', "y = 2\n", "")
    parsed = Trees().of("a", lines, "python")
    assert parsed is not None
    assert parsed.tree.root_node.has_error
    assert not any(child.has_error for child in parsed.tree.root_node.children)
    assert parsed.broken_at is None
    kinds = [place_at(parsed, row, column).kind for row, column in [(0, 7), (1, 4), (1, 14), (2, 1)]]
    assert kinds == ["docstring", "code", "comment", "code"]


def test_a_short_or_hardly_broken_text_is_always_parsed():
    assert not parse_lines(["def f(:\n"], "python").is_hopeless
    sound = ["x = 1\n"] * 4000
    parsed = parse_lines([*sound, "def f(:\n", *sound], "python")
    assert parsed.broken_at is not None
    assert not parsed.is_hopeless
