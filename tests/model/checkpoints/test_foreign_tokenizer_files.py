"""A tokenizer of two files is the tokenizer.json that its class would make; code is never run."""

import json

import pytest

from model.checkpoints.error import CheckpointError
from model.checkpoints.foreign_tokenizer_files import added_tokens, tokenizer_spec
from model.foreign_tokenizer import ForeignTokenizer
from tests.model.checkpoints.tiny_folders import FAMILIES, SAMPLE, tiny_tokenizer, write_tiny_folder

SPECIAL = {"mask": "<|mask|>", "eom": "<|endoftext|>"}


@pytest.fixture
def folder(tmp_path):
    write_tiny_folder(tmp_path, "dream-base")
    return tmp_path


def test_two_files_are_the_tokenizer(folder) -> None:
    wanted = tiny_tokenizer(FAMILIES["dream-base"])
    tokenizer = ForeignTokenizer.from_spec(tokenizer_spec(folder), SPECIAL, name="x")
    for text in (*SAMPLE, "  a\t\tb 123 it's\n\n \n"):
        theirs = wanted.encode(text, add_special_tokens=False).ids
        assert [tokenizer.vocabulary.foreign_ids[id] for id in tokenizer.encode(text)] == theirs


def test_added_tokens_of_both_files(folder) -> None:
    found = added_tokens(folder)
    assert found["<|mask|>"] == tiny_tokenizer(FAMILIES["dream-base"]).token_to_id("<|mask|>")
    (folder / "tokenizer_config.json").unlink()
    assert added_tokens(folder) == found
    (folder / "added_tokens.json").unlink()
    assert added_tokens(folder) == {}


def test_added_tokens_that_only_the_small_files_know(folder) -> None:
    tiny_tokenizer(FAMILIES["dream-base"]).save(str(folder / "tokenizer.json"))
    (folder / "added_tokens.json").write_text('{"<|late|>": 999}')
    added = {token["content"]: token["id"] for token in tokenizer_spec(folder)["added_tokens"]}
    assert added["<|late|>"] == 999
    assert added["<|mask|>"] < 999


def test_another_class_is_refused(folder) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "OddTokenizer"}))
    with pytest.raises(CheckpointError, match="class OddTokenizer, whose code is never run"):
        tokenizer_spec(folder)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("merges.txt", "a b c\n", "not a list of merges"),
        ("vocab.json", "{", "is not JSON"),
        ("vocab.json", "[]", "does not describe a tokenizer"),
        ("added_tokens.json", '{"a": "b"}', "does not describe a tokenizer"),
    ],
)
def test_broken_files_are_one_sentence(folder, name, content, says) -> None:
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=says):
        tokenizer_spec(folder)


def test_no_tokenizer(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"neither tokenizer.json nor vocab.json with merges.txt"):
        tokenizer_spec(tmp_path)
