"""Every language: its grammar loads, its tables name what the grammar knows, no prefix of a program is a surprise."""

import os
import subprocess
import sys
from random import Random

import pytest

from model.syntax.boundaries import statement_starts
from model.syntax.languages import LANGUAGES, language_of_suffix
from model.syntax.spans import enclosing_span, node_spans
from model.syntax.stop import stop_offset
from model.syntax.trees import CharOffsets, parse

BREAKERS = (*"(){}'\"`#@;,:\n", "", "/*", "*/", "//", "\\", "\r\n", '"""', 'r#"', 'R"(')


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_node_types_we_name_exist_in_the_grammar(language: str) -> None:
    """A typo or a new grammar version must not silently lose a kind of node."""
    kinds = LANGUAGES[language]
    tree = parse("", language)
    assert tree is not None
    ids = range(tree.language.node_kind_count)
    known = {tree.language.node_kind_for_id(i) for i in ids if tree.language.node_kind_is_named(i)}
    sets = (kinds.statements, kinds.blocks, kinds.sections, kinds.arguments, kinds.expressions, kinds.comments)
    assert frozenset().union(*sets) <= known
    assert all(sets[:2])
    assert sum(map(len, sets[:5])) == len(frozenset().union(*sets[:5])) + len(kinds.sections & kinds.statements)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_whole_program_has_no_errors_and_every_kind_of_span(language: str, program: str) -> None:
    tree = parse(program, language)
    assert tree is not None
    assert not tree.root_node.has_error
    spans = node_spans(program, language)
    assert {span.kind for span in spans} == {"expression", "statement", "block", "arguments"}
    assert all(program[span.start : span.end].strip() for span in spans)


@pytest.mark.parametrize("language", [*LANGUAGES, "cobol"])
def test_every_prefix_of_a_program_has_spans_starts_and_a_stop_in_range(language: str, program: str) -> None:
    for cut in range(0, len(program), 3):
        prefix, rest = program[:cut], program[cut:]
        assert all(0 <= span.start < span.end <= cut for span in node_spans(prefix, language))
        starts = statement_starts(prefix, language)
        assert starts == sorted(set(starts))
        assert all(prefix[:start].endswith("\n") or start == 0 for start in starts)
        span = enclosing_span(prefix, cut // 2, cut // 2 + 1, language)
        assert span is None or span.start <= cut // 2 < span.end
        for canvas, suffix in ((rest, ""), (rest[:90], rest[90:])):
            offset = stop_offset(prefix, canvas, suffix, "node", language)
            assert offset is None or (0 <= offset < len(canvas) and canvas[offset] in "\r\n")


@pytest.mark.parametrize("language", [*LANGUAGES, "cobol"])
def test_a_stop_in_broken_code_stays_where_it_is_as_the_canvas_grows(language: str, program: str) -> None:
    rng = Random(7)
    for _ in range(40):
        text = program
        for _ in range(rng.randint(0, 8)):
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(BREAKERS) + text[at + rng.choice((0, 1, 5, 40)) :]
        start, end = sorted(rng.choices(range(len(text)), k=2))
        canvas, suffix = text[start:end], text[rng.choice((start, end, len(text))) :]
        cut = rng.randint(0, len(canvas))
        earlier, later = (stop_offset(text[:start], canvas[:n], suffix, "node", language) for n in (cut, len(canvas)))
        assert earlier is None or earlier == later
        assert later is None or 0 <= later < len(canvas)


@pytest.mark.parametrize("language", LANGUAGES)
def test_half_characters_do_not_raise(language: str, program: str) -> None:
    text = program.replace("ü", "\ud800")
    tree = parse(text, language)
    assert tree is not None
    assert CharOffsets(text).of(tree.root_node.end_point) == len(text)
    assert statement_starts(text, language) == statement_starts(program, language)
    assert stop_offset("", text, "", "node", language) == stop_offset("", program, "", "node", language)


def test_importing_the_rules_loads_no_grammar() -> None:
    """The server starts before anybody has opened a file of any language."""
    code = "import sys, model.syntax.stop; print([m for m in sys.modules if m.startswith('tree_sitter_')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=os.getcwd(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("suffix", "language"),
    [
        (".py", "python"),
        (".TSX", "typescriptreact"),
        (".h", "cpp"),
        (".rs", "rust"),
        (".foo", "foo"),
        ("", "plaintext"),
    ],
)
def test_a_suffix_names_the_language_as_editors_do(suffix: str, language: str) -> None:
    assert language_of_suffix(suffix) == language
