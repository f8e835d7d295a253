"""Noisy blocks: partitions, masks and their weights, the end of the text, the kinds of the edit stage."""

import itertools
from collections import Counter
from random import Random
from statistics import median

import pytest

from model.diffusion.corruption import (
    IGNORE,
    MAX_BLOCK,
    BlockSlip,
    MistakeSources,
    edit_stage_block,
    mask_block,
    partition,
    with_own_samples,
)
from model.diffusion.labels import align_labels
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, INS, MASK

TEXT = list(range(100, 140))


def slip(start, size, rng):
    """Up to three rows become up to three tokens of another alphabet."""
    first = rng.randrange(size)
    return BlockSlip(first, min(size, first + rng.randint(0, 3)), tuple([139] * rng.randint(0, 3)))


def sources(*, own=False, draft=None, draft_share=0.1):
    return MistakeSources(
        neighbour=lambda rng: rng.choice(TEXT),
        mutations=lambda token: [(), (token + 1,), (token, token)] if token % 3 == 0 else [],
        slip=slip,
        draft=lambda start, clean, rng: draft,
        own=own,
        draft_share=draft_share,
    )


def edit_blocks(number=3_000, *, own=False, alpha=0.1):
    """Random edit-stage blocks of random texts; every second text ends in its block."""
    for seed in range(number):
        rng = Random(seed)
        n = rng.randint(1, MAX_BLOCK)
        clean = [rng.choice(TEXT) for _ in range(n)]
        if seed % 2:
            clean[-1] = EOM
        num_edits = int(alpha * n + rng.random())
        drawn_size = max(n, int(n * rng.uniform(1, 2))) if seed % 2 else n
        yield edit_stage_block(
            clean,
            start=5,
            drawn_size=drawn_size,
            level=rng.random(),
            num_edits=num_edits,
            sources=sources(own=own),
            rng=rng,
        )


def test_partition_covers_the_canvas_with_log_uniform_sizes():
    rng = Random(0)
    sizes = []
    for n in range(1, 400):
        blocks = partition(n, rng)
        assert blocks[0][0] == 0
        assert all(a + size == b for (a, size), (b, _) in itertools.pairwise(blocks))
        assert blocks[-1][0] < n <= sum(blocks[-1])
        sizes += [size for _, size in blocks]
    assert min(sizes) == 1
    assert max(sizes) == MAX_BLOCK
    assert 5 <= median(sizes) <= 9  # sqrt(65) - 1 for a log-uniform draw; 32 would be uniform


def test_masks_weigh_as_the_whole_block():
    for seed in range(300):
        rng = Random(seed)
        clean = TEXT[: rng.randint(1, 40)]
        block = mask_block(clean, start=0, drawn_size=64, level=rng.random(), rng=rng)
        masked = [i for i, state in enumerate(block.states) if state == MASKED]
        assert masked
        assert sum(block.weights) == pytest.approx(len(clean))
        assert len(block.tokens) == len(clean)  # no <eom>, so no surplus
        for i, token in enumerate(clean):
            assert (block.tokens[i], block.labels[i]) == ((MASK, token) if i in masked else (token, IGNORE))
        assert len(set(block.states) - {MASKED}) <= 1


def test_number_of_masks_is_uniform_and_a_quarter_are_right_runs():
    counts, runs = Counter(), 0
    for seed in range(4_000):
        rng = Random(seed)
        block = mask_block(TEXT[:8], start=0, drawn_size=8, level=rng.random(), rng=rng)
        masked = [i for i, state in enumerate(block.states) if state == MASKED]
        counts[len(masked)] += 1
        runs += len(masked) == 4 and masked == [4, 5, 6, 7]
    assert set(counts) == set(range(1, 9))
    assert all(400 <= count <= 600 for count in counts.values())
    assert 0.19 <= runs / counts[4] <= 0.33  # a quarter, and 1 in 70 by chance


