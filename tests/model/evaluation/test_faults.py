"""Known faults: one place of one line each, of every kind, never without effect, the same for the same seed."""

import ast
import io
import re
import tokenize
from collections import Counter

import pytest

import model.diffusion.canvas
import model.diffusion.moves
import model.diffusion.run
from model.evaluation.faults import KINDS, all_slips, fault_of, is_table, make_faults
from model.training.syntax_slips import SLIP_KINDS, Slip

MODULES = (model.diffusion.canvas, model.diffusion.moves, model.diffusion.run)


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, str]]:
    """Source of this project: real code, whose every fault can be parsed and compared."""
    found = []
    for module in MODULES:
        assert module.__file__ is not None
        with open(module.__file__, encoding="utf-8") as file:
            found.append((module.__name__, file.read()))
    return found


@pytest.fixture(scope="module")
def faults(documents):
    return make_faults(documents, num=120, seed=3)


def test_kinds_take_turns_and_lines_are_used_once(faults) -> None:
    assert Counter(fault.kind for fault in faults) == dict.fromkeys(KINDS, 10)
    assert len({(fault.path, fault.row) for fault in faults}) == len(faults)


def test_exactly_one_line_differs_and_the_place_restores_it(faults, documents) -> None:
    texts = dict(documents)
    for fault in faults:
        gold, bad = texts[fault.path].split("\n"), fault.text_bad.split("\n")
        assert len(gold) == len(bad)
        assert [row for row in range(len(gold)) if gold[row] != bad[row]] == [fault.row]
        assert (gold[fault.row], bad[fault.row]) == (fault.gold_line, fault.bad_line)
        place = fault.place
        assert place.before + place.gold + place.after == texts[fault.path]
        assert place.before + fault.draft + place.after == fault.text_bad
        assert place.gold == place.gold.lstrip()
        assert fault.draft == fault.draft.lstrip() != ""
        assert place.before.count("\n") == fault.row


def test_no_fault_leaves_the_program_as_it_was(faults, documents) -> None:
    trees = {path: ast.dump(ast.parse(text)) for path, text in documents}
    broken = 0
    for fault in faults:
        try:
            assert ast.dump(ast.parse(fault.text_bad)) != trees[fault.path], fault
        except SyntaxError:
            broken += 1
    assert 0 < broken < len(faults)


def test_brackets_and_colons_always_break_the_syntax(faults) -> None:
    for fault in faults:
        if fault.kind in ("missing-bracket", "missing-colon"):
            with pytest.raises(SyntaxError):
                ast.parse(fault.text_bad)


def test_faults_stay_out_of_comments_and_strings(documents) -> None:
    _, text = documents[0]
    quiet = set()
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        # An f-string holds code, which may well be wrong.
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string[0] in "\"'"):
            (row, column), (end_row, end_column) = token.start, token.end
            quiet.update(range(starts[row - 1] + column + 1, starts[end_row - 1] + end_column))
    assert len(quiet) > 100
    for slip in all_slips(text, "0"):
        if slip.kind != "swapped-arguments":
            assert quiet.isdisjoint(range(slip.start, max(slip.end, slip.start + 1))), slip


def test_the_seed_decides(documents, faults) -> None:
    assert make_faults(list(reversed(documents)), num=120, seed=3) == faults
    assert make_faults(documents, num=120, seed=4) != faults
    assert make_faults(documents, num=24, seed=3) == faults[:24]


def test_words_never_run_together() -> None:
    text = "def f(a, bb):\n    return not a and bb in a\n"
    for kind in set(KINDS) - set(SLIP_KINDS):
        texts = {
            fault.bad_line
            for seed in range(30)
            for slip in all_slips(text, str(seed))
            if slip.kind == kind and (fault := fault_of("a.py", text, slip)) is not None
        }
        assert len(texts) > 5
        words = {word for line in texts for word in re.findall(r"\w+", line)}
        assert words <= {"def", "f", "a", "bb", "return", "not", "and", "in"}


@pytest.mark.parametrize(
    ("start", "end", "replacement"),
    [
        (0, 5, "a = 1"),  # no change
        (4, 5, "1\n"),  # a second line
        (5, 6, ""),  # a newline lost
        (0, 5, ""),  # nothing left
        (12, 13, ""),  # indentation
        (14, 14, " "),  # more indentation
    ],
)
def test_what_is_no_fault_of_one_line(start: int, end: int, replacement: str) -> None:
    text = "a = 1\nif a:\n    b = 2\n"
    assert fault_of("a.py", text, Slip("operator", start, end, replacement)) is None


def test_a_table_of_data_has_no_faults() -> None:
    table = "# names\nTABLE = (\n" + "".join(f"    ({n}, 'a', \"b c\"),\n" for n in range(40)) + ")\n"
    assert is_table(table)
    assert not is_table("import os\n\n\ndef f(a):\n    return os.path.join(a, 'x')\n")
    assert make_faults([("t.py", table)], num=5, seed=0) == []
