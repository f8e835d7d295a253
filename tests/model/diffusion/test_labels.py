"""Alignment labels: the properties that make repeated editing reach the clean text."""

import itertools
from random import Random

import pytest

from model.diffusion.labels import MASK_ANY, MASK_SURPLUS, MISSING, SUBSTITUTE, SURPLUS, align_labels
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, INS, MASK

A, B, C, X = 100, 101, 102, 103
NUM_BLOCKS = 4_000


def labels(z, x, locked=()):
    states = [MASKED if t == MASK else LOCKED if i in locked else DRAFT for i, t in enumerate(z)]
    return align_labels(z, states, x)


def plain_labels(z, x):
    """The rule as it is written down, cell by cell."""

    def cost(zi, xj):
        return MASK_ANY if zi == MASK else 0 if zi == xj else SUBSTITUTE

    n, m = len(z), len(x)
    d = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n, -1, -1):
        for j in range(m, -1, -1):
            ways = [0] if i == n and j == m else []
            if i < n and j < m:
                ways.append(cost(z[i], x[j]) + d[i + 1][j + 1])
            if j < m:
                ways.append(MISSING + d[i][j + 1])
            if i < n:
                ways.append((MASK_SURPLUS if z[i] == MASK else SURPLUS) + d[i + 1][j])
            d[i][j] = min(ways)
    out, i, j, gap = [None] * n, 0, 0, False
    while i < n or j < m:
        if i < n and j < m and d[i][j] == cost(z[i], x[j]) + d[i + 1][j + 1]:
            out[i], gap, i, j = (INS if gap else x[j]), False, i + 1, j + 1
        elif j < m and d[i][j] == MISSING + d[i][j + 1]:
            gap, j = True, j + 1
        else:
            out[i], i = DEL, i + 1
    return out


def random_block(rng):
    """Clean text that ends in <eom>, and a corrupted form: edits, runs of up to four deleted, masks; <eom> stays."""
    x = [100 + rng.randrange(12) for _ in range(rng.randint(1, 32))] + [EOM]
    rate, masks = rng.uniform(0, 0.25), rng.random() if rng.random() < 0.7 else 0.0
    z, i = [], 0
    while i < len(x) - 1:
        u = rng.random()
        if u < rate / 3:
            z.append(100 + rng.randrange(12))
        elif u < 2 * rate / 3:
            z += [100 + rng.randrange(12), x[i]]
        elif u < rate:
            i += rng.randint(1, 4) - 1
        else:
            z.append(x[i])
        i += 1
    return [MASK if rng.random() < masks else t for t in z] + [EOM], x


def blocks():
    rng = Random(7)
    return [random_block(rng) for _ in range(NUM_BLOCKS)]


def apply(z, wanted):
    """One step of all moves together. A position is (token, times its gap has asked): such a gap gets 1, 2, 4, 8
    masks."""
    out = []
    for (token, asked), label in zip(z, wanted, strict=True):
        if label == INS:
            out += [(MASK, 0)] * (1 << min(asked, 3)) + [(token, asked + 1)]
        elif label != DEL:
            out.append((label, asked))
    return out


def test_the_table_is_the_written_rule():
    for z, x in blocks()[:1_500]:
        assert labels(z, x) == plain_labels(z, x)


def test_ins_stands_only_on_visible_tokens_that_are_right():
    seen = 0
    for z, x in blocks():
        for token, label in zip(z, labels(z, x), strict=True):
            if label == INS:
                seen += 1
                assert token != MASK
                assert token in x
    assert seen > 200


def test_del_and_ins_are_never_neighbours():
    seen = 0
    for z, x in blocks():
        found = labels(z, x)
        seen += DEL in found and INS in found
        for left, right in itertools.pairwise(found):
            assert {left, right} != {DEL, INS}
    assert seen > 50


