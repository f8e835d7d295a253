"""How long a slow engine is left alone."""

import pytest

from lsp_server.debounce import INSTANT_S, MAX_PAUSE_S, remaining_pause_s


def questions(gaps_s: list[float], expected_s: float, editors_pause_s: float = 0.0) -> int:
    """How many of the keys that are pressed with these gaps between them lead to a question."""
    asked = 0
    for gap_s in [*gaps_s, 10.0]:  # in the end the user looks at the screen
        arrives_s = editors_pause_s
        asks_s = arrives_s + remaining_pause_s(expected_s, since_keystroke_s=arrives_s)
        asked += asks_s < gap_s
    return asked


def test_an_instant_engine_is_asked_at_each_key():
    assert remaining_pause_s(INSTANT_S, 0.0) == 0
    assert questions([0.09] * 30, expected_s=0.02) == 31


def test_a_burst_of_keys_asks_a_slow_engine_once():
    assert questions([0.12] * 30, expected_s=0.3) == 1
    assert questions([0.12] * 30 + [0.4] + [0.12] * 30, expected_s=0.3) == 2


def test_what_the_editor_has_waited_counts():
    assert remaining_pause_s(0.3, since_keystroke_s=0.05) == pytest.approx(MAX_PAUSE_S - 0.05)
    assert remaining_pause_s(0.3, since_keystroke_s=MAX_PAUSE_S) == 0
    assert remaining_pause_s(0.3, since_keystroke_s=float("inf")) == 0
    assert questions([0.12] * 30, expected_s=0.3, editors_pause_s=0.05) == 1


def test_the_pause_grows_with_the_engines_time_up_to_a_limit():
    pauses = [remaining_pause_s(expected_s, 0.0) for expected_s in (0.0, 0.05, 0.1, 0.2, 0.3, 5.0)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2] == MAX_PAUSE_S
    assert pauses[2] == pytest.approx(0.05)


def test_a_clock_that_goes_backwards_makes_no_longer_pause():
    assert remaining_pause_s(0.3, since_keystroke_s=-5.0) == MAX_PAUSE_S
