"""Fix and mend with weights that are made up, so that no network decides."""

import pytest

from model.mending.find import broken_rows, doubts, rows_of_unknown_names
from model.mending.ranking import Calibration
from model.mending.reader import Interrupted, Reader
from model.mending.repair import Mender
from model.mending.study import FEATURES
from model.mending.text_view import TextView
from model.syntax.python import parses
from tests.model.mending.conftest import TEXT, row_of


def mender(reader: Reader, doubt: float = 1e9, **weights: float) -> Mender:
    """Weights by the first word of a feature; a repair needs 1 where it is named, 2 where it is not."""
    known = dict.fromkeys(FEATURES, 0.0)
    for name in known:
        known[name] = weights.get(name.split(",")[0].replace(" ", "_"), 0.0)
    known["gain, broken"] = 0.0
    return Mender(reader, Calibration(weights=known, fix_threshold=1.0, mend_threshold=2.0, doubt_threshold=doubt))


COLONS = {"colon": 5.0, "mended": 1.0, "size": -0.1}


def test_a_named_line_is_fixed(reader) -> None:
    text = TEXT.replace("def count(self, kind):", "def count(self, kind)")
    row = row_of(text, "def count")
    view = TextView("a.py", text)
    finding, *others = mender(reader, **COLONS).fix(view, row, row)
    assert finding.applied(text) == TEXT
    assert len(others) <= 1
    assert (finding.row, finding.text, finding.kind) == (row, ":", "colon")
    assert 0 < finding.confidence <= 1
    assert finding.start == finding.end == text.index("kind)") + len("kind)")


MARKS = {
    "mended": 1.0,
    "size": -0.1,
    "chars_removed": -1.0,
    "chars_added": -1.0,
    "bracket": 2.0,
    "colon": 2.0,
    "quote": 2.0,
}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("things[0], basket.count(kind))", "things[0], basket.count(kind)"),
        ("basket = Basket(things)", "basket = Basket(things))"),
        ('    """Holds things."""', '    ""Holds things."""'),
        ('    """Holds things."""', '    """Holds things.""'),
        ("if thing.kind == kind:", "if thing.kind == kind::"),
    ],
)
def test_errors_of_one_mark_are_mended_whatever_the_threshold(reader, good: str, bad: str) -> None:
    text = TEXT.replace(good, bad)
    row = row_of(text, bad.split("\n")[0])
    never = Calibration(
        weights=mender(reader, **MARKS).calibration.weights, fix_threshold=1e6, mend_threshold=1e6, doubt_threshold=1e9
    )
    found = list(Mender(reader, never).fix(TextView("a.py", text), max(0, row - 2), row + 2))
    assert 0 < len(found) <= 2
    assert all(parses(finding.applied(text)) for finding in found)
    assert TEXT in [finding.applied(text) for finding in found]
    assert sum(finding.confidence for finding in found) <= 1.0


def test_a_line_of_a_long_statement_is_mended(reader) -> None:
    text = "x = {\n" + "".join(f'    "k{i}": {i},\n' for i in range(240)) + "}\n"
    bad = text.replace('"k120": 120', '"k120" 120')
    finding, *_ = mender(reader, **MARKS).fix(TextView("a.py", bad), 119, 123)
    assert finding.applied(bad).replace(" ", "") == text.replace(" ", "")


def test_of_two_errors_the_one_that_is_named_is_mended(reader) -> None:
    text = TEXT.replace("def count(self, kind):", "def count(self, kind)").replace("(things):", "(things:")
    row = row_of(text, "def count")
    finding, *_ = mender(reader, **MARKS).fix(TextView("a.py", text), row, row)
    assert finding.applied(text) == text.replace("kind)\n        total", "kind):\n        total")


def test_blanks_before_what_was_lost_go(reader) -> None:
    text = TEXT.replace("kind=None", "kind=None").replace("self.total = 0", "self.total = ").replace("\n", "\r\n")
    row = row_of(text, "self.total = ")
    finding, *_ = mender(reader, mended=1.0, added=5.0, chars_added=-0.1).fix(TextView("a.py", text), row, row)
    assert finding.applied(text).split("\r\n")[row].rstrip() == finding.applied(text).split("\r\n")[row]


