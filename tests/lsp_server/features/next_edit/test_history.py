"""The last changes as runs: what is one run, what is none, and that it is bounded; for any edits at all."""

from edit_desk import EditDesk
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.features.next_edit import history as module
from lsp_server.features.next_edit.history import MAX_RUN_LINES, MAX_RUNS, History
from lsp_server.positions import split_lines

EDITS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12), st.text("ab\n ", max_size=6)), max_size=30)


def runs(*texts: str) -> list[tuple[str, str]]:
    """The runs of a document that had these texts, as what was and what is."""
    desk = EditDesk(texts[0])
    for text in texts[1:]:
        desk.write(text)
    return [("".join(run.old), "".join(run.new)) for run in desk.history.runs]


def test_keystrokes_in_a_line_are_one_run():
    assert runs("a = 1\nb\n", "a = 12\nb\n", "a = 1\nb\n", "a = x\nb\n") == [("a = 1\n", "a = x\n")]


def test_lines_that_touch_are_two():
    assert runs("a\nb\n", "a1\nb\n", "a1\nb1\n") == [("a\n", "a1\n"), ("b\n", "b1\n")]


def test_new_lines_below_each_other_are_one():
    assert runs("a\nz\n", "a\nb\nz\n", "a\nbc\nz\n", "a\nbc\nd\nz\n") == [("", "bc\nd\n")]


def test_a_line_that_is_split_belongs_to_the_run():
    assert runs("ab\nz\n", "abc\nz\n", "a\nbc\nz\n") == [("ab\n", "a\nbc\n")]


def test_what_is_taken_back_is_no_run():
    assert runs("a\nb\n", "a1\nb\n", "a\nb\n") == []


def test_runs_move_with_what_is_inserted_above():
    desk = EditDesk("a\nb\n")
    desk.write("a\nb1\n")
    desk.write("new\n\na\nb1\n")
    assert [run.row for run in desk.history.runs] == [3, 0]
    assert desk.history.runs[0].is_in(desk.lines)


def test_a_large_change_ends_the_history():
    desk = EditDesk("a\nb\n")
    desk.write("a1\nb\n")
    desk.write("x\n" * (MAX_RUN_LINES + 1))
    assert desk.history == History()


def test_a_huge_document_has_none(monkeypatch):
    monkeypatch.setattr(module, "MAX_DOCUMENT_LINES", 3)
    assert runs("a\nb\nc\nd\n", "a1\nb\nc\nd\n") == []


def test_an_accepted_follow_up_is_no_run_but_moves_them():
    old, new = split_lines("f(\n  a,\n  b)\nx = 1\n"), split_lines("f(\n  a)\nx = 1\n")
    history = History().after(split_lines("f(\n  a,\n  b)\nx = 2\n"), old).followed(old, new)
    assert [(run.row, run.new) for run in history.runs] == [(2, ("x = 1\n",))]


@given(EDITS)
def test_the_newest_run_is_exactly_what_lies_between_two_texts(edits):
    desk = EditDesk("one\ntwo\n\nthree\nfour\nfive\n")
    for at, num, text in edits:
        start = min(at, len(desk.text))
        desk.write(desk.text[:start] + text + desk.text[start + num :])
        assert len(desk.history.runs) <= MAX_RUNS
        if desk.history.runs:
            run = desk.history.runs[-1]
            assert run.is_in(desk.lines)
            assert run.before[run.before_row : run.before_row + len(run.old)] == run.old
            assert run.old != run.new
            assert desk.lines[: run.row] + run.old + desk.lines[run.end_row :] == run.before
