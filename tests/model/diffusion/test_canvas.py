import pytest

from model.diffusion.canvas import (
    Canvas,
    block_length,
    capacity_of,
    draft_canvas,
    known_length_canvas,
    masked_canvas,
    mixed_canvas,
)
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, MASK

M, D, L = MASKED, DRAFT, LOCKED


def test_a_masked_canvas_has_no_ids_and_grows():
    canvas = masked_canvas(40)
    assert (canvas.ids, canvas.grows, canvas.max_tokens) == ((), True, 40)


def test_a_draft_canvas_ends_in_a_locked_eom():
    canvas = draft_canvas([100, 101], locked=[True, False])
    assert canvas.ids == (100, 101, EOM)
    assert canvas.states == (L, D, L)
    assert canvas.max_tokens == 68


def test_an_empty_draft_canvas_is_only_the_end():
    assert draft_canvas([]).ids == (EOM,)


def test_mixed_canvas_holes_get_few_masks_and_the_last_one_grows():
    canvas = mixed_canvas([(L, [70]), (M, [MASK] * 100), (D, [71, 72]), (M, [MASK] * 30)])
    assert canvas.ids == (70, *[MASK] * 16, 71, 72)
    assert canvas.grows
    closed = mixed_canvas([(M, [MASK] * 5), (L, [70])])
    assert closed.ids == (*[MASK] * 5, 70, EOM)
    assert not closed.grows


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"ids": (70,), "states": (D,), "max_tokens": 9}, "must end in a locked <eom>"),
        ({"ids": (70, EOM), "states": (M, L), "max_tokens": 9}, "must hold <mask>"),
        ({"ids": (DEL, EOM), "states": (D, L), "max_tokens": 9}, "special token"),
        ({"ids": (EOM,), "states": (L,), "max_tokens": 9, "grows": True}, "special token"),
        ({"ids": (70, EOM), "states": (D,), "max_tokens": 9}, "one state a token"),
        ({"ids": (70, 71, EOM), "states": (D, D, L), "max_tokens": 1}, "allows only 1"),
        ({"ids": (70, EOM), "states": (0, L), "max_tokens": 9}, "masked, draft or locked"),
        ({"ids": (70, EOM), "states": (D, L), "max_tokens": 9, "boundaries": (5,)}, "boundary"),
    ],
)
def test_a_wrong_canvas_is_refused_with_a_sentence(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        Canvas(**kwargs)


@pytest.mark.parametrize(
    ("states", "limit", "boundaries", "length"),
    [
        ([D] * 100, 32, (), 32),
        ([D] * 20, 32, (), 20),
        ([D] * 100, 32, (10, 25, 40), 25),  # the last boundary that fits
        ([D] * 32 + [L], 32, (), 33),  # a lone <eom> is taken along
        ([D] * 5 + [M] * 10 + [L] * 30, 8, (), 5 + 10 + 16),  # whole hole and 16 locked tokens
        ([M] * 20 + [L] * 3 + [M] * 4, 8, (), 23),  # all there is before the next hole
        ([M] * 100 + [L], 32, (), 32),  # a hole that fits nowhere is cut anywhere
        ([D] * 30 + [M] * 40 + [L] * 20, 32, (), 30),  # a hole that does not fit behind text starts the next block
        ([M] * 48 + [L] * 20, 1, (), 64),
        ([M] * 4 + [L] * 40, 32, (), 4 + 16),  # no more locked text than that
        ([D] * 4 + [L] * 40, 32, (), 4 + 16),
        ([D] * 3 + [M] * 4 + [L] * 40, 3, (), 3),
    ],
)
def test_block_length(states, limit, boundaries, length):
    assert block_length(states, limit, boundaries) == length


@pytest.mark.parametrize("limit", [1, 2, 7, 16, 64])
def test_blocks_always_advance_and_never_exceed_64(limit):
    states = ([D] * 7 + [M] * 13 + [L] * 5 + [M] * 60 + [D] * 70 + [L] * 90) * 2
    while states:
        length = block_length(states, limit)
        assert 1 <= length <= 64
        states = states[length:]


def test_capacity_leaves_room_up_to_64():
    assert [capacity_of(n) for n in (1, 12, 16, 25, 26, 32, 64)] == [16, 16, 32, 32, 32, 64, 64]


def test_known_length_holds_exactly_its_masks():
    canvas = known_length_canvas(3)
    assert canvas.ids == (MASK, MASK, MASK, EOM)
    assert canvas.max_tokens == 3