def test_surplus_masks_only_behind_a_masked_end_and_weigh_as_one():
    seen = Counter()
    for seed in range(400):
        rng = Random(seed)
        clean = [*TEXT[:5], EOM]
        block = mask_block(clean, start=0, drawn_size=20, level=rng.random(), rng=rng)
        m = sum(state == MASKED for state in block.states[:6])
        if block.states[5] == MASKED:
            seen["masked"] += 1
            assert block.tokens[6:] == [MASK] * 14
            assert block.labels[6:] == [DEL] * 14
            assert sum(block.weights[6:]) == pytest.approx(6 / m)
        else:
            seen["visible"] += 1
            assert len(block.tokens) == 6
    assert min(seen.values()) > 50


def test_edit_blocks_are_labelled_by_alignment_and_complete():
    for block in edit_blocks():
        assert block.tokens
        assert len(block.tokens) == len(block.states) == len(block.labels) == len(block.weights)
        wanted = align_labels(block.tokens, block.states, block.clean)
        for token, state, label, weight, right in zip(
            block.tokens, block.states, block.labels, block.weights, wanted, strict=True
        ):
            assert label in (right, IGNORE)
            assert (weight > 0) == (label != IGNORE)
            assert (token == MASK) == (state == MASKED)
            if state == LOCKED:
                assert label in (token, INS, IGNORE)
            if state == MASKED:
                assert label != INS
        real = [s for s, t in zip(block.states, block.tokens, strict=True) if not (s == MASKED and t == MASK)]
        assert len(real) <= MAX_BLOCK


def test_the_shown_end_is_never_wrong_and_surplus_weighs_one():
    for block in edit_blocks():
        ends = [i for i, token in enumerate(block.tokens) if token == EOM]
        assert len(ends) <= 1
        if ends:
            assert ends[0] == len(block.tokens) - 1
        elif block.clean[-1] == EOM and block.labels[-1] == DEL and block.weights[0] <= 1.0:
            tail = len(block.labels)
            while tail and block.labels[tail - 1] == DEL:
                tail -= 1
            if IGNORE not in block.labels and all(w == 1.0 for w in block.weights[:tail]):
                assert sum(block.weights[tail:]) == pytest.approx(1.0)


def test_edit_kinds_have_their_shares():
    unchanged = edited = masked = 0
    number = 4_000
    for block in edit_blocks(number):
        if MASKED in block.states:
            masked += 1
        elif block.tokens == block.clean:
            unchanged += 1
        else:
            edited += 1
    # 45 % + 20 % with masks, and the few drafts that became masks; 15 % + 10 % edited; 10 % unchanged.
    assert 0.60 <= masked / number <= 0.75
    assert 0.17 <= edited / number <= 0.28
    assert 0.08 <= unchanged / number <= 0.15


def test_edits_come_at_their_rate_and_in_all_three_forms():
    lengths = Counter()
    for block in edit_blocks():
        if MASKED not in block.states:
            lengths[(len(block.tokens) > len(block.clean)) - (len(block.tokens) < len(block.clean))] += 1
    assert min(lengths.values()) > 50
    assert set(lengths) == {-1, 0, 1}


def test_holes_get_too_many_and_too_few_masks():
    inside_del = few = 0
    for block in edit_blocks(alpha=0.0):
        visible = [i for i, state in enumerate(block.states) if state != MASKED]
        if not visible or MASKED not in block.states:
            continue
        inside_del += any(
            label == DEL and block.states[i] == MASKED for i, label in enumerate(block.labels[: visible[-1]])
        )
        few += INS in block.labels
    assert inside_del > 30
    assert few > 30


def test_a_draft_too_far_away_becomes_masks():
    rng = Random(1)
    far, near = [TEXT[30]] * 10, [*TEXT[:4], TEXT[20], *TEXT[5:10]]
    kinds = {"far": [], "near": []}
    for name, draft in (("far", far), ("near", near)):
        for _ in range(400):
            kinds[name].append(
                edit_stage_block(
                    TEXT[:10], start=0, drawn_size=10, level=0.0, num_edits=0, sources=sources(draft=draft), rng=rng
                )
            )
    assert not any(block.tokens == far for block in kinds["far"])
    shown = [block for block in kinds["near"] if block.tokens == near]
    assert len(shown) > 20
    assert all(block.states == [DRAFT] * 10 and block.labels == TEXT[:10] for block in shown)


