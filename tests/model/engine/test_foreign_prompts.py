"""Prompts of foreign weights: order of the parts, where the canvas is, what is cut, broken tokens."""

import json

import pytest

from model.checkpoints.prompt_form import PromptForm
from model.engine import api
from model.engine.chats import change_of, chat_prompt, opening_of, question
from model.engine.encoder import LineEncoder
from model.engine.foreign_prompts import Filled, comment_mark, fill, heal_text, hole_prompt
from model.engine.job import BadRequest
from model.foreign_tokenizer import ForeignTokenizer
from tests.model.checkpoints.tiny_folders import FAMILIES, tiny_tokenizer

INFILL = "⟨bos⟩{context}{above}{canvas}{below}⟨eom⟩"
SPM = "⟨fim_suffix⟩{below}⟨fim_prefix⟩{context}{above}⟨fim_middle⟩{canvas}"
COMMENTS = "⟨bos⟩{context}{below_as_comment}{above}{canvas}"
CHAT = "⟨im_start⟩user\n{question}⟨eom⟩\n⟨im_start⟩assistant\n```{language}\n{canvas}"
SPECIAL = {
    "bos": "<|beginoftext|>",
    "eom": "<|im_end|>",
    "mask": "<|mask|>",
    "im_start": "<|im_start|>",
    "fim_prefix": "<|fim_prefix|>",
    "fim_middle": "<|fim_middle|>",
    "fim_suffix": "<|fim_suffix|>",
}


@pytest.fixture(scope="module")
def foreign() -> ForeignTokenizer:
    spec = json.loads(tiny_tokenizer(FAMILIES["dreamon"]).to_str())
    return ForeignTokenizer.from_spec(spec, SPECIAL, name="tokenizer.json")


@pytest.fixture(scope="module")
def encoder(foreign) -> LineEncoder:
    return LineEncoder(foreign)


@pytest.fixture(scope="module")
def read(foreign):
    """Ids as text, special tokens by name in angle brackets."""
    names = {id: f"⟨{name}⟩" for name, id in foreign.vocabulary.special_ids.items()}
    return lambda ids: "".join(names.get(id) or foreign.decode([id]) for id in ids)


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


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hole": "{above}"}, "needs exactly one place canvas"),
        ({"hole": "{above}{canvas}{suffix}"}, "no place suffix"),
        ({"chat": "{canvas}{canvas}{question}"}, "needs exactly one place canvas"),
        ({"chat": "{canvas}"}, "needs exactly one place question"),
    ],
)
def test_a_form_that_makes_no_prompt_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        PromptForm(**fields)


# Chats


def edit(draft: str, *, line: str = "", prefix: str = "", suffix: str = "", before: str = "", after: str = "", **more):
    pieces = (api.Locked(before), api.Draft(draft), api.Locked(after))
    prompt = api.Prompt(path="a.py", prefix=prefix, line=line, suffix=suffix, instruction="Rename a to b.", **more)
    return api.DenoiseRequest(id="1", prompt=prompt, canvas=tuple(piece for piece in pieces if piece.text), stop="eom")


def test_the_question_shows_the_code_and_what_stands_around_it():
    request = edit("return a", line="    ", prefix="def f(a):\n", suffix="\nf(1)\n", before="", after="")
    change = change_of(request)
    assert (change.above, change.lead, change.shown, change.below) == ("def f(a):\n", "    ", "    return a", "\nf(1)\n")
    text = question(request, "Rename a to b.", change)
    parts = ["a.py", "Above it stands:\n```python\ndef f(a):\n```", "Below it stands:\n```python\n\nf(1)\n```"]
    parts += ["The code to change:\n```python\n    return a\n```", "Instruction: Rename a to b."]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_locked_code_is_context():
    change = change_of(edit("a()\n", prefix="if x:\n", before="    b()\n    ", after="    c()\n"))
    assert (change.above, change.lead, change.draft, change.below) == ("if x:\n    b()\n", "    ", "a()\n", "    c()\n")
    assert change.locked == ("    b()\n    ", "    c()\n")


def test_code_with_fences_stands_between_longer_ones():
    request = edit('"""\n````\n"""\n')
    assert "`````python\n" in question(request, "x", change_of(request))


def test_the_turns_are_the_familys_and_the_answers_fence_is_open(foreign, encoder, read):
    chat = chat_prompt(edit("a = 1\n"), CHAT, foreign, encoder, 2000)
    text = read(chat.filled.before_ids)
    assert text.startswith("⟨im_start⟩user\nChange a piece of code in the file a.py.")
    assert text.endswith("⟨eom⟩\n⟨im_start⟩assistant\n```python\n")
    assert chat.opening == "```python\n"
    assert chat.filled.after_ids == []
    assert opening_of("{question}⟨eom⟩{canvas}", "python") == ""


def test_what_stands_around_is_cut_before_the_code(foreign, encoder, read):
    prefix = "".join(f"name_{i} = other_{i}\n" for i in range(300))
    suffix = "".join(f"later_{i}()\n" for i in range(300))
    chat = chat_prompt(edit("a = 1\n", prefix=prefix, suffix=suffix), CHAT, foreign, encoder, 900)
    text = read(chat.filled.before_ids)
    assert len(chat.filled.before_ids) + chat.max_tokens <= 900
    assert "a = 1\n" in text
    assert "name_299 = other_299\n" in text
    assert "later_0()\n" in text
    assert "name_0 " not in text


def test_code_that_does_not_fit_is_refused_with_numbers(foreign, encoder):
    with pytest.raises(BadRequest, match=r"The code has \d+ tokens; .* context of 600") as error:
        chat_prompt(edit("abc = cde\n" * 100), CHAT, foreign, encoder, 600)
    assert error.value.code == "too_long"


@pytest.mark.parametrize("canvas", [(api.Masked(),), (api.Draft("a"), api.Locked("b"), api.Draft("c")), ()])
def test_other_canvases_are_refused(canvas):
    with pytest.raises(BadRequest, match="one stretch of code"):
        change_of(api.DenoiseRequest(id="1", prompt=api.Prompt(instruction="x"), canvas=canvas))


def test_places_are_filled_with_nothing_where_nothing_is_given(foreign, encoder):
    assert fill("⟨bos⟩{context}{above}{canvas}", {}, foreign, encoder) == Filled([foreign.special_id("bos")], [])
