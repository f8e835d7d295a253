"""Answers to the rows of an infilling benchmark, their scores and their cost.

Every score has its floor: the same metric for empty answers. Source of the metrics: metrics.py. Left out: the command
and its table (infill.py).
"""

from collections.abc import Iterable, Sequence

import msgspec

from model.evaluation.decode import Answer, Decoder, Decoding, Length
from model.evaluation.infill_data import Infill, InfillSet
from model.evaluation.metrics import SIMILARITY, gate
from model.evaluation.options import watched
from model.evaluation.sandbox import run_program


def answer_all(decoder: Decoder, data: InfillSet, *, length: Length, decoding: Decoding) -> list[Answer]:
    """One answer a row, in order."""
    ways = {"blocks": decoder.complete, "clean": decoder.complete_clean, "speculate": decoder.complete_speculate}
    write = ways[decoding]
    return [write(row.place, stop=data.stop, length=length) for row in watched(data.rows, "answers")]


def scores_of(rows: Sequence[Infill], answers: Sequence[Answer], *, run_tests: bool) -> dict:
    """Shares 0..1 with their floors; `pass_at_1` is None unless tests are run."""
    right = [row.is_exact(answer.text) for row, answer in zip(rows, answers, strict=True)]
    similar = [row.similarity(answer.text) for row, answer in zip(rows, answers, strict=True)]
    passed = floor_passed = None
    if run_tests:
        passed = pass_rate(row.program(answer.text) for row, answer in zip(rows, answers, strict=True))
        floor_passed = pass_rate(row.floor_program() for row in rows)
    return {
        "exact_match": _mean(right),
        "edit_similarity": _mean(similar),
        "edit_similarity_by": SIMILARITY,
        "pass_at_1": passed,
        "floor": {
            "exact_match": _mean([row.is_exact("") for row in rows]),
            "edit_similarity": _mean([row.similarity("") for row in rows]),
            "pass_at_1": floor_passed,
        },
        "gate": msgspec.to_builtins(gate([(a.confidence, ok) for a, ok in zip(answers, right, strict=True)])),
    }


def costs_of(answers: Sequence[Answer]) -> dict:
    """`forwards` and `steps` are means of a row; `tpf` = text tokens delivered per forward, prefill included."""
    num_forwards = max(1, sum(answer.forwards for answer in answers))
    return {
        "empty": _mean([not answer.text.strip() for answer in answers]),
        "forwards": _mean([answer.forwards for answer in answers]),
        "steps": _mean([answer.steps for answer in answers]),
        "tpf": sum(len(answer.ids) for answer in answers) / num_forwards,
        "bytes_per_forward": sum(len(answer.text.encode()) for answer in answers) / num_forwards,
    }


def pass_rate(programs: Iterable[str]) -> float:
    """The share of programs that end without an error in the sandbox. Raises SandboxError where there is none."""
    return _mean([run_program(program).passed for program in watched(list(programs), "programs")])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
