"""Networks that see the whole canvas: tiny, random, fp32, one thread, against one forward over the whole sequence."""

import random

import msgspec
import pytest
import torch

from model.diffusion.canvas import masked_canvas, mixed_canvas
from model.diffusion.policy import Policy
from model.diffusion.reading import Reading, read_logits
from model.diffusion.states import LOCKED, MASKED
from model.diffusion.steps import run_alone, run_passes
from model.diffusion.whole import WholeSteps
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.tokenizer import DEL, EOM, INS, MASK

SHARPER = 8  # random logits are flat: probabilities would be equal whatever the rows are
EXACT = SHARPER * 1e-5

BEFORE, AFTER = list(range(70, 87)), [*range(200, 209), EOM]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "shifted"])
def network(request, make_network):
    config = msgspec.structs.replace(tiny_test(), attention="full", state_vectors=False, shift=request.param)
    network = make_network(config, 3)
    plain = network.logits
    network.logits = lambda hidden: plain(hidden) * SHARPER
    return network


def steps_of(network, policy, *, canvas=None, before=BEFORE, after=AFTER, num_masks=12):
    canvas = masked_canvas(12) if canvas is None else canvas
    return WholeSteps(KVCache(network.config, capacity=64), before, canvas, after, policy, num_masks=num_masks)


def reading_in_one_forward(network, steps: WholeSteps) -> Reading:
    """What the rows that are asked for say when the whole sequence runs uncached."""
    tokens = torch.tensor([steps.ids()])
    num = tokens.shape[1]
    with torch.no_grad():
        hidden = network(tokens, torch.arange(num)[None], None, torch.ones(1, num, num, dtype=torch.bool))[0]
        if network.config.shift:
            hidden = torch.cat((hidden[:1], hidden[:-1]))
        request = steps.run.request()
        first = len(BEFORE) if steps._before_ids else 0
        return read_logits(network.logits(hidden[[first + ask.index for ask in request.asks]]), [request])[0]


class Reads:
    """Stands where a run stands and keeps what it is given."""

    def __init__(self, run):
        self.run, self.readings = run, []

    def __getattr__(self, name):
        return getattr(self.run, name)

    def absorb(self, request, reading):
        self.readings.append(reading)
        return self.run.absorb(request, reading)


POLICIES = [
    Policy(order="confidence", tau_mask=0.02),
    Policy(order="entropy", steps_per_block=5, schedule="time"),
    Policy(order="margin", steps_per_block=2, block=5),
    Policy(order="entropy", tau_mask=2.0, edits="expand-delete"),
]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("before", [BEFORE, []], ids=["", "nothing before"])
def test_every_step_sees_what_one_forward_sees(network, policy, before):
    steps = steps_of(network, policy, before=before, num_masks=6 if policy.edits != "none" else 12)
    steps.run = Reads(steps.run)
    while steps.run.result is None:
        wanted = reading_in_one_forward(network, steps)
        run_passes(network, [(steps, 0)])
        assert steps.run.readings[-1].label == wanted.label
        assert steps.run.readings[-1].p == pytest.approx(wanted.p, abs=EXACT)
    assert int(steps.cache.lengths_B[0]) == 0


@pytest.mark.parametrize("caching", ["prefix", "dual"])
def test_kept_rows_are_exact_in_the_step_that_makes_them(network, caching):
    steps = steps_of(network, Policy(order="confidence", steps_per_block=2, block=4, caching=caching))
    steps.run = Reads(steps.run)
    differs = []
    for number in range(6):
        wanted = reading_in_one_forward(network, steps)
        run_passes(network, [(steps, 0)])
        got = steps.run.readings[-1]
        if number % 2 == 0:  # the first step of a stretch
            assert got.p == pytest.approx(wanted.p, abs=EXACT)
        else:
            differs.append(max(abs(a - b) for a, b in zip(got.p, wanted.p, strict=True)))
    assert steps.run.result is not None
    assert max(differs) > 10 * EXACT  # and an approximation in the second


@pytest.mark.parametrize(
    ("caching", "counts"),
    [("none", [39] * 6), ("prefix", [39, 22, 39, 18, 39, 14]), ("dual", [39, 4, 39, 4, 39, 4])],
)
def test_how_many_rows_a_pass_runs(network, caching, counts):
    steps = steps_of(network, Policy(order="confidence", steps_per_block=2, block=4, caching=caching))
    got = []
    while steps.run.result is None:
        rows = steps.pass_rows()
        assert rows.num_ahead == 0
        got.append(rows.num_rows)
        run_passes(network, [(steps, 0)])
    shift = int(network.config.shift)  # the row before the stretch says its first token
    assert got == [count + (shift if count < 39 else 0) for count in counts]


def test_rows_behind_a_canvas_that_grows_are_made_anew(network, monkeypatch):
    plain = network.logits

    def fond_of_lengths(hidden):
        logits = plain(hidden)
        logits[..., [INS, DEL]] += SHARPER
        return logits

    monkeypatch.setattr(network, "logits", fond_of_lengths)
    policy = Policy(order="entropy", tau_mask=2.0, edits="expand-delete", caching="dual")
    steps = steps_of(network, policy, num_masks=5)
    steps.run = Reads(steps.run)
    lengths = []
    while steps.run.result is None:
        lengths.append(len(steps.run.rows))
        wanted = reading_in_one_forward(network, steps)
        run_passes(network, [(steps, 0)])
        if lengths[-1] not in lengths[-2:-1]:
            assert steps.run.readings[-1].p == pytest.approx(wanted.p, abs=EXACT)
    assert len(set(lengths)) > 2


@pytest.mark.parametrize("seed", range(3))
def test_side_by_side_each_writes_what_it_writes_alone(network, seed):
    def made(number: int) -> WholeSteps:
        rng = random.Random(number)
        policy = msgspec.structs.replace(
            rng.choice(POLICIES), caching=rng.choice(["none", "prefix", "dual"]), temperature=rng.choice([0.0, 1.0])
        )
        before, after = (list(range(start, start + rng.randint(1, 30))) for start in (70, 300))
        canvas = mixed_canvas([(MASKED, [MASK] * 3), (LOCKED, [90, 91]), (MASKED, [MASK] * 9)])
        return steps_of(network, policy, canvas=canvas, before=before, after=after, num_masks=rng.randint(1, 8))

    rng = random.Random(seed)
    numbers = [rng.randrange(1000) for _ in range(4)]
    wanted = [list(run_alone(network, made(number)))[-1].result for number in numbers]
    running = dict(enumerate(made(number) for number in numbers))
    while running:
        chosen = [index for index in running if rng.random() < 0.8] or list(running)
        frames = run_passes(network, [(running[index], 0) for index in chosen])
        for index, frame in zip(chosen, frames, strict=True):
            if frame.result is not None:
                assert frame.result.ids == wanted[index].ids
                assert frame.result.confidence == pytest.approx(wanted[index].confidence, rel=1e-4)
                del running[index]


def test_the_cache_of_the_request_before_leaves_no_trace(network):
    first = steps_of(network, POLICIES[2])
    *_, wanted = run_alone(network, first)
    dual = msgspec.structs.replace(POLICIES[2], caching="dual")
    again = WholeSteps(first.cache, BEFORE, masked_canvas(12), AFTER, dual, num_masks=12)
    list(run_alone(network, again))
    last = WholeSteps(again.cache, BEFORE, masked_canvas(12), AFTER, POLICIES[2], num_masks=12)
    assert list(run_alone(network, last))[-1].result == wanted.result
