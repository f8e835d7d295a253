"""The trace's events do to the document what they say, and lead to the language server's own requests."""

import json
from pathlib import Path

import pytest

from benchmarks.replay import Stroke, replay, request_of, rest_of

TRACE = json.loads((Path(__file__).parents[2] / "benchmarks/data/typing_trace.json").read_text())


def stroke_after(*events: dict) -> Stroke:
    return list(replay({"start_line": 1000, "events": list(events)}))[-1]


@pytest.mark.parametrize(
    ("events", "lines", "column", "typed"),
    [
        ([{"type": "a"}], ["a"], 1, "a"),
        ([{"type": "a"}, {"newline": "    "}], ["a", "    "], 4, "\n    "),
        ([{"type": "a"}, {"pair": "()"}], ["a()"], 2, "("),
        ([{"pair": "()"}, {"type": "x"}, {"over": ")"}], ["(x)"], 3, ")"),
        ([{"type": "a"}, {"type": "b"}, {"delete": 2}], [""], 0, None),
        ([{"accept": "x = 1\ny"}], ["x = 1", "y"], 1, "x = 1\ny"),
        ([{"type": "a"}, {"pause": 500}], ["a"], 1, "a"),
    ],
)
def test_an_event(events: list[dict], lines: list[str], column: int, typed: str | None) -> None:
    before = stroke_after()
    after = stroke_after(*events)
    assert after.lines == (*before.lines[:1000], *lines, *before.lines[1001:])
    assert (after.row, after.column, after.typed) == (1000 + len(lines) - 1, column, typed)


def test_the_cursor_moves_to_a_lines_end_and_never_leaves_the_document() -> None:
    moved = stroke_after({"move": -3})
    assert (moved.row, moved.column) == (997, len(moved.lines[997]))
    assert stroke_after({"move": 10**6}).row == 1999
    assert moved.typed is None


def test_the_committed_trace_can_be_replayed_and_asks_almost_always(checkpoint) -> None:
    strokes = list(replay(TRACE))
    assert len(strokes) == 1 + sum("pause" not in event for event in TRACE["events"])
    requests = [request_of(stroke, checkpoint.preset) for stroke in strokes]
    assert sum(request is not None for request in requests) > 0.8 * len(strokes)
    for stroke, request in zip(strokes, requests, strict=True):
        if request is not None:
            assert request.prompt.line == stroke.lines[stroke.row][: stroke.column]


def test_what_is_left_of_a_ghost_text() -> None:
    typed = stroke_after({"type": "a"})
    assert rest_of("abc", typed) == "bc"
    assert rest_of("bc", typed) == ""
    assert rest_of("abc", stroke_after({"move": 1})) == ""
