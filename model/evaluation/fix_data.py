"""Benchmarks of repair as places: a wrong text, the characters that a diagnostic would name, and how to check.

HumanEvalFix (Muennighoff et al., arXiv 2308.07124) and QuixBugs (Lin et al., 2017) name no line, so the changed lines
are given; they are checked by their tests. DebugBench (Tian et al., arXiv 2401.04621) ships no tests: only its rows
with a single fault that do not parse are taken, the line is the one CPython's SyntaxError names, and the check is the
right text. A file is told by its fields. Left out: DebugBench's other rows, and finding the place.
"""

from pathlib import Path
from typing import Literal

import msgspec

from model.evaluation.decode import Place
from model.evaluation.options import EvalError, read_rows
from model.lines import lines_of
from model.syntax.python import syntax_error

DataSet = Literal["HumanEvalFix", "QuixBugs", "DebugBench"]

SEVERAL_BUGS = ("double", "triple", "quadruple")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """text = place.before + draft + place.after is wrong, target is right. place.gold is what stands there in target,
    or the draft where the two texts differ elsewhere too.

    one_line: a single line differs. tests: what follows the text in a program that fails if the text is wrong; None =
    nothing can be run.
    """

    name: str
    place: Place
    draft: str
    target: str
    one_line: bool
    tests: str | None

    def with_answer(self, answer: str) -> str:
        """The text with an answer at the place."""
        return self.place.before + answer + self.place.after

    def is_exact(self, answer: str) -> bool:
        """Whether that is the target, but for blanks at line ends and empty lines around the text."""
        return _plain(self.with_answer(answer)) == _plain(self.target)


class HumanEvalFixRow(msgspec.Struct, frozen=True):
    task_id: str
    prompt: str
    buggy_solution: str
    canonical_solution: str
    test: str


class QuixBugsRow(msgspec.Struct, frozen=True):
    name: str
    buggy_program: str
    solution: str
    tests: str


class DebugBenchRow(msgspec.Struct, frozen=True):
    category: str
    slug: str
    oracle_code: str
    buggy_code: str


class _Fields(msgspec.Struct, frozen=True):
    buggy_solution: str | None = None
    buggy_program: str | None = None
    buggy_code: str | None = None


def fix_tasks(path: Path, limit: int | None) -> tuple[DataSet, list[Task]]:
    """The data set's name and its first tasks. EvalError for a file that is none of the three or holds no task."""
    fields = read_rows(path, _Fields, 1)
    if not fields:
        raise EvalError(f"{path} is empty")
    tasks: list[Task | None]
    name: DataSet
    if fields[0].buggy_solution is not None:
        name, tasks = "HumanEvalFix", [_human_eval_fix(row) for row in read_rows(path, HumanEvalFixRow, None)]
    elif fields[0].buggy_program is not None:
        name, tasks = "QuixBugs", [_quix_bugs(row) for row in read_rows(path, QuixBugsRow, None)]
    elif fields[0].buggy_code is not None:
        name, tasks = "DebugBench", [_debug_bench(row) for row in read_rows(path, DebugBenchRow, None)]
    else:
        raise EvalError(f"{path} is neither HumanEvalFix, QuixBugs nor DebugBench by its fields")
    kept = [task for task in tasks if task is not None]
    if not kept:
        raise EvalError(f"{path} holds no row that can be scored")
    return name, kept[:limit]


def pass_line(draft: str) -> str:
    """The floor of the parse rate: the place's text replaced by `pass` at its indentation."""
    return draft[: len(draft) - len(draft.lstrip())] + "pass"


def changed_task(name: str, path: str, bad: str, good: str, tests: str | None) -> Task | None:
    """The task whose place is the changed lines; None if nothing differs.

    Where lines are only missing, the line behind them is named, as a diagnostic would. The indentation of the first
    line stays in the prompt if it is right.
    """
    bad_lines, good_lines = lines_of(bad), lines_of(good)
    if not bad_lines:
        return None
    first = _common(bad_lines, good_lines, min(len(bad_lines), len(good_lines)))
    if first == len(bad_lines) == len(good_lines):
        return None
    room = min(len(bad_lines), len(good_lines)) - first
    num_after = _common(bad_lines[::-1], good_lines[::-1], room)
    if first + num_after == len(bad_lines):  # nothing but missing lines
        num_after, first = (num_after - 1, first) if num_after else (0, first - 1)
    before = "".join(bad_lines[:first])
    after = "".join(bad_lines[len(bad_lines) - num_after :])
    draft = "".join(bad_lines[first : len(bad_lines) - num_after])
    gold = "".join(good_lines[first : len(good_lines) - num_after])
    one_line = draft.count("\n") == gold.count("\n") == 1
    if draft.endswith("\n") and gold.endswith("\n"):
        draft, gold, after = draft[:-1], gold[:-1], "\n" + after
    indent = _indent(draft)
    if gold.startswith(indent) and _indent(gold) == indent:
        before, draft, gold = before + indent, draft[len(indent) :], gold[len(indent) :]
    place = Place(path=path, before=before, after=after, gold=gold)
    return Task(name=name, place=place, draft=draft, target=good, one_line=one_line, tests=tests)


def _human_eval_fix(row: HumanEvalFixRow) -> Task | None:
    bad, good = row.prompt + row.buggy_solution, row.prompt + row.canonical_solution
    return changed_task(row.task_id, "solution.py", bad, good, f"\n\n{row.test}\n")


def _quix_bugs(row: QuixBugsRow) -> Task | None:
    bad, good = row.buggy_program.rstrip("\n") + "\n", row.solution.rstrip("\n") + "\n"
    return changed_task(row.name, f"{row.name}.py", bad, good, f"\n\n{row.tests}\n")


def _debug_bench(row: DebugBenchRow) -> Task | None:
    if row.category in SEVERAL_BUGS:
        return None
    bad, target = _plain(row.buggy_code) + "\n", _plain(row.oracle_code) + "\n"
    error = syntax_error(bad)
    if error is None or error.lineno is None:
        return None
    lines = lines_of(bad)
    row_number = min(max(error.lineno, 1), len(lines)) - 1
    line = lines[row_number].rstrip("\n")
    # What is wrong with the indentation cannot stay in the prompt.
    indent = "" if isinstance(error, IndentationError) else _indent(line)
    before = "".join(lines[:row_number]) + indent
    draft = line[len(indent) :]
    after = "\n" + "".join(lines[row_number + 1 :])
    fits = target.startswith(before) and target.endswith(after) and len(target) >= len(before) + len(after)
    gold = target[len(before) : len(target) - len(after)] if fits else draft
    place = Place(path=f"{row.slug}.py", before=before, after=after, gold=gold)
    one_line = fits and "\n" not in gold
    return Task(name=row.slug, place=place, draft=draft, target=target, one_line=one_line, tests=None)


def _common(left: list[str], right: list[str], limit: int) -> int:
    """How many of the first items are equal."""
    return next((index for index in range(limit) if left[index] != right[index]), limit)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
