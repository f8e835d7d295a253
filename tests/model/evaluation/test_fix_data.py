"""Repair benchmarks as places, from made-up rows of the three schemas."""

import gzip
import json
from pathlib import Path

import pytest

from model.evaluation.fix_data import changed_task, fix_tasks, pass_line
from model.evaluation.options import EvalError
from model.syntax.python import parses

ONE = {
    "task_id": "Python/0",
    "prompt": "def twice(a):\n    '''Two of them.'''\n",
    "declaration": "def twice(a):\n",
    "buggy_solution": "    b = a\n    return b + 1\n",
    "canonical_solution": "    b = a\n    return b + a\n",
    "test": "def check(twice):\n    assert twice(3) == 6\n\ncheck(twice)",
}
QUIX = {
    "name": "count",
    "buggy_program": "def count(n):\n    return n - 1",
    "docstring": "...",
    "solution": "def count(n):\n    return n",
    "tests": "assert count(3) == 3",
}
DEBUG = {
    "category": "missing colons",
    "slug": "a-task",
    "oracle_code": "class Solution:\n    def f(self, n):\n        if n:\n            return 1  \n        return 2",
    "buggy_code": "\nclass Solution:\n    def f(self, n):\n        if n\n            return 1\n        return 2\n",
}


def write(path: Path, *rows: dict) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_human_eval_fix(tmp_path: Path) -> None:
    name, [task] = fix_tasks(write(tmp_path / "a.jsonl", ONE), None)
    assert name == "HumanEvalFix"
    assert task.one_line
    assert (task.draft, task.place.gold) == ("return b + 1", "return b + a")
    assert task.place.before == ONE["prompt"] + "    b = a\n    "
    assert task.place.after == "\n"
    assert task.tests is not None
    scope: dict = {}
    exec(task.with_answer("return a + b") + task.tests, scope)  # a program of this test, not of a model
    with pytest.raises(AssertionError):
        exec(task.with_answer(task.draft) + task.tests, scope)
    assert task.is_exact("return b + a")
    assert not task.is_exact("return a + b")
    assert not task.is_exact(task.draft)


def test_quix_bugs(tmp_path: Path) -> None:
    name, [task] = fix_tasks(write(tmp_path / "q.jsonl", QUIX), None)
    assert name == "QuixBugs"
    assert (task.draft, task.place.gold, task.place.after) == ("return n - 1", "return n", "\n")
    assert task.with_answer(task.place.gold) == task.target


def test_debug_bench_takes_single_faults_that_do_not_parse(tmp_path: Path) -> None:
    right = DEBUG | {"category": "condition error", "buggy_code": DEBUG["oracle_code"].replace("1", "3")}
    several = DEBUG | {"category": "double"}
    name, tasks = fix_tasks(write(tmp_path / "d.jsonl.gz", right, several, DEBUG, DEBUG), None)
    assert name == "DebugBench"
    assert len(tasks) == 2
    task = tasks[0]
    assert task.tests is None
    assert task.one_line
    assert (task.draft, task.place.gold) == ("if n", "if n:")  # blanks at line ends are not compared
    assert task.is_exact("if n:")
    assert not parses(task.with_answer(task.draft))
    assert parses(task.with_answer("if n:"))
    assert len(fix_tasks(tmp_path / "d.jsonl.gz", 1)[1]) == 1


def test_debug_bench_gives_the_whole_line_where_its_indentation_is_wrong(tmp_path: Path) -> None:
    row = DEBUG | {"buggy_code": DEBUG["oracle_code"].replace("            return 1", "      return 1")}
    _, [task] = fix_tasks(write(tmp_path / "d.jsonl", row), None)
    assert task.draft == "      return 1"
    assert task.place.gold == "            return 1"
    assert task.is_exact("            return 1")


def test_where_more_than_the_named_line_differs_the_draft_stands_for_gold(tmp_path: Path) -> None:
    row = DEBUG | {"buggy_code": DEBUG["buggy_code"].replace("return 2", "return 3")}
    _, [task] = fix_tasks(write(tmp_path / "d.jsonl", row), None)
    assert not task.one_line
    assert task.place.gold == task.draft == "if n"
    assert not task.is_exact("if n:")


@pytest.mark.parametrize(
    ("bad", "good", "draft", "gold"),
    [
        ("a\nb\nc\n", "a\nx\nc\n", "b", "x"),
        ("a\nb\nc\n", "a\nc\n", "b\n", ""),  # a line too many
        ("a\nc\n", "a\nb\nc\n", "c", "b\nc"),  # a missing line: the next one is named
        ("a\n", "a\nb\n", "a", "a\nb"),  # at the end: the last one
        ("if a:\n    b\n    c\n", "if a:\n    d\n    e\n", "b\n    c", "d\n    e"),
        ("if a:\n  b\n", "if a:\n    b\n", "  b", "    b"),  # wrong indentation belongs to the place
        ("a\na\n", "a\na\na\n", "a", "a\na"),
    ],
)
def test_the_place_is_the_changed_lines(bad: str, good: str, draft: str, gold: str) -> None:
    task = changed_task("n", "p.py", bad, good, None)
    assert task is not None
    assert (task.draft, task.place.gold) == (draft, gold)
    assert task.with_answer(draft) == bad
    assert task.with_answer(gold) == good
    assert task.one_line == (draft.count("\n") == gold.count("\n") == 0 and bad.count("\n") == good.count("\n"))


def test_equal_texts_are_no_task() -> None:
    assert changed_task("n", "p.py", "a\n", "a\n", None) is None


def test_the_floor_keeps_the_indentation() -> None:
    assert pass_line("    if a\n") == "    pass"
    assert pass_line("x") == "pass"


def test_foreign_and_empty_files_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="neither HumanEvalFix"):
        fix_tasks(write(tmp_path / "f.jsonl", {"prompt": "a"}), None)
    with pytest.raises(EvalError, match="no row that can be scored"):
        fix_tasks(write(tmp_path / "n.jsonl", DEBUG | {"category": "triple"}), None)
    with pytest.raises(EvalError, match="damaged or of another kind"):
        fix_tasks(write(tmp_path / "m.jsonl", {"buggy_solution": "a"}), None)
