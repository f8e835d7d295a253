"""What counts as agreement."""

from benchmarks.agreement import PAIRS, agreement


def test_each_pair_is_compared_place_by_place():
    texts = {name: ["a", "b", "c", "d"] for pair in PAIRS for name in pair[1:]}
    assert set(agreement(texts).values()) == {1.0}
    texts["plain"] = ["a", "b", "d", "c"]
    texts["compiled, one token a forward"] = ["a", "b", "c", "x"]
    assert agreement(texts) == {"cached": 1.0, "packed": 0.5, "compiled": 1.0, "speculated": 0.75}
