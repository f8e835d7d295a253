"""Verify at commit: nothing changes where nothing is doubted; what is refused, and that it ends. fp32, one thread."""

import random
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch

from model.diffusion.batch import denoise_batch
from model.diffusion.canvas import known_length_canvas, masked_canvas, mixed_canvas
from model.diffusion.healing import TakenBack
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.sampler import BlockSteps, denoise, denoise_to_end
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.diffusion.steps import run_passes
from model.diffusion.verify import clean_log_p, doubtful, doubtful_below
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.many_passes import many_passes
from model.network.one_pass import Rows, one_pass
from model.tokenizer import EOM, NUM_RESERVED

PROMPT = [1, 6, *range(70, 100)]


@pytest.fixture(scope="module")
def networks(make_network):
    """Flat, middling and sharp predictions; in the last `<ins>`, `<del>` and `<eom>` are likely."""
    nets = []
    for seed, scale in ((0, 0.3), (1, 1.0), (2, 3.0), (3, 1.0)):
        network = make_network(tiny_test(), seed)
        push = torch.zeros(512)
        if seed == 3:
            push[2], push[4], push[5] = 4.0, 6.0, 4.0
        network.logits = lambda hidden, plain=network.logits, scale=scale, push=push: plain(hidden) * scale + push
        nets.append(network)
    return nets


def canvas_and_policy(seed, **more):
    rng = random.Random(seed)
    parts = [
        (rng.choice([MASKED, DRAFT, LOCKED]), [rng.randint(64, 511) for _ in range(rng.randint(1, 14))])
        for _ in range(rng.randint(1, 4))
    ]
    canvas = rng.choice([mixed_canvas(parts, max_tokens=70), masked_canvas(40), known_length_canvas(52)])
    policy = Policy(
        edits=rng.choice(["none", "substitute", "insert-delete"]),
        tau_mask=rng.choice([0.005, 0.05, 1.1]),
        tau_edit=rng.choice([0.0, 0.01, 0.1]),
        tau_remask=rng.choice([0.0, 0.002]),
        extra_edit_steps=rng.choice([0, 4]),
        block=rng.choice([1, 3, 7, 16, 64]),
        first_block=rng.choice([1, 5, 16]),
        temperature=rng.choice([0.0, 0.0, 1.0]),
        seed=seed,
        **more,
    )
    locked = [i for i, state in zip(canvas.ids, canvas.states, strict=True) if state == LOCKED and i != EOM]
    return canvas, policy, locked


def test_the_bound_falls_with_the_entropy():
    assert doubtful_below(0.0, 0.09) == 0.09
    assert doubtful_below(2.0, 0.09) == pytest.approx(0.3 * 2.718281828**-2.0)
    sure, unsure = torch.full((1, 4), -20.0), torch.zeros((1, 4))
    sure[0, 0] = 0.0
    log_p = torch.cat((sure, sure, unsure)).log_softmax(-1)
    assert doubtful(log_p, [0, 1, 1], 0.3) == [False, True, False]
    assert doubtful(log_p, [0, 1, 1], 0.0) == [False, False, False]


@pytest.mark.parametrize("num_cached", [0, 9, len(PROMPT)])
def test_where_nothing_is_doubted_nothing_changes(networks, num_cached):
    for seed in range(16):
        network = networks[seed % 4]
        canvas, policy, _ = canvas_and_policy(seed)
        runs = []
        for verify in (None, 0.0):
            cache = KVCache(network.config)
            if num_cached:
                one_pass(network, cache, Rows(torch.tensor([PROMPT[:num_cached]])), None, want_clean=0)
                cache.advance(num_cached)
            with_it = msgspec.structs.replace(policy, verify=verify)
            frames = list(denoise(network, cache, PROMPT, canvas, with_it))
            # Probabilities may differ in their last digit: the products have other sizes.
            moves = [[(move.kind, move.index, move.token) for move in frame.moves] for frame in frames]
            runs.append([(f.committed, f.block_ids, f.block_states, m) for f, m in zip(frames, moves, strict=True)])
            result = frames[-1].result
            runs[-1].append((result.ids, result.reason, result.forwards, result.committed_tokens))
            assert not result.forwards or int(cache.lengths_B[0]) == len(PROMPT) + result.committed_tokens
        assert runs[0] == runs[1], f"seed {seed}"


@pytest.mark.parametrize("chunk", range(3))
def test_every_run_ends_and_what_is_committed_is_exact(networks, chunk):
    num_refused = 0
    for seed in range(20 * chunk, 20 * (chunk + 1)):
        network = networks[seed % 4]
        canvas, policy, locked = canvas_and_policy(seed, verify=[0.9, 0.3, 0.02][seed % 3])
        cache = KVCache(network.config)
        frames = []
        for frame in denoise(network, cache, PROMPT, canvas, policy):
            frames.append(frame)
            assert len(frames) < 900, f"seed {seed} does not end"
        result = frames[-1].result
        assert result.forwards == frames[-1].step
        assert len(result.ids) <= canvas.max_tokens
        assert all(token >= NUM_RESERVED for token in result.ids)
        rest = iter(result.ids)
        assert all(token in rest for token in locked), f"seed {seed}"
        for before, after in pairwise(frames):
            assert after.committed[: len(before.committed)] == before.committed
            num_refused += not after.moves and after.block_states[:1] == (MASKED,) != before.block_states[:1]
        # The rows of the cache are those of the text that was committed.
        num = int(cache.lengths_B[0])
        assert num in (0, len(PROMPT) + result.committed_tokens)
        if num:
            whole = KVCache(network.config)
            text = [*PROMPT, *result.ids][:num]
            one_pass(network, whole, Rows(torch.tensor([text])), None, want_clean=0)
            whole.advance(num)
            for got, want in zip(cache.read(0, 0, num), whole.read(0, 0, num), strict=True):
                assert (got - want).abs().max() <= 1e-5
    assert num_refused > 5


