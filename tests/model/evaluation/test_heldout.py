"""The held-out evaluation: scores of known answers, the paired comparison, and the command from shards to JSON."""

import json

import numpy as np
import pytest

from model import cli
from model.evaluation.bits import measure, sample_documents
from model.evaluation.decode import Answer, Place
from model.evaluation.heldout import MAX_BITS_TOKENS, NUM_DRAWS, SEED, compare, line_above, ratio_interval, score_places

WHOLE = Place(path="a.py", before="if a:\n    b = 1\n\n", after="\n", gold="    c = 1")
REST = Place(path="a.py", before="abc = load(1)\nabc = l", after="\nend\n", gold="oad(2)")


class Scripted:
    """Stands in for a decoder: the texts of each way of writing, in the order of the places."""

    def __init__(self, block: list[str], oracle: list[str], clean: list[str]) -> None:
        self.texts = {"block": list(block), "oracle": list(oracle), "clean": list(clean)}

    def complete(self, place, *, stop, length="free", max_tokens=None, one_by_one=False) -> Answer:
        assert stop == "line"
        return self._answer("oracle" if length == "oracle" else "block", forwards=2)

    def complete_clean(self, place, *, stop, length="free", max_tokens=None) -> Answer:
        assert (stop, length) == ("line", "free")
        return self._answer("clean", forwards=5)

    def _answer(self, way: str, forwards: int) -> Answer:
        text = self.texts[way].pop(0)
        confidence = 0.95 if text.strip() == "c = 1" else 0.35
        return Answer(text=text, ids=(1, 2, 3), forwards=forwards, steps=1, confidence=confidence, reason="stop")


def test_each_way_of_writing_is_scored_on_the_same_places() -> None:
    decoder = Scripted(block=["    c = 1", "oad(3)"], oracle=["", ""], clean=["c = 1", "oad(2)"])
    score = score_places(decoder, [WHOLE, REST], "whole")  # type: ignore[arg-type]
    assert score["num"] == 2
    assert score["block"]["exact_match"] == 0.5
    assert score["clean"]["exact_match"] == 1.0
    assert score["oracle"]["exact_match"] == 0.0
    assert score["oracle"]["empty"] == 1.0
    assert [score[way]["length"] for way in ("block", "clean", "oracle")] == ["free", "free", "oracle"]
    assert score["block"]["forwards"] == 2.0
    assert score["clean"]["tpf"] == 6 / 10
    assert score["exact_ratio"] == 0.5
    assert score["exact_difference"] == -0.5
    assert score["exact_margin"] == pytest.approx(-0.4)
    assert score["block"]["edit_similarity"] == pytest.approx((1 + 10 / 12) / 2)
    assert score["similarity_ratio"] == pytest.approx(score["block"]["edit_similarity"])
    assert score["floor"]["empty"] == {"exact_match": 0.0, "edit_similarity": 0.0}
    assert score["floor"]["line_above"]["edit_similarity"] == pytest.approx((8 / 10 + 10 / 12) / 2)
    shown = {row["confidence"]: (row["shown"], row["right"]) for row in score["gate"]}
    assert shown[0.0] == (1.0, 0.5)
    assert shown[0.9] == (0.5, 1.0)


def test_the_line_above_is_copied_from_the_cursors_column() -> None:
    assert line_above(WHOLE) == "    b = 1"
    assert line_above(REST) == "oad(1)"
    assert line_above(Place(path="", before="", after="\n", gold="x = 1")) == ""


def test_the_comparison_is_paired() -> None:
    clean = [0.0, 1.0] * 100
    same = compare(clean, clean)
    assert (same["ratio"], same["ratio_low"], same["ratio_high"]) == (1.0, 1.0, 1.0)
    assert (same["difference_low"], same["difference_high"]) == (0.0, 0.0)
    assert same["margin_low"] > 0
    half = compare([score / 2 for score in clean], clean)
    assert half["ratio_low"] == pytest.approx(0.5)
    assert half["difference_high"] < 0
    assert half["margin"] == pytest.approx(-0.2)


def test_the_interval_of_the_ratio_holds_what_chance_does() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.random(400) < 0.3).astype(float), (rng.random(400) < 0.3).astype(float)
    ratio, low, high = ratio_interval(a.tolist(), b.tolist())
    assert ratio == pytest.approx(a.mean() / b.mean())
    assert ratio is not None
    assert low is not None
    assert high is not None
    # The delta method for two independent shares: the logarithm's deviation is about sqrt(2 * 0.7 / (0.3 * 400)).
    deviation = (2 * 0.7 / (0.3 * 400)) ** 0.5
    assert np.log(ratio / low) == pytest.approx(1.96 * deviation, rel=0.2)
    assert np.log(high / ratio) == pytest.approx(1.96 * deviation, rel=0.2)


def test_there_is_no_ratio_to_nothing() -> None:
    assert ratio_interval([1.0, 0.0], [0.0, 0.0]) == (None, None, None)
    ratio, low, high = ratio_interval([1.0] + [0.0] * 9, [1.0] + [0.0] * 9)
    assert ratio == 1.0
    assert low is not None
    assert high is None  # a third of the resamples miss the one place that scored


def run_cli(capsys, *words: object) -> tuple[int, str, str]:
    code = cli.main(["eval", "heldout", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_from_shards_to_json(checkpoint_folder, checkpoint, shards_folder, heldout_texts, capsys) -> None:
    words = ("--shards", shards_folder, "--model", checkpoint_folder, "--threads", 1, "--fp32", "--limit", 2)
    code, out, err = run_cli(capsys, *words, "--json")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    chosen = sample_documents(heldout_texts, checkpoint.tokenizer, max_tokens=MAX_BITS_TOKENS, num=2, seed=SEED)
    bits = measure(checkpoint, chosen, num_draws=NUM_DRAWS, seed=SEED)
    assert result["num_documents"] == 2
    assert result["twin_bits_per_byte"] == pytest.approx(bits.twin_bits_per_byte)
    assert result["diffusion_bits_per_byte"] == pytest.approx(bits.diffusion_bits_per_byte)
    assert result["model"] == "tiny"
    for kind in ("whole", "rest"):
        assert result[kind]["num"] == 2
        assert result[kind]["clean"]["forwards"] > 0
        assert len(result[kind]["gate"]) > 3
    assert out.splitlines()[-2].startswith("  gate")


def test_missing_shards_and_missing_weights_are_one_sentence(
    checkpoint_folder, shards_folder, tmp_path, capsys
) -> None:
    code, _, err = run_cli(capsys, "--shards", tmp_path / "none", "--model", checkpoint_folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no shard folder" in err
    code, _, err = run_cli(capsys, "--shards", shards_folder, "--model", tmp_path / "none")
    assert (code, err.count("\n")) == (2, 1)
    assert "checkpoint" in err
