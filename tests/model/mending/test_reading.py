"""What both streams say of a line: the same as they would say without any sharing."""

import pytest
import torch

from model.diffusion.objective import allowed_labels
from model.diffusion.states import CLEAN, LOCKED, MASKED
from model.mending.blind import read_draft, read_holes
from model.mending.likelihood import Judged
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import EOM, MASK, NUM_RESERVED

PROMPT = [1, 6, 100, 101, 10, 110, 111]
LINE = [120, 121, 122, 123, 124]


def likelihood(reader, ids: list[int]) -> float:
    """log p of a line and its end, run as a whole."""
    network = reader.network
    tokens = torch.tensor([[*PROMPT, *ids]])
    hidden, _ = one_pass(network, KVCache(network.config), Rows(tokens), None)
    assert hidden is not None
    banned = ~allowed_labels(network.head_weight.shape[0])[CLEAN]
    log_p = network.logits(hidden[0]).masked_fill(banned, -torch.inf).log_softmax(-1)
    wanted = [*ids, EOM]
    return sum(float(log_p[len(PROMPT) - 1 + i, token]) for i, token in enumerate(wanted))


def test_a_gain_is_the_difference_of_two_likelihoods(reader) -> None:
    judged = Judged(reader, PROMPT, LINE)
    assert -sum(judged.surprisals) == pytest.approx(likelihood(reader, LINE), abs=1e-3)
    changed = [
        [120, 121, 130, 123, 124],
        [130, *LINE],
        LINE[:-1],
        [*LINE, 130],
        LINE[1:],
        LINE,
        [],
    ]
    base = likelihood(reader, LINE)
    gains = judged.gains(changed)
    for ids, gain in zip(changed, gains, strict=True):
        assert gain == pytest.approx(likelihood(reader, ids) - base, abs=1e-3), ids
    assert int(reader.cache.lengths_B[0]) == len(PROMPT) + len(LINE)


def blind_rows(reader, block: list[int], states: list[int]) -> torch.Tensor:
    """log p of the masked rows of a block behind the prompt alone."""
    network = reader.network
    cache = KVCache(network.config)
    one_pass(network, cache, Rows(torch.tensor([PROMPT])), None)
    cache.advance(len(PROMPT))
    _, hidden = one_pass(network, cache, None, Rows(torch.tensor([block]), torch.tensor([states])))
    assert hidden is not None
    logits = network.logits(hidden[0])
    logits[:, :NUM_RESERVED] = -torch.inf
    return logits.log_softmax(-1)[torch.tensor(states) == MASKED]


def test_a_hole_sees_the_prompt_and_its_own_line(reader) -> None:
    judged = Judged(reader, PROMPT, LINE)
    holes = read_holes(reader, judged.num_prompt, LINE)
    block = [*LINE[:2], MASK, *LINE[3:], EOM]
    [row] = blind_rows(reader, block, [LOCKED, LOCKED, MASKED, LOCKED, LOCKED, LOCKED])
    order = [int(i) for i in row.argsort(descending=True) if int(i) != LINE[2]]
    found = [f for f in holes.fillings() if (f.start, f.end) == (2, 3) and len(f.ids) == 1]
    assert found[0].ids[0] == order[0]
    assert found[0].margin == pytest.approx(float(row[order[0]] - row[LINE[2]]), abs=1e-3)
    assert all(f.ids != tuple(LINE[f.start : f.end]) for f in holes.fillings())
    margins = [f.margin for f in holes.fillings()]
    assert margins == sorted(margins, reverse=True)


def test_the_first_token_of_a_change_is_read_blind(reader) -> None:
    judged = Judged(reader, PROMPT, LINE)
    holes = read_holes(reader, judged.num_prompt, LINE)
    [one] = blind_rows(reader, [MASK, *LINE[1:], EOM], [MASKED] + [LOCKED] * 5)
    two = blind_rows(reader, [MASK, MASK, *LINE[1:], EOM], [MASKED, MASKED] + [LOCKED] * 5)[0]
    wide = blind_rows(reader, [MASK, *LINE[2:], EOM], [MASKED] + [LOCKED] * 4)[0]
    both = blind_rows(reader, [MASK, MASK, *LINE[2:], EOM], [MASKED, MASKED] + [LOCKED] * 4)[0]
    best = max(float(row[140]) for row in (one, two, wide, both))
    assert holes.first(0, 140, 1) == pytest.approx(best - float(one[LINE[0]]), abs=1e-3)
    assert holes.first(len(LINE) + 3, 140, 1) == 0.0


def test_long_lines_are_read_in_parts(reader) -> None:
    line = [100 + i % 50 for i in range(100)]
    judged = Judged(reader, PROMPT, line)
    draft = read_draft(reader, judged.num_prompt, line)
    assert len(draft.doubt()) == len(line)
    assert draft.margin(70, 71, [99]) < 100
    assert draft.margin(len(line), len(line), [99]) < 100
    fillings = read_holes(reader, judged.num_prompt, line).fillings()
    assert {f.start for f in fillings} == set(range(len(line) + 1))


def test_what_the_edit_head_prefers_has_the_greatest_doubt(reader) -> None:
    judged = Judged(reader, PROMPT, LINE)
    draft = read_draft(reader, judged.num_prompt, LINE)
    for index, doubt in enumerate(draft.doubt()):
        others = [token for token in range(NUM_RESERVED, reader.tokenizer.vocab_size) if token != LINE[index]]
        exchanged = max(draft.margin(index, index + 1, [token]) for token in others)
        deleted, inserted = draft.margin(index, index + 1, []), draft.margin(index, index, [99])
        assert max(exchanged, deleted, inserted) == pytest.approx(doubt, abs=1e-3)
