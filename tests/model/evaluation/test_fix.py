"""The evaluation of repairs: scores against answers that are known, and the command on shards and on a file."""

import copy
import json
from dataclasses import replace

import msgspec
import pytest

from model import cli
from model.checkpoints.load import save_checkpoint
from model.evaluation import sandbox
from model.evaluation.decode import Answer, Decoder, Place
from model.evaluation.faults import Fault
from model.evaluation.fix import by_mender, by_sampler, editing, reader_of, score_faults, score_tasks
from model.evaluation.fix_data import changed_task
from model.evaluation.options import EvalError
from model.mending.ranking import Calibration, save_calibration
from model.mending.repair import Mender
from model.mending.study import FEATURES

GOLD = "def f(a):\n    return a + 1\n"


def scripted(answers: dict[str, str]):
    """Replaces known drafts, at two forwards each, and leaves others alone."""

    def repair(place, draft) -> tuple[str, int]:
        assert place.before + place.gold + place.after == GOLD
        return answers.get(draft, draft), 2

    return repair


def fault(kind: str, bad: str) -> Fault:
    text = GOLD.replace("return a + 1", bad)
    return Fault(
        kind=kind,
        path="f.py",
        text_bad=text,
        row=1,
        start=10,
        gold_line="    return a + 1",
        bad_line=f"    {bad}",
    )


def test_faults_are_scored_by_kind() -> None:
    faults = [fault("operator", "return a - 1"), fault("operator", "return a * 1"), fault("off-by-one", "return a + 2")]
    sampler = scripted({"return a * 1": "return a + 1", "return a + 1": "return a"})
    table, result = score_faults(
        scripted({"return a - 1": "return a + 1", "return a + 2": "return a + 3"}), faults, sampler
    )
    assert result["exact_repair"] == pytest.approx(1 / 3)
    assert result["changed"] == pytest.approx(2 / 3)
    assert result["by_kind"]["operator"] == {
        "num": 2,
        "exact_repair": 0.5,
        "precision": 1.0,
        "floor": 0.0,
    }
    assert result["by_kind"]["off-by-one"] == {
        "num": 1,
        "exact_repair": 0.0,
        "precision": 0.0,
        "floor": 0.0,
    }
    assert result["kept_clean"] == 1.0
    assert result["floors"] == {"exact_repair": 0.0, "kept_clean": 1.0, "what": "the line unchanged"}
    assert result["forwards_per_answer"] == 2.0
    assert (result["place"], result["length"], result["num"]) == ("given", "free", 3)
    assert ("exact repair", "33.3 %  (floor 0.0 %)") in table
    assert result["sampler_alone"] == {"exact_repair": pytest.approx(1 / 3), "kept_clean": 0.0}
    assert ("sampler alone", "33.3 % exact; clean lines left alone 0.0 %") in table


def test_a_model_that_spoils_clean_lines_is_seen() -> None:
    _, result = score_faults(scripted({"return a + 1": "return a"}), [fault("operator", "return a - 1")])
    assert result["kept_clean"] == 0.0
    assert result["exact_repair"] == 0.0


def tasks(*bads: str, tests: str | None = "\nassert f(1) == 2\n"):
    made = [changed_task(bad, "f.py", GOLD.replace("return a + 1", bad), GOLD, tests) for bad in bads]
    return [task for task in made if task is not None]


def test_tasks_are_run_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run_program(source: str, *, timeout_s: float) -> sandbox.Outcome:
        ran.append(source)
        passed = "return a + 1" in source or "return 1 + a" in source
        return sandbox.Outcome(passed=passed, reason="passed" if passed else "failed", output_tail="")

    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(sandbox, "run_program", run_program)
    repair = scripted({"return a - 1": "return a + 1", "return a * 1": "return 1 + a", "return a + 2": "return ("})
    given = tasks("return a - 1", "return a * 1", "return a + 2", "return a / 1")
    _, result = score_tasks(repair, "Made up", given, scripted({}))
    assert result["exact"] == 0.25
    assert result["exact_one_line"] == 0.25
    assert result["pass_at_1"] == 0.5
    assert result["parse_rate"] == 0.75
    assert result["sampler_alone"] == {"exact": 0.0, "parse_rate": 1.0}
    assert result["no_execution"] is None
    assert result["floors"] == {
        "exact": 0.0,
        "parse_rate_unchanged": 1.0,
        "parse_rate_pass": 1.0,
        "pass_at_1": 0.0,
    }
    assert len(ran) == len(set(ran)) == 7  # the unchanged answer is run once
    assert all(source.endswith("assert f(1) == 2\n") for source in ran)


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: "There is no sandbox here.")
    monkeypatch.setattr(sandbox, "run_program", None)
    table, result = score_tasks(scripted({}), "Made up", tasks("return a - 1"))
    assert result["pass_at_1"] is None
    assert result["floors"]["pass_at_1"] is None
    assert result["no_execution"] == "There is no sandbox here."
    assert ("pass@1", "not run: There is no sandbox here.") in table


def test_tasks_without_tests_have_no_pass_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "available", None)
    _, result = score_tasks(scripted({}), "Made up", tasks("return a - 1", tests=None))
    assert "pass_at_1" not in result


