import math
from collections import Counter

import numpy as np
import pytest
import torch

from kernels.confidence_head.reference import confidence_from_logits
from model.diffusion.block import Ask, asks_of, make_block, make_row, mask_rows
from model.diffusion.healing import TakenBack
from model.diffusion.reading import Request, Sampling, draw, read_logits, unit_noise
from model.diffusion.states import DRAFT, LOCKED
from model.tokenizer import DEL, EOM, INS, LAYOUT_IDS, MASK, PAD

VOCAB = 512


def request_of(asks, *, taken_back=None, sampling=None, first_position=0):
    return Request([], [], [], asks, taken_back, sampling, first_position)


def mixed_block(*, end_open=False):
    rows = [make_row(70, LOCKED), *mask_rows(2), make_row(80, DRAFT), make_row(81, LOCKED), *mask_rows(1)]
    return make_block(rows, prev_locked=True, end_open=end_open)


def test_each_kind_of_row_gets_its_labels():
    by_row = {ask.index: ask for ask in asks_of(mixed_block(end_open=True), "insert-delete")}
    flags = {i: (ask.eom, ask.delete, ask.insert) for i, ask in by_row.items()}
    assert flags == {
        1: (False, True, False),  # mask before locked text: can be deleted, cannot be the end
        2: (False, True, False),
        3: (False, True, True),
        4: (False, False, True),  # locked, but its gap is open; row 0 stands between two locks and is not asked
        5: (True, True, False),
    }
    closed = {ask.index: ask for ask in asks_of(mixed_block(), "insert-delete")}
    assert (closed[5].eom, closed[5].delete) == (False, False)


def test_without_edits_only_masks_are_read_and_none_is_deleted():
    asks = asks_of(mixed_block(), "none")
    assert [ask.index for ask in asks] == [1, 2, 5]
    assert not any(ask.delete or ask.insert or ask.eom for ask in asks)
    substitute = asks_of(mixed_block(), "substitute")
    assert [ask.index for ask in substitute] == [1, 2, 3, 5]
    assert not any(ask.delete or ask.insert for ask in substitute)


def test_banned_labels_never_win_and_the_rest_equals_the_head_reference():
    torch.manual_seed(0)
    logits = torch.randn(4, VOCAB)
    logits[:, [PAD, MASK, *LAYOUT_IDS, 40]] += 100.0
    logits[:, [EOM, DEL, INS]] += 50.0
    asks = [
        Ask(0, MASK, False, True, False, False, -1),
        Ask(1, MASK, False, False, False, False, -1),
        Ask(2, 90, False, False, True, True, 77),
        Ask(3, 91, True, False, False, True, -1),
    ]
    logits[1, 300], logits[3, INS] = 9.0, 2.0
    logits[2, [77, DEL, INS]] = torch.tensor([99.0, 8.0, 2.0])
    reading = read_logits(logits.clone(), [request_of(asks)])[0]
    assert reading.label[:3] == [EOM, 300, DEL]
    allowed = torch.zeros(4, VOCAB, dtype=torch.bool)
    allowed[:, 64:] = True
    allowed[0, EOM] = allowed[2, DEL] = allowed[2, INS] = allowed[3, INS] = True
    allowed[2, 77] = False
    tokens = torch.tensor([ask.token for ask in asks])
    want = confidence_from_logits(logits.masked_fill(~allowed, -torch.inf), gather=tokens)
    assert want.gathered is not None
    assert reading.own == pytest.approx(want.gathered.tolist(), abs=1e-6)
    assert reading.p[:3] == pytest.approx(want.probs_R.tolist()[:3], rel=1e-5)
    assert reading.own[0] == 0.0


def test_a_locked_row_is_itself_or_an_insert():
    logits = torch.zeros(2, VOCAB)
    logits[0, [100, INS]] = torch.tensor([9.0, 1.0])  # another token would be far likelier, but is out of the question
    logits[1, [91, INS]] = torch.tensor([3.0, 1.0])
    asks = [Ask(0, 91, True, False, False, True, -1), Ask(1, 91, True, False, False, True, -1)]
    reading = read_logits(logits, [request_of(asks)])[0]
    assert reading.label == [INS, 91]


