"""A run under chosen beliefs: blocks, commits, the end, the stop rule, fallback, deadlines. No network."""

import random

import pytest

from model.diffusion.block import DRAFT_INSERT_BUDGET
from model.diffusion.canvas import draft_canvas, known_length_canvas, masked_canvas, mixed_canvas
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, INS, MASK, NUM_RESERVED
from tests.model.diffusion.beliefs import believes, knows_labels

PROMPT = (1, 6, 70, 71)
EDITS = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.6, tau_remask=0.01, extra_edit_steps=4)


def test_a_known_text_is_written_block_by_block(play):
    text = list(range(100, 170))
    run = Run(PROMPT, masked_canvas(200), Policy(tau_mask=0.5, first_block=16, block=32))
    frames = play(run, believes(text))
    result = frames[-1].result
    assert result is not None
    assert (list(result.ids), result.reason, result.complete, result.usable) == (text, "eom", True, True)
    assert result.forwards == result.steps == len(frames) == 3  # 16 + 32 + the rest with its end
    assert [len(frame.committed) for frame in frames] == [0, 16, 48]
    assert result.committed_tokens == 48
    assert result.confidence == pytest.approx(0.9, rel=0.02)  # the banned labels get nothing


def test_each_block_is_committed_with_the_next_blocks_first_pass(read):
    text = list(range(100, 140))
    run = Run(PROMPT, masked_canvas(64), Policy(tau_mask=0.5, first_block=16, block=16), cached_tokens=2)
    sent = []
    while run.result is None:
        request = run.request()
        sent.append(list(request.clean_ids))
        run.absorb(request, read(request, believes(text)(request)))
    assert sent == [[70, 71], text[:16], text[16:32]]
    assert run.result.cached_tokens == 2
    assert run.result.prompt_tokens == 4


def test_one_token_a_forward_when_nothing_passes_the_threshold(play):
    text = list(range(100, 121))
    result = play(Run(PROMPT, masked_canvas(64), Policy(tau_mask=1.1)), believes(text))[-1].result
    assert list(result.ids) == text
    assert result.forwards == len(text) + 1  # and the pass that puts the end
    filled = play(Run(PROMPT, masked_canvas(21), Policy(tau_mask=1.1)), believes(text))[-1].result
    assert (filled.reason, filled.forwards) == ("length", 21)


def test_max_tokens_bounds_the_text(play):
    run = Run(PROMPT, masked_canvas(37), Policy(tau_mask=0.5))
    result = play(run, believes(list(range(100, 300))))[-1].result
    assert (result.reason, len(result.ids)) == ("length", 37)
    nothing = Run(PROMPT, masked_canvas(0), Policy())
    assert nothing.result is not None
    assert (nothing.result.ids, nothing.result.forwards) == ((), 0)


def test_an_empty_canvas_needs_no_pass():
    closed = Run(PROMPT, draft_canvas([]), EDITS)
    assert closed.result is not None
    assert (closed.result.ids, closed.result.reason, closed.result.forwards) == ((), "eom", 0)


def test_the_first_token_of_a_completion_is_never_the_end(play):
    # No canvas of the training is empty, so a network's belief in <eom> there means nothing; behind it, it does.
    result = play(Run(PROMPT, masked_canvas(9), Policy()), lambda _: {i: {EOM: 0.9, 100: 0.05} for i in range(9)})
    assert (result[-1].result.ids, result[-1].result.reason) == ((100,), "eom")


def test_nor_is_what_follows_white_space_alone(play):
    def beliefs(request):
        first = request.first_position
        return {i: {EOM: 0.9, 100 + first + i: 0.05} for i in range(len(request.tokens))}

    for size in (9, 1):  # in one block, and across blocks
        policy = Policy(blank_ids=frozenset((100, 101)), first_block=size, block=size)
        result = play(Run(PROMPT, masked_canvas(9), policy), beliefs)[-1].result
        want = (100, 101, 102) if size == 9 else (100,)
        assert (result.ids, result.reason) == (want, "eom")


