"""Score against passes: the ways that are compared, the numbers of a point, the picture, wrong use."""

import json
from pathlib import Path

import msgspec
import pytest

from model import cli
from model.evaluation import speed
from model.evaluation.decode import Answer, Decoder, Place
from model.evaluation.infill_data import Infill, InfillSet, read_infill
from model.evaluation.speed import ONE_BY_ONE, TAUS, Written, draw, point_of, table_of, write_all

ROWS = [
    {"prompt": "import os\n\ndef alpha(beta):", "canonical_solution": "    return beta + 1", "suffix": "\nalpha(2)\n"},
    {"prompt": "x = 1\ny = 2", "canonical_solution": "z = x + y", "suffix": "\nprint(z)\n"},
]


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def answer(text: str, num_tokens: int, forwards: int) -> Answer:
    return Answer(text, tuple(range(64, 64 + num_tokens)), forwards, forwards, 0.5, "stop")


def made_up_result() -> dict:
    point: dict[str, object] = {"exact_match": 0.3, "edit_similarity": 0.5, "forwards": 4.0, "tpf": 2.0, "ms": 10.0}
    point["exact_difference"] = (-0.1, -0.2, 0.05)
    taus = (*TAUS, ONE_BY_ONE)
    return {
        "model": "tiny",
        "data": "rows",
        "what": "whole lines",
        "rows": 2,
        "length": "free",
        "preset_tau_mask": 0.3,
        "points": [{**point, "tau_mask": tau, "forwards": 4.0 + tau} for tau in taus],
        "clean": {**point, "tau_mask": None},
        "floor": {"exact_match": 0.0, "edit_similarity": 0.1},
    }


