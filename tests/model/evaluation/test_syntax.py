"""The evaluation of syntax errors: scores against answers that are known, and the command on shards."""

import json

import msgspec
import pytest

from model import cli
from model.evaluation.syntax import answers_of, by_mender, summary, table_of
from model.evaluation.syntax_faults import Faults, SyntaxFault
from model.mending.ranking import Calibration, save_calibration
from model.mending.repair import Finding
from model.mending.study import FEATURES

GOOD = "def f(a):\n    return [a]\n"


def fault(kind: str, bad: str) -> SyntaxFault:
    start = next(i for i, pair in enumerate(zip(GOOD, bad, strict=False)) if pair[0] != pair[1])
    return SyntaxFault(kind=kind, path="f.py", start=start, text=GOOD, text_bad=bad)


FAULTS = [
    fault("deleted colon", GOOD.replace("):", ")")),
    fault("deleted bracket", GOOD.replace("a]", "a")),
    fault("deleted bracket", GOOD.replace("[a", "a")),
    fault("doubled colon", GOOD.replace("):", ")::")),
]


def test_answers_are_scored_by_kind() -> None:
    rows: list[int] = []

    def quick_fixes(path: str, text: str, row: int) -> list[str]:
        rows.append(row)
        if "f(a)\n" in text:
            return [GOOD]
        if "[a\n" in text:
            return [GOOD.replace("[a]", "a"), GOOD]
        return ["def f(:\n"] if "::" in text else []

    made = Faults(FAULTS, {"deleted colon": 0, "deleted bracket": 3, "doubled colon": 1})
    result = summary(answers_of(quick_fixes, FAULTS), made)
    assert rows == [0, 1, 1, 0]
    assert (result["num"], result["num_left_out"]) == (4, 4)
    assert result["exact"] == 0.25
    assert 0.0 < result["exact_low"] < 0.25 < result["exact_high"] < 1.0
    assert result["exact_second"] == 0.25
    assert result["offered_another"] == 0.5
    assert result["parses"] == 0.5
    assert result["by_kind"]["deleted bracket"]["num_left_out"] == 3
    assert result["by_kind"]["deleted colon"]["exact"] == 1.0
    assert result["by_kind"]["doubled colon"]["parses"] == 0.0
    assert result["ms_p95"] >= result["ms_median"] >= 0.0
    lines = dict(table_of(result))
    assert lines["exact, first fix"].startswith("25.0 %  [")
    assert "4 more" in lines["errors"]


class _Scripted:
    """Offers what it is told to, whatever it is asked."""

    def __init__(self, *found: Finding) -> None:
        self.found = found

    def fix(self, view, first_row: int, last_row: int):
        yield from self.found


def finding(text: str, start: int, new: str, confidence: float) -> Finding:
    return Finding(text.count("\n", 0, start), start, start, new, "bracket", 0.0, confidence)


def test_what_the_server_would_not_offer_is_no_answer() -> None:
    bad = GOOD.replace("a]", "a")
    end = bad.index("[a") + 2
    useless, far = finding(bad, end, " ", 0.9), finding(bad + "\n" * 40 + ")", len(bad) + 40, "", 0.8)
    ask = by_mender(_Scripted(useless, far, finding(bad, end, "]", 0.5)))  # type: ignore[arg-type]
    assert ask("f.py", bad, 1) == [GOOD]
    assert by_mender(_Scripted())("f.py", bad, 1) == []  # type: ignore[arg-type]


def test_the_command_on_shards(checkpoint_folder, shards_folder, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "syntax", "--model", str(checkpoint_folder), "--shards", str(shards_folder), "--limit", "8"]
    calibration = checkpoint_folder / "mending.json"
    calibration.unlink(missing_ok=True)
    assert cli.main(words) == 2
    assert "no calibration" in capsys.readouterr().err
    weights = dict.fromkeys(FEATURES, 0.0) | {"chars removed, broken": -1.0, "chars added, broken": -1.0}
    save_calibration(
        checkpoint_folder, Calibration(weights=weights, fix_threshold=0.0, mend_threshold=1.0, doubt_threshold=1.0)
    )
    try:
        assert cli.main([*words, "--json"]) == 0
    finally:
        calibration.unlink()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert msgspec.json.encode(result)
    assert (result["num"], result["way"], result["model"]) == (8, "engine", "tiny")
    assert result["parses"] > 0.5  # what it offers the parser has read