def test_known_length_ends_at_its_locked_end(play):
    result = play(
        Run(PROMPT, known_length_canvas(5), Policy(tau_mask=0.5)), lambda _: {i: {EOM: 0.9} for i in range(5)}
    )
    assert len(result[-1].result.ids) == 5  # no row but the last may be the end
    assert all(token >= NUM_RESERVED for token in result[-1].result.ids)


# Edits against the training labels


@pytest.mark.parametrize("seed", range(60))
def test_a_network_that_knows_the_labels_reaches_the_text(play, seed):
    rng = random.Random(seed)
    x = [rng.randint(100, 111) for _ in range(rng.randint(8, 28))]
    z = list(x)
    for _ in range(rng.randint(1, 3)):  # a few edits, of a kind each; few enough that the draft is not given up
        place = rng.randrange(len(z))
        kind = rng.choice(["substitute", "delete", "insert"])
        z[place : place + 1] = {"substitute": [rng.randint(100, 111)], "delete": [], "insert": [113, z[place]]}[kind]
    policy = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.6, tau_remask=0.0, extra_edit_steps=8, block=64)
    frames = play(Run(PROMPT, draft_canvas(z), policy), knows_labels([*x, EOM]))
    assert list(frames[-1].result.ids) == x
    assert frames[-1].result.steps <= 9


@pytest.mark.parametrize(("num_before", "num_missing", "num_behind"), [(6, 40, 4), (9, 30, 0), (0, 45, 3), (28, 30, 2)])
def test_a_short_draft_grows_by_a_long_stretch_that_it_lacks(play, num_before, num_missing, num_behind):
    before, missing, behind = range(100, 100 + num_before), range(200, 200 + num_missing), range(300, 300 + num_behind)
    policy = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.6, tau_remask=0.0, extra_edit_steps=8)
    text = [*before, *missing, *behind]
    frames = play(Run(PROMPT, draft_canvas([*before, *behind]), policy), knows_labels([*text, EOM]))
    assert list(frames[-1].result.ids) == text


@pytest.mark.parametrize("num_masks", [1, 5, 16, 30])
def test_a_hole_of_the_wrong_length_before_locked_text_finds_its_length(play, num_masks):
    hole, locked = list(range(100, 112)), list(range(200, 240))
    canvas = mixed_canvas([(MASKED, [MASK] * num_masks), (LOCKED, locked)])
    policy = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.6, tau_remask=0.0, extra_edit_steps=4)
    clean = [*hole, *locked[:16]]
    frames = play(Run(PROMPT, canvas, policy), knows_labels(clean))
    assert list(frames[-1].result.ids) == hole + locked


def test_locked_text_in_front_is_committed_unread_and_behind_needs_no_pass(read):
    canvas = mixed_canvas([(LOCKED, range(100, 130)), (MASKED, [MASK] * 4), (LOCKED, range(200, 290))])
    run = Run(PROMPT, canvas, Policy(tau_mask=0.5))
    request = run.request()
    assert request.clean_ids == [*PROMPT, *range(100, 130)]
    assert len(request.tokens) == 4 + 16
    frame = run.absorb(request, read(request, {i: {150 + i: 0.9} for i in range(4)}))
    assert frame.result is not None
    assert list(frame.result.ids) == [*range(100, 130), 150, 151, 152, 153, *range(200, 290)]
    assert frame.result.forwards == 1


def test_without_edits_a_draft_is_returned_unread():
    run = Run(PROMPT, draft_canvas([100, 101]), Policy(edits="none"))
    assert run.result is not None
    assert (run.result.ids, run.result.forwards) == ((100, 101), 0)