def says(capsys, *words: object) -> str:
    assert cli.main(["eval", "speed", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_every_way_answers_a_row_as_it_does_alone(checkpoint, data_path):
    sampling = msgspec.structs.replace(checkpoint.preset.sampling, tau_mask=0.001)
    preset = msgspec.structs.replace(checkpoint.preset, sampling=sampling)
    other = type(checkpoint)(checkpoint.network, checkpoint.tokenizer, preset)
    data = read_infill(data_path, 1)
    written = write_all(other, data)
    assert list(written) == [0.001, *TAUS, ONE_BY_ONE, None]  # the preset's own joins the others
    for done in written.values():
        assert len(done.answers) == len(done.times_ms) == 1
        assert done.times_ms[0] > 0
    place = data.rows[0].place
    assert written[0.001].answers == [Decoder(other).complete(place, stop="line")]
    assert written[ONE_BY_ONE].answers == [Decoder(other).complete(place, stop="line", one_by_one=True)]
    assert written[None].answers == [Decoder(other).complete_clean(place, stop="line")]
    # The seeded network is never sure of anything: only the lowest threshold lets it write several tokens at once.
    assert written[0.001].answers[0].steps < written[ONE_BY_ONE].answers[0].steps


def test_a_point_counts_scores_passes_and_time():
    places = [Place("a.py", "x = 1\n", "", gold) for gold in ("y = 2\n", "z = 3\n", "w = 4\n", "v = 5\n")]
    data = InfillSet("lines", tuple(Infill(place, is_line=True, tests="") for place in places), "line", False)
    fast = [answer("y = 2", 6, 2), answer("z = 3\nmore", 8, 3), answer("w = 5", 4, 2), answer("", 0, 1)]
    slow = [answer("y = 2", 6, 7), answer("z = 3", 6, 7), answer("w = 4", 6, 7), answer("no", 2, 3)]
    written: dict[float | None, Written] = {
        0.2: Written(fast, [1.0, 2.0, 30.0, 4.0]),
        ONE_BY_ONE: Written(slow, [9.0] * 4),
    }
    point = point_of(data, written, 0.2)
    assert (point.tau_mask, point.exact_match, point.forwards) == (0.2, 0.5, 2.0)
    assert point.edit_similarity == pytest.approx((1 + 1 + 0.8 + 0) / 4)
    assert point.tpf == pytest.approx(18 / 8)
    assert point.ms == 3.0
    difference, low, high = point.exact_difference
    assert difference == -0.25
    assert low < -0.25 < high
    assert high == 0.0
    assert point_of(data, written, ONE_BY_ONE).exact_difference == (0.0, 0.0, 0.0)


def test_the_command_gives_picture_table_and_json(checkpoint_folder, data_path, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed, "TAUS", (0.5,))  # fewer ways, less time
    out = tmp_path / "speed.png"
    words = ["--data", data_path, "--model", checkpoint_folder, "--out", out, "--limit", "1", "--fp32", "--json"]
    assert cli.main(["eval", "speed", *map(str, [*words, "--threads", "1"])]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert [point["tau_mask"] for point in result["points"]] == [0.3, 0.5, ONE_BY_ONE]
    assert set(result["points"][0]) >= {"exact_match", "edit_similarity", "forwards", "tpf", "ms"}
    assert result["clean"]["tau_mask"] is None
    assert (result["rows"], result["length"], result["floor"]["exact_match"]) == (1, "free", 0.0)
    assert any(line.startswith("floor, empty answer") for line in lines)
    picture = out.read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") > 500  # its width
    assert not list(tmp_path.glob("*.part"))


def test_held_out_lines_are_the_ones_of_eval_heldout(checkpoint_folder, shards_folder, tmp_path, monkeypatch):
    from model.evaluation.heldout import SEED
    from model.evaluation.heldout_places import heldout_documents, line_places

    seen: list[InfillSet] = []

    def looks(_: object, data: InfillSet) -> dict[float | None, Written]:
        seen.append(data)
        done = [answer(row.place.gold, 3, 2) for row in data.rows]
        return {tau: Written(done, [1.0] * len(done)) for tau in (0.3, ONE_BY_ONE, None)}

    monkeypatch.setattr(speed, "write_all", looks)
    words = ["--shards", shards_folder, "--model", checkpoint_folder, "--out", tmp_path / "x.png", "--limit", "3"]
    assert cli.main(["eval", "speed", *map(str, words)]) == 0
    documents = list(heldout_documents(shards_folder))
    expected = line_places(documents, kind="rest", num=3, seed=SEED)
    assert [row.place for row in seen[0].rows] == expected


def test_scores_are_shown_though_the_picture_cannot_be_written(
    checkpoint_folder, data_path, tmp_path, capsys, monkeypatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def quick(_: object, data: InfillSet) -> dict[float | None, Written]:
        done = [answer("", 3, 2) for _ in data.rows]
        return {tau: Written(done, [1.0] * len(done)) for tau in (0.3, ONE_BY_ONE, None)}

    monkeypatch.setattr(speed, "draw", full)
    monkeypatch.setattr(speed, "write_all", quick)
    words = ["--data", data_path, "--model", checkpoint_folder, "--out", tmp_path / "x.png", "--limit", "1"]
    assert cli.main(["eval", "speed", *map(str, words)]) == 2
    said = capsys.readouterr()
    assert "floor, empty answer" in said.out
    assert "No space left" in said.err


def test_the_table_names_the_ways_and_the_floor():
    labels = [label for label, _ in table_of(made_up_result())]
    assert labels[3:] == [
        "blocks, tau 0.2",
        "blocks, tau 0.3 (preset)",
        "blocks, tau 0.5",
        "blocks, tau 0.7",
        "blocks, tau 0.9",
        "one token a forward",
        "clean stream",
        "floor, empty answer",
    ]
    assert "-0.100 (-0.200 to +0.050)" in dict(table_of(made_up_result()))["clean stream"]


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match="taken"):
        draw(made_up_result(), tmp_path / "taken.png")
    draw(made_up_result(), tmp_path / "free.png")
    assert {path.name for path in tmp_path.iterdir()} == {"taken.png", "free.png"}


def test_wrong_use_is_one_sentence(data_path, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("SEEDLING_EVALS", raising=False)
    out = tmp_path / "x.png"
    assert "--out" in says(capsys, "--data", data_path)
    assert ".png" in says(capsys, "--data", data_path, "--out", tmp_path / "x.svg")
    assert "cannot be written" in says(capsys, "--data", data_path, "--out", tmp_path / "none" / "x.png")
    assert "one of them" in says(capsys, "--data", data_path, "--shards", tmp_path, "--out", out)
    assert "SEEDLING_EVALS" in says(capsys, "--out", out)
    assert "no checkpoint folder" in says(capsys, "--data", data_path, "--out", out, "--model", tmp_path / "none")
    assert list(tmp_path.iterdir()) == [data_path]
