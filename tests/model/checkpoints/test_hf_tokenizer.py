"""Limits of a converted vocabulary; the conversion itself is tested with whole checkpoints (test_from_hf.py)."""

import pytest

from model.checkpoints.hf_tokenizer import UnusableTokenizer, convert_tokenizer


@pytest.mark.parametrize("size", [0, 319, 70_000])
def test_impossible_sizes_are_one_sentence(tmp_path, size) -> None:
    with pytest.raises(UnusableTokenizer, match="is not possible"):
        convert_tokenizer(tmp_path / "tokenizer.json", vocab_size=size)


def test_a_missing_file_is_one_sentence(tmp_path) -> None:
    with pytest.raises(UnusableTokenizer, match="cannot read the tokenizer"):
        convert_tokenizer(tmp_path / "tokenizer.json")
