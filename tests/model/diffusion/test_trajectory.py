import pytest

from model.diffusion.canvas import draft_canvas, masked_canvas
from model.diffusion.frames import Frame
from model.diffusion.moves import Move
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.diffusion.trajectory import (
    TrajectoryError,
    bytes_of,
    cells_of,
    changed_rows,
    decode_trajectory,
    encode_trajectory,
    frames_of,
    plain_text,
    record,
    visible,
)
from model.tokenizer import DEL, EOM, INS, MASK, Tokenizer, tokenizer_json


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_bytes(tokenizer_json([("r", "e"), ("t", "u")]).encode())


def b(text):
    return [64 + byte for byte in text.encode()]


@pytest.fixture
def frames(play):
    """`ab` is written in two steps, a second block follows."""
    text = b("ab\ncde")

    def beliefs(request):
        said = {}
        for ask in request.asks:
            place = request.first_position + ask.index
            said[ask.index] = {text[place] if place < len(text) else EOM: 0.3 if place == 1 else 0.9}
        return said

    return play(Run([1, 10], masked_canvas(20), Policy(tau_mask=0.5, first_block=3, block=8)), beliefs)


def test_a_trajectory_survives_its_file(tokenizer, frames):
    trajectory = record(tokenizer, frames, before="x = ")
    again = decode_trajectory(encode_trajectory(trajectory))
    assert again == trajectory
    restored = frames_of(again)
    assert [f.block_ids for f in restored] == [f.block_ids for f in frames]
    assert [f.committed for f in restored] == [f.committed for f in frames]
    assert [[m.kind for m in f.moves] for f in restored] == [[m.kind for m in f.moves] for f in frames]
    assert restored[-1].result == frames[-1].result
    assert bytes_of(again)(b("a")[0]) == b"a"


@pytest.mark.parametrize("data", [b"", b"{}", b"[1,2]", b'{"format": 1}', b"\xff\xfe"])
def test_a_foreign_file_is_refused_with_a_sentence(data):
    with pytest.raises(TrajectoryError, match=r"f\.json is not a recorded trajectory"):
        decode_trajectory(data, name="f.json")


def test_another_format_is_refused(tokenizer, frames):
    data = encode_trajectory(record(tokenizer, frames)).replace(b'"format":1', b'"format":9')
    with pytest.raises(TrajectoryError, match="format 9"):
        decode_trajectory(data)


def test_frames_without_a_result_are_refused(tokenizer, frames):
    with pytest.raises(ValueError, match="result"):
        record(tokenizer, frames[:1])


def test_plain_text_shows_each_step(tokenizer, frames):
    text = plain_text(record(tokenizer, frames, before="x = "))
    assert text == (
        "step 1: 2 unmasked\nx = a░\n\n\n"
        "step 2: 1 unmasked\nx = ab\n\n\n"
        "step 3: 3 unmasked, end of text\nx = ab\ncde\n\n"
        "eom: 6 tokens, 3 steps, 3 forwards, confidence 0.77\n"
    )


def test_edits_are_shown_where_they_are_after_the_step(tokenizer, play):
    def beliefs(request):
        content = {i: {token: 0.99} for i, token in enumerate(request.tokens)}
        if MASK in request.tokens:
            return content | {request.tokens.index(MASK): {b("x")[0]: 0.9}}
        if len(request.tokens) == 11:
            return content | {0: {DEL: 0.95}, 3: {b("z")[0]: 0.95}, 6: {INS: 0.95}}
        return content

    policy = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.5, extra_edit_steps=4, tau_remask=0.0)
    frames = play(Run([1], draft_canvas(b("abcdefghij")), policy), beliefs)
    cells = cells_of(frames[0], lambda i: tokenizer.token_bytes[i])
    assert "".join(cell.text for cell in cells) == "bczef░ghij"
    assert [(cell.text, cell.kind) for cell in cells if cell.kind not in ("draft", "locked")] == [
        ("z", "substituted"),
        ("░", "inserted"),
    ]


def test_changed_rows_follow_every_shift():
    moves = (
        Move("delete", 0),
        Move("delete", 1),
        Move("insert", 3, count=2),
        Move("unmask", 4, token=70),
        Move("remask", 5),
        Move("end", 6, token=EOM),
    )
    assert changed_rows(moves) == [(1, "inserted"), (2, "inserted"), (4, "unmasked"), (5, "remasked"), (6, "end")]


def frame_of(ids, states, committed=()):
    return Frame(
        step=1,
        committed=tuple(committed),
        block_ids=tuple(ids),
        block_states=tuple(states),
        confidences=(0.5,) * len(ids),
        moves=(),
    )


def test_a_character_in_several_tokens_is_shown_whole(tokenizer):
    ids = b("é€")
    of = tokenizer.token_bytes.__getitem__
    assert "".join(cell.text for cell in cells_of(frame_of(ids, [DRAFT] * 5), of)) == "é€"
    assert "".join(cell.text for cell in cells_of(frame_of(ids[1:], [DRAFT] * 4, committed=ids[:1]), of)) == "é€"
    cut = cells_of(frame_of([ids[0], MASK, b("x")[0]], [DRAFT, MASKED, LOCKED]), of)
    assert [cell.text for cell in cut] == ["", "\ufffd", "░", "x"]
    assert cells_of(frame_of([ids[0]], [DRAFT]), of)[-1].text == "\ufffd"


def test_untrusted_text_is_named_not_obeyed():
    assert visible("a\x1b[31m\u202eb\u200b\x00\r\td\n") == "a⟨U+001B⟩[31m⟨U+202E⟩b⟨U+200B⟩⟨U+0000⟩⟨U+000D⟩    d\n"
    assert visible("naïve — 日本\u00a0x") == "naïve — 日本 x"
    assert visible("\ud800") == "⟨U+D800⟩"
