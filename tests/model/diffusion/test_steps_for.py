import msgspec
import pytest

from model.diffusion.canvas import known_length_canvas, masked_canvas
from model.diffusion.canvas_length import ProbedSteps
from model.diffusion.policy import Policy
from model.diffusion.sampler import BlockSteps
from model.diffusion.steps_for import steps_for
from model.diffusion.whole import WholeSteps
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.tokenizer import EOM

FULL = {"attention": "full", "state_vectors": False}
HOLE = [90, 91, EOM]


def chosen(network: dict, policy: Policy, canvas=None, after=()):
    config = msgspec.structs.replace(tiny_test(), **network)
    return steps_for(KVCache(config), [70, 71], canvas or masked_canvas(20), policy, after_ids=after)


def test_networks_that_see_no_text_behind_write_blocks():
    assert isinstance(chosen({}, Policy(length="probed")), BlockSteps)
    assert isinstance(chosen({"attention": "block-causal", "cache_unit": 4}, Policy()), BlockSteps)
    with pytest.raises(ValueError, match="belongs into the prompt"):
        chosen({}, Policy(), after=HOLE)


def test_the_length_of_a_hole_is_given_found_or_looked_for():
    given = chosen(FULL, Policy(length="given"), after=HOLE)
    assert isinstance(given, WholeSteps)
    assert len(given.run.rows) == 20
    found = chosen(FULL, Policy(length="given", edits="expand-delete", first_block=6), after=HOLE)
    assert isinstance(found, WholeSteps)
    assert len(found.run.rows) == 6
    assert isinstance(chosen(FULL, Policy(length="probed"), after=HOLE), ProbedSteps)


def test_a_length_is_looked_for_only_where_nothing_else_says_it():
    for after in ((), (EOM,)):
        assert isinstance(chosen(FULL, Policy(length="probed"), after=after), WholeSteps)
    assert isinstance(chosen(FULL, Policy(length="probed"), known_length_canvas(4), HOLE), WholeSteps)
