"""Rows of infilling benchmarks as places, with the metric that each kind of row wants.

Three kinds, told apart by their fields and the shape of what is missing: a whole line that is compared as text
(SantaCoder-FIM: no `entry_point`), a whole line with tests, and a span of characters with tests (HumanEval-Infilling,
Bavarian et al., arXiv 2207.14255). A whole line is missing with its newline. The files are for scoring only. Left
out: fetching them, and running programs (sandbox.py).
"""

from pathlib import Path

import msgspec

from model.engine import api
from model.evaluation.decode import Place
from model.evaluation.metrics import edit_similarity, first_line, line_exact
from model.evaluation.options import EvalError, read_rows

NAME = "solution.py"


class Row(msgspec.Struct, frozen=True):
    """One line of the file; fields of other kinds are left at their defaults."""

    prompt: str
    suffix: str
    canonical_solution: str
    entry_point: str = ""
    test: str = ""


class Infill(msgspec.Struct, frozen=True):
    """A place and how its answers are judged. `tests`: program text behind the solution, empty if there is none."""

    place: Place
    is_line: bool
    tests: str

    def is_exact(self, answer: str) -> bool:
        """A line: as the SantaCoder harness compares it; a span: every character."""
        return line_exact(answer, self.place.gold) if self.is_line else answer == self.place.gold

    def similarity(self, answer: str) -> float:
        if self.is_line:
            return edit_similarity(first_line(answer), self.place.gold.strip())
        return edit_similarity(answer, self.place.gold)

    def program(self, answer: str) -> str:
        """The solution with this answer (an answer of a line gets its newline) and its tests."""
        return self._solution(answer.removesuffix("\n") + "\n" if self.is_line else answer)

    def floor_program(self) -> str:
        """The same with nothing where the answer goes."""
        return self._solution("")

    def _solution(self, middle: str) -> str:
        return f"{self.place.before}{middle}{self.place.after}\n{self.tests}"


class InfillSet(msgspec.Struct, frozen=True):
    """`what` names the kind for a report; `stop`: where an answer of free length ends; with tests there is a pass@1."""

    what: str
    rows: tuple[Infill, ...]
    stop: api.StopRule
    has_tests: bool


def read_infill(path: Path, limit: int | None) -> InfillSet:
    """The rows of a file. EvalError if it is damaged, of another kind, or mixed."""
    rows = read_rows(path, Row, limit)
    has_tests = bool(rows[0].entry_point)
    if any(bool(row.entry_point) != has_tests or bool(row.entry_point) != bool(row.test) for row in rows):
        raise EvalError(f"{path} mixes rows with and without entry_point and test")
    if not has_tests:
        return InfillSet("whole lines", tuple(_line_of_text(row) for row in rows), "line", False)
    if all(_is_whole_line(row) for row in rows):
        return InfillSet("whole lines with tests", tuple(_with_tests(row, is_line=True) for row in rows), "line", True)
    return InfillSet("spans with tests", tuple(_with_tests(row, is_line=False) for row in rows), "eom", True)


def _line_of_text(row: Row) -> Infill:
    """SantaCoder's prompts lack the newline before the missing line, and its suffixes the one behind it."""
    before = row.prompt if row.prompt.endswith("\n") or not row.prompt else row.prompt + "\n"
    gold = row.canonical_solution.removesuffix("\n") + "\n"
    return Infill(Place(path=NAME, before=before, after=row.suffix, gold=gold), is_line=True, tests="")


def _with_tests(row: Row, *, is_line: bool) -> Infill:
    place = Place(path=NAME, before=row.prompt, after=row.suffix, gold=row.canonical_solution)
    return Infill(place, is_line=is_line, tests=f"{row.test}\ncheck({row.entry_point})\n")


def _is_whole_line(row: Row) -> bool:
    gold = row.canonical_solution
    return row.prompt.endswith("\n") and gold.find("\n") == len(gold) - 1
