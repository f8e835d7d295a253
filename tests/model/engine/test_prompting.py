"""Requests become prompts: exact where they fit, cut in jumps where they do not, refused with a sentence otherwise."""

import itertools

import msgspec
import pytest

from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.engine import api
from model.engine.job import BadRequest
from model.engine.prefix_cache import common_prefix
from model.engine.prompting import TAIL_LINES, LineEncoder, prepare, prompt_around
from model.prompts import prompt_ids
from model.tokenizer import CUR, EOM, FILE, MASK, PRE, SUF, TAIL


@pytest.fixture
def prepared(preset, tokenizer):
    encoder = LineEncoder(tokenizer)
    return lambda request, preset=preset: prepare(request, preset, tokenizer, encoder)


def section(ids: list[int], start: int, end: int) -> list[int]:
    return ids[ids.index(start) + 1 : ids.index(end)]


@pytest.mark.parametrize("text", ["", "a\nb", "a\r\n\r\nb\n", "  x\n\ty = ü\u2028z\f\n", "\n\n", "a\rb\n"])
def test_encoding_line_by_line_is_exact(tokenizer, text):
    assert LineEncoder(tokenizer)(text) == tokenizer.encode(text)


def test_what_fits_is_the_layout_itself(prepared, tokenizer, ask):
    request = ask("y = (", prefix="import a\nx = 1\n", suffix="z\n", tail=")\n")
    made = prepared(request)
    assert made.prompt_ids == prompt_ids(
        tokenizer, path="a.py", suffix="z\n", prefix="", tail=")\n", line="import a\nx = 1\ny = ("
    )
    assert made.taken_back is None
    assert (made.prefix_text, made.suffix_text) == ("import a\nx = 1\ny = (", ")\nz\n")


def test_a_token_that_may_go_on_is_healed_only_before_a_mask(prepared, ask):
    healed = prepared(ask("y = ret"))
    assert healed.taken_back is not None
    assert healed.taken_back.typed == b"ret"
    assert prepared(ask("y = ret", canvas=(api.Draft(text="urn"),))).taken_back is None


@pytest.mark.parametrize("indent", ["    ", "\t", "            "])
def test_indentation_is_whole_whatever_stands_above(prepared, ask, indent):
    made = prepared(ask(indent, prefix="def f():\n    a = 1\n"))
    assert made.taken_back is None


@pytest.mark.parametrize(("context_tokens", "jump"), [(512, 4), (1024, 16)])
def test_a_long_prefix_loses_lines_in_jumps(prepared, preset, ask, context_tokens, jump):
    lines = [f"line{i} = 1\n" for i in range(200)]
    kept: list[list[int]] = []
    preset = msgspec.structs.replace(preset, context_tokens=context_tokens)
    for end in range(120, 160):
        made = prepared(ask(prefix="".join(lines[:end])), preset)
        kept.append(made.prompt_ids)
        assert len(made.prompt_ids) + made.canvas.max_tokens <= context_tokens
    # Lines were added one by one, and hardly ever did the window's start move.
    starts = [tuple((section(ids, PRE, TAIL) + ids[ids.index(CUR) + 1 :])[:12]) for ids in kept]
    jumps = sum(a != b for a, b in itertools.pairwise(starts))
    assert 1 <= jumps <= 40 // jump + 1
    common = [common_prefix(a, b) / len(a) for a, b in itertools.pairwise(kept)]
    # Both the window's start and the upper anchor move in jumps.
    assert sum(share > 0.9 for share in common) >= len(common) - jumps - 6


@pytest.mark.parametrize("length", [4, 12, 30, 70])
@pytest.mark.parametrize("context_tokens", [512, 2048])
def test_a_trimmed_prefix_keeps_three_quarters_of_what_fits(prepared, preset, ask, length, context_tokens):
    lines = [f"{i:03} {'x' * length}\n" for i in range(600)]
    preset = msgspec.structs.replace(preset, context_tokens=context_tokens)
    line_tokens = length + 5
    for end in (*range(300, 333), 599):
        made = prepared(ask("y", prefix="".join(lines[:end])), preset)
        ids = made.prompt_ids
        used = len(section(ids, PRE, TAIL)) + len(ids[ids.index(CUR) + 1 :])
        room = context_tokens - made.canvas.max_tokens - 16
        # 32: what the cursor's line and the tail take is rounded up. One line: what fits ends on a line.
        assert used >= 0.75 * (room - 32 - line_tokens)