def expected_doubt(network, before, rows, first_refusable, epsilon):
    """The first doubtful one of `rows` by a pass without any cache; those before `first_refusable` are not asked."""
    with torch.no_grad():
        clean = Rows(torch.tensor([[*PROMPT, *before, *rows]]))
        hidden, _ = one_pass(network, KVCache(network.config), clean, None, want_clean=len(rows) + 1)
        marks = doubtful(clean_log_p(network, hidden[0, :-1]), rows, epsilon)
    places = range(len(before), len(before) + len(rows))
    return next(
        (i for i, (place, mark) in enumerate(zip(places, marks, strict=True)) if mark and place >= first_refusable),
        None,
    )


def test_what_is_refused_is_the_first_doubtful_token_and_no_place_twice(networks):
    num_refused = num_looks = 0
    for seed in range(24):
        network = networks[seed % 3]
        epsilon = [0.5, 0.05, 0.01][seed // 3 % 3]
        policy = Policy(tau_mask=[0.05, 1.1][seed % 2], first_block=7, block=5, verify=epsilon)
        steps = BlockSteps(KVCache(network.config), PROMPT, known_length_canvas(60), policy)
        run = steps.run
        refused: dict[int, int] = {}
        shown: tuple[int, ...] = ()
        while run.result is None:
            request = run.request()
            rows = [row.token for row in request.verifier.rows]
            (frame,) = run_passes(network, [(steps, 0)])
            if rows:
                num_looks += 1
                first = max(refused, default=-1) + 1
                assert steps.doubted == expected_doubt(network, shown, rows, first, epsilon)
            shown = frame.committed
            if steps.doubted is not None:
                assert len(shown) not in refused
                refused[len(shown)] = rows[steps.doubted]
                assert frame.block_states[0] == MASKED
                assert frame.block_ids[1 : len(rows) - steps.doubted] == tuple(rows[steps.doubted + 1 :])
                assert run.request().asks[0].banned == rows[steps.doubted]
        num_refused += len(refused)
        assert all(run.result.ids[place] != token for place, token in refused.items())
    assert 5 < num_refused < num_looks


def test_locked_and_healed_tokens_are_never_refused(networks):
    network = networks[2]
    locked = list(range(200, 212))
    canvas = mixed_canvas([(LOCKED, locked[:6]), (MASKED, [0] * 4), (LOCKED, locked[6:]), (MASKED, [0] * 9)])
    for edits in ("none", "insert-delete"):
        result = denoise_to_end(network, KVCache(network.config), PROMPT, canvas, Policy(edits=edits, verify=0.99))
        rest = iter(result.ids)
        assert all(token in rest for token in locked)
    taken_back = TakenBack(token=99, typed=b"x", allowed_ids=np.array([300, 301]))
    policy = Policy(first_block=4, block=4, tau_mask=0.05, verify=0.99)
    healed = denoise_to_end(
        network, KVCache(network.config), PROMPT[:-1], masked_canvas(20), policy, first_token_prefix=taken_back
    )
    assert healed.ids[0] in (99, 300, 301)


@pytest.mark.parametrize("edits", ["none", "insert-delete"])
def test_a_batch_equals_lone_runs(networks, edits):
    network = networks[1]
    rng = random.Random(3)
    prompts = [[*PROMPT, *(rng.randint(64, 511) for _ in range(rng.randint(0, 30)))] for _ in range(4)]
    policies = [
        Policy(edits=edits, tau_mask=0.05, first_block=5, block=5 + b, verify=0.1 * b or None) for b in range(4)
    ]
    canvases = [known_length_canvas(50 + b) if b % 2 else masked_canvas(30) for b in range(4)]
    together = denoise_batch(network, KVCache(network.config, batch_size=4), prompts, canvases, policies)
    for b, result in enumerate(together):
        alone = denoise_to_end(network, KVCache(network.config), prompts[b], canvases[b], policies[b])
        assert (result.ids, result.reason, result.forwards) == (alone.ids, alone.reason, alone.forwards)


def test_a_look_reads_the_rows_to_commit_and_the_one_before_them(networks, monkeypatch):
    wanted = []

    def watched(network, passes):
        wanted.extend((part.want_clean, 0 if part.clean is None else part.clean.tokens_BT.shape[1]) for part in passes)
        return many_passes(network, passes)

    monkeypatch.setattr("model.diffusion.steps.many_passes", watched)
    for verify in (None, 0.0):
        wanted.clear()
        policy = Policy(tau_mask=1e-4, first_block=7, block=7, verify=verify)
        denoise_to_end(networks[1], KVCache(networks[1].config), PROMPT, masked_canvas(21), policy)
        # The prompt's last row with the first pass, then each block: no more rows run than without.
        assert wanted == [(0 if verify is None else 1, 32), *[(0 if verify is None else 7, 7)] * 2]


def test_bad_calls():
    with pytest.raises(ValueError, match="verify must be at least 0 and below 1"):
        Policy(verify=1.0)
    with pytest.raises(ValueError, match="the prompt's last row must run"):
        Run(PROMPT, masked_canvas(3), Policy(verify=0.1), cached_tokens=len(PROMPT))
