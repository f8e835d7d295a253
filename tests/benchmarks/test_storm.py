"""The storm of edits: a short one in every run, the whole one among the slow tests. No clock is asserted."""

import asyncio
import random
import tempfile
from pathlib import Path

import pytest

from benchmarks.memory import PROC
from benchmarks.storm import BAR_GROWTH_MB, BAR_MB, NUM_EDITS, NUM_LINES, Found, Page, source_lines, storm

pytestmark = pytest.mark.skipif(not (PROC / "self" / "status").exists(), reason="no /proc")


def blow(num_edits: int) -> Found:
    # The socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        return asyncio.run(storm(Path(folder), num_edits, seed=1))


def test_a_short_storm() -> None:
    found = blow(500)
    assert found.num_answered == found.num_requests > 300
    assert found.num_shown > 20
    assert found.outcomes["stale"] > 20
    assert found.after_mb <= BAR_MB


@pytest.mark.slow
def test_a_storm_leaves_nothing_behind() -> None:
    found = blow(NUM_EDITS)
    assert found.num_answered == found.num_requests
    assert found.most_mb <= BAR_MB
    assert found.growth_mb <= BAR_GROWTH_MB


def test_the_editor_of_the_storm_knows_its_own_text() -> None:
    rng = random.Random(0)
    page, text = Page("file:///a.py", "a\n😀b\n"), "a\n😀b\n"
    for _ in range(300):
        deed = rng.choice([lambda: page.insert("x\ny"), lambda: page.insert("é"), page.delete, page.delete, page.undo])
        change = deed()
        lines = text.split("\n")
        (first, last) = (offset(lines, change["range"][name]) for name in ("start", "end"))
        text = text[:first] + change["text"] + text[last:]
        assert "\n".join(page.lines) == text


def offset(lines: list[str], position: dict[str, int]) -> int:
    units = lines[position["line"]].encode("utf-16-le")[: 2 * position["character"]]
    return sum(len(line) + 1 for line in lines[: position["line"]]) + len(units.decode("utf-16-le"))


def test_the_documents_are_two_thousand_lines() -> None:
    assert len(source_lines()) == NUM_LINES
