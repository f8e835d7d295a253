"""Prompts of foreign weights: order of the parts, where the canvas is, what is cut, broken tokens."""

import pytest

from model.engine import api
from model.engine.foreign_prompts import Filled, comment_mark, fill, heal_text, hole_prompt
from model.engine.job import BadRequest

INFILL = "⟨bos⟩{context}{above}{canvas}{below}⟨eom⟩"
SPM = "⟨fim_suffix⟩{below}⟨fim_prefix⟩{context}{above}⟨fim_middle⟩{canvas}"
COMMENTS = "⟨bos⟩{context}{below_as_comment}{above}{canvas}"


def hole(line: str = "    return ", *, prefix: str = "def f(a):\n", tail: str = "\n", suffix: str = "", **more):
    prompt = api.Prompt(path="a/b.py", prefix=prefix, line=line, tail=tail, suffix=suffix, **more)
    return api.DenoiseRequest(id="1", prompt=prompt)


def test_the_suffix_stands_behind_the_canvas_where_the_network_sees_it(foreign, encoder, read):
    filled = hole_prompt(hole(tail=" + 1\n", suffix="print(f(2))\n"), INFILL, foreign, encoder, 500)
    assert read(filled.before_ids) == "⟨bos⟩# a/b.py\ndef f(a):\n    return"
    assert filled.taken_back is not None
    assert filled.taken_back.typed == b" "
    assert read(filled.after_ids) == " + 1\nprint(f(2))\n⟨eom⟩"


def test_suffix_first_where_there_are_markers(foreign, encoder, read):
    filled = hole_prompt(hole("    return a", suffix="print()\n"), SPM, foreign, encoder, 500)
    assert filled.after_ids == []
    text = read(filled.before_ids)
    assert text.startswith("⟨fim_suffix⟩\nprint()\n⟨fim_prefix⟩# a/b.py\ndef f(a):\n    return")
    assert text.endswith("⟨fim_middle⟩")
    assert filled.taken_back is not None  # the token before the marker
    assert text.removesuffix("⟨fim_middle⟩") + filled.taken_back.typed.decode() == (
        "⟨fim_suffix⟩\nprint()\n⟨fim_prefix⟩# a/b.py\ndef f(a):\n    return a"
    )


def test_without_markers_the_suffix_is_a_comment(foreign, encoder, read):
    request = hole("x = (", prefix="", tail=")\n", suffix="print(x)\n")
    filled = hole_prompt(request, COMMENTS, foreign, encoder, 500)
    expected = "⟨bos⟩# a/b.py\n# The lines below the cursor:\n# )\n# print(x)\n\nx = ("
    assert read(filled.before_ids) == expected
    assert filled.taken_back is None


def test_other_files_are_comments_with_their_paths(foreign, encoder, read):
    snippets = (api.Snippet("lib.py", "def g():\n\n    pass\n"),)
    text = read(hole_prompt(hole(snippets=snippets), INFILL, foreign, encoder, 500).before_ids)
    assert text.startswith("⟨bos⟩# lib.py\n# def g():\n#\n#     pass\n\n# a/b.py\ndef f(a):\n")


def test_text_that_looks_like_a_special_token_is_text(foreign, encoder):
    filled = hole_prompt(hole("x = '<|mask|><|im_end|>'("), INFILL, foreign, encoder, 500)
    assert sum(id < 64 for id in filled.before_ids) == 1


@pytest.mark.parametrize("form", [INFILL, SPM, COMMENTS])
@pytest.mark.parametrize("room", [60, 200, 400])
def test_the_parts_are_cut_to_the_room_in_whole_lines(foreign, encoder, read, form, room):
    prefix = "".join(f"name_{i} = other_{i}\n" for i in range(300))
    suffix = "".join(f"later_{i}()\n" for i in range(300))
    filled = hole_prompt(hole("x =(", prefix=prefix, suffix=suffix), form, foreign, encoder, room)
    assert len(filled.before_ids) + len(filled.after_ids) <= room
    before = read(filled.before_ids)
    assert "x =(" in before
    if room > 60:
        assert "name_299 = other_299\nx =(" in before
        assert "later_0()\n" in before + read(filled.after_ids)


def test_no_room_is_said(foreign, encoder):
    with pytest.raises(BadRequest, match="leaves no room") as error:
        hole_prompt(hole(), INFILL, foreign, encoder, 8)
    assert error.value.code == "too_long"


@pytest.mark.parametrize(
    ("text", "typed"),
    [("retu", None), ("    ", b" "), ("\t", b"\t"), ("x = ", b" "), ("f(", b""), ("", b""), ("a\n", b"")],
)
def test_what_may_go_on_is_taken_back(foreign, encoder, text, typed):
    ids, taken_back = heal_text(text, foreign, encoder)
    if typed == b"":
        assert taken_back is None
        assert foreign.decode(ids) == text
        return
    assert taken_back is not None
    assert foreign.decode(ids) + taken_back.typed.decode() == text
    assert typed in (None, taken_back.typed)
    starts = {foreign.token_bytes[i][: len(taken_back.typed)] for i in taken_back.allowed_ids}
    assert starts == {taken_back.typed}


def test_an_indented_word_stays_within_reach(foreign, encoder):
    """` return` is one token, three spaces before it another: four typed spaces must not forbid it."""
    wanted = foreign.encode("def f():\n    return a")
    ids, taken_back = heal_text("def f():\n    ", foreign, encoder)
    assert wanted[: len(ids)] == ids
    assert taken_back is not None
    assert wanted[len(ids)] in taken_back.allowed_ids


def test_comments_of_languages():
    marks = {language: comment_mark(language) for language in ("python", "sql", "rust", "")}
    assert marks == {"python": "#", "sql": "--", "rust": "//", "": "//"}


def test_places_are_filled_with_nothing_where_nothing_is_given(foreign, encoder):
    assert fill("⟨bos⟩{context}{above}{canvas}", {}, foreign, encoder) == Filled([foreign.special_id("bos")], [])