def test_extra_edit_steps_end_when_a_step_moves_nothing_or_are_used_up(play):
    def restless(request):  # wants another token at each look
        return {
            0: {100 + request.tokens[0] % 50 + 1: 0.99},
            **{i: {t: 0.99} for i, t in enumerate(request.tokens) if i},
        }

    many = Run(PROMPT, draft_canvas(range(200, 210)), EDITS)
    assert len(play(many, restless)) == 3  # two edits of row 0, then a step without a move
    once = Policy(edits="insert-delete", tau_edit=0.6, tau_mask=0.5, extra_edit_steps=0)
    assert len(play(Run(PROMPT, draft_canvas(range(200, 210)), once), restless)) == 1


def test_a_token_is_not_edited_back_and_forth(play):
    def torn(request):  # each of two tokens makes it want the other
        content = {i: {token: 0.99} for i, token in enumerate(request.tokens)}
        return content | {
            3: {203: 0.9 if request.tokens[3] == 300 else 0.05, 300: 0.9 if request.tokens[3] == 203 else 0.05}
        }

    frames = play(Run(PROMPT, draft_canvas(range(200, 210)), EDITS), torn)
    assert [move.kind for frame in frames for move in frame.moves] == ["substitute"]
    assert frames[-1].result.ids[3] == 300


@pytest.mark.parametrize("num_drafts", [4, 32, 60])
def test_an_insatiable_network_is_held_by_its_budgets(play, num_drafts):
    def insatiable(request):
        return {i: {100: 0.9} if token == MASK else {INS: 0.99} for i, token in enumerate(request.tokens)}

    policy = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.6, extra_edit_steps=100, block=64)
    canvas = mixed_canvas([(LOCKED, [70]), (DRAFT, range(200, 200 + num_drafts))], max_tokens=500)
    frames = play(_judged(Run(PROMPT, canvas, policy)), insatiable)
    num_rows = num_drafts + 1  # and the end
    inserted = sum(move.count for frame in frames for move in frame.moves if move.kind == "insert")
    assert 0 < inserted <= DRAFT_INSERT_BUDGET + num_rows // 2
    assert len(frames[-1].result.ids) == 1 + num_drafts + inserted
    assert max(len(frame.block_ids) for frame in frames) <= 64


def _judged(run):
    """The same run without the draft fallback, which would give such a draft up at once."""
    run._draft_judged = True
    return run


def test_an_insert_respects_max_tokens(play):
    def wants_more(request):
        content = {i: {100: 0.9} if token == MASK else {token: 0.99} for i, token in enumerate(request.tokens)}
        return content | {len(request.tokens) - 1: {INS: 0.99}}

    frames = play(Run(PROMPT, draft_canvas(range(200, 220), max_tokens=22), EDITS), wants_more)
    assert list(frames[-1].result.ids) == [*range(200, 220), 100, 100]


def test_draft_blocks_begin_at_boundaries(play):
    canvas = mixed_canvas([(LOCKED, [70, 71]), (DRAFT, range(200, 260))], boundaries=[2, 22, 45])
    policy = Policy(edits="substitute", block=32, tau_edit=0.6)
    frames = play(
        Run(PROMPT, canvas, policy), lambda request: {i: {token: 0.99} for i, token in enumerate(request.tokens)}
    )
    assert [len(frame.committed) for frame in frames] == [2, 22, 45]
    assert list(frames[-1].result.ids) == [70, 71, *range(200, 260)]


def test_a_mostly_doubted_draft_starts_from_masks(play):
    truth = list(range(100, 112))
    draft = [*range(100, 106), *range(300, 306)]
    run = Run(PROMPT, draft_canvas(draft), EDITS)
    frames = play(run, believes(truth))
    assert frames[0].moves == ()
    assert set(frames[0].block_ids) == {MASK}
    assert list(frames[-1].result.ids) == truth
    assert frames[-1].result.reason == "eom"
    kept = play(Run(PROMPT, draft_canvas([*truth[:8], *range(300, 304)]), EDITS), believes(truth))
    assert kept[0].moves != ()
    assert list(kept[-1].result.ids) == truth


