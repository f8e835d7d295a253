"""A run whose blocks are units of a block-causal network, counted from the sequence's first token. No network."""

import numpy as np
import pytest

from model.diffusion.canvas import known_length_canvas, masked_canvas, mixed_canvas
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.states import LOCKED, MASKED
from model.tokenizer import MASK
from tests.model.diffusion.beliefs import believes

PROMPT = (1, 6, 70, 71)
UNITS = Policy(order="confidence", tau_mask=0.5)


@pytest.mark.parametrize("num_prompt", [4, 5, 6, 7, 8])
def test_blocks_lie_on_units_and_the_prompts_rest_is_locked_in_the_first(read, num_prompt):
    text, prompt = list(range(100, 109)), list(range(300, 300 + num_prompt))
    run = Run(prompt, masked_canvas(30), UNITS, unit=4)
    clean, at = [], num_prompt // 4 * 4
    while run.result is None:
        request = run.request()
        clean += request.clean_ids
        assert len(clean) % 4 == 0
        assert len(clean) == at
        assert len(request.tokens) == 4
        num_tail = num_prompt % 4 if at <= num_prompt else 0
        assert request.tokens[:num_tail] == prompt[num_prompt - num_tail :]
        assert request.states == [LOCKED] * num_tail + [MASKED] * (4 - num_tail)
        assert request.first_position == at - num_prompt
        frame = run.absorb(request, read(request, believes(text)(request)))
        assert list(frame.committed) == text[: max(0, at - num_prompt)]
        assert all(state != LOCKED for state in frame.block_states)
        at += 4
    assert (list(run.result.ids), run.result.reason) == (text, "eom")
    assert clean == [*prompt, *text][: len(clean)]
    assert run.result.committed_tokens == max(0, len(clean) - num_prompt)


def test_the_last_unit_is_whole_and_its_text_is_cut(play):
    text = list(range(100, 150))
    frames = play(Run(PROMPT[:3], masked_canvas(6), UNITS, unit=4), believes(text))
    assert len(frames[-1].block_ids) == 4  # 3 of the prompt, 1, 4, and 4 of which one is wanted
    assert (list(frames[-1].result.ids), frames[-1].result.reason) == (text[:6], "length")
    nothing = Run(PROMPT[:3], masked_canvas(0), UNITS, unit=4)
    assert nothing.result is not None
    assert nothing.result.ids == ()


def test_the_stop_rule_and_the_deadline_see_the_canvas_alone(play, read):
    text, asked = list(range(100, 150)), []

    def finished(ids):
        asked.append(list(ids))
        return 4 if len(ids) >= 5 else None

    result = play(Run(PROMPT, masked_canvas(20), UNITS, unit=3, finished=finished), believes(text))[-1].result
    assert (list(result.ids), result.reason) == (text[:4], "stop")
    assert asked[0] == text[:2]
    run = Run(PROMPT, masked_canvas(20), UNITS, unit=3)
    run.absorb(run.request(), read(run.request(), believes(text)(run.request())))
    assert list(run.interrupt("deadline").result.ids) == text[:2]


def test_given_text_and_holes_in_units(play):
    canvas = mixed_canvas([(MASKED, [MASK] * 3), (LOCKED, [200, 201, 202, 203, 204]), (MASKED, [MASK] * 9)])
    text = [100, 101, 102, 200, 201, 202, 203, 204, 110, 111]
    result = play(Run(PROMPT, canvas, UNITS, unit=4), believes(text))[-1].result
    assert list(result.ids) == text
    known = play(Run([*PROMPT, 300], known_length_canvas(6), UNITS, unit=4), believes(text))[-1].result
    assert (list(known.ids), known.reason) == (text[:6], "eom")


@pytest.mark.parametrize("num_prompt", [4, 6, 7])
@pytest.mark.parametrize("closed", [False, True])
def test_a_token_that_does_not_heal_is_put_back_into_the_unit(read, num_prompt, closed):
    prompt, text = list(range(300, 300 + num_prompt)), [90, *range(100, 106)]
    taken_back = TakenBack(90, b"x", np.array([95, 96]))
    canvas = known_length_canvas(6) if closed else masked_canvas(6)
    run = Run(prompt, canvas, UNITS, unit=4, first_token_prefix=taken_back)
    first = True
    while run.result is None:
        request = run.request()
        assert (request.taken_back is not None) == first
        assert request.asks[0].prefix == first
        assert request.asks[0].index == (num_prompt % 4 if first else request.asks[0].index)
        run.absorb(request, read(request, believes(text)(request) if not first else {num_prompt % 4: {120: 0.999}}))
        first = False
    assert list(run.result.ids) == text


def test_a_token_that_heals_in_a_unit(play):
    taken_back = TakenBack(90, b"x", np.array([100, 96]))
    run = Run([1, 70, 71], masked_canvas(4), UNITS, unit=4, first_token_prefix=taken_back)
    assert list(play(run, believes([100, 101, 102, 103]))[-1].result.ids) == [100, 101, 102, 103]


def test_units_refuse_what_they_cannot_do():
    for wrong in ({"edits": "insert-delete"}, {"edits": "expand-delete"}, {"verify": 0.1}):
        with pytest.raises(ValueError, match="units"):
            Run(PROMPT, masked_canvas(4), Policy(**wrong), unit=4)
    with pytest.raises(ValueError, match="5 rows"):
        Run([*PROMPT, 72, 73], masked_canvas(4), UNITS, unit=4, cached_tokens=5)
    with pytest.raises(ValueError, match="wider than 64"):
        Run(PROMPT, masked_canvas(4), Policy(block=65))
