"""One line studied: what is proposed, and that nothing reads worse."""

import numpy as np
import pytest

from model.mending.study import FEATURES, MAX_JUDGED, Line, study
from model.mending.text_view import TextView
from model.syntax.python import parses
from tests.model.mending.conftest import TEXT, row_of

DAMAGED = [
    ("def count(self, kind):", "def count(self, kind)"),
    ("self.things = things", "self.things = things)"),
    ("if thing.kind == kind:", "if thing.kind = kind:"),
    ("basket = Basket(things)", "basket = Basket things)"),
    ("return total", "retrun total"),
    ("for thing in self.things:", "for thing self.things:"),
]


@pytest.mark.parametrize(("good", "bad"), DAMAGED)
def test_the_truth_is_among_the_proposals_of_a_broken_line(reader, good: str, bad: str) -> None:
    text = TEXT.replace(good, bad, 1)
    found = study(reader, TextView("a.py", text), row_of(text, bad))
    texts = [proposal.changed for proposal in found.proposals]
    assert found.code == bad
    assert good in texts
    assert all(proposal.is_of_broken_line for proposal in found.proposals)
    assert all(parses(text.replace(bad, changed, 1)) for changed in texts)


def test_proposals_of_a_sound_line_keep_it_sound(reader, view) -> None:
    found = study(reader, view, row_of(TEXT, "if thing.kind"))
    assert 5 < len(found.proposals) <= MAX_JUDGED
    assert view.text[found.start :].startswith(found.code)
    assert len({proposal.changed for proposal in found.proposals}) == len(found.proposals)
    for proposal in found.proposals:
        assert parses(TEXT.replace(found.code, proposal.changed, 1)), proposal.changed
        assert not proposal.is_of_broken_line
        assert proposal.features.shape == (len(FEATURES),)
        assert np.isfinite(proposal.features).all()


def test_the_numbers_say_what_changes(reader) -> None:
    text = TEXT.replace("return total", "return totl")
    found = study(reader, TextView("a.py", text), row_of(text, "return totl"))
    right = next(proposal for proposal in found.proposals if proposal.changed == "return total")
    numbers = dict(zip(FEATURES, right.features, strict=True))
    assert right.kind == "spelling"
    assert (numbers["unknown removed"], numbers["unknown added"]) == (1.0, 0.0)
    assert numbers["added elsewhere"] > numbers["removed elsewhere"] == 0.0
    assert numbers["pairs new"] > 0.0 or numbers["pairs lost"] == 0.0
    assert numbers["spelling, sound"] == 1.0
    assert sum(numbers[name] for name in FEATURES if name.endswith((", sound", ", broken"))) == 1.0


@pytest.mark.parametrize("part", ['"""A module', '"""Holds'])
def test_prose_and_blank_rows_have_no_proposals(reader, view, part: str) -> None:
    assert study(reader, view, row_of(TEXT, part)).proposals == ()
    assert study(reader, view, row_of(TEXT, "import os") + 1).proposals == ()


def test_endless_lines_have_none(reader) -> None:
    text = "x = [" + "1, " * 400 + "]\n"
    assert not study(reader, TextView("a.py", text), 0).proposals
    broken = TextView("a.py", text.replace("]", ""))
    assert not Line(reader, broken, 0).can_be_mended()


def test_windows_line_ends_and_other_alphabets(reader) -> None:
    text = TEXT.replace("total", "größe").replace("\n", "\r\n")
    found = study(reader, TextView("a.py", text), row_of(text, "return größe"))
    assert found.code == "return größe"
    assert text[found.start : found.start + len(found.code)] == found.code
    assert found.proposals