def test_typing_moves_the_start_only_downwards(prepared, tokenizer, ask):
    """Long and short lines mixed: each start is one of a few edges, and none comes back."""
    lines = [f"{i:03} {'x' * (7 * i % 41)}\n" for i in range(120)]
    starts = []
    for end in range(40, 120):
        ids = prepared(ask("y", prefix="".join(lines[:end]))).prompt_ids
        shown = tokenizer.decode(section(ids, PRE, TAIL) + ids[ids.index(CUR) + 1 :])
        starts.append(int(shown[:3]))
    assert starts == sorted(starts)
    assert len(set(starts)) <= 40


def test_the_lines_nearest_to_the_cursor_stand_behind_the_tail(prepared, tokenizer, ask):
    lines = [f"line{i} = 1\n" for i in range(30)]
    for num_lines in range(12, 30):
        made = prepared(ask("y", prefix="".join(lines[:num_lines]), tail="\n", stop="line"))
        above = tokenizer.decode(section(made.prompt_ids, PRE, TAIL))
        near = tokenizer.decode(made.prompt_ids[made.prompt_ids.index(CUR) + 1 :])
        assert "".join(lines[:num_lines]) == (above + near).removesuffix("y")
        assert 4 <= near.count("\n") <= 11
        assert above.count("\n") % 8 == 0
    long = [f"line{i} = {'x ' * 40}\n" for i in range(30)]
    made = prepared(ask("y", prefix="".join(long), tail="\n"))
    assert len(made.prompt_ids) - made.prompt_ids.index(CUR) <= 150


def test_what_the_tail_has_no_room_for_begins_the_suffix(prepared, tokenizer, ask):
    lines = ")\n" + "".join(f"tail{i} = 1\n" for i in range(6))
    for tail, suffix in ((lines, "end\n"), ("w" * 60 + "\n", "end\n"), (lines, "")):
        ids = prepared(ask(tail=tail, suffix=suffix, stop="line")).prompt_ids
        shown = tokenizer.decode(section(ids, TAIL, CUR))
        assert 0 < len(shown) < len(tail)
        assert shown + tokenizer.decode(section(ids, SUF, PRE)) == tail + suffix


def test_a_long_suffix_loses_its_end_and_keeps_whole_lines(prepared, preset, tokenizer, ask):
    suffix = "".join(f"s{i} = 2\n" for i in range(100))
    text = tokenizer.decode(section(prepared(ask(suffix=suffix)).prompt_ids, SUF, PRE))
    assert suffix.startswith(text)
    assert text.endswith("\n")
    assert text.count("\n") % 2 == 0
    fit = preset.context_tokens - 256 - 16
    assert fit // 4 * 0.75 - 10 <= len(tokenizer.encode(text)) <= fit // 4 + 2


def test_of_an_overlong_first_line_below_its_beginning_is_kept(prepared, tokenizer, ask):
    text = tokenizer.decode(section(prepared(ask(suffix="w" * 5000 + "\nend\n")).prompt_ids, SUF, PRE))
    assert 10 < len(text) < 500
    assert set(text) == {"w"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("a", ""),
        ("a\n", "b"),
        ("a\nbc", "\n1\n2\n3\n4\n5\n6\n"),
        ("a\u2028b\rc\x0cd\ne\u2028f", "\u2028)\r\n1\r2\n3\x0c\n4\u2028\n5\n6\n"),
    ],
)
def test_a_document_is_cut_at_line_feeds_alone(before, after):
    prompt = prompt_around("a.py", before, after)
    assert prompt.prefix + prompt.line == before
    assert prompt.tail + prompt.suffix == after
    assert "\n" not in prompt.line
    assert prompt.prefix[-1:] in ("", "\n")
    assert prompt.tail.count("\n") == min(after.count("\n"), 1 + TAIL_LINES)
    assert not prompt.suffix or prompt.tail.endswith("\n")


def with_snippets(request: api.DenoiseRequest, snippets: tuple[api.Snippet, ...]) -> api.DenoiseRequest:
    prompt = msgspec.structs.replace(request.prompt, snippets=snippets)
    return msgspec.structs.replace(request, prompt=prompt, stop="line")


