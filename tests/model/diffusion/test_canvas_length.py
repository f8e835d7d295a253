import msgspec
import pytest
import torch

from model.diffusion.canvas import masked_canvas
from model.diffusion.canvas_length import PATIENCE, START, ProbedSteps, climb, usual_confidence
from model.diffusion.policy import Policy
from model.diffusion.reading import read_logits
from model.diffusion.steps import run_alone
from model.diffusion.whole import WholeSteps
from model.network.config import tiny_test
from model.network.kv_cache import KVCache

BEFORE, AFTER = list(range(70, 80)), [200, 201, 202]


def searched(scores, start: int, most: int) -> tuple[int, list[int]]:
    """The length that is found, and all that were looked at. scores: of a length."""
    search, looked = climb(start, most), []
    length = next(search)
    while True:
        looked.append(length)
        try:
            length = search.send(scores(length))
        except StopIteration as end:
            return end.value, looked


@pytest.mark.parametrize("best", [1, 5, 8, 11, 20])
def test_the_top_of_a_hill_is_found_from_either_side(best):
    found, looked = searched(lambda length: -abs(length - best), 8, 64)
    assert found == best
    assert len(looked) <= abs(best - 8) + 1 + 2 * PATIENCE
    assert len(set(looked)) == len(looked)


def test_a_direction_is_given_up_after_a_few_lengths_that_are_no_better():
    assert searched(lambda length: float(length == 13), 8, 64)[0] == 8  # beyond its patience
    assert searched(lambda length: float(length == 12), 8, 64)[0] == 12
    assert searched(lambda length: 0.0, 8, 64)[1] == [8, 9, 10, 11, 12, 7, 6, 5, 4]


def test_no_length_lies_outside_the_canvas():
    assert set(searched(float, 8, 10)[1]) <= set(range(1, 11))
    assert searched(float, 8, 10)[0] == 10


def test_the_usual_confidence_falls_with_the_length():
    """Appendix A's curve at its ends: one mask, and very many."""
    values = [usual_confidence(length) for length in range(1, 65)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(0.17033 + 0.52739 + 0.24, abs=1e-4)
    assert usual_confidence(1000) == pytest.approx(0.24)


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(msgspec.structs.replace(tiny_test(), attention="full", state_vectors=False), 5)


def probed(network, *, most=20, block=64, **kwargs) -> ProbedSteps:
    policy = Policy(order="entropy", block=block, steps_per_block=4)
    return ProbedSteps(KVCache(network.config), BEFORE, masked_canvas(most), AFTER, policy, **kwargs)


def score_of(network, length: int) -> float:
    """The rule itself: one look at so many masks."""
    steps = WholeSteps(
        KVCache(network.config), BEFORE, masked_canvas(20), AFTER, Policy(order="entropy"), num_masks=length
    )
    tokens = torch.tensor([steps.ids()])
    num, request = tokens.shape[1], steps.run.request()
    with torch.no_grad():
        hidden = network(tokens, torch.arange(num)[None], None, torch.ones(1, num, num, dtype=torch.bool))[0]
        (reading,) = read_logits(network.logits(hidden[len(BEFORE) : len(BEFORE) + length]), [request])
    return sum(reading.p) / length / usual_confidence(length)


@pytest.mark.parametrize("block", [64, 5])
def test_the_most_confident_length_goes_on_and_looks_are_counted(network, block):
    wanted, looked = searched(lambda length: score_of(network, length), START, 20)
    steps = probed(network, block=block)
    *_, last = run_alone(network, steps)
    assert last.result is not None
    assert len(last.result.ids) == wanted
    assert steps.num_looks == len(looked)
    assert last.result.forwards == last.result.steps + len(looked)


def test_a_canvas_of_one_token_needs_no_look(network):
    steps = probed(network, most=1)
    *_, last = run_alone(network, steps)
    assert last.result is not None
    assert (len(last.result.ids), last.result.forwards) == (1, 1)


def test_interrupted_while_it_looks(network):
    steps = probed(network)
    expired = iter([None, None, "deadline"])
    *_, last = run_alone(network, steps, lambda: next(expired))
    assert last.result is not None
    assert (last.result.ids, last.result.reason, last.result.forwards) == ((), "deadline", 2)
