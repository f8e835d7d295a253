"""What is read out of a prompt; the formats are those that clients were seen to write (hole.py names them)."""

import pytest

from model.engine import api
from model.engine.protocols.hole import MAX_SIDE_CHARS, Hole, hole_between, hole_of

BEFORE, AFTER = "def f(x):\n    return ", "\n\nprint(f(1))\n"


@pytest.mark.parametrize(
    "prompt",
    [
        f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>",
        f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>\n",
        f"<fim_prefix>{BEFORE}<fim_suffix>{AFTER}<fim_middle>",
        f"<｜fim▁begin｜>{BEFORE}<｜fim▁hole｜>{AFTER}<｜fim▁end｜>",
        f"<PRE> {BEFORE} <SUF>{AFTER} <MID>",
        f"<|code_prefix|>{BEFORE}<|code_suffix|>{AFTER}<|code_middle|>",
        f"[SUFFIX]{AFTER}[PREFIX]{BEFORE}",
    ],
)
def test_a_hole_written_in_a_models_format(prompt):
    assert hole_of(prompt, None) == Hole(before=BEFORE, after=AFTER)


def test_a_suffix_of_its_own():
    assert hole_of(BEFORE, AFTER) == Hole(before=BEFORE, after=AFTER)
    assert hole_of(BEFORE, "") == Hole(before=BEFORE)
    assert hole_of(BEFORE, "<|endoftext|>") == Hole(before=BEFORE)


@pytest.mark.parametrize(
    "text",
    [
        'MARK = "<|fim_prefix|>"\nOTHER = "<|fim_suffix|>"\n',
        "# ends with <|fim_middle|>",
        "<fim_prefix>a<fim_middle>",
        "see [SUFFIX]",
        "",
    ],
)
def test_code_that_mentions_the_marks_is_code(text):
    assert hole_of(text, None) == Hole(before=text, is_infill=False)


def test_marks_beside_a_suffix_are_text():
    prompt = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert hole_of(prompt, "c").before == prompt


def test_the_comments_that_minuet_puts_above_a_file_are_taken_away():
    hole = hole_of("# language: python\n# indentation: use 4 spaces for a tab\nimport os\nos.", "\n")
    assert hole == Hole(before="import os\nos.", after="\n")
    assert hole_of("// language: go\n// indentation: use \\t for a tab\npackage a\n", "").language == "go"
    assert hole_of("# language: lua", "").before == ""


def test_ordinary_comments_stay():
    text = "# indentation: four\n# language: python\nx = 1\n"
    assert hole_of(text, "").before == text


def test_a_path_in_a_comment_names_the_file_and_its_language():
    hole = hole_of("// Path: src/main.rs\nfn main() {\n", "}\n")
    assert (hole.path, hole.language) == ("src/main.rs", "rust")
    assert hole.before == "// Path: src/main.rs\nfn main() {\n"


def test_files_in_front_of_the_hole_are_snippets():
    prompt = (
        "<|repo_name|>demo\n<|file_sep|>a/b.py\nB = 1\n<|file_sep|>c.py\nC = 2\n"
        f"<|file_sep|>d.py\n<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>"
    )
    assert hole_of(prompt, None) == Hole(
        before=BEFORE,
        after=AFTER,
        path="d.py",
        snippets=(api.Snippet("a/b.py", "B = 1\n"), api.Snippet("c.py", "C = 2\n")),
    )


def test_other_files_tell_the_language_only_where_they_agree():
    js = api.Snippet("a.js", "let a\n")
    assert hole_between("a", "", (js, js)).language == "javascript"
    assert hole_between("a", "", (js, api.Snippet("b.py", "b"))).language == "python"
    assert hole_between("a", "", (api.Snippet("none", "b"),)).language == "python"


def test_what_lies_beyond_any_context_is_cut_and_line_ends_are_newlines():
    hole = hole_between("a\r\n" * MAX_SIDE_CHARS, "b\r\n" * MAX_SIDE_CHARS, ())
    assert len(hole.before) == len(hole.after) == MAX_SIDE_CHARS
    assert "\r" not in hole.before + hole.after
