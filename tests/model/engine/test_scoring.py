"""Log-probabilities of an answer's tokens: the network's own, whatever way the answer was written in."""

import math

import pytest
import torch

from model.engine import api
from model.engine.scoring import token_scores
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import BOS, EOM, NUM_RESERVED

SHORT = (api.Masked(max_tokens=6),)


def answer(resident, job_for, request) -> api.Done:
    *_, done = resident.run(job_for(request))
    assert isinstance(done, api.Done), done
    return done


def next_token_log_ps(resident, prompt_ids: list[int], ids: list[int]) -> list[float]:
    """One token a pass, nothing cached before: the slow way."""
    network = resident.network
    cache = KVCache(network.config)
    known, log_ps = list(prompt_ids), []
    pending = list(prompt_ids)
    for token in ids:
        hidden, _ = one_pass(network, cache, Rows(torch.tensor([pending])), None, want_clean=1)
        cache.advance(len(pending))
        logits = network.logits(hidden[0, -1]).float()
        kept = torch.full_like(logits, -torch.inf)
        kept[NUM_RESERVED:] = logits[NUM_RESERVED:]
        kept[EOM] = logits[EOM]
        log_ps.append(float(kept.log_softmax(-1)[token]))
        known.append(token)
        pending = [token]
    return log_ps


@pytest.mark.parametrize("num_top", [0, 3])
@pytest.mark.parametrize("num_cached", [0, 4, 12])
def test_they_are_those_of_one_token_at_a_time(resident, tokenizer, num_top, num_cached):
    prompt_ids = [BOS, *tokenizer.encode("import os\nvalue = ")]
    text = "return foo(é) = 1\n"
    ids = tokenizer.encode(text)
    with torch.inference_mode():
        expected = next_token_log_ps(resident, prompt_ids, ids)
        cache = KVCache(resident.network.config)
        if num_cached:
            one_pass(resident.network, cache, Rows(torch.tensor([prompt_ids[:num_cached]])), None)
            cache.advance(num_cached)
    tokens = token_scores(resident._checkpoint, cache, prompt_ids, ids, text=text, taken_back=None, num_top=num_top)
    assert "".join(token.text for token in tokens) == text
    assert len(tokens) == len(ids) - 1  # the two bytes of é count as one
    alone = [(i, token) for i, token in enumerate(tokens) if token.text != "é"]
    split = next(i for i, token in enumerate(tokens) if token.text == "é")
    for i, token in alone:
        assert token.logprob == pytest.approx(expected[i if i < split else i + 1], abs=1e-4)
        assert len(token.top) <= num_top
        if num_top:
            assert max(token.top.values()) >= token.logprob - 1e-6
    assert tokens[split].logprob == pytest.approx(expected[split] + expected[split + 1], abs=1e-4)
    assert int(cache.lengths_B[0]) == len(prompt_ids)


def test_a_text_that_was_cut_inside_a_token_is_scored_as_it_was_kept(resident, tokenizer):
    ids = tokenizer.encode("return")
    tokens = token_scores(
        resident._checkpoint,
        KVCache(resident.network.config),
        [BOS],
        ids,
        text="ret",
        taken_back=None,
        num_top=0,
    )
    assert "".join(token.text for token in tokens) == "ret"


def test_nobody_pays_who_does_not_ask(resident, job_for, ask):
    assert answer(resident, job_for, ask(canvas=SHORT)).tokens == ()


def test_a_broken_word_is_scored_as_going_on(resident, job_for, ask):
    done = answer(resident, job_for, ask("    retu", canvas=SHORT, logprobs=2))
    assert "".join(token.text for token in done.tokens) == done.text
    assert all(math.isfinite(token.logprob) for token in done.tokens)


def test_the_next_request_is_answered_as_if_nothing_had_been_scored(resident, job_for, ask):
    plain = answer(resident, job_for, ask("y = ", canvas=SHORT))
    scored = answer(resident, job_for, ask("y = ", canvas=SHORT, logprobs=1, n=1))
    again = answer(resident, job_for, ask("y = ", canvas=SHORT))
    assert plain.text == scored.text == again.text
    assert again.cached_tokens == again.prompt_tokens
