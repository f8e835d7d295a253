"""`seedling eval infill`: kinds of files, scores with floors, and the command from beginning to end."""

import gzip
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from model.checkpoints.load import Checkpoint
from model.checkpoints.presets import decode_preset, encode_preset
from model.cli import main
from model.evaluation import infill_scores, sandbox
from model.evaluation.decode import Answer, Decoder
from model.evaluation.infill_data import read_infill
from model.evaluation.infill_scores import answer_all, costs_of, scores_of
from model.evaluation.options import EvalError
from model.evaluation.sandbox import Outcome

PROMPT = "def double(x):\n"
TEST = "def check(candidate):\n    assert candidate(3) == 6\n"
TEXT_ROWS = [
    {"name": "a", "prompt": PROMPT.rstrip("\n"), "suffix": "    return y\n", "canonical_solution": "    y = 2 * x",
     "tests": "not run"},
    {"name": "b", "prompt": "if a:\n    pass\nelse:", "suffix": "\n", "canonical_solution": "    pass", "tests": ""},
]  # fmt: skip
LINE_ROWS = [
    {"task_id": "L/0", "entry_point": "double", "prompt": PROMPT, "suffix": "    return y\n",
     "canonical_solution": "    y = 2 * x\n", "test": TEST},
    {"task_id": "L/1", "entry_point": "double", "prompt": PROMPT, "suffix": "    return x + x\n",
     "canonical_solution": "    y = 0\n", "test": TEST},
]  # fmt: skip
SPAN_ROWS = [
    {"task_id": "S/0", "entry_point": "double", "prompt": PROMPT + "    ret", "suffix": " x\n",
     "canonical_solution": "urn 2 *", "test": TEST}
]  # fmt: skip


@pytest.fixture
def rows_file(tmp_path: Path):
    def write(rows: list[dict]) -> Path:
        path = tmp_path / "rows.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
        return path

    return write


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs here are this file's own, so they may run in this process."""

    def run_here(source: str) -> Outcome:
        try:
            exec(compile(source, "program", "exec"), {"__name__": "__main__"})
        except Exception as error:
            return Outcome(passed=False, reason="failed", output_tail=str(error))
        return Outcome(passed=True, reason="passed", output_tail="")

    monkeypatch.setattr(infill_scores, "run_program", run_here)


def answer(text: str, **fields) -> Answer:
    given = {"ids": tuple(text.encode()), "forwards": 2, "steps": 3, "confidence": 0.5, "reason": "stop"}
    return Answer(text=text, **(given | fields))


def test_whole_lines_of_text(rows_file) -> None:
    data = read_infill(rows_file(TEXT_ROWS), None)
    assert (data.stop, data.has_tests, [row.is_line for row in data.rows]) == ("line", False, [True, True])
    place = data.rows[0].place
    assert place.before + place.gold + place.after == PROMPT + "    y = 2 * x\n    return y\n"
    assert data.rows[0].is_exact("y = 2 * x")
    assert not data.rows[0].is_exact("y = 2 * z")
    assert data.rows[0].similarity("\n  y = 2 * x\nmore") == 1


def test_lines_and_spans_with_tests_are_told_apart(rows_file) -> None:
    lines = read_infill(rows_file(LINE_ROWS), None)
    assert (lines.stop, lines.has_tests, lines.rows[0].is_line) == ("line", True, True)
    spans = read_infill(rows_file(SPAN_ROWS), None)
    assert (spans.stop, spans.has_tests, spans.rows[0].is_line) == ("eom", True, False)
    assert spans.rows[0].is_exact("urn 2 *")
    assert not spans.rows[0].is_exact("urn 2 * ")
    assert 0 < spans.rows[0].similarity("urn 3 *") < 1
    for data, row in ((lines, LINE_ROWS[0]), (spans, SPAN_ROWS[0])):
        place = data.rows[0].place
        assert place.before + place.gold + place.after == row["prompt"] + row["canonical_solution"] + row["suffix"]


@pytest.mark.parametrize(
    "rows", [[*TEXT_ROWS, *LINE_ROWS], [{**LINE_ROWS[0], "entry_point": ""}], [{**LINE_ROWS[0], "test": ""}]]
)
def test_mixed_files_are_refused(rows_file, rows: list[dict]) -> None:
    with pytest.raises(EvalError, match="mixes"):
        read_infill(rows_file(rows), None)