def test_a_healed_row_is_restricted_and_renormalised():
    logits = torch.zeros(2, VOCAB)
    logits[0, 200] = 5.0
    asks = [Ask(0, MASK, False, True, False, False, -1, True), Ask(1, MASK, False, True, False, False, -1)]
    taken_back = TakenBack(token=100, typed=b"x", allowed_ids=np.array([100, 101]))
    reading = read_logits(logits, [request_of(asks, taken_back=taken_back)])[0]
    assert reading.label[0] in (100, 101)
    assert reading.p[0] == pytest.approx(0.5)
    assert reading.healed == pytest.approx(2 / (VOCAB - 64 + np.exp(5.0)), rel=1e-3)  # 448 text ids and <eom>
    assert reading.p[1] == pytest.approx(1 / (VOCAB - 64 + 1), rel=1e-5)


def test_several_requests_read_as_each_alone():
    torch.manual_seed(1)
    sampling = Sampling(temperature=1.0, top_p=0.9, seed=4, step=2)
    first = request_of([Ask(i, MASK, False, True, False, False, -1) for i in range(3)], sampling=sampling)
    second = request_of([Ask(i, 70 + i, False, False, True, True, 80) for i in range(2)], first_position=9)
    logits = torch.randn(5, VOCAB)
    alone = [read_logits(logits[:3].clone(), [first])[0], read_logits(logits[3:].clone(), [second])[0]]
    assert read_logits(logits, [first, second]) == alone


def test_noise_depends_on_each_of_its_three_numbers_and_is_even():
    values = {unit_noise(s, p, t) for s in range(8) for p in range(8) for t in range(8)}
    assert len(values) == 512
    assert all(0 <= value < 1 for value in values)
    assert 0.45 < sum(values) / 512 < 0.55


def test_draws_follow_the_distribution_and_never_end_or_edit_the_text():
    logits = torch.full((1, VOCAB), -torch.inf)
    logits[0, [100, 101, 102, EOM, DEL]] = torch.tensor([0.5, 0.3, 0.2, 5.0, 5.0]).log()
    total = logits.logsumexp(-1)
    counts: Counter[int] = Counter()
    for step in range(2000):
        token, p = draw(logits, total, [0], Sampling(temperature=1.0, top_p=1.0, seed=7, step=step))
        counts[token[0]] += 1
        assert p[0] == pytest.approx(float((logits[0, token[0]] - total).exp()))
    assert set(counts) == {100, 101, 102}
    assert abs(counts[100] / 2000 - 0.5) < 0.05
    assert abs(counts[102] / 2000 - 0.2) < 0.05
    kept = {draw(logits, total, [0], Sampling(1.0, 0.7, 7, step))[0][0] for step in range(200)}
    assert kept == {100, 101}
    cold = {draw(logits, total, [0], Sampling(0.02, 1.0, 7, step))[0][0] for step in range(200)}
    assert cold == {100}


def test_scores_of_the_orders_against_the_formulas():
    torch.manual_seed(2)
    asks = [Ask(i, MASK, False, True, False, False, 100 + i) for i in range(4)]
    logits = torch.randn(4, VOCAB) * 2
    allowed = logits.double().clone()
    allowed[:, [i for i in range(64) if i != EOM]] = -torch.inf
    for i in range(4):
        allowed[i, 100 + i] = -torch.inf
    p = allowed.softmax(-1)
    requests = [request_of(asks[:2]), request_of(asks[2:])]
    requests[0].order, requests[1].order = "entropy", "margin"
    entropy, margin = read_logits(logits, requests)
    assert entropy.score == pytest.approx([float((row[row > 0] * row[row > 0].log()).sum()) for row in p[:2]], rel=1e-5)
    two = p[2:].topk(2).values
    assert margin.score == pytest.approx((two[:, 0] - two[:, 1]).tolist(), rel=1e-4)
    assert read_logits(torch.randn(2, VOCAB), [request_of(asks[:2])])[0].score is None


def test_rows_surer_than_one_can_say_in_32_bits_are_still_told_apart():
    logits = torch.zeros(3, VOCAB)
    logits[:, 100] = torch.tensor([30.0, 50.0, 40.0])
    request = request_of([Ask(i, MASK, False, False, False, False, -1) for i in range(3)])
    request.order = "confidence"
    (reading,) = read_logits(logits.clone(), [request])
    assert reading.p == [1.0, 1.0, 1.0]
    assert reading.score == pytest.approx([30 - math.log(447), 50 - math.log(447), 40 - math.log(447)])
    request.sampling = Sampling(temperature=1.0, top_p=1.0, seed=0, step=0)
    assert read_logits(logits, [request])[0].score is None