def test_a_draft_that_does_not_fit_stays(checkpoint) -> None:
    long = "x = 1; " * 100
    [task] = tasks(long)
    assert by_sampler(Decoder(checkpoint))(task.place, task.draft) == (task.draft, 0)


COLONS = dict.fromkeys(FEATURES, 0.0) | {"mended": 1.0, "colon, broken": 5.0, "size": -0.1}


def colons() -> Calibration:
    """Likes colons that mend, so that no network decides."""
    return Calibration(weights=COLONS, fix_threshold=1.0, mend_threshold=2.0, doubt_threshold=1e9)


def test_the_mender_answers_with_what_becomes_of_the_draft(checkpoint) -> None:
    own = replace(checkpoint, network=copy.deepcopy(checkpoint.network))  # its weights are packed for good
    repair = by_mender(Mender(reader_of(own), colons()))
    bad = GOLD.replace("(a):", "(a)")
    [one] = [task for task in [changed_task("t", "f.py", bad, GOLD, None)] if task is not None]
    text, forwards = repair(one.place, one.draft)
    assert one.with_answer(text) == GOLD
    assert forwards > 0
    two = Place(path="f.py", before="", after="", gold=GOLD)
    assert repair(two, bad)[0] == GOLD
    assert repair(two, GOLD)[0] == GOLD


def untrained(checkpoint):
    sampling = msgspec.structs.replace(checkpoint.preset.sampling, edits="none")
    return replace(checkpoint, preset=msgspec.structs.replace(checkpoint.preset, sampling=sampling))


def test_weights_without_an_edit_stage_edit_only_if_forced(checkpoint) -> None:
    without = untrained(checkpoint)
    with pytest.raises(EvalError, match="--force-edits"):
        editing(without, force=False)
    forced = editing(without, force=True)
    assert forced.preset.sampling.edits == "insert-delete"
    assert forced.network is without.network
    assert editing(checkpoint, force=False) is checkpoint
    [task] = tasks("return a - 1")
    assert by_sampler(Decoder(forced))(task.place, task.draft) == by_sampler(Decoder(checkpoint))(
        task.place, task.draft
    )


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repairs are right at once: drafts of the toy network take hundreds of steps."""

    def repair(self, place, draft, *, locked=None) -> Answer:
        return Answer(text=place.gold, ids=(), forwards=1, steps=1, confidence=1.0, reason="eom")

    monkeypatch.setattr(Decoder, "repair", repair)


@pytest.mark.usefixtures("knowing")
def test_the_command_on_shards(checkpoint_folder, shards_folder, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "fix", "--shards", str(shards_folder), "--model", str(checkpoint_folder), "--limit", "12"]
    assert cli.main([*words, "--threads", "1", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert result["model"] == "tiny"
    assert result["num"] == 12
    assert result["edits"] == "insert-delete"
    assert result["exact_repair"] == result["changed"] == result["kept_clean"] == 1.0
    assert sum(kind["num"] for kind in result["by_kind"].values()) == 12


def test_with_a_calibration_the_command_mends(
    checkpoint_folder, shards_folder, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in checkpoint_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    save_calibration(tmp_path, colons())
    words = ["eval", "fix", "--shards", str(shards_folder), "--model", str(tmp_path), "--limit", "9", "--threads", "1"]
    assert cli.main([*words, "--json", "--fp32"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["by_kind"]["missing-colon"]["exact_repair"] == 1.0
    assert result["kept_clean"] == 1.0
    assert set(result["sampler_alone"]) == {"exact_repair", "kept_clean"}


def test_the_command_on_a_file(checkpoint_folder, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "category": "missing colons",
        "slug": "s",
        "oracle_code": "def f(a):\n    return a",
        "buggy_code": "def f(a)\n    return a",
    }
    path = tmp_path / "debug.jsonl"
    path.write_text(json.dumps(row) + "\n")
    words = ["eval", "fix", "--data", str(path), "--model", str(checkpoint_folder), "--threads", "1", "--json"]
    assert cli.main(words) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["data"], result["num"], result["num_one_line"]) == ("DebugBench", 1, 1)
    assert result["floors"]["parse_rate_unchanged"] == 0.0


@pytest.mark.usefixtures("knowing")
def test_wrong_use_gets_one_sentence(checkpoint, checkpoint_folder, shards_folder, tokenizer_file, tmp_path, capsys):
    both = ["eval", "fix", "--shards", str(shards_folder), "--data", str(tokenizer_file)]
    assert cli.main(both) == 2
    assert "give one of them" in capsys.readouterr().err
    without = untrained(checkpoint)
    save_checkpoint(tmp_path, without.network, without.preset, tokenizer_file, dtype=None)
    words = ["eval", "fix", "--shards", str(shards_folder), "--model", str(tmp_path), "--limit", "1", "--threads", "1"]
    assert cli.main(words) == 2
    assert "was not trained to edit" in capsys.readouterr().err
    assert cli.main([*words, "--force-edits"]) == 0
    assert cli.main(["eval", "fix", "--shards", str(tmp_path), "--model", str(checkpoint_folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
