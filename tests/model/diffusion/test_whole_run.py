"""A canvas that is seen as a whole, under chosen beliefs. No network."""

import numpy as np
import pytest

from model.diffusion.canvas import draft_canvas, known_length_canvas, masked_canvas, mixed_canvas
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.states import LOCKED, MASKED
from model.diffusion.whole_run import WholeRun
from model.tokenizer import DEL, EOM, INS, MASK

TEXT = list(range(100, 140))
POLICY = Policy(order="confidence", tau_mask=0.5)
LENGTHS = Policy(order="confidence", tau_mask=0.5, edits="expand-delete")


def believes(text=TEXT, *, end=None, p=0.9):
    """Row i holds text[i], row `end` the end of the text."""
    return lambda request: {ask.index: {EOM if ask.index == end else text[ask.index]: p} for ask in request.asks}


def run_of(canvas, policy=POLICY, num_masks=12, **kwargs):
    return WholeRun(canvas, policy, num_masks=num_masks, **kwargs)


def test_a_canvas_of_the_given_length_is_filled(play):
    result = play(run_of(masked_canvas(12), num_prompt=7), believes())[-1].result
    assert (list(result.ids), result.reason, result.forwards) == (TEXT[:12], "length", 1)
    assert (result.prompt_tokens, result.cached_tokens, result.committed_tokens) == (7, 0, 0)
    closed = play(run_of(known_length_canvas(5)), believes())[-1].result
    assert (list(closed.ids), closed.reason) == (TEXT[:5], "eom")


def test_the_end_is_believed_once_nothing_before_it_is_open(play):
    def beliefs(request):
        return {ask.index: {EOM if ask.index == 5 else TEXT[ask.index]: 0.4 + ask.index / 100} for ask in request.asks}

    frames = play(run_of(masked_canvas(8)), beliefs)
    assert frames[-1].result.ids == tuple(TEXT[:5])
    assert frames[-1].result.reason == "eom"
    assert len(frames) == 8  # one a step from the right, the end among them; no row is wasted once it counts


def test_a_second_token_for_the_end_stands_where_it_is_believed(read):
    def beliefs(request):
        return {a.index: {DEL if a.index > 3 else EOM if a.index == 3 else TEXT[a.index]: 0.3} for a in request.asks}

    run, seen = run_of(masked_canvas(6), num_masks=6), []
    while run.result is None:
        request = run.request()
        seen.append(request.tokens)
        said = {row: dict.fromkeys(labels, 0.3 + row / 100) for row, labels in beliefs(request).items()}
        run.absorb(request, read(request, said))
    assert seen[2] == [MASK, MASK, MASK, MASK, DEL, DEL]
    assert (list(run.result.ids), run.result.reason) == (TEXT[:3], "eom")


def test_masks_are_written_in_stretches_from_the_left(read):
    policy = Policy(order="confidence", tau_mask=0.5, block=4)
    run = run_of(masked_canvas(10), policy)
    sizes = []
    while run.result is None:
        request = run.request()
        sizes.append([ask.index for ask in request.asks])
        assert len(request.tokens) == 10
        run.absorb(request, read(request, believes()(request)))
    assert sizes == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_each_stretch_has_its_own_schedule(play):
    policy = Policy(order="confidence", steps_per_block=2, block=4)
    assert len(play(run_of(masked_canvas(10), policy), believes())) == 6


def test_given_text_stays_and_is_never_cut_off(play):
    canvas = mixed_canvas([(MASKED, [MASK] * 3), (LOCKED, [200, 201]), (MASKED, [MASK] * 4)])
    text = [*TEXT[:3], 200, 201, *TEXT[5:]]
    result = play(run_of(canvas, num_masks=4), believes(text, end=7))[-1].result
    assert list(result.ids) == text[:7]

    def ends_at_once(request):
        return {ask.index: {EOM: 0.9, 150: 0.05} for ask in request.asks}

    ended = play(run_of(canvas, num_masks=4), ends_at_once)[-1].result
    assert list(ended.ids) == [150, 150, 150, 200, 201]  # before locked text there is no end
    assert play(run_of(masked_canvas(4), num_masks=4), ends_at_once)[-1].result.ids == (150,)  # and no empty answer


def test_the_stop_rule_is_asked_about_the_final_left_run(play):
    asked = []

    def finished(ids):
        asked.append(len(ids))
        return 2 if len(ids) > 2 else None

    def beliefs(request):
        return {ask.index: {TEXT[ask.index]: 0.9 if ask.index in (0, 1, 4) else 0.3} for ask in request.asks}

    result = play(run_of(masked_canvas(6), num_masks=6, finished=finished), beliefs)[-1].result
    assert (result.ids, result.reason) == (tuple(TEXT[:2]), "stop")
    assert asked == [2, 3]


