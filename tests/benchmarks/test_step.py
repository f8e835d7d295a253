"""The benchmark of one step on a tiny network: every way is timed, a missing one is said to be missing."""

import pytest

from benchmarks.step import measure, print_table, row_of
from model.network.transformer import Transformer


@pytest.mark.parametrize("block", [1, 4])
def test_the_table_has_every_way(checkpoint, capsys, monkeypatch, block: int) -> None:
    monkeypatch.setattr("benchmarks.step.NUM_CACHED", 40)
    network: Transformer = checkpoint.network
    times = measure({"plain": network, "eager": network}, block, 3)
    assert all(0 < way.best <= way.median for way in times.values())
    row = row_of(block, times, 0.5)
    assert row["compiled_ms"] is None
    assert row["eager_ms"] == times["eager"].best
    print_table([row], "tiny", 1e9)
    heads, line = capsys.readouterr().out.splitlines()[1:]
    assert heads.split() == ["rows", "plain", "eager", "compiled", "limit", "compiled", "/", "limit"]
    assert line.split()[0] == str(block)
    assert line.split()[-1] == "-"
