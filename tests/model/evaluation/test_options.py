"""What every evaluation shares: where data and weights come from, and one sentence when they do not."""

import argparse
import gzip
import json
from pathlib import Path

import msgspec
import pytest
import torch

from model.checkpoints.load import CheckpointError
from model.evaluation.options import EvalError, add_common, data_file, load_model, read_rows, report, watched


class Row(msgspec.Struct):
    a: int


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_common(parser, what_data="rows")
    return parser.parse_args(words)


def sentence(error: pytest.ExceptionInfo[EvalError]) -> str:
    text = error.value.sentence
    assert "\n" not in text
    return text


def test_the_data_is_named_or_found_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEEDLING_EVALS", raising=False)
    (tmp_path / "x").mkdir()
    file = tmp_path / "x" / "rows.jsonl"
    file.write_text("{}")
    assert data_file(parsed("--data", str(file)), "other") == file
    with pytest.raises(EvalError) as error:
        data_file(parsed(), "x/rows.jsonl")
    assert "--data" in sentence(error)
    assert "SEEDLING_EVALS" in sentence(error)
    assert "x/rows.jsonl" in sentence(error)
    monkeypatch.setenv("SEEDLING_EVALS", str(tmp_path))
    assert data_file(parsed(), "x/rows.jsonl") == file
    with pytest.raises(EvalError) as error:
        data_file(parsed(), "none.jsonl")
    assert str(tmp_path / "none.jsonl") in sentence(error)
    with pytest.raises(EvalError, match="there is no file"):
        data_file(parsed("--data", str(tmp_path / "none")), "x/rows.jsonl")


def test_a_command_without_data_has_no_such_argument() -> None:
    parser = argparse.ArgumentParser()
    add_common(parser, what_data=None)
    assert not hasattr(parser.parse_args([]), "data")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_is_at_least_one(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--limit", limit)
    assert "--limit" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("text", ['{"a": 1}\n\n{"a": 2, "b": "x"}\n{"a": 3}', '[{"a": 1}, {"a": 2}, {"a": 3}]'])
def test_rows_of_lines_or_an_array(tmp_path: Path, text: str, packed: bool) -> None:
    path = tmp_path / "rows"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_rows(path, Row, None) == [Row(1), Row(2), Row(3)]
    assert read_rows(path, Row, 2) == [Row(1), Row(2)]


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"[]", b'{"a": 1}\n{"a"', b'{"b": 1}', b'[{"a": 1}', b"\xff\xfe", gzip.compress(b'{"a": 1}')[:-9]],
)
def test_damaged_rows_are_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows"
    path.write_bytes(data)
    with pytest.raises(EvalError) as error:
        read_rows(path, Row, None)
    assert str(path) in sentence(error)


def test_a_folder_is_no_file_of_rows(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="cannot be read"):
        read_rows(tmp_path, Row, None)


def test_the_checkpoint_has_the_wanted_numbers(checkpoint_folder: Path, tmp_path: Path) -> None:
    loaded = load_model(parsed("--model", str(checkpoint_folder), "--fp32", "--threads", "1"))
    assert loaded.preset.name == "tiny"
    assert loaded.network.head_weight.dtype == torch.float32
    assert torch.get_num_threads() == 1
    with pytest.raises(CheckpointError, match="none"):
        load_model(parsed("--model", str(tmp_path / "none"), "--threads", "1"))


def test_the_report_ends_with_json_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    table = [("exact", "1 %"), ("a longer label", "2")]
    result = {"model": "tiny", "exact": 0.01}
    assert report(table, result, parsed()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("# seedling ")
    header = "\n".join(lines[1:5])
    for known in ("CPUs", "Python 3", "torch 2", "commit ", "model tiny"):
        assert known in header
    assert lines[5:] == ["exact           1 %", "a longer label  2"]
    assert report(table, result, parsed("--json")) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result


def test_watching_changes_nothing_and_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watched([3, 1, 2], "rows")) == [3, 1, 2]
    assert capsys.readouterr() == ("", "")
