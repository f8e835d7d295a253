"""The sampler under a family's settings against that family's published loop: what is revealed, where, in which step.

The loops are stated here anew, in float64, from the papers' algorithms: LLaDA (arXiv 2502.09992), Dream (arXiv
2508.15487), DreamOn (arXiv 2602.01326), SDAR (arXiv 2510.06303), Stable-DiffCoder (arXiv 2601.15892). Logits are random
numbers that depend on nothing but what a network would see, so a difference in one step changes all later ones. At
temperature 0; equal scores do not occur.
"""

import functools
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from model.diffusion.canvas import known_length_canvas, masked_canvas
from model.diffusion.frames import Frame
from model.diffusion.policy import Policy
from model.diffusion.reading import Request, read_logits
from model.diffusion.run import Run
from model.diffusion.whole_run import WholeRun
from model.tokenizer import DEL, EOM, INS, MASK, NUM_RESERVED

VOCAB = NUM_RESERVED + 24
SEEDS = range(8)
UNIT = 4
NEVER = -1e9

Logits = Callable[[Sequence[int], int], Tensor]


@functools.lru_cache(maxsize=4096)
def _drawn(key: tuple[int, ...], num_rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(hash(key) & 0x7FFFFFFFFFFF)
    return torch.randn(num_rows, VOCAB, generator=generator, dtype=torch.float64) * 3


def network(seed: int, *, specials: tuple[int, ...] = ()) -> Logits:
    """Of (tokens that the rows see, number of rows that are read): fp32-representable logits, most specials never."""

    def logits(tokens: Sequence[int], num_rows: int) -> Tensor:
        rows = _drawn((seed, *tokens), num_rows).float().double().clone()
        likely = rows[:, list(specials)] + 4  # as likely as the best of the other labels together
        rows[:, :NUM_RESERVED] = NEVER
        rows[:, list(specials)] = likely
        return rows

    return logits


def state(tokens: Sequence[int]) -> tuple[int, ...]:
    return tuple(tokens)


# The published loops, each giving the states after its steps


def confidence(rows: Tensor, kind: str = "confidence") -> Tensor:
    p = rows.softmax(-1)
    if kind == "entropy":
        return (p * (p + 1e-10).log()).sum(-1)
    best_two = p.sort(-1, descending=True).values
    return best_two[:, 0] - best_two[:, 1] if kind == "margin" else best_two[:, 0]


def equal_quotas(num_masks: int, num_steps: int) -> list[int]:
    return [num_masks // num_steps + (step < num_masks % num_steps) for step in range(num_steps)]


def block_loop(
    logits: Logits, prompt: list[int], num_tokens: int, *, threshold: float | None, num_steps: int, sequential: bool
) -> tuple[list[tuple[int, ...]], list[int]]:
    """SDAR (low_confidence_static with threshold None, low_confidence_dynamic, sequential) and Stable-DiffCoder, which
    differ in nothing else at temperature 0: states of the unit after each step, and the text."""
    text, states = list(prompt), []
    total = -(-(len(prompt) + num_tokens) // UNIT) * UNIT
    text += [MASK] * (total - len(text))
    for start in range(len(prompt) // UNIT * UNIT, total, UNIT):
        block = slice(start, start + UNIT)
        quotas = equal_quotas(text[block].count(MASK), num_steps)
        step = 0
        while MASK in text[block]:
            rows = logits(text[: start + UNIT], UNIT)
            if start <= len(prompt) < start + UNIT:
                rows[len(prompt) - start, EOM] = NEVER  # ours: an answer is not empty
            scores, best = confidence(rows), rows.argmax(-1)
            masked = [i for i in range(UNIT) if text[start + i] == MASK]
            ordered = masked if sequential else sorted(masked, key=lambda i: -float(scores[i]))
            if threshold is None:
                chosen = ordered[: quotas[step]]
            else:
                above = [i for i in masked if scores[i] > threshold]
                chosen = above or ordered[:1]
            for i in chosen:
                text[start + i] = int(best[i])
            step += 1
            states.append(state(text[block]))
        if EOM in text[len(prompt) : start + UNIT]:
            break
    text = text[len(prompt) :][:num_tokens]
    return states, text[: text.index(EOM)] if EOM in text else text


def llada_loop(logits: Logits, num_masks: int, block: int, num_steps: int) -> list[tuple[int, ...]]:
    """Semi-autoregressive low_confidence: every row is read, those of the leftmost block with masks may be written."""
    text, states = [MASK] * num_masks, []
    for start in range(0, num_masks, block):
        size = min(block, num_masks - start)
        for num in equal_quotas(size, num_steps):
            rows = logits(text, num_masks)
            scores, best = confidence(rows), rows.argmax(-1)
            masked = [i for i in range(start, start + size) if text[i] == MASK]
            for i in sorted(masked, key=lambda i: -float(scores[i]))[:num]:
                text[i] = int(best[i])
            if num:
                states.append(state(text))
    return states


def dream_loop(logits: Logits, num_masks: int, kind: str, num_steps: int) -> list[tuple[int, ...]]:
    """diffusion_generate with maskgit_plus ("confidence"), entropy, topk_margin; steps that write nothing left out."""
    text, states = [MASK] * num_masks, []
    times = torch.linspace(1, 1e-3, num_steps + 1, dtype=torch.float64)
    for step in range(num_steps):
        masked = [i for i in range(num_masks) if text[i] == MASK]
        t, s = times[step], times[step + 1]
        num = int(len(masked) * (1 - s / t)) if step < num_steps - 1 else len(masked)
        rows = logits(text, num_masks)
        scores, best = confidence(rows, kind), rows.argmax(-1)
        for i in sorted(masked, key=lambda i: -float(scores[i]))[:num]:
            text[i] = int(best[i])
        if num:
            states.append(state(text))
    return states


def dreamon_loop(logits: Logits, num_masks: int, most: int, num_a_step: int) -> list[tuple[int, ...]]:
    """Expansion and deletion after each reveal, from the right; the budget is twice the longest canvas."""
    text, states, budget = [MASK] * num_masks, [], 2 * most
    while MASK in text:
        rows = logits(text, len(text))
        if len(text) == most or budget == 0:
            rows[:, INS] = NEVER
        scores, best = confidence(rows, "entropy"), rows.argmax(-1)
        masked = [i for i in range(len(text)) if text[i] == MASK]
        for i in sorted(masked, key=lambda i: -float(scores[i]))[:num_a_step]:
            text[i] = int(best[i])
        for i in reversed(range(len(text))):
            if text[i] == DEL:
                del text[i]
        for i in reversed(range(len(text))):
            if text[i] == INS:
                text[i : i + 1] = [MASK, MASK]
                budget -= 1
        states.append(state(text))
    return states


# Ours against them


def follow(run: Run | WholeRun, logits: Logits) -> list[Frame]:
    """The frames of its steps. A Run's network sees the prompt and what is committed, too."""
    frames, before = [], []
    while run.result is None:
        request = run.request()
        before += request.clean_ids
        rows = logits([*before, *request.tokens], len(request.tokens))
        frames.append(run.absorb(request, read_logits(_of_asks(rows, request), [request])[0]))
    return frames


def whole_states(run: WholeRun, logits: Logits) -> list[tuple[int, ...]]:
    return [(*frame.committed, *frame.block_ids) for frame in follow(run, logits)]


def _of_asks(rows: Tensor, request: Request) -> Tensor:
    return rows[[ask.index for ask in request.asks]].float()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("threshold", "num_steps", "sequential"),
    [(0.35, 4, False), (0.8, 4, False), (None, 4, False), (None, 2, False), (None, 3, False), (None, 2, True)],
    ids=["dynamic, low", "dynamic", "static 4", "static 2", "static 3", "sequential"],
)
def test_block_causal_families(seed, threshold, num_steps, sequential):
    prompt = [NUM_RESERVED + i for i in range(5 + seed % UNIT)]
    logits = network(seed, specials=() if sequential else (EOM,))
    wanted, text = block_loop(logits, prompt, 14, threshold=threshold, num_steps=num_steps, sequential=sequential)
    policy = Policy(
        order="leftmost" if sequential else "confidence",
        tau_mask=2.0 if threshold is None else threshold,
        steps_per_block=num_steps if threshold is None else None,
    )
    run = Run(prompt, masked_canvas(14), policy, unit=UNIT)
    got = follow(run, logits)
    assert run.result is not None
    assert list(run.result.ids) == text
    num_tail = len(prompt) % UNIT
    for frame, rows in zip(got, wanted, strict=False):
        in_canvas = rows if frame.committed else rows[num_tail:]
        assert frame.block_ids == in_canvas[: len(frame.block_ids)]
        assert len(frame.block_ids) == len(in_canvas) or frame.block_ids[-1] == EOM
    # Ours ends as soon as the end of the text has no mask before it; the loops go on to the end of the unit.
    assert len(wanted) - UNIT < len(got) <= len(wanted)
    if EOM not in wanted[-1]:
        assert len(got) == len(wanted)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("block", "num_steps"), [(8, 8), (8, 3), (5, 2), (64, 6)])
def test_llada(seed, block, num_steps):
    logits = network(seed)
    policy = Policy(order="confidence", steps_per_block=num_steps, block=block)
    run = WholeRun(known_length_canvas(16), policy, num_masks=16)
    got = whole_states(run, logits)
    assert got == llada_loop(logits, 16, block, num_steps)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["confidence", "entropy", "margin"])
@pytest.mark.parametrize("num_steps", [3, 12, 16, 20])
def test_dream(seed, kind, num_steps):
    logits = network(seed)
    policy = Policy(order=kind, steps_per_block=num_steps, schedule="time", block=64)
    run = WholeRun(known_length_canvas(16), policy, num_masks=16)
    got = whole_states(run, logits)
    assert got == dream_loop(logits, 16, kind, num_steps)


@pytest.mark.parametrize("seed", range(30))
def test_dreamon(seed):
    logits = network(seed, specials=(INS, DEL))
    policy = Policy(order="entropy", tau_mask=2.0, edits="expand-delete")
    run = WholeRun(masked_canvas(12), policy, num_masks=4)
    got = whole_states(run, logits)
    wanted = dreamon_loop(logits, 4, 12, 1)
    assert got == wanted
    assert run.result is not None
    assert run.result.ids == wanted[-1]


def test_the_loops_above_do_what_they_are_for():
    """Some canvas gets longer and some shorter, some text ends, or nothing of it was compared."""
    lengths = [len(dreamon_loop(network(seed, specials=(INS, DEL)), 4, 12, 1)[-1]) for seed in range(30)]
    assert min(lengths) < 4 < max(lengths)
    texts = [
        block_loop(network(seed, specials=(EOM,)), [70] * 6, 14, threshold=0.5, num_steps=4, sequential=False)[1]
        for seed in SEEDS
    ]
    assert min(map(len, texts)) < 14