def test_frames_show_what_is_final_as_committed(play):
    def beliefs(request):
        return {ask.index: {TEXT[ask.index]: 0.9 if ask.index in (0, 1, 4) else 0.3} for ask in request.asks}

    frames = play(run_of(masked_canvas(6), num_masks=6), beliefs)
    assert [len(frame.committed) for frame in frames] == [0, 2, 3, 5]
    assert frames[1].block_ids == (TEXT[2], MASK, TEXT[4], MASK)
    assert [(move.kind, move.index) for move in frames[1].moves] == [("unmask", 0)]  # counted from what is shown before


@pytest.mark.parametrize("reason", ["deadline", "cancelled", "max_steps"])
def test_an_interrupted_completion_keeps_its_left_run_an_edit_nothing(read, reason):
    def beliefs(request):
        return {ask.index: {TEXT[ask.index]: 0.3 if ask.index == 2 else 0.9} for ask in request.asks}

    for canvas, usable in ((masked_canvas(5), True), (known_length_canvas(5), False)):
        run = run_of(canvas, num_masks=5)
        run.absorb(run.request(), read(run.request(), beliefs(run.request())))
        result = run.interrupt(reason).result
        assert (result.reason, result.complete, result.usable) == (reason, False, usable)
        assert list(result.ids) == (TEXT[:2] if usable else [])


def test_max_steps():
    assert run_of(masked_canvas(5), Policy(order="confidence", max_steps=0)).out_of_steps
    assert not run_of(masked_canvas(5)).out_of_steps


# Lengths that are found


@pytest.mark.parametrize("num_masks", [1, 2, 4, 9, 16])
def test_a_network_that_knows_the_length_finds_it(play, num_masks):
    """It asks for more at the last mask while there are too few, and drops those beyond the end."""

    def beliefs(request):
        num_rows = len(request.tokens)
        said = {}
        for ask in request.asks:
            is_last = ask.index == num_rows - 1
            label = DEL if ask.index >= 9 else INS if is_last and num_rows < 9 else TEXT[ask.index]
            said[ask.index] = {label: 0.9}
        return said

    result = play(run_of(masked_canvas(30), LENGTHS, num_masks), beliefs)[-1].result
    assert (list(result.ids), result.reason) == (TEXT[:9], "eom")


def test_the_end_token_is_no_label_where_lengths_are_found(play):
    def beliefs(request):
        return {ask.index: {EOM: 0.9, TEXT[ask.index]: 0.05} for ask in request.asks}

    assert list(play(run_of(masked_canvas(5), LENGTHS, 3), beliefs)[-1].result.ids) == TEXT[:3]


def test_a_canvas_never_outgrows_its_tokens_and_never_runs_for_ever(play):
    more = run_of(masked_canvas(6), LENGTHS, 2)
    result = play(more, lambda request: {a.index: {INS: 0.9, TEXT[a.index]: 0.05} for a in request.asks})[-1].result
    assert list(result.ids) == TEXT[:6]
    turn = [0]

    def back_and_forth(request):
        turn[0] += 1
        label = INS if turn[0] % 2 else DEL
        return {ask.index: {label: 0.9 - ask.index / 100, 150: 0.05} for ask in request.asks}

    one_a_step = Policy(order="confidence", tau_mask=2.0, edits="expand-delete")
    frames = play(run_of(masked_canvas(6), one_a_step, 3), back_and_forth)
    assert len(frames) < 2 * 2 * 6 + 3 + 6
    assert frames[-1].result is not None


def test_a_hole_may_turn_out_to_be_empty(play):
    result = play(run_of(masked_canvas(6), LENGTHS, 4), lambda request: {a.index: {DEL: 0.9} for a in request.asks})
    assert (result[-1].result.ids, result[-1].result.usable) == ((), True)


# Beginnings


def test_a_healed_token_and_one_that_is_put_back(play):
    taken_back = TakenBack(90, b"x", np.array([100, 96]))
    healed = run_of(masked_canvas(4), num_masks=4, first_token_prefix=taken_back)
    assert list(play(healed, believes())[-1].result.ids) == TEXT[:4]
    back = run_of(masked_canvas(4), num_masks=4, first_token_prefix=TakenBack(90, b"x", np.array([95, 96])))
    frames = play(back, lambda request: {a.index: {TEXT[a.index]: 0.999} for a in request.asks})
    assert list(frames[-1].result.ids) == [90, *TEXT[1:5]]
    with pytest.raises(ValueError, match="begins with a mask"):
        run_of(draft_canvas([100]), first_token_prefix=taken_back)


def test_nothing_to_write_needs_no_pass():
    for canvas in (masked_canvas(0), draft_canvas([100, 101])):
        run = run_of(canvas)
        assert run.result is not None
        assert run.result.forwards == 0


def test_what_it_cannot_do_is_refused():
    for wrong in ({"edits": "insert-delete"}, {"verify": 0.1}):
        with pytest.raises(ValueError, match="sees the whole canvas"):
            run_of(masked_canvas(4), Policy(**wrong))
