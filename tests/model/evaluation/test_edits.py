"""The evaluation of instructed edits: scores against known answers, what counts as working, and the command."""

import json
import shutil

import msgspec
import pytest

from model import cli
from model.checkpoints.load import load_preset
from model.evaluation.decode import Answer, Decoder, Place
from model.evaluation.edit_places import EditPlace
from model.evaluation.edits import (
    MIN_PLACES,
    by_decoder,
    keeps_lines,
    score_places,
    table_of,
    wilson_low,
    write_list,
)
from model.evaluation.options import EvalError

GOLD = "def f(a):\n    if a is None:\n        return 1\n"
OLD = GOLD.replace("is None", "== None")


class Scripted(Decoder):
    """A decoder that gives the answers one after another, at three forwards each."""

    def __init__(self, checkpoint, answers: list[str]) -> None:
        super().__init__(checkpoint)
        self.answers = iter(answers)

    def rewrite(self, place, old, instruction) -> Answer:
        return Answer(text=next(self.answers), ids=(), forwards=3, steps=3, confidence=1.0, reason="eom")


def places(kind: str, num: int) -> list[EditPlace]:
    place = Place(path="f.py", before="import os\n", after="\nx = 1\n", gold=GOLD)
    return [EditPlace(kind, place, OLD, "use is")] * num


def test_answers_are_scored_by_kind(checkpoint) -> None:
    answers = [GOLD, OLD, "def f(:\n", GOLD]
    scores = score_places(by_decoder(Scripted(checkpoint, answers)), [*places("idiom", 3), *places("fix", 1)])
    assert list(scores) == ["idiom", "fix"]
    idiom = scores["idiom"]
    assert (idiom.num, idiom.exact, idiom.unchanged) == pytest.approx((3, 1 / 3, 1 / 3))
    assert idiom.kept == pytest.approx(2 / 3)
    assert idiom.parse_rate == pytest.approx(2 / 3)
    assert idiom.similarity_floor < 1
    assert scores["fix"].exact == 1
    assert scores["fix"].similarity == 1
    assert scores["fix"].forwards == 3


def test_a_kind_works_if_it_is_often_right_over_enough_places(checkpoint) -> None:
    num = MIN_PLACES
    right, wrong, worse = [GOLD] * num, [OLD] * num, ["pass\n"] * num

    def works(answers: list[str]) -> bool:
        rewrite = by_decoder(Scripted(checkpoint, answers))
        return score_places(rewrite, places("idiom", len(answers)))["idiom"].works

    assert works(right)
    assert not works(right[1:])
    assert not works(wrong)
    assert works(right[: num // 2] + wrong[: num // 2])
    assert not works(right[: num // 4] + worse[: num - num // 4])  # a quarter is right, but the rest is spoilt


def test_the_table_names_what_works(checkpoint) -> None:
    rewrite = by_decoder(Scripted(checkpoint, [GOLD] * MIN_PLACES + [OLD]))
    scores = score_places(rewrite, [*places("idiom", MIN_PLACES), *places("fix", 1)])
    rows = table_of(scores)
    assert ("kinds that work", "idiom") in rows
    assert any(label == "  idiom" and value.endswith(f"{MIN_PLACES}, works") for label, value in rows)
    assert any(label == "  fix" and value.endswith("  1") for label, value in rows)


def test_lines_that_both_share_must_stay() -> None:
    assert keeps_lines("a\nb\n", "a\nd\n", "a\nc\n")
    assert not keeps_lines("a\na\nb\n", "a\nc\n", "a\na\nc\n")


def test_the_interval_of_a_share() -> None:
    assert wilson_low(0.0, 40) == 0.0
    assert wilson_low(0.5, 40) == pytest.approx(0.352, abs=0.001)
    assert wilson_low(1.0, 40) < 1.0


def test_an_edit_that_does_not_fit_changes_nothing(checkpoint) -> None:
    preset = msgspec.structs.replace(checkpoint.preset, rewrite="listed")
    rewrite = by_decoder(Decoder(_with(checkpoint, preset)))
    old = "value = other\n" * 60
    assert rewrite(EditPlace("fix", Place("f.py", "", "", "x\n"), old, "fix this")) == (old, 0)


def test_an_edit_goes_the_engine_s_way(checkpoint) -> None:
    preset = msgspec.structs.replace(checkpoint.preset, rewrite="listed")
    answer, forwards = by_decoder(Decoder(_with(checkpoint, preset)))(places("idiom", 1)[0])
    assert forwards >= 1
    assert isinstance(answer, str)


def _with(checkpoint, preset):
    return type(checkpoint)(checkpoint.network, checkpoint.tokenizer, preset)


def test_the_list_is_written_into_the_preset(checkpoint_folder, tmp_path) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "model")
    write_list(folder, ("idiom", "fix"))
    preset = load_preset(folder)
    assert (preset.edits_listed, preset.rewrite) == (("idiom", "fix"), "listed")
    write_list(folder, ())
    assert load_preset(folder) == load_preset(checkpoint_folder)


def test_a_folder_that_cannot_be_written_gives_a_sentence(checkpoint_folder, tmp_path) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "model")
    (folder / "preset.new").mkdir()
    with pytest.raises(EvalError, match="could not be written"):
        write_list(folder, ("fix",))
    assert load_preset(folder) == load_preset(checkpoint_folder)


def test_the_command(checkpoint_folder, shards_folder, tmp_path, capsys) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "model")
    words = ["eval", "edits", "--shards", str(shards_folder), "--model", str(folder), "--limit", "1", "--fp32"]
    assert cli.main([*words, "--json", "--list"]) == 0
    out = capsys.readouterr().out
    result = json.loads(out.splitlines()[-1])
    assert {"fix", "debug"} <= set(result["by_kind"])
    assert result["num"] == sum(score["num"] for score in result["by_kind"].values())
    assert result["works"] == []  # one place a kind is too few, and the weights are random
    assert load_preset(folder).rewrite == "none"
    assert "kinds that work" in out


def test_the_list_is_not_made_through_a_server(checkpoint_folder, shards_folder, capsys) -> None:
    words = ["eval", "edits", "--shards", str(shards_folder), "--model", str(checkpoint_folder), "--list"]
    assert cli.main([*words, "--through-server"]) == 2
    assert "leave --through-server out" in capsys.readouterr().err


def test_weights_without_edits_are_refused(checkpoint_folder, shards_folder, tmp_path, capsys) -> None:
    folder = shutil.copytree(checkpoint_folder, tmp_path / "model")
    preset = json.loads((folder / "preset.json").read_text())
    preset["sampling"]["edits"] = "none"
    (folder / "preset.json").write_text(json.dumps(preset))
    assert cli.main(["eval", "edits", "--shards", str(shards_folder), "--model", str(folder)]) == 2
    assert "was not trained to edit" in capsys.readouterr().err
