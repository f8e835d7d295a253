"""What the text itself suggests to come next."""

import random

from model.diffusion.lookup import MAX_MATCH, Lookup
from model.tokenizer import CUR


def test_what_followed_the_same_tokens_is_suggested():
    assert Lookup([70, 71, 72, 73, 74, 70, 71]).following(2) == [72, 73]
    assert Lookup([70, 71, 72, 73, 74, 75, 76, 70, 71]).following(9) == [72, 73, 74, 75]  # twice the match


def test_a_short_match_suggests_little():
    assert Lookup([70, 71, 72, 73, 74, 70]).following(9) == [71, 72]


def test_a_longer_match_wins_and_of_equal_ones_the_last():
    assert Lookup([70, 71, 80, 90, 71, 81, 70, 71]).following(1) == [80]
    assert Lookup([71, 80, 90, 71, 81, 91, 71]).following(1) == [81]


def test_nothing_to_suggest():
    assert Lookup([]).following(3) == []
    assert Lookup([70, 71, 72]).following(3) == []
    assert Lookup([70, 71, 70, CUR]).following(3) == []


def test_layout_tokens_end_a_suggestion_and_are_none():
    assert Lookup([70, 71, CUR, 90, 70]).following(3) == [71]
    assert Lookup([70, CUR, 90, 70]).following(3) == []
    # The place before the layout token is passed over for one that goes on with text.
    assert Lookup([70, 99, 70, CUR, 70]).following(1) == [99]


def test_added_tokens_count():
    lookup = Lookup([70, 71, 72])
    lookup.add(70)
    assert lookup.following(2) == [71, 72]


def test_against_a_plain_search():
    rng = random.Random(0)
    for _ in range(300):
        ids = [rng.randint(64, 67) for _ in range(rng.randint(1, 40))]
        lengths = {}
        for end in range(len(ids) - 1):
            length = 0
            while length < MAX_MATCH and length <= end and ids[end - length] == ids[-1 - length]:
                length += 1
            if length:
                lengths[end] = length
        want = []
        if lengths:
            best = max(lengths, key=lambda end: (lengths[end], end))
            want = ids[best + 1 : best + 1 + min(3, 2 * lengths[best])]
        assert Lookup(ids).following(3) == want
