"""Evaluation texts and held-out likeness: what must be found, and what must not set them off."""

import gzip
import json
from pathlib import Path

import pytest

from model.training.corpus.exclusions import EvaluationTexts, HeldOutLines, line_hashes, read_evaluation_texts
from model.training.corpus.sources import CorpusError

PROMPT = (
    "def below_zero(operations):\n"
    '    """ You are given a list of deposit and withdrawal operations on an account that starts with zero. """\n'
)
SOLUTION = (
    "    balance = 0\n    for operation in operations:\n        balance += operation\n        if balance < minimum:\n"
)


def test_ten_words_of_a_prompt_are_found_whatever_stands_around(make_module):
    texts = EvaluationTexts([PROMPT], [])
    assert texts.reason(make_module("a")) == ""
    ten = "# You are GIVEN a list of\n#   deposit and withdrawal operations.\n"
    nine = "# You are given a list of deposit and withdrawal, operation\n"
    assert texts.reason(make_module("a") + ten) == "shares 10 words with an evaluation prompt"
    assert texts.reason(make_module("a") + nine) == ""


@pytest.mark.parametrize(
    "trivial", ["0 1 2 3 4 5 6 7 8 9 10 11", "x y x y x y x y x y x y", "foo bar foo bar foo bar foo bar foo bar"]
)
def test_words_that_say_nothing_do_not_count(trivial: str):
    assert EvaluationTexts([trivial], []).reason(f"print('{trivial}')\n") == ""


def test_three_lines_of_a_solution_are_found(make_module):
    texts = EvaluationTexts([], [SOLUTION])
    lines = SOLUTION.splitlines()
    shared = "\n# between\n\n".join(lines[1:4])
    assert texts.reason(make_module("a") + shared) == "shares 3 lines with an evaluation solution"
    assert texts.reason(make_module("a") + "\n".join(lines[1:3])) == ""
    assert texts.reason(make_module("a") + "\nother_line_between = 1\n".join(lines[1:4])) == ""


def test_repeated_and_import_lines_are_no_solution():
    solution = "import collections\nfrom typing import List\nimport itertools\n" + "return result[0]\n" * 3
    assert EvaluationTexts([], [solution]).reason(solution) == ""


def test_all_formats_and_fields_are_read(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    prompts = [PROMPT.replace("account", f"account{number}") for number in range(3)]
    (tmp_path / "a.json").write_text(json.dumps([{"prompt": prompts[0], "task_id": "x" * 99}]))
    (tmp_path / "deep" / "b.jsonl").write_text(
        json.dumps({"text": prompts[1]}) + "\n\n" + json.dumps({"code": SOLUTION}) + "\n"
    )
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write(json.dumps({"examples": [prompts[2], 5], "before": SOLUTION}) + "\n")
    texts = read_evaluation_texts(tmp_path)
    assert (texts.num_prompts, texts.num_solutions) == (4, 3)
    for text in prompts:
        assert texts.reason(text) != ""
    assert texts.reason(SOLUTION) != ""
    assert texts.reason("task " * 20) == ""


def test_no_folder_excludes_nothing():
    assert read_evaluation_texts(None).reason(PROMPT + SOLUTION) == ""


def test_bad_evaluation_folders_are_named(tmp_path: Path):
    with pytest.raises(CorpusError, match="does not exist"):
        read_evaluation_texts(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="holds no prompts or solutions"):
        read_evaluation_texts(tmp_path)
    (tmp_path / "a.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(CorpusError, match=r"a\.jsonl\.gz cannot be read"):
        read_evaluation_texts(tmp_path)


def test_likeness_to_held_out_files_is_a_share_of_lines(make_module):
    held_out = HeldOutLines()
    held_out.add(line_hashes(make_module("held", 20)))
    original, other = make_module("held", 20).splitlines(), make_module("other", 20).splitlines()

    def reason(lines: list[str]) -> str:
        return held_out.reason(line_hashes("\n".join(lines)))

    assert reason(original) == "like a file of a held-out project"
    assert reason(original[:60] + other[:60]) == "like a file of a held-out project"
    assert reason(original[:12] + other) == ""
    assert reason(other) == ""
    assert reason(original[:4]) == ""
