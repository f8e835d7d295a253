"""Speculation against the clean stream one token a pass: the same text, whatever is guessed; fp32, one thread."""

import random

import numpy as np
import pytest
import torch

from model.diffusion.healing import TakenBack
from model.diffusion.lookup import Lookup
from model.diffusion.policy import Policy
from model.diffusion.reading import HEALED_FLOOR
from model.diffusion.speculate import MAX_GUESS, speculate
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import EOM, NUM_RESERVED

PROMPT = [1, 6, *range(70, 100)]


@pytest.fixture(scope="module")
def networks(make_network):
    """Flat, middling and sharp predictions; in the last `<eom>` is likely."""
    nets = []
    for seed, scale in ((0, 0.3), (1, 1.0), (2, 3.0), (3, 8.0)):
        network = make_network(tiny_test(), seed)
        push = torch.zeros(512)
        push[EOM] = 3.0 if seed == 3 else 0.0
        network.logits = lambda hidden, plain=network.logits, scale=scale, push=push: plain(hidden) * scale + push
        nets.append(network)
    return nets


@torch.no_grad()
def one_by_one(network, prompt, max_tokens, *, finished=None, taken_back=None, forced=()):
    """Greedy text of the clean stream without any cache; `forced` tokens stand first."""
    ids = list(forced)
    limit, num_put_back = max_tokens, 0
    while len(ids) < limit:
        cache = KVCache(network.config)
        hidden, _ = one_pass(network, cache, Rows(torch.tensor([[*prompt, *ids]])), None)
        logits = network.logits(hidden[0, -1:])[0]
        eom = -torch.inf if len(ids) == num_put_back else float(logits[EOM])
        logits[:NUM_RESERVED] = -torch.inf
        logits[EOM] = eom
        if taken_back is not None and not ids:
            kept = logits[taken_back.allowed_ids]
            if float((kept.logsumexp(0) - logits.logsumexp(0)).exp()) < HEALED_FLOOR:
                ids.append(taken_back.token)
                limit += 1
                num_put_back = 1
                continue
            logits[:] = -torch.inf
            logits[taken_back.allowed_ids] = kept
        token = int(logits.argmax())
        if token == EOM:
            return ids, "eom"
        ids.append(token)
        kept = finished(ids) if finished else None
        if kept is not None:
            return ids[:kept], "stop"
    return ids, "length"


def run(network, policy=None, cache=None, prompt=PROMPT, **options):
    cache = cache if cache is not None else KVCache(network.config)
    frames = list(speculate(network, cache, prompt, policy or Policy(), **options))
    assert [frame.result is not None for frame in frames] == [False] * (len(frames) - 1) + [True]
    return frames[-1].result


@pytest.mark.parametrize("num_drafts", [0, 1, 2, 5])
@pytest.mark.parametrize("index", range(4))
def test_the_text_is_the_clean_streams_own(networks, index, num_drafts):
    network = networks[index]
    for max_tokens in (1, 2, 7, 40):
        want, reason = one_by_one(network, PROMPT, max_tokens)
        result = run(network, Policy(num_drafts=num_drafts), max_tokens=max_tokens)
        assert list(result.ids) == want
        assert result.reason == reason
        assert result.forwards <= max(1, len(want) + 1)


def test_white_space_alone_is_no_text(networks, monkeypatch):
    network = networks[1]
    written, _ = one_by_one(network, PROMPT, 6)
    push = torch.zeros(512)
    push[EOM] = 1e3
    monkeypatch.setattr(network, "logits", lambda hidden, plain=network.logits: plain(hidden) + push)
    for guess in ([], written[:2], written, [99]):
        ends = run(network, max_tokens=6, guess_ids=guess)
        assert (list(ends.ids), ends.reason) == (written[:1], "eom")
        goes_on = run(network, Policy(blank_ids=frozenset(written)), max_tokens=6, guess_ids=guess)
        assert (list(goes_on.ids), goes_on.reason) == (written, "length")


def test_a_right_guess_saves_passes_and_a_wrong_one_changes_nothing(networks):
    network = networks[1]
    want, _ = one_by_one(network, PROMPT, 20)
    plain = run(network, max_tokens=20)
    right = run(network, max_tokens=20, guess_ids=want)
    assert list(right.ids) == list(plain.ids) == want
    assert right.forwards == 1
    for wrong_at in (0, 5, 19):
        guess = [*want]
        guess[wrong_at] = 64 + (guess[wrong_at] - 63) % 400
        result = run(network, max_tokens=20, guess_ids=guess)
        assert list(result.ids) == want
        assert result.forwards <= plain.forwards + 1
    assert list(run(network, max_tokens=20, guess_ids=[100] * (MAX_GUESS + 9)).ids) == want


def test_a_guess_that_ends_too_early_goes_on(networks):
    network = networks[1]
    want, _ = one_by_one(network, PROMPT, 20)
    result = run(network, max_tokens=20, guess_ids=want[:6])
    assert list(result.ids) == want