def test_applying_the_labels_again_and_again_reaches_the_text():
    num_quick = 0
    for corrupted, x in blocks():
        z = [(token, 0) for token in corrupted]
        for step in range(6):
            tokens = [token for token, _ in z]
            if tokens == x:
                num_quick += step <= 4
                break
            z = apply(z, labels(tokens, x))
        else:
            pytest.fail(f"not reached in five steps: {corrupted} -> {x}")
    assert num_quick >= 0.98 * NUM_BLOCKS


def test_same_input_same_labels_however_it_was_made():
    for z, x in blocks()[:300]:
        assert labels(list(z), list(x)) == labels(tuple(z), tuple(x))


@pytest.mark.parametrize(
    ("z", "x", "wanted"),
    [
        ([A, B, EOM], [EOM], [DEL, DEL, EOM]),  # nothing should be there
        ([MASK, B], [B], [DEL, B]),  # a right visible token is never deleted to please a mask
        ([A, A, A, EOM], [A, A, EOM], [A, A, DEL, EOM]),  # the last of equal neighbours is the surplus one
        ([A, C, EOM], [A, B, C, EOM], [A, INS, EOM]),  # one missing
        ([A, C, EOM], [A, B, B, X, C, EOM], [A, INS, EOM]),  # several missing: one <ins>
        ([B, A, EOM], [A, B, EOM], [A, B, EOM]),  # a swap is two substitutions, the length kept
        ([MASK, MASK, MASK, C], [A, C], [A, DEL, DEL, C]),  # too many masks
        ([MASK, C], [A, B, C], [A, INS]),  # too few masks: the visible token asks for more
        ([A, B], [A, B, C], [A, B]),  # missing at the end: the next block sees it
        ([MASK, MASK], [A, EOM], [A, EOM]),
        ([], [A, B], []),
        ([A], [], [DEL]),
        ([C], [A, B, C], [INS]),  # missing before the first row
    ],
)
def test_small_cases(z, x, wanted):
    assert labels(z, x) == wanted


def test_a_block_longer_than_its_clean_text_and_than_64():
    x = [100 + i % 12 for i in range(64)]
    z = [*x[:30], X + 50, X + 51, *x[30:]]
    assert labels(z, x) == [*x[:30], DEL, DEL, *x[30:]]


def test_a_locked_token_is_only_itself_or_ins():
    assert labels([A, C, EOM], [A, B, C, EOM], locked={1, 2}) == [A, INS, EOM]
    # Without the lock B would become A; with it, the aligner has to delete the first token instead.
    assert labels([A, B, EOM], [B, EOM], locked={1, 2}) == [DEL, B, EOM]


def test_a_locked_token_that_is_not_in_the_text_is_refused():
    with pytest.raises(ValueError, match="locked"):
        labels([A, B], [A, C], locked={1})


def test_a_locked_token_keeps_its_place_before_an_equal_draft():
    """The surplus draft in front of its locked twin must not take the twin's place."""
    assert labels([A, A], [A], locked={1}) == [DEL, A]
    assert labels([A, A, A, EOM], [A, A, EOM], locked={2, 3}) == [A, DEL, A, EOM]
    assert labels([A, B, A, B], [A, B], locked={2, 3}) == [DEL, DEL, A, B]


def test_random_blocks_with_locked_ends_are_labelled():
    rng = Random(2)
    for _ in range(2_000):
        x = [rng.choice((A, B)) for _ in range(rng.randint(2, 12))]
        num_locked = rng.randint(1, len(x) - 1)
        draft = [token for token in x[:-num_locked] for _ in range(rng.randint(0, 2))]
        z = [*draft, *x[-num_locked:]]
        found = labels(z, x, locked=set(range(len(draft), len(z))))
        assert [INS if label == INS else token for label, token in zip(found, z, strict=True)][len(draft) :] == found[
            len(draft) :
        ]


def test_states_must_match_tokens():
    with pytest.raises(ValueError, match="states"):
        align_labels([A, B], [DRAFT], [A, B])
