"""The evaluation of finding faults: its arithmetic, what counts as found, and the command on shards."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model import cli
from model.evaluation import mend
from model.evaluation.faults import make_faults
from model.evaluation.mend import Finding, by_project, clean_stretches, find, summary, table_of
from model.mending.ranking import Calibration, save_calibration
from model.mending.repair import Finding as Repair
from model.mending.study import FEATURES


def finding(kind: str, *, found=False, exact=False, parser=False, alarms=0) -> Finding:
    return Finding(kind=kind, found=found, num_clean=4, num_alarms=alarms, exact=exact, parser_names=parser)


REST = {"num_calibration_lines": 7, "threshold": 2.0, "forwards_per_300_lines": 90.0, "ms_per_300_lines": 2500.0}


def test_shares_and_rates() -> None:
    findings = [
        finding("operator", found=True, exact=True),
        finding("operator", found=True, alarms=1),
        finding("missing-colon", parser=True),
        finding("missing-colon", parser=True),
    ]
    result = summary(findings, 1000, 2)
    assert result["recall"] == 0.5
    assert result["exact_repair"] == 0.25
    assert result["false_alarms_per_1000_lines"] == pytest.approx(2.0)
    assert result["precision"] == pytest.approx(2 / (2 + 1 + 2))
    assert result["fault_rate"] == pytest.approx(4 / (4 + 16 + 1000))
    wanted = 0.5 * 0.001 / (0.5 * 0.001 + 0.002 * 0.999)
    assert result["precision_at_1_fault_per_1000_lines"] == pytest.approx(wanted)
    assert result["by_kind"]["operator"] == {
        "num": 2,
        "recall": 1.0,
        "precision": 0.5,
        "exact_repair": 0.5,
        "recall_parser": 0.0,
    }
    assert result["by_kind"]["missing-colon"] == {
        "num": 2,
        "recall": 0.0,
        "precision": 0.0,
        "exact_repair": 0.0,
        "recall_parser": 1.0,
    }
    assert result["floors"]["recall_parser"] == 0.5
    assert result["floors"]["recall_chance"] == pytest.approx(0.002)
    rows = dict(table_of(result | REST))
    assert rows["false alarms"].startswith("2.00 ")
    assert "floors: chance 0.2 %, parser 50.0 %" in rows["found"]


def test_without_an_alarm_there_is_no_precision() -> None:
    result = summary([finding("operator")], 2, 0)
    assert result["precision"] is None
    assert result["precision_at_1_fault_per_1000_lines"] is None
    assert result["recall"] == result["exact_repair"] == 0.0
    assert dict(table_of(result | REST))["precision"].startswith("-")


def test_projects_are_kept_apart() -> None:
    paths = ["click/core.py", "flask/app.py", "attr/_make.py", "attrs/__init__.py", "requests/api.py", "clicker/a.py"]
    calibration, test = by_project([(path, "") for path in paths])
    assert [path for path, _ in calibration] == [
        "click/core.py",
        "attr/_make.py",
        "attrs/__init__.py",
        "requests/api.py",
    ]
    assert [path for path, _ in test] == ["flask/app.py", "clicker/a.py"]


def test_sound_stretches_are_enough_and_drawn_once(heldout_texts) -> None:
    stretches = clean_stretches(heldout_texts, 60)
    num_lines = [stretch.num_lines for stretch in stretches]
    assert sum(num_lines) >= 60 > sum(num_lines[:-1])
    assert len({(stretch.view.path, stretch.first) for stretch in stretches}) == len(stretches)
    for stretch in stretches:
        assert stretch.num_lines == sum(stretch.view.has_code(row) for row in range(stretch.first, stretch.last + 1))


class Scripted:
    """Shows the given findings of each text."""

    def __init__(self, shown) -> None:
        self.shown = shown

    def mend(self, view, first_row=0, last_row=None):
        yield from (finding for finding in self.shown(view.text) if first_row <= finding.row <= (last_row or 10**9))


def repair_of(fault, *, row=None, text=None) -> Repair:
    text = fault.gold_line if text is None else text
    end = fault.start + len(fault.bad_line)
    return Repair(fault.row if row is None else row, fault.start, end, text, "name", 3.0, 0.9)


def test_what_is_shown_is_scored(heldout_texts) -> None:
    faults = make_faults(heldout_texts, num=12, seed=0)
    by_text = {fault.text_bad: fault for fault in faults}
    exact = find(faults, Scripted(lambda text: [repair_of(by_text[text])]))
    assert all(found.found and found.exact and found.num_alarms == 0 for found in exact)
    wrong = find(faults, Scripted(lambda text: [repair_of(by_text[text], text="x")]))
    assert all(found.found and not found.exact and found.num_alarms == 0 for found in wrong)
    beside = find(faults, Scripted(lambda text: [repair_of(by_text[text], row=by_text[text].row - 1, text="x")]))
    assert not any(found.found or found.exact for found in beside)
    assert sum(found.num_alarms for found in beside) == len(faults)
    nothing = find(faults, Scripted(lambda text: []))
    assert not any(found.found or found.num_alarms for found in nothing)
    assert [found.kind for found in nothing] == [fault.kind for fault in faults]
    assert any(found.parser_names for found in nothing)
    assert all(found.num_clean > 0 for found in nothing)


@pytest.fixture
def projects_folder(tmp_path: Path, shards_folder: Path) -> Path:
    """The same shards, the first two thirds of the documents named as a calibration project."""
    for name in ("tokenizer.json", "meta.json", "heldout.bin", "heldout.idx.npy"):
        (tmp_path / name).write_bytes((shards_folder / name).read_bytes())
    num = len(np.load(tmp_path / "heldout.idx.npy")) - 1
    projects = ["click" if n < 2 * num // 3 else "flask" for n in range(num)]
    (tmp_path / "heldout.paths.txt").write_text("".join(f"{p}/file{n}.py\n" for n, p in enumerate(projects)))
    return tmp_path


def words_for(folder: Path, shards: Path) -> list[str]:
    return ["eval", "mend", "--shards", str(shards), "--model", str(folder), "--threads", "1"]


def test_the_command(checkpoint_folder, projects_folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(mend, "CLEAN_LINES_PER_FAULT", 5)
    monkeypatch.setattr(mend, "COST_ROWS", 20)
    folder = tmp_path / "model"
    shutil.copytree(checkpoint_folder, folder)
    weights = dict.fromkeys(FEATURES, 0.0) | {"mended": 1.0, "colon, broken": 5.0, "size": -0.1}
    save_calibration(folder, Calibration(weights=weights, fix_threshold=1.0, mend_threshold=2.0, doubt_threshold=1e9))
    words = words_for(folder, projects_folder)
    assert cli.main([*words, "--limit", "9", "--json", "--fp32"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["model"], result["num"], result["place"]) == ("tiny", 9, "found")
    assert result["num_clean_lines"] >= 45
    assert result["false_alarms_per_1000_lines"] == 0.0
    assert result["by_kind"]["missing-colon"]["exact_repair"] == 1.0
    assert 0 < result["exact_repair"] <= result["recall"] < 1
    assert result["forwards_per_300_lines"] > 0
    assert sum(kind["num"] for kind in result["by_kind"].values()) == 9


def test_without_a_calibration_there_is_a_sentence(checkpoint_folder, projects_folder, capsys) -> None:
    assert cli.main(words_for(checkpoint_folder, projects_folder)) == 2
    assert "--calibrate" in capsys.readouterr().err


def test_wrong_use_gets_one_sentence(checkpoint_folder, shards_folder, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*words_for(checkpoint_folder, shards_folder), "--calibrate"]
    assert cli.main(words) == 2  # the shards hold no training text
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main(words_for(checkpoint_folder, shards_folder / "nowhere")) == 2
    assert capsys.readouterr().err.count("\n") == 1
