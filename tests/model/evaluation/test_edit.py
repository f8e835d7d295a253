"""`eval edit`: rows become tasks, and the score counts what the tests accept; floors are the code unchanged."""

import argparse
import json
from pathlib import Path

import pytest

from model.evaluation import sandbox
from model.evaluation.decode import Decoder
from model.evaluation.edit import add_arguments, by_decoder, rewriting, score
from model.evaluation.edit_data import EditTask, edit_tasks
from model.evaluation.options import EvalError

PLAIN = {
    "task_id": "EditEval/0",
    "instruction": "Add one. ",
    "context": "",
    "input": "def f(x):\n    return x",
    "output": "def f(x):\n    return x + 1",
    "test": "def check():\n    assert f(1) == 2",
    "META": {"author": "nobody"},
}
INSIDE = {
    **{key: value for key, value in PLAIN.items() if key != "context"},
    "task_id": "EditEval/1",
    "context": "class A:\n{{Code}}\n\nB = 3\n",
    "input": "    def f(self):\n        return 1",
    "output": "    def f(self):\n        return B",
    "test": "def check():\n    assert A().f() == 3",
}
CAN = {
    "id": 1,
    "name": "a",
    "full_name": "1_a",
    "before": "def f():\n    return 1\n",
    "after": "import math\n\n\ndef f():\n    return math.floor(2.5)\n",
    "tests": "if True:\n    assert f() == 2",
    "instruction_descriptive": "Make the function\nreturn two.",
    "instruction_lazy": "return 2",
    "taxonomy": {"change_kind": "corrective"},
}
FOREIGN = {**CAN, "full_name": "2_b", "after": "import numpy\n" + CAN["after"]}


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_edit_eval_edits_the_marked_part(tmp_path: Path) -> None:
    without = {key: value for key, value in PLAIN.items() if key != "context"}
    name, (plain, inside, bare) = edit_tasks(write(tmp_path / "rows.jsonl", PLAIN, INSIDE, without), None)
    assert name == "EditEval"
    assert (plain.old, plain.instruction, plain.place.before, plain.place.after) == (PLAIN["input"], "Add one.", "", "")
    assert inside.with_answer(inside.old) == INSIDE["context"].replace("{{Code}}", INSIDE["input"])
    assert inside.place.gold == INSIDE["output"]
    assert bare.with_answer("x") == "x"


def test_can_it_edit_asks_twice_and_needs_the_standard_library_alone(tmp_path: Path) -> None:
    name, tasks = edit_tasks(write(tmp_path / "rows.jsonl", CAN, FOREIGN), None)
    assert name == "CanItEdit-stdlib"
    assert [(task.name, task.wording, task.instruction) for task in tasks] == [
        ("1_a", "descriptive", "Make the function return two."),
        ("1_a", "lazy", "return 2"),
    ]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="neither EditEval nor CanItEdit"):
        edit_tasks(write(tmp_path / "rows.jsonl", {"x": 1}), None)
    with pytest.raises(EvalError, match="standard library"):
        edit_tasks(write(tmp_path / "rows.jsonl", FOREIGN), None)


@pytest.fixture
def tasks(tmp_path: Path) -> list[EditTask]:
    return edit_tasks(write(tmp_path / "rows.jsonl", PLAIN, INSIDE), None)[1]


def test_scores_stand_beside_their_floors(tasks: list[EditTask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(sandbox, "run_program", run_here)
    answers = {"EditEval/0": (tasks[0].place.gold, 3), "EditEval/1": (tasks[1].old, 0)}
    table, result = score(lambda task: answers[task.name], "EditEval", tasks)
    assert (result["num"], result["pass_at_1"], result["floors"]["pass_at_1"]) == (2, 0.5, 0.0)
    assert (result["exact"], result["unchanged"], result["refused"], result["parse_rate"]) == (0.5, 0.5, 0.5, 1.0)
    assert dict(table)["pass@1"] == "50.0 %  (floor 0.0 %)"


def test_wordings_have_scores_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(sandbox, "run_program", run_here)
    tasks = edit_tasks(write(tmp_path / "rows.jsonl", CAN), None)[1]
    _, result = score(lambda task: ("def f(): return 2" if task.wording == "lazy" else "def f(", 1), "x", tasks)
    assert {wording: scores["pass_at_1"] for wording, scores in result["by_wording"].items()} == {
        "descriptive": 0.0,
        "lazy": 1.0,
    }


def test_rows_whose_true_answer_fails_are_left_out(tasks: list[EditTask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(sandbox, "run_program", lambda program, timeout_s: run_here(program.replace("B = 3", ""), 1))
    assert score(lambda task: (task.old, 0), "EditEval", tasks)[1]["num"] == 1


def test_without_a_sandbox_nothing_is_run(tasks: list[EditTask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: "there is none")
    table, result = score(lambda task: (task.place.gold, 2), "EditEval", tasks)
    assert (result["pass_at_1"], result["exact"], result["no_execution"]) == (None, 1.0, "there is none")
    assert dict(table)["pass@1"] == "not run: there is none"


def test_what_does_not_fit_stays_as_it_is(checkpoint, tasks: list[EditTask]) -> None:
    from msgspec.structs import replace

    rewrite = by_decoder(Decoder(rewriting(checkpoint)))
    text, forwards = rewrite(tasks[0])
    assert forwards > 0
    assert not text.endswith("\n")
    long = replace(tasks[0], old="x = 1\n" * 300)
    assert rewrite(long) == (long.old, 0)


def test_the_command_line_is_read() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--data", "x", "--through-server", "--fp32"])
    assert args.through_server
    assert args.fp32


class _Ran:
    def __init__(self, *, passed: bool) -> None:
        self.passed = passed


def run_here(program: str, timeout_s: float) -> _Ran:
    """Stands in for the sandbox: these programs are this test's own."""
    try:
        exec(program, {})
    except Exception:
        return _Ran(passed=False)
    return _Ran(passed=True)
