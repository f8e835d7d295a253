"""Our reading of a foreign tokenizer against transformers' own classes on the same files: the same ids.

Where they must differ (special tokens in a text, text that is not in Unicode's normal form) the tests of
model/foreign_tokenizer.py say what ours does.
"""

import random

import pytest

transformers = pytest.importorskip("transformers", reason="the extra `parity` is not installed")

from model.checkpoints.load import load_preset, load_tokenizer  # noqa: E402
from tests.model.checkpoints.tiny_folders import FAMILIES, SAMPLE, write_tiny_folder  # noqa: E402

TEXTS = (
    *SAMPLE,
    "",
    " ",
    "\n\n\n",
    "\r\n\t x\r\n",
    "    def f(self):\n        return self.x  # don't, it's 12345\n\n\n\n",
    "é ü 中文字符 ελληνικά кириллица 😀👩‍💻 \u00a0\u2003",
    "a\u2028b\x00c\x7f",
    "I'M you'Re 'LL '' x'd",
    "0x1F 1e10 १२३",
)


def random_texts(num_texts: int) -> list[str]:
    """Odd neighbours: white space of all kinds, quotes, digits, letters of several scripts."""
    draw = random.Random(0)
    pieces = [
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "'s",
        "'",
        "1",
        "23",
        "a",
        "Zz",
        "é",
        "中",
        "_",
        "(",
        "):",
        "\\",
        "-->",
        "\u3000",
    ]
    return ["".join(draw.choices(pieces, k=draw.randrange(1, 30))) for _ in range(num_texts)]


@pytest.mark.parametrize("family", ["dream-base", "dreamon"])
def test_two_files_are_cut_as_by_the_class_of_qwen(tmp_path, family) -> None:
    """vocab.json and merges.txt, whose own class is Python code that we never run: Dream's derives from Qwen 2's."""
    folder = tmp_path / FAMILIES[family].name
    write_tiny_folder(folder, family)
    ours = load_tokenizer(folder, load_preset(folder))
    theirs = transformers.Qwen2Tokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    _compare(ours, theirs)


@pytest.mark.parametrize("family", ["stable-diffcoder-base", "llada-base", "sdar", "fast-dllm-v2"])
def test_tokenizer_json(tmp_path, family) -> None:
    folder = tmp_path / FAMILIES[family].name
    write_tiny_folder(folder, family)
    ours = load_tokenizer(folder, load_preset(folder))
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    _compare(ours, theirs)
    for name, text in load_preset(folder).special.items():
        foreign = ours.vocabulary.foreign_ids[ours.special_id(name)]
        assert foreign == (int(text[1:]) if text.startswith("#") else theirs.convert_tokens_to_ids(text))


def _compare(ours, theirs) -> None:
    num_tokens = 0
    for text in (*TEXTS, *random_texts(300)):
        ids = ours.encode(text)
        assert [ours.vocabulary.foreign_ids[id] for id in ids] == theirs.encode(text, add_special_tokens=False), text
        assert ours.decode(ids) == text
        num_tokens += len(ids)
    assert num_tokens > 1000