def test_own_mistakes_are_masks_first_and_labelled_again():
    seen = Counter()
    for block in edit_blocks(own=True):
        if not block.own or block.is_draft:
            continue
        assert all(block.states[i] == MASKED for i in block.own)
        right = with_own_samples(block, block.own_truth)
        assert len(right.tokens) == len(block.tokens)
        assert [right.tokens[i] for i in block.own] == list(block.own_truth)
        wrong = with_own_samples(block, [139 if t != 139 else 138 for t in block.own_truth])
        assert wrong.labels == align_labels(wrong.tokens, wrong.states, wrong.clean)
        assert all(wrong.states[i] == DRAFT for i in block.own)
        kept = with_own_samples(block, [EOM] * len(block.own))
        assert kept.tokens == right.tokens  # a reserved id is no mistake
        seen["blocks"] += 1
    assert seen["blocks"] > 200


def far(block):
    wrong = sum(label != token for label, token in zip(block.labels, block.tokens, strict=True))
    return 2 * max(wrong, abs(len(block.tokens) - len(block.clean))) > len(block.clean)


def test_own_drafts_are_near_or_masks():
    seen = Counter()
    for block in edit_blocks(6_000, own=True):
        if not block.is_draft:
            continue
        assert block.own
        assert block.clean[-1] != EOM or (block.tokens[-1], block.states[-1]) == (EOM, LOCKED)
        seen["blocks"] += 1
        seen["of another length"] += len(block.tokens) != len(block.clean)
        for wanted in ("right", "wrong"):
            guesses = block.own_truth if wanted == "right" else [139 if t != 139 else 138 for t in block.own_truth]
            drafted = with_own_samples(block, guesses)
            assert len(drafted.tokens) == len(block.tokens)
            assert drafted.labels == align_labels(drafted.tokens, drafted.states, drafted.clean)
            if MASKED in drafted.states:
                assert all(
                    (state == MASKED) != (t == EOM) for t, state in zip(drafted.tokens, drafted.states, strict=True)
                )
                seen[f"{wanted}, masks"] += 1
            else:
                assert not far(drafted)
                seen[f"{wanted}, draft"] += 1
    # 5 % of the blocks, three in ten of them (those of one row and full ones less) of another length.
    assert 200 <= seen["blocks"] <= 400
    assert 0.12 <= seen["of another length"] / seen["blocks"] <= 0.35
    assert seen["right, masks"] < 0.1 * seen["right, draft"]
    assert min(seen["wrong, masks"], seen["wrong, draft"]) > 50


def test_the_draft_share_is_the_sample_s():
    rng = Random(0)
    draft = [*TEXT[:9], TEXT[20]]
    given = sources(draft=draft, draft_share=0.4)
    blocks = [
        edit_stage_block(TEXT[:10], start=0, drawn_size=10, level=0.5, num_edits=0, sources=given, rng=rng)
        for _ in range(1_000)
    ]
    assert 0.35 <= sum(block.tokens == draft for block in blocks) / 1_000 <= 0.45


def test_syntax_slips_come_at_their_rate_and_never_in_locked_rows():
    rng = Random(5)
    clean = [100 + i for i in range(30)]
    slipped = seen = 0
    for _ in range(4_000):
        block = edit_stage_block(clean, start=0, drawn_size=30, level=0.0, num_edits=1, sources=sources(), rng=rng)
        if MASKED in block.states or block.tokens == clean:
            continue
        seen += 1
        slipped += 139 in block.tokens
        align_labels(block.tokens, block.states, block.clean)  # a changed locked row would raise
    # Three of four slips leave a 139, as one of forty substitutions and insertions does; drafts have more edits.
    assert 0.2 <= slipped / seen <= 0.5