def test_a_sound_line_of_a_broken_text_is_judged_as_ever(reader) -> None:
    text = TEXT.replace("return total", "return totl") + "\n\nx = (\n"
    row = row_of(text, "totl")
    [finding] = mender(reader, unknown_removed=3.0, spelling=3.0, unknown_added=-3.0).fix(
        TextView("a.py", text), row, row
    )
    assert "return total\n" in finding.applied(text)


def test_a_named_line_that_nothing_speaks_for_stays(reader, view) -> None:
    row = row_of(TEXT, "return total")
    assert list(mender(reader).fix(view, row, row)) == []
    assert list(mender(reader, **COLONS).fix(view, row, row + 100)) == []


def test_the_line_where_the_parser_stumbles_is_mended(reader) -> None:
    text = TEXT.replace("if thing.kind == kind:", "if thing.kind == kind")
    [finding] = mender(reader, **COLONS).mend(TextView("a.py", text))
    assert finding.applied(text) == TEXT


def test_a_name_that_nothing_binds_is_mended(reader) -> None:
    text = TEXT.replace("return total", "return totl")
    view = TextView("a.py", text)
    assert rows_of_unknown_names(view) == [row_of(text, "totl")]
    [finding] = mender(reader, unknown_removed=3.0, spelling=3.0, unknown_added=-3.0).mend(view)
    assert finding.applied(text) == TEXT
    assert list(mender(reader, unknown_removed=3.0, spelling=3.0).mend(view, 0, row_of(text, "totl") - 1)) == []


def test_sound_text_without_doubt_is_left_alone(reader, view) -> None:
    assert broken_rows(view) == rows_of_unknown_names(view) == []
    assert list(mender(reader, gain=100.0, size=50.0).mend(view)) == []


def test_what_a_second_look_would_change_again_is_not_shown(reader) -> None:
    """With weights that like every change of a number, no repair is final."""
    row = row_of(TEXT, "self.total = 0")
    view = TextView("a.py", TEXT)
    assert list(mender(reader, number=5.0).fix(view, row, row)) == []


def test_rivals_for_one_broken_statement_are_one_finding(reader) -> None:
    text = "def f(a, b):\n    x = (a\n    y = b\n    return x\n"
    found = list(mender(reader, mended=5.0, bracket=1.0).mend(TextView("a.py", text)))
    assert len(found) == 1
    assert "x = (a)" in found[0].applied(text) or "x = a" in found[0].applied(text)


def test_doubts_are_told_for_rows_of_code_inside(reader, view) -> None:
    inside = range(row_of(TEXT, "self.things = things"), row_of(TEXT, "return total"))
    found = doubts(reader, view, inside)
    assert set(found) == {row for row in inside if view.has_code(row)}
    whole = doubts(reader, view, range(len(view.lines)))
    assert set(whole) == {row for row in range(len(view.lines)) if view.has_code(row)}


def test_doubtful_rows_are_looked_at_most_doubtful_first(reader, view) -> None:
    known = dict.fromkeys(range(5, 25), 0.0) | {12: 2.0, 14: 3.0, 9: 1.5}
    assert mender(reader, doubt=1.2).suspects(view, doubt=known) == [14, 12, 9]


def test_the_search_for_what_mends_ends_when_it_is_told_to(checkpoint, reader) -> None:
    def between() -> None:
        raise Interrupted("deadline")

    text = TEXT.replace("kind):", "kind)")
    row = row_of(text, "def count")
    stopping = Reader(checkpoint, reader.prompt_of, reader.encode, between)
    with pytest.raises(Interrupted, match="deadline"):
        list(mender(stopping, **MARKS).fix(TextView("a.py", text), row - 1, row + 1))
    assert stopping.num_forwards == 0


def test_work_ends_when_it_is_told_to(checkpoint, reader, view) -> None:
    num = 0

    def between() -> None:
        nonlocal num
        num += 1
        if num > 3:
            raise Interrupted("cancelled")

    stopping = Reader(checkpoint, reader.prompt_of, reader.encode, between)
    row = row_of(TEXT, "return total")
    with pytest.raises(Interrupted, match="cancelled"):
        list(mender(stopping, gain=1.0).fix(view, row, row))
    assert stopping.num_forwards == 3
