"""Benchmarks of instructed edits as tasks: code, an instruction in words, and tests that tell whether it was done.

EditEval (Zhang et al., "InstructCoder", arXiv 2310.20329): the code of a row may stand inside a `context`, at the mark
`{{Code}}`; then only that part is edited. CanItEdit (Cassano et al., arXiv 2312.12450): each row asks twice, at length
(`descriptive`) and in a few words (`lazy`); of its 105 rows those are taken that need the standard library alone.
A file is told by its fields. Left out: CanItEdit's second metric (code that the tests do not reach).
"""

import ast
import sys
from pathlib import Path
from typing import Literal

import msgspec

from model.evaluation.decode import Place
from model.evaluation.options import EvalError, read_rows

DataSet = Literal["EditEval", "CanItEdit-stdlib"]

MARK = "{{Code}}"


class EditTask(msgspec.Struct, frozen=True, kw_only=True):
    """At `place` stands `old`; place.gold is one right answer. tests: what follows the text in a program that fails if
    the edit was not done. wording: how the instruction is worded, where a benchmark has several.
    """

    name: str
    place: Place
    old: str
    instruction: str
    tests: str
    wording: str = ""

    def with_answer(self, answer: str) -> str:
        """The text with an answer at the place."""
        return self.place.before + answer + self.place.after


class EditEvalRow(msgspec.Struct, frozen=True):
    task_id: str
    instruction: str
    input: str
    output: str
    test: str
    context: str = ""


class CanItEditRow(msgspec.Struct, frozen=True):
    full_name: str
    before: str
    after: str
    tests: str
    instruction_descriptive: str
    instruction_lazy: str


class _Fields(msgspec.Struct, frozen=True):
    input: str | None = None
    instruction_lazy: str | None = None


def edit_tasks(path: Path, limit: int | None) -> tuple[DataSet, list[EditTask]]:
    """The data set's name and its first tasks. EvalError for a file that is neither or holds no task."""
    fields = read_rows(path, _Fields, 1)[0]
    if fields.input is not None:
        rows = read_rows(path, EditEvalRow, None)
        return "EditEval", [_edit_eval(row) for row in rows][:limit]
    if fields.instruction_lazy is None:
        raise EvalError(f"{path} is neither EditEval nor CanItEdit by its fields")
    kept = [row for row in read_rows(path, CanItEditRow, None) if _needs_nothing(row.after + "\n" + row.tests)]
    tasks = [task for row in kept for task in _can_it_edit(row)]
    if not tasks:
        raise EvalError(f"{path} holds no row that runs with the standard library alone")
    return "CanItEdit-stdlib", tasks[:limit]


def _edit_eval(row: EditEvalRow) -> EditTask:
    before, _, after = row.context.partition(MARK) if row.context else ("", "", "")
    place = Place(path="main.py", before=before, after=after, gold=row.output)
    tests = f"\n\n{row.test}\n\ncheck()\n"
    return EditTask(name=row.task_id, place=place, old=row.input, instruction=row.instruction.strip(), tests=tests)


def _can_it_edit(row: CanItEditRow) -> list[EditTask]:
    place = Place(path=f"{row.full_name}.py", before="", after="", gold=row.after)
    return [
        EditTask(
            name=row.full_name,
            place=place,
            old=row.before,
            instruction=" ".join(words.split()),
            tests=f"\n\n{row.tests}\n",
            wording=wording,
        )
        for wording, words in (("descriptive", row.instruction_descriptive), ("lazy", row.instruction_lazy))
    ]


def _needs_nothing(source: str) -> bool:
    """Whether a program imports the standard library alone."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return False
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return all(name.partition(".")[0] in sys.stdlib_module_names for name in names)