def test_doubt_lets_likely_tokens_stand_and_stops_at_unlikely_ones(networks):
    network = networks[0]  # nearly flat: no token is much less likely than the best
    guess = [200, 201, 202]
    assert list(run(network, max_tokens=3, guess_ids=guess).ids) != guess
    assert list(run(network, Policy(doubt=1e-6), max_tokens=3, guess_ids=guess).ids) == guess
    sharp = networks[3]
    want, _ = one_by_one(sharp, PROMPT, 6)
    bad = [*want[:2], 64 + (want[2] - 63) % 400, *want[3:]]
    assert list(run(sharp, Policy(doubt=0.3), max_tokens=6, guess_ids=bad).ids) == want
    # Behind an accepted token the text goes on from it.
    forced = one_by_one(network, PROMPT, 8, forced=guess)[0]
    assert list(run(network, Policy(doubt=1e-6), max_tokens=8, guess_ids=guess).ids) == forced


def test_any_cached_part_of_the_prompt_gives_the_same(networks):
    network = networks[2]
    want = run(network, max_tokens=12)
    for num_cached in (0, 1, 9, len(PROMPT) - 1, len(PROMPT)):
        cache = KVCache(network.config)
        if num_cached:
            one_pass(network, cache, Rows(torch.tensor([PROMPT[:num_cached]])), None, want_clean=0)
            cache.advance(num_cached)
        result = run(network, cache=cache, max_tokens=12)
        assert result.ids == want.ids
        assert result.cached_tokens == min(num_cached, len(PROMPT) - 1)
        # What is left in the cache are the rows of the prompt and the first tokens of the text.
        num_rows = int(cache.lengths_B[0])
        assert num_rows == len(PROMPT) + result.committed_tokens
        other = KVCache(network.config)
        one_pass(network, other, Rows(torch.tensor([[*PROMPT, *want.ids][:num_rows]])), None, want_clean=0)
        other.advance(num_rows)
        for mine, its in zip(cache.read(0, 0, num_rows), other.read(0, 0, num_rows), strict=True):
            torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("index", range(4))
def test_the_stop_rule_cuts_as_it_does_one_by_one(networks, index):
    def finished(ids):
        return len(ids) - 1 if len(ids) > 1 and ids[-1] % 3 == 0 else None

    want = one_by_one(networks[index], PROMPT, 30, finished=finished)
    result = run(networks[index], max_tokens=30, finished=finished)
    assert (list(result.ids), result.reason) == want


@pytest.mark.parametrize("index", range(4))
def test_healing_is_that_of_one_by_one(networks, index):
    rng = random.Random(index)
    for num_allowed in (1, 5, 300):
        allowed = np.array(sorted(rng.sample(range(64, 512), num_allowed)))
        taken_back = TakenBack(token=int(allowed[0]), typed=b"x", allowed_ids=allowed)
        want, reason = one_by_one(networks[index], PROMPT, 9, taken_back=taken_back)
        if want[1:] or reason != "eom":
            result = run(networks[index], max_tokens=9, first_token_prefix=taken_back)
            assert list(result.ids) == want


def test_sampling_depends_on_seed_and_position_only(networks):
    network = networks[0]

    def text(seed, num_drafts):
        return run(network, Policy(temperature=1.0, seed=seed, num_drafts=num_drafts), max_tokens=15).ids

    assert text(1, 1) == text(1, 4) != text(2, 4)


def test_interruptions_keep_what_is_final(networks):
    network = networks[2]
    want, _ = one_by_one(network, PROMPT, 20)
    asked = []

    def expired():
        asked.append(None)
        return "deadline" if len(asked) > 3 else None

    result = run(network, max_tokens=20, expired=expired)
    assert (result.reason, result.complete, result.usable, result.forwards) == ("deadline", False, True, 3)
    assert 3 <= len(result.ids) < 20
    assert list(result.ids) == want[: len(result.ids)]
    limited = run(network, Policy(max_steps=2), max_tokens=20)
    assert (limited.reason, limited.forwards) == ("max_steps", 2)
    none = run(network, max_tokens=20, expired=lambda: "cancelled")
    assert (none.ids, none.forwards, none.reason) == ((), 0, "cancelled")


def test_frames_show_the_guess_as_a_draft(networks):
    prompt = [1, 6, *range(70, 80)] * 3
    frames = list(speculate(networks[1], KVCache(tiny_test()), prompt, Policy(num_drafts=3), max_tokens=20))
    for frame in frames[:-1]:
        assert len(frame.block_ids) == len(frame.block_states) == len(frame.confidences) <= 3
        assert frame.block_ids == tuple(Lookup([*prompt, *frame.committed]).following(3))
    assert frames[0].committed
    assert frames[-1].block_ids == ()


def test_bad_calls():
    cache = KVCache(tiny_test())
    with pytest.raises(ValueError, match="the prompt has only 0 tokens"):
        next(iter(speculate(None, cache, [], Policy(), max_tokens=3)))
    with pytest.raises(ValueError, match="num_drafts must be between"):
        Policy(num_drafts=-1)
    with pytest.raises(ValueError, match="doubt must lie"):
        Policy(doubt=1.0)
