"""The evaluation of finding faults: its arithmetic, what counts as found, and the command on shards."""

import json
from pathlib import Path

import numpy as np
import pytest

from model import cli
from model.evaluation import mend
from model.evaluation.decode import Answer, Decoder
from model.evaluation.faults import make_faults
from model.evaluation.mend import Finding, by_project, clean_views, find, flat, scores_of, summary, table_of


def finding(kind: str, *, found=False, exact=False, parser=False, alarms=0) -> Finding:
    return Finding(kind=kind, found=found, num_clean=4, num_alarms=alarms, exact=exact, parser_names=parser)


def test_shares_and_rates() -> None:
    findings = [
        finding("operator", found=True, exact=True),
        finding("operator", found=True, alarms=1),
        finding("missing-colon", parser=True),
        finding("missing-colon", parser=True),
    ]
    clean = [0.0] * 998 + [3.0, 5.0]
    result = summary(findings, clean, threshold=2.0)
    assert result["recall"] == 0.5
    assert result["exact_repair"] == 0.25
    assert result["false_alarms_per_1000_lines"] == pytest.approx(2.0)
    assert result["precision"] == pytest.approx(2 / (2 + 1 + 2))
    assert result["fault_rate"] == pytest.approx(4 / (4 + 16 + 1000))
    wanted = 0.5 * 0.001 / (0.5 * 0.001 + 0.002 * 0.999)
    assert result["precision_at_1_fault_per_1000_lines"] == pytest.approx(wanted)
    assert result["by_kind"]["operator"] == {"num": 2, "recall": 1.0, "exact_repair": 0.5, "recall_parser": 0.0}
    assert result["by_kind"]["missing-colon"] == {"num": 2, "recall": 0.0, "exact_repair": 0.0, "recall_parser": 1.0}
    assert result["floors"]["recall_parser"] == 0.5
    assert result["floors"]["recall_chance"] == pytest.approx(0.002)
    rows = dict(table_of(result | {"num_calibration_lines": 7}))
    assert rows["false alarms"].startswith("2.00 ")
    assert "floors: chance 0.2 %, parser 50.0 %" in rows["found"]


def test_without_an_alarm_there_is_no_precision() -> None:
    result = summary([finding("operator")], [0.0, 1.0], threshold=1.0)
    assert result["precision"] is None
    assert result["precision_at_1_fault_per_1000_lines"] is None
    assert result["recall"] == result["exact_repair"] == 0.0
    assert dict(table_of(result | {"num_calibration_lines": 7}))["precision"].startswith("-")


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


def test_clean_lines_are_enough_and_drawn_once(checkpoint, heldout_texts) -> None:
    decoder = Decoder(checkpoint)
    views = clean_views(heldout_texts, 60, decoder)
    num_lines = [len(view.window.judged_rows) for view in views]
    assert sum(num_lines) >= 60 > sum(num_lines[:-1])
    assert len({(view.path, view.window.start) for view in views}) == len(views)
    assert len({view.path for view in views}) > 1
    assert len(flat(scores_of(views, decoder, "lines"))) == sum(num_lines)


class Knowing(Decoder):
    """Its repair gives the true text."""

    def repair(self, place, draft, *, locked=None) -> Answer:
        return Answer(text=place.gold, ids=(), forwards=1, steps=1, confidence=1.0, reason="eom")


def test_what_is_flagged_is_repaired(checkpoint, heldout_texts) -> None:
    faults = make_faults(heldout_texts, num=12, seed=0)
    decoder = Knowing(checkpoint)
    everything = find(faults, -1e9, decoder)
    assert all(finding.found and finding.exact for finding in everything)
    assert all(finding.num_alarms == finding.num_clean for finding in everything)
    nothing = find(faults, 1e9, decoder)
    assert not any(finding.found or finding.exact or finding.num_alarms for finding in nothing)
    assert [finding.kind for finding in nothing] == [fault.kind for fault in faults]
    assert any(finding.parser_names for finding in nothing)


def test_only_the_faulty_line_counts_as_found(checkpoint, heldout_texts, monkeypatch: pytest.MonkeyPatch) -> None:
    """With scores that are high on the faulty lines alone, recall is 1 and there are no alarms."""
    faults = make_faults(heldout_texts, num=6, seed=1)

    def scores_of(views, decoder, what):
        return [
            {row: 9.0 if row == fault.row else 0.0 for row in view.window.judged_rows}
            for view, fault in zip(views, faults, strict=True)
        ]

    monkeypatch.setattr(mend, "scores_of", scores_of)
    found = find(faults, 1.0, Knowing(checkpoint))
    assert all(finding.found and finding.exact and finding.num_alarms == 0 for finding in found)
    assert all(finding.num_clean >= 0 for finding in found)


@pytest.fixture
def projects_folder(tmp_path: Path, shards_folder: Path) -> Path:
    """The same shards, the first two thirds of the documents named as a calibration project."""
    for name in ("tokenizer.json", "meta.json", "heldout.bin", "heldout.idx.npy"):
        (tmp_path / name).write_bytes((shards_folder / name).read_bytes())
    num = len(np.load(tmp_path / "heldout.idx.npy")) - 1
    projects = ["click" if n < 2 * num // 3 else "flask" for n in range(num)]
    (tmp_path / "heldout.paths.txt").write_text("".join(f"{p}/file{n}.py\n" for n, p in enumerate(projects)))
    return tmp_path


def test_the_command(
    checkpoint_folder, projects_folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mend, "CLEAN_LINES_PER_FAULT", 5)
    words = ["eval", "mend", "--shards", str(projects_folder), "--model", str(checkpoint_folder), "--limit", "8"]
    assert cli.main([*words, "--threads", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["model"], result["num"], result["place"]) == ("tiny", 8, "found")
    assert result["num_calibration_lines"] >= 40
    assert result["num_clean_lines"] >= 40
    assert 0 <= result["exact_repair"] <= result["recall"] <= 1
    assert sum(kind["num"] for kind in result["by_kind"].values()) == 8


def test_wrong_use_gets_one_sentence(checkpoint_folder, shards_folder, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "mend", "--model", str(checkpoint_folder), "--threads", "1"]
    assert cli.main([*words, "--shards", str(shards_folder)]) == 2
    assert "projects to calibrate on" in capsys.readouterr().err
    assert cli.main([*words, "--shards", str(shards_folder / "nowhere")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
