"""What a gate shows, which threshold is chosen, and how gates are ranked: on answers whose figures are known."""

import msgspec
import pytest

from benchmarks.gate import (
    KEYSTROKES,
    PLACES,
    Tried,
    area,
    calibrated,
    characters_saved,
    fitted,
    gates,
    places_of,
    ratio_interval,
    report,
    shown_at,
    typed_up_to,
)
from lsp_server.features.gate import Witness, agreed
from model.evaluation.decode import Place

TEXT = "import os\n\n\ndef total(prices):\n" + "".join(f"    value_{i} = prices[{i}]\n" for i in range(40))


def tried(confidence: float, is_right: bool, **more) -> Tried:
    base = Tried(
        group=PLACES,
        kind="rest",
        is_test=True,
        line=0,
        num_left=5,
        outcome="proposed",
        is_right=is_right,
        num_chars=5,
        confidence=confidence,
        num_tokens=1,
        least_p=confidence,
        first_p=confidence,
        entropy=1.0,
    )
    return msgspec.structs.replace(base, **more)


def by_mean(one: Tried) -> float:
    return one.confidence


TRIES = [tried(0.9, True), tried(0.8, False), tried(0.7, True), tried(0.2, False), tried(0.1, False), tried(0.0, False)]


def test_what_a_threshold_shows():
    at = shown_at([*TRIES, tried(0.0, False, outcome="empty_answer")], by_mean, 0.7)
    assert at.shown == pytest.approx(3 / 7)  # of all questions, those without a proposal too
    assert at.precision == pytest.approx(2 / 3)
    assert at.ratio == pytest.approx(2.0)
    assert (at.kept, at.hidden) == (1.0, 0.75)


def test_nothing_shown_is_no_division_by_nothing():
    assert shown_at(TRIES, by_mean, 1.1).precision == 0.0
    assert shown_at([], by_mean, 0.0).shown == 0.0


def test_the_threshold_shows_as_much_as_the_aim_allows():
    assert calibrated(TRIES, by_mean, 2.0) == 0.7
    assert calibrated(TRIES, by_mean, 3.0) == 0.9
    assert calibrated(TRIES, by_mean, 3.1) is None
    assert calibrated([tried(0.5, False)], by_mean, 2.0) is None
    equal = [tried(0.5, True), tried(0.5, False), tried(0.1, False), tried(0.1, False)]
    assert calibrated(equal, by_mean, 2.0) == 0.5  # equal scores are shown together


def test_the_area_is_the_chance_that_right_ranks_above_wrong():
    assert area(TRIES, by_mean) == pytest.approx(7 / 8)
    assert area(TRIES, lambda one: 1.0) == 0.5
    assert area(TRIES[:1], by_mean) == 0.5


def test_the_shipped_gate_prefers_short_answers_that_are_as_sure():
    score = next(iter(gates().values()))
    assert score(tried(0.8, True, num_tokens=2)) > score(tried(0.8, True, num_tokens=9))
    other = Witness(agrees=False, likeness=0.9, agreeing=1.0)
    same = msgspec.structs.replace(other, agrees=True)
    assert score(tried(0.3, True, witness=same)) > score(tried(0.3, True)) > score(tried(0.3, True, witness=other))


def test_the_interval_holds_the_ratio_and_knows_that_keystrokes_of_a_line_belong_together():
    tries = [tried(0.9 if i % 3 else 0.1, bool(i % 3), line=i // 10) for i in range(300)]
    one_line_each = [msgspec.structs.replace(one, line=i) for i, one in enumerate(tries)]
    ratio = shown_at(tries, by_mean, 0.5).ratio
    for some in (tries, one_line_each):
        low, high = ratio_interval(some, by_mean, 0.5)
        assert low <= ratio <= high
    bunched = [tried(0.9, i < 100, line=i // 50) for i in range(300)]
    low, high = ratio_interval(bunched, lambda one: float(one.line < 3), 0.5)
    alone_low, alone_high = ratio_interval(
        [msgspec.structs.replace(one, line=i) for i, one in enumerate(bunched)], lambda one: float(one.line < 150), 0.5
    )
    assert high - low > alone_high - alone_low


def test_saved_is_what_is_left_when_the_first_right_text_is_shown():
    line = [tried(c, right, num_left=4 - i) for i, (c, right) in enumerate([(0.9, False), (0.1, True), (0.9, True)])]
    assert characters_saved(line, by_mean, 0.5) == 2 / 4
    assert characters_saved(line, by_mean, 0.05) == 3 / 4
    assert characters_saved([*line, tried(0.9, False, line=1, num_left=4)], by_mean, 0.5) == 2 / 8


def test_places_are_begun_lines_new_lines_behind_their_indentation_and_every_keystroke():
    found = list(places_of([("shop/total.py", TEXT)], 3))
    assert {(group, kind) for group, kind, _, _ in found} == {(PLACES, "rest"), (PLACES, "new"), (KEYSTROKES, "typed")}
    for _, kind, _, place in found:
        assert place.before + place.gold + place.after == TEXT
        if kind == "new" and place.gold.startswith("value"):
            assert place.before.endswith("\n    ")
    typed = [place for _, kind, _, place in found if kind == "typed"]
    golds = [place.gold for place in typed]
    assert golds == [golds[0][i:] for i in range(len(golds[0]))]
    assert len({line for _, kind, line, _ in found if kind == "typed"}) == 1


def test_typing_moves_characters_from_what_is_missing_to_what_is_there():
    place = Place(path="a.py", before="x\n", after="\ny", gold="  abc")
    assert typed_up_to(place, 3) == Place(path="a.py", before="x\n  a", after="\ny", gold="bc")


def test_the_report_says_what_is_calibrated_and_what_is_tested(capsys):
    tries = [
        msgspec.structs.replace(one, group=group, is_test=is_test, line=n)
        for group in (PLACES, KEYSTROKES)
        for is_test in (False, True)
        for n, one in enumerate(TRIES)
    ]
    result = report(tries)
    assert result[PLACES]["calibrated mean of the tokens"]["threshold"] == 0.7
    assert result[KEYSTROKES]["precision_of_all"] == pytest.approx(1 / 3)
    assert "saved" in capsys.readouterr().out


def test_one_half_alone_is_refused():
    from model.evaluation.options import EvalError

    with pytest.raises(EvalError, match="calibrate"):
        report([one for one in TRIES if one.is_test])


def test_without_data_it_says_so(monkeypatch, capsys):
    from benchmarks.gate import main
    from benchmarks.options import run

    monkeypatch.setattr("sys.argv", ["gate"])
    assert run(main) == 2
    assert "--shards" in capsys.readouterr().err


def test_the_fit_finds_how_likely_a_similar_line_is_right():
    alike = [tried(0.2, n % 10 != 0, witness=Witness(True, 0.9, 1.0)) for n in range(100)]
    unlike = [tried(0.2, n % 10 == 0, witness=Witness(True, 0.1, 1.0)) for n in range(100)]
    other = [tried(0.2, True, witness=Witness(False, 0.1, 1.0))] * 50  # says something else: no part of the fit
    weights = fitted([*alike, *unlike, *other])
    assert weights is not None
    assert agreed(Witness(True, 0.9, 1.0), 0.2, weights) == pytest.approx(0.9, abs=0.08)
    assert agreed(Witness(True, 0.1, 1.0), 0.2, weights) == pytest.approx(0.1, abs=0.08)
    assert fitted([tried(0.9, True, witness=Witness(True, 1.0, 1.0))] * 100) is not None  # nothing wrong: still finite
    assert fitted(alike[:5]) is None
