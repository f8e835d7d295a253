"""`seedling trace`: places, bad input in one sentence, and the picture of a real run with the embedded weights."""

from pathlib import Path

import pytest

from model.cli import main
from model.engine.trace_command import TraceError, prompt_at

SOURCE = "import os\n\n\ndef total(prices):\n    result = 0\n    for price in prices:\n        res\n    return result\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(SOURCE)
    return path


def test_the_parts_of_the_prompt_are_the_document(source: Path) -> None:
    prompt = prompt_at(f"{source}:7:12")
    assert prompt.line == "        res"
    assert prompt.prefix + prompt.line + prompt.tail + prompt.suffix == SOURCE


def test_other_signs_that_end_lines_elsewhere_move_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    text = "a\u2028b\nx\x0cy\n" + "tail\u2028\n" * 5 + "end\n"
    path.write_bytes(text.replace("end", "\rend").encode())  # read like an editor's document: CR ends a line
    prompt = prompt_at(f"{path}:2:2")
    assert (prompt.prefix, prompt.line) == ("a\u2028b\n", "x")
    assert prompt.tail == "\x0cy\n" + "tail\u2028\n" * 4
    assert prompt.suffix == "tail\u2028\n\nend\n"


@pytest.mark.parametrize("place", ["", ":3", "{}", "{}:0", "{}:x", "{}:1:2:3", "{}:99", "{}:1:99", "no-such.py:1"])
def test_a_wrong_place_is_one_sentence(source: Path, place: str) -> None:
    with pytest.raises(TraceError) as caught:
        prompt_at(place.format(source))
    assert "\n" not in caught.value.sentence


def test_a_missing_checkpoint_is_one_sentence(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", f"{source}:7", "--model", str(source.parent / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_text_json_and_picture(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, record = tmp_path / "run.svg", tmp_path / "run.json"
    assert main(["trace", f"{source}:7", "--svg", str(picture), "--json", str(record)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("step 1: ")
    assert "forwards" in out
    assert picture.read_text().startswith("<svg ")
    assert record.stat().st_size > 0