def test_programs_run_with_the_answer_in_place(rows_file, no_sandbox) -> None:
    lines = read_infill(rows_file(LINE_ROWS), None).rows
    scores = scores_of(lines, [answer("    y = x + x"), answer("    return 7")], run_tests=True)
    assert scores["pass_at_1"] == 0.5
    assert scores["exact_match"] == 0
    assert 0 < scores["edit_similarity"] < 1
    # An empty answer leaves the second program right: that is what a floor is for.
    assert scores["floor"] == {"exact_match": 0, "edit_similarity": 0, "pass_at_1": 0.5}
    spans = read_infill(rows_file(SPAN_ROWS), None).rows
    assert scores_of(spans, [answer("urn x +")], run_tests=True)["pass_at_1"] == 1
    assert scores_of(spans, [answer("urn 3 *")], run_tests=True)["pass_at_1"] == 0


def test_without_tests_there_is_no_pass_rate(rows_file) -> None:
    rows = read_infill(rows_file(TEXT_ROWS), None).rows
    scores = scores_of(rows, [answer("    y = 2 * x"), answer("")], run_tests=False)
    assert scores["pass_at_1"] is None
    assert scores["floor"]["pass_at_1"] is None
    assert scores["exact_match"] == 0.5
    assert scores["gate"][0] == {"confidence": 0.0, "shown": 1.0, "right": 0.5}


def test_the_cost_counts_delivered_tokens_and_all_forwards() -> None:
    costs = costs_of([answer("äb"), answer(" ", forwards=4, steps=1)])
    assert costs == {"empty": 0.5, "forwards": 3, "steps": 2, "tpf": 4 / 6, "bytes_per_forward": 4 / 6}


def test_the_clean_stream_answers_the_same_places(rows_file, checkpoint: Checkpoint) -> None:
    decoder = Decoder(checkpoint)
    data = read_infill(rows_file(TEXT_ROWS), None)
    clean = answer_all(decoder, data, length="oracle", decoding="clean")
    block = answer_all(decoder, data, length="oracle", decoding="blocks")
    num = [len(checkpoint.tokenizer.encode(row.place.gold)) for row in data.rows]
    ahead = answer_all(decoder, data, length="oracle", decoding="speculate")
    assert [a.text for a in ahead] == [a.text for a in clean]
    assert all(a.forwards <= b.forwards for a, b in zip(ahead, clean, strict=True))
    assert [len(a.ids) for a in clean] == [len(a.ids) for a in block] == num
    assert [a.forwards for a in clean] == num


def run_command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["eval", "infill", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command(rows_file, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rows_file(TEXT_ROWS)
    words = ["--data", str(path), "--model", str(checkpoint_folder), "--fp32", "--threads", "1", "--json"]
    code, out, err = run_command(capsys, *words, "--tau", "0.5")
    assert (code, err) == (0, "")
    result = json.loads(out.splitlines()[-1])
    assert (result["model"], result["rows"], result["length"]) == ("tiny", 2, "free")
    assert (result["tau_mask"], result["pass_at_1"], result["decoding"]) == (0.5, None, "blocks")
    assert result["forwards"] > 0
    assert "exact match" in out
    code, out, _ = run_command(capsys, *words, "--decoding", "clean", "--length", "oracle", "--limit", "1")
    result = json.loads(out.splitlines()[-1])
    assert (code, result["rows"], result["decoding"], result["tau_mask"]) == (0, 1, "clean", None)
    assert result["tpf"] == 1


def test_a_threshold_means_blocks_and_else_the_checkpoint_decides(
    rows_file, checkpoint_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "speculating"))
    preset = decode_preset((folder / "preset.json").read_bytes())
    sampling = msgspec.structs.replace(preset.sampling, completion="speculate")
    (folder / "preset.json").write_bytes(encode_preset(msgspec.structs.replace(preset, sampling=sampling)))
    words = ["--data", str(rows_file(TEXT_ROWS)), "--model", str(folder), "--fp32", "--threads", "1", "--json"]
    for more, decoding in (([], "speculate"), (["--tau", "0.3"], "blocks"), (["--decoding", "clean"], "clean")):
        code, out, _ = run_command(capsys, *words, *more)
        assert (code, json.loads(out.splitlines()[-1])["decoding"]) == (0, decoding)


def test_without_a_sandbox_the_command_says_so(
    rows_file, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: "there is no sandbox here")
    words = ["--data", str(rows_file(LINE_ROWS)), "--model", str(checkpoint_folder), "--fp32", "--threads", "1"]
    code, out, err = run_command(capsys, *words, "--json")
    assert code == 0
    assert err.count("\n") == 1
    assert "there is no sandbox here" in err
    assert json.loads(out.splitlines()[-1])["pass_at_1"] is None


@pytest.mark.parametrize(
    "words", [["--decoding", "clean", "--tau", "0.3"], ["--tau", "-1"], ["--tau", "inf"], ["--data", "none"]]
)
def test_wrong_use_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_command(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
