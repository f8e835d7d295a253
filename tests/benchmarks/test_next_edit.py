"""The benchmark of next edits: its tasks are what they say, and its figures are counted right."""

import ast
from random import Random

import pytest

from benchmarks.names_oracle import MODULE, variables
from benchmarks.next_edit import Tried, attempt, rows_of
from benchmarks.next_edit_tasks import Task, distance, tasks_of

SOURCE = """\
from __future__ import annotations

class Store:
    def __init__(self, path, mode=1):
        self.path = path
        self.items = {}

    def load(self, name, strict):
        value = self.items.get(name, strict)
        self.items[name] = value
        return value, self.path

    def again(self, name, strict):
        first = self.load(name, strict)
        return self.load(name, strict=True), first

def main(log):
    log.info(1)
    log.info("2")
    x = log.info([3])
    log.info(4 + x)
    store = Store("p")
    store.load("a", 5)
    return store, store.items
"""


def made() -> list[Task]:
    return tasks_of(SOURCE, Random(0))


def test_every_kind_of_change_is_made_of_a_file():
    assert {task.kind for task in made()} == {
        "rename, variable",
        "rename, attribute",
        "parameter removed",
        "parameter added",
        "repetition, attribute",
        "repetition, argument",
        "nothing: another variable",
        "nothing: a number",
        "nothing: a line deleted",
        "nothing: a new line",
    }


def test_what_is_wanted_is_python_and_differs_from_what_was_changed():
    for task in made():
        assert all(one != other for one, other in zip(task.texts, task.texts[1:], strict=False))
        if task.wanted is not None:
            ast.parse(task.wanted)
            assert distance(task.texts[-1], task.wanted) > 0


def test_broken_files_give_none():
    assert tasks_of("def f(:\n", Random(0)) == []


def test_names_as_python_resolves_them():
    found = variables("x = 1\ndef f(x):\n    return [x for y in x], lambda x: x\n")
    assert {(one.name, one.scope == MODULE, one.places) for one in found} == {
        ("x", True, ((0, 0),)),
        ("x", False, ((1, 6), (2, 12), (2, 23))),
        ("y", False, ((2, 18),)),
        ("x", False, ((2, 34), (2, 37))),
    }


def test_the_distance_counts_tokens():
    assert distance("f(a)\n", "f(a)\n") == 0
    assert distance("f(a)\nx\n", "f(b)\nx\n") == 2
    assert distance("f(a)\n", "f(a, b)\n") == 2
    assert distance("a\n", "a\nb\n") == 1_000


def test_an_attempt_accepts_until_nothing_comes():
    task = Task("rename", ("def f(a):\n    b = a\n    return a\n", "def f(x):\n    b = a\n    return a\n"), None)
    right = task._replace(wanted="def f(x):\n    b = x\n    return x\n")
    wrong = task._replace(wanted="def f(x):\n    b = x\n    return a\n")
    tried = attempt(right)
    assert (tried.num_proposed, tried.num_right, tried.is_whole) == (2, 2, True)
    tried = attempt(wrong)
    assert (tried.num_proposed, tried.num_right, tried.is_whole) == (2, 1, False)


def test_the_figures():
    tries = [Tried("a", 2, 1, True, 1.0), Tried("a", 0, 0, False, 1.0), Tried("nothing: b", 1, 0, False, 1.0)]
    one, quiet, asked, nothing = rows_of(tries)
    assert (one.kind, one.num_tasks, one.shown, one.num_proposed) == ("a", 2, 0.5, 2)
    assert (one.right, one.whole) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (quiet.shown, quiet.right) == (1.0, None)
    assert (asked.num_tasks, asked.kind) == (2, "all but nothing")
    assert (nothing.num_tasks, nothing.whole) == (1, None)
