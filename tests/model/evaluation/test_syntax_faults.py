"""Syntax errors that are made, and which of them count."""

from model.evaluation.syntax_faults import make_syntax_faults
from model.mending.mark_slips import KINDS
from model.syntax.python import parses


def test_faults_are_errors_of_one_place(heldout_texts) -> None:
    made = make_syntax_faults(heldout_texts, num=40, seed=0)
    assert made == make_syntax_faults(list(reversed(heldout_texts)), num=40, seed=0)
    assert [fault.kind for fault in made.faults] == [KINDS[i % len(KINDS)] for i in range(40)]
    texts = dict(heldout_texts)
    for fault in made.faults:
        assert fault.text == texts[fault.path]
        assert fault.text_bad[: fault.start] == fault.text[: fault.start]
        assert not parses(fault.text_bad)
        assert abs(len(fault.text_bad) - len(fault.text)) <= len("return ")
    assert len({(fault.path, fault.kind, fault.start) for fault in made.faults}) == 40
    assert made.faults != make_syntax_faults(heldout_texts, num=40, seed=1).faults


def test_what_still_parses_is_left_out_and_counted() -> None:
    texts = [("a.py", "def f():\n    return x\n")]
    made = make_syntax_faults(texts, num=64, seed=0)
    assert "deleted keyword" in {fault.kind for fault in made.faults}
    assert all("return x" in fault.text_bad for fault in made.faults if fault.kind == "deleted keyword")
    assert made.num_sound["deleted keyword"] == 1
    assert made.num_sound["deleted bracket"] == 0


def test_texts_that_are_no_python_are_passed_over() -> None:
    assert make_syntax_faults([("a.py", "print 'x'\n"), ("b.py", "x = (\n")], num=8, seed=0).faults == []
    assert make_syntax_faults([("a.py", "")], num=8, seed=0).faults == []
