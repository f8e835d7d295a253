"""Proposals are the server's and the engine's own, and their figures agree with the engine's."""

import math

import msgspec
import pytest

from benchmarks.proposals import Proposer, is_exact, snapshot_at
from lsp_server.settings import Settings
from model.engine import api
from model.evaluation.decode import Place


@pytest.fixture(scope="module")
def proposer(checkpoint, tmp_path_factory) -> Proposer:
    return Proposer(checkpoint, tmp_path_factory.mktemp("checkpoint"))


def test_the_snapshot_is_the_document_with_an_empty_hole(places):
    snapshot = snapshot_at(places[1])
    assert snapshot.document.text == places[1].before + places[1].after
    assert (snapshot.line_before, snapshot.line_after) == ("    result = (", "")


def test_the_figures_are_those_of_the_answer(proposer, places):
    for place in places:
        proposal = proposer.propose(place)
        assert proposal.outcome != "shown"
        if proposal.tokens is None:
            assert proposal.num_tokens == 0
            continue
        mean = math.log(proposal.confidence)
        assert proposal.tokens.least_log_p <= mean + 1e-3
        assert proposal.tokens.entropy > 0
        again = proposer.propose(place)  # from the cache
        assert again.text == proposal.text
        assert again.confidence == pytest.approx(proposal.confidence, rel=1e-4)


def test_a_one_token_answers_mean_is_its_only_tokens_probability(proposer, places):
    proposals = [proposer.propose(place) for place in places]
    for proposal in proposals:
        if proposal.num_tokens == 1 and proposal.tokens is not None:
            assert proposal.tokens.first_log_p == pytest.approx(math.log(proposal.confidence), abs=1e-3)


def test_a_snippet_and_a_guess_reach_the_prompt(proposer, places):
    place = msgspec.structs.replace(places[1], after="\n    return result\n\n\n    result = (1, 2)\n")
    assert proposer.propose(place).is_guessed
    assert not proposer.propose(place, guesses=False).is_guessed
    proposer.propose(place, snippets=(api.Snippet("other.py", "x = 1\n"),))


def test_what_is_not_asked_has_its_reason(checkpoint, places, tmp_path):
    quiet = Proposer(checkpoint, tmp_path, Settings(enabled=False))
    assert quiet.propose(places[0]).outcome == "disabled"


def test_right_is_the_whole_line_and_what_is_replaced_counts():
    place = Place(path="a.py", before="x = f(", after=")\ny\n", gold="a, b")
    assert is_exact(place, "a, b", 0)
    assert is_exact(place, "a, b)", 1)
    assert not is_exact(place, "a, b)", 0)
    assert not is_exact(place, "a,b", 0)
    assert is_exact(Place(path="a.py", before="  ", after="\n", gold="pass  "), "pass", 0)