@pytest.mark.parametrize("context_tokens", [512, 2048])
def test_snippets_that_take_a_quarter_of_the_context_are_kept(prepared, preset, tokenizer, ask, context_tokens):
    preset = msgspec.structs.replace(preset, context_tokens=context_tokens)
    text = "x = 1\n"
    num_lines = context_tokens // 8 // len(tokenizer.encode(text)) - 2
    snippets = (
        api.Snippet("b.py", text * num_lines),
        api.Snippet("c.py", "# <eom> <file> <suf>\n" + text * (num_lines - 8)),
    )
    request = with_snippets(ask("y = (", prefix="z = 1\n" * 500, suffix="w\n" * 500, tail=")\n"), snippets)
    made = prepared(request, preset)
    assert len(made.prompt_ids) <= context_tokens
    before_suffix = made.prompt_ids[: made.prompt_ids.index(SUF)]
    assert [i for i in before_suffix if i in (FILE, EOM)] == [FILE] * 3  # the text of special tokens is only text
    start = len(before_suffix) - 1 - before_suffix[::-1].index(FILE)
    assert tokenizer.decode(before_suffix[start + 1 :]) == f"c.py\n{snippets[1].text}"


def test_snippets_that_do_not_fit_are_left_out_whole(prepared, ask):
    snippets = tuple(api.Snippet(f"{n}.py", "value = 1\n" * 40) for n in range(9))
    made = prepared(with_snippets(ask("y = ("), snippets))
    assert 1 <= made.prompt_ids.count(FILE) < 10


def test_a_giant_line_and_tail_still_fit(prepared, ask):
    request = ask("x" * 5000, tail="y" * 5000 + "\n", prefix="z" * 5000 + "\n", suffix="w" * 5000)
    made = prepared(request)
    assert len(made.prompt_ids) + made.canvas.max_tokens <= 512


def test_canvas_pieces_and_boundaries(prepared, tokenizer, ask):
    draft = "a = 'ü'\nb = 2\n"
    pieces = (api.Locked(text="oo\n"), api.Draft(text=draft), api.Masked(max_tokens=3), api.Locked(text="c\n"))
    made = prepared(ask(canvas=pieces, boundaries=(0, draft.index("b"))))
    locked, drafted = tokenizer.encode("oo\n"), tokenizer.encode(draft)
    num = len(drafted)
    assert made.canvas.states == (LOCKED,) * len(locked) + (DRAFT,) * num + (MASKED,) * 3 + (LOCKED,) * 3
    assert made.canvas.ids[: len(locked) + num] == (*locked, *drafted)
    assert made.canvas.ids[-6:] == (MASK, MASK, MASK, *tokenizer.encode("c\n"), EOM)
    second = len(locked) + len(tokenizer.encode("a = 'ü'\n"))
    assert made.canvas.boundaries == (len(locked), second)
    assert made.policy.extra_edit_steps > 0


def test_a_rewrite_holds_old_code_and_instruction(prepared, tokenizer, ask):
    request = ask("", canvas=(api.Draft(text="x = 1\n"),), instruction="rename x")
    assert prepared(request).prompt_ids == prompt_ids(
        tokenizer,
        path="a.py",
        suffix="",
        prefix="",
        tail="\n",
        line="import a\n",
        old="x = 1\n",
        instruction="rename x",
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "other"}, "wrong_model"),
        ({"canvas": (api.Draft(text="a" * 400),)}, "too_long"),
        ({"canvas": (api.Masked(max_tokens=0),)}, "bad_request"),
        ({"boundaries": (1,)}, "bad_request"),
        ({"boundaries": (9,), "canvas": (api.Draft(text="abc"),)}, "bad_request"),
        ({"line": "\ud800"}, "bad_request"),
    ],
)
def test_what_cannot_be_done_is_refused_with_one_sentence(prepared, ask, fields, code):
    with pytest.raises(BadRequest) as caught:
        prepared(ask(**fields))
    assert caught.value.code == code
    assert caught.value.sentence.endswith(".")
    assert "\n" not in caught.value.sentence


def test_untrained_abilities_are_refused(prepared, preset, ask):
    plain = msgspec.structs.replace(
        preset, rewrite="none", sampling=msgspec.structs.replace(preset.sampling, edits="none")
    )
    for request in (ask(canvas=(api.Draft(text="a"),)), ask(instruction="do")):
        with pytest.raises(BadRequest, match="not trained"):
            prepared(request, plain)
