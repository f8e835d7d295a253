"""What the comparison with llama.cpp counts; llama.cpp itself is not needed."""

import sys

import numpy as np
import pytest

from benchmarks.lines import Line
from benchmarks.llamacpp import (
    ALONG,
    BLOCKS,
    BROKEN,
    DRAFTS,
    LLAMA,
    LLAMA_GUESSES,
    NO_GUESS,
    SPECULATE,
    compare_logits,
    left_of,
    main,
    print_lines,
    print_trace,
)
from benchmarks.replay import Stroke
from benchmarks.timing import Timed
from model.evaluation.options import EvalError


def of(*lines: tuple[str, int, float]) -> Timed:
    return Timed([Line((), text, forwards) for text, forwards, _ in lines], [ms for _, _, ms in lines])


def test_equal_logits_agree_and_a_constant_does_not_matter() -> None:
    logits_TV = np.array([[0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
    same, kls = compare_logits(logits_TV, logits_TV + 5)
    assert same == [1.0, 1.0]
    assert kls == pytest.approx([0.0, 0.0], abs=1e-12)


def test_other_logits_diverge() -> None:
    same, kls = compare_logits(np.array([[0.0, np.log(3)]]), np.array([[0.0, 0.0]]))
    assert kls == pytest.approx([0.25 * np.log(0.5) + 0.75 * np.log(1.5)])
    assert same == [0.0]  # the first of equals is the other's best


def test_the_speedup_is_over_the_lines_with_the_same_text() -> None:
    lines = {
        LLAMA: of(("a", 4, 8.0), ("b", 4, 10.0), ("c", 4, 12.0)),
        LLAMA_GUESSES: of(("a", 3, 7.0), ("b", 3, 9.0), ("c", 3, 11.0)),
        BLOCKS: of(("a", 2, 4.0), ("x", 1, 1.0), ("y", 1, 1.0)),
        SPECULATE: of(("a", 2, 5.0), ("b", 3, 6.0), ("c", 2, 7.0)),
    }
    result = print_lines(lines)
    assert result["speedup_blocks"] == 8.0 / 4.0
    assert result["speedup_speculate"] == 10.0 / 6.0
    assert (result["speedup"], result["way"]) == (2.0, BLOCKS)
    assert result["speedup_blocks_all"] == 10.0
    assert result["same_text_blocks"] == pytest.approx(1 / 3)
    assert (result["forwards_llamacpp"], result["ms_llamacpp"]) == (4.0, 10.0)


def test_the_trace_is_counted_as_a_whole_and_where_there_was_a_guess() -> None:
    theirs = of(("a", 4, 8.0), ("b", 4, 10.0), ("c", 4, 12.0))
    done = {
        LLAMA: theirs,
        LLAMA_GUESSES: theirs,
        BLOCKS: theirs,
        SPECULATE: theirs,
        DRAFTS: of(("a", 1, 2.0), ("b", 4, 10.0), ("x", 1, 3.0)),
    }
    result = print_trace((done, [ALONG, NO_GUESS, BROKEN]))
    assert result["speedup_trace"] == pytest.approx(10.0 / 3.0)
    assert result["speedup_trace_along"] == 8.0 / 2.0
    assert result["speedup_trace_broken"] == 12.0 / 3.0
    assert result["speedup_trace_none"] == 1.0
    assert result["speedup_trace_total"] == pytest.approx(30.0 / 15.0)
    assert result["same_text_trace"] == pytest.approx(2 / 3)
    assert result["forwards_trace"] == 2.0
    assert result["trace_kinds"] == {"all": 3, ALONG: 1, BROKEN: 1, NO_GUESS: 1}


@pytest.mark.parametrize(
    ("ghost", "typed", "expected"),
    [
        ("total(x)", "t", (ALONG, "otal(x)")),
        ("total(x)", "tall", (BROKEN, "(x)")),
        ("total(x)", "=", (NO_GUESS, "")),
        ("total(x)", None, (NO_GUESS, "")),
    ],
)
def test_what_a_keystroke_leaves_of_the_ghost_text(ghost: str, typed: str | None, expected: tuple[str, str]) -> None:
    assert left_of(ghost, Stroke("type", typed, ("",), 0, 0)) == expected


def test_a_missing_llama_cpp_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["llamacpp"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(EvalError, match="llama-cpp-python is not installed"):
        main()