def test_locked_text_survives_the_fallback(play):
    canvas = mixed_canvas([(DRAFT, range(300, 306)), (LOCKED, [200, 201]), (DRAFT, range(306, 309))])
    frames = play(Run(PROMPT, canvas, EDITS), believes([*range(100, 106), 200, 201, *range(106, 109)]))
    assert list(frames[-1].result.ids) == [*range(100, 106), 200, 201, *range(106, 109)]


def test_text_written_by_the_run_itself_is_never_taken_for_a_doubted_draft(play):
    def changing(request):
        flip = {100: 101, MASK: 100}
        return {i: {flip.get(token, 101): 0.95} for i, token in enumerate(request.tokens)}

    frames = play(Run(PROMPT, masked_canvas(16), EDITS), changing)
    assert frames[1].moves  # substitutions, no restart
    assert set(frames[-1].result.ids) == {101}


# Stop rule


NEWLINE = 150


def stop_at_newline(ids):
    return ids.index(NEWLINE) + 1 if NEWLINE in ids else None


def test_the_stop_rule_ends_the_run_at_once(play):
    text = [100, 101, 102, NEWLINE, *range(103, 140)]
    run = Run(PROMPT, masked_canvas(64), Policy(tau_mask=0.5), finished=stop_at_newline)
    frames = play(run, believes(text))
    assert len(frames) == 1
    result = frames[0].result
    assert (list(result.ids), result.reason, result.complete) == (text[:4], "stop", True)


def test_the_stop_rule_waits_for_everything_left_of_the_newline(play):
    asked = []

    def rule(ids):
        asked.append(list(ids))
        return stop_at_newline(ids)

    def beliefs(request):  # row 1 is written last
        said = believes([100, 101, 102, NEWLINE, *range(103, 140)])(request)
        return said | {1: {101: 0.2}}

    frames = play(Run(PROMPT, masked_canvas(16), Policy(tau_mask=0.5), finished=rule), beliefs)
    assert len(frames) == 2
    assert frames[0].result is None
    assert list(frames[1].result.ids) == [100, 101, 102, NEWLINE]
    assert asked[0] == [100]
    assert len(asked) == 2


def test_the_stop_rule_never_cuts_locked_text(play):
    canvas = mixed_canvas([(MASKED, [MASK] * 3), (LOCKED, [200, 201])])
    policy = Policy(tau_mask=0.5)
    run = Run(PROMPT, canvas, policy, finished=stop_at_newline)
    frames = play(run, believes([100, NEWLINE, 101]))
    assert list(frames[-1].result.ids) == [100, NEWLINE, 101, 200, 201]


def test_with_extra_edit_steps_the_stop_rule_sees_only_final_blocks(play):
    asked = []
    run = Run(PROMPT, masked_canvas(16), EDITS, finished=lambda ids: asked.append(len(ids)))
    play(run, believes([100, 101, 102]))
    assert asked == [3]


# Interruptions


def partly_sure(request):
    return {i: {100 + i: 0.9 if i != 3 else 0.1} for i in range(len(request.tokens))}


def test_a_completions_deadline_keeps_the_text_up_to_the_first_mask(read):
    run = Run(PROMPT, masked_canvas(16), Policy(tau_mask=0.5))
    request = run.request()
    run.absorb(request, read(request, partly_sure(request)))
    result = run.interrupt("deadline").result
    assert result is not None
    assert (result.ids, result.reason, result.complete, result.usable) == ((100, 101, 102), "deadline", False, True)


def test_before_its_first_pass_a_completion_is_empty():
    result = Run(PROMPT, masked_canvas(16), Policy()).interrupt("cancelled").result
    assert result is not None
    assert (result.ids, result.reason, result.forwards, result.usable) == ((), "cancelled", 0, True)


