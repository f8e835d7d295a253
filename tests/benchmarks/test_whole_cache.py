"""What is counted of canvases whose rows were kept, and that keeping nothing is what it is measured against."""

import argparse

import pytest

from benchmarks.whole_cache import Written, fidelity, measured
from model.checkpoints.load import load_checkpoint
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder


def test_shares_are_of_texts_and_of_rows():
    exact = [Written((70, 71, 72, 73), 9, 9, 300, 3), Written((80, 81), 5, 5, 100, 2)]
    kept = [Written((70, 71, 72, 99), 10, 7, 60, 3), Written((80, 81), 10, 10, 40, 2)]
    got = fidelity(exact, kept)
    assert (got.equal_texts, got.same_best, got.rows, got.passes) == (0.5, 17 / 20, 20.0, 2.5)
    assert got.similarity == pytest.approx((0.75 + 1) / 2)


@pytest.mark.parametrize("family", ["dream-coder-base", "llada-base"])
def test_nothing_kept_agrees_with_itself_and_what_is_kept_saves_rows(tmp_path, family):
    assert family in FAMILIES
    folder = tmp_path / family
    write_tiny_folder(folder, family)
    args = argparse.Namespace(data=None, shards=None, limit=2, tokens=6, stretch=3)
    num, found = measured(load_checkpoint(folder), args)
    assert num == 2
    assert (found["none"].equal_texts, found["none"].same_best) == (1.0, 1.0)
    assert found["none"].rows > found["prefix"].rows > found["dual"].rows
    assert {each.passes for each in found.values()} == {6.0}