def test_an_edit_is_no_answer_while_it_holds_a_mask(read):
    run = Run(PROMPT, draft_canvas(range(200, 210)), EDITS)
    request = run.request()
    content = {i: {token: 0.99} for i, token in enumerate(request.tokens)}
    frame = run.absorb(request, read(request, content | {4: {INS: 0.95}}))
    assert MASK in frame.block_ids
    result = run.interrupt("deadline").result
    assert result is not None
    assert (result.ids, result.usable, result.reason) == ((), False, "deadline")


def test_an_edit_without_masks_is_its_current_drafts(read):
    run = Run(PROMPT, draft_canvas(range(200, 250)), EDITS)
    request = run.request()
    content = {i: {token: 0.99} for i, token in enumerate(request.tokens)}
    run.absorb(request, read(request, content | {4: {300: 0.95}}))
    result = run.interrupt("deadline").result
    assert result is not None
    assert list(result.ids) == [*range(200, 204), 300, *range(205, 250)]
    assert result.usable
    assert not result.complete


def test_a_hole_before_locked_text_is_no_answer_on_a_deadline():
    canvas = mixed_canvas([(MASKED, [MASK] * 4), (LOCKED, [200]), (MASKED, [MASK] * 9)])
    result = Run(PROMPT, canvas, EDITS).interrupt("deadline").result
    assert result is not None
    assert (result.ids, result.usable) == ((), False)


def test_a_completion_keeps_no_draft_that_the_model_has_not_read():
    canvas = mixed_canvas([(DRAFT, range(200, 210)), (MASKED, [MASK] * 9)])
    result = Run(PROMPT, canvas, EDITS).interrupt("deadline").result
    assert result is not None
    assert (result.ids, result.usable) == ((), True)


def test_a_cache_longer_than_the_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt has only 4 tokens"):
        Run(PROMPT, masked_canvas(4), Policy(), cached_tokens=5)


def test_a_block_that_deletes_all_of_itself_does_not_come_back_for_ever(play):
    # Whatever is written is deleted again: masks believe in token 100, and 100 believes that it is one too many.
    def contrary(request):
        return {
            i: {100: 0.9} if request.tokens[i] == MASK else {DEL: 0.95, 100: 0.01} for i in range(len(request.tokens))
        }

    policy = Policy(edits="insert-delete", first_block=1, block=1, extra_edit_steps=4)
    result = play(Run(PROMPT, masked_canvas(6), policy), contrary)[-1].result
    assert result.reason in ("length", "eom")


def test_a_second_look_does_not_make_a_guess_more_certain(play):
    # Guessed at 0.3, and kept at 0.99 each time it is read again: the answer is as certain as the guess was.
    def beliefs(request):
        return {
            i: {100 + i: 0.3} if request.tokens[i] == MASK else {request.tokens[i]: 0.99}
            for i in range(len(request.tokens))
        }

    result = play(Run(PROMPT, masked_canvas(6), Policy(edits="insert-delete", tau_mask=1.1)), beliefs)[-1].result
    assert result.confidence == pytest.approx(0.3, abs=0.05)  # the rest is spread over labels, some banned


def test_a_doubtful_token_becomes_a_mask_again_where_nothing_may_be_edited(play):
    text = list(range(100, 104))
    seen = []

    def beliefs(request):
        seen.append(list(request.states))
        said = believes(text)(request)
        if len(seen) == 2:  # a second look doubts what the first one wrote
            said[1] = {150: 0.5, 101: 0.001}
            return said
        if len(seen) > 2:  # the token itself is forbidden from now on
            said[1] = {101: 0.7, 151: 0.2}
        return said

    policy = Policy(order="confidence", tau_mask=0.5, remask=True, tau_remask=0.01, extra_edit_steps=4)
    result = play(Run(PROMPT, known_length_canvas(4), policy), beliefs)[-1].result
    assert seen[2][1] == MASKED
    assert result.ids == (100, 151, 102, 103)
