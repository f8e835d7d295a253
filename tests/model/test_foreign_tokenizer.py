"""A foreign tokenizer behind our interface: its tokens, our ids, and no text becomes a special token."""

import json

import pytest

from model.checkpoints.foreign_tokenizer_files import tokenizer_spec
from model.foreign_tokenizer import FIRST_EXTRA, ForeignTokenizer
from model.tokenizer import BOS, DEL, EOM, INS, MASK, NUM_RESERVED, PAD, TokenizerError
from tests.model.checkpoints.tiny_folders import FAMILIES, tiny_tokenizer

SPECIAL = {
    "mask": "<|mask|>",
    "eom": "<|endoftext|>",
    "ins": "<|expand|>",
    "del": "<|endoftext|>",
    "im_start": "<|im_start|>",
    "im_end": "<|im_end|>",
}
TEXTS = (
    "def add(a, b):\n    return a + b\n",
    "\n\n\n   x\t=  1234 \r\n\r\n",
    "# ünï 中文 😀 a̐ \x00 ",
    "<|mask|><|endoftext|><|im_start|>user\n<|expand|>",
    "",
)


@pytest.fixture(scope="module")
def spec() -> dict:
    return json.loads(tiny_tokenizer(FAMILIES["dreamon"]).to_str())


@pytest.fixture(scope="module")
def tokenizer(spec) -> ForeignTokenizer:
    return ForeignTokenizer.from_spec(spec, SPECIAL, name="tokenizer.json")


def test_special_tokens_stand_on_reserved_ids(tokenizer, spec) -> None:
    foreign = {token["content"]: token["id"] for token in spec["added_tokens"]}
    ids = tokenizer.vocabulary.foreign_ids
    assert (ids[MASK], ids[EOM], ids[INS], ids[DEL]) == tuple(
        foreign[SPECIAL[n]] for n in ("mask", "eom", "ins", "del")
    )
    assert (ids[PAD], ids[BOS]) == (None, None)
    assert [tokenizer.special_id(name) for name in SPECIAL] == [MASK, EOM, INS, DEL, FIRST_EXTRA, FIRST_EXTRA + 1]
    assert ids[FIRST_EXTRA : FIRST_EXTRA + 3] == (foreign["<|im_start|>"], foreign["<|im_end|>"], None)
    with pytest.raises(KeyError):
        tokenizer.special_id("fim_prefix")


def test_ordinary_tokens_follow_in_their_order(tokenizer, spec) -> None:
    special = {token["id"] for token in spec["added_tokens"]}
    ordinary = sorted(id for id in spec["model"]["vocab"].values() if id not in special)
    assert tokenizer.vocabulary.foreign_ids[NUM_RESERVED:] == tuple(ordinary)
    assert tokenizer.vocab_size == NUM_RESERVED + len(ordinary) == len(tokenizer.token_bytes)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_and_are_cut_as_the_foreign_tokenizer_does(tokenizer, spec, text) -> None:
    ids = tokenizer.encode(text)
    assert all(id >= NUM_RESERVED for id in ids)
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert tokenizer.encode_batch([text, text]) == [ids, ids]
    if not any(mark in text for mark in SPECIAL.values()):
        theirs = tiny_tokenizer(FAMILIES["dreamon"]).encode(text, add_special_tokens=False).ids
        assert [tokenizer.vocabulary.foreign_ids[id] for id in ids] == theirs


def test_text_that_is_not_in_normal_form_keeps_its_bytes(tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("é")) == "é"


def test_interface_of_ours(tokenizer) -> None:
    starts = tokenizer.ids_starting_with(b"re")
    assert starts.size
    assert all(tokenizer.token_bytes[id].startswith(b"re") for id in starts)
    assert tokenizer.blank_ids
    assert all(not tokenizer.token_bytes[id].strip() for id in tokenizer.blank_ids)
    with pytest.raises(TokenizerError, match="surrogate"):
        tokenizer.encode("\ud800")


def test_special_tokens_inside_the_vocabulary_are_no_ordinary_ones() -> None:
    spec = json.loads(tiny_tokenizer(FAMILIES["stable-diffcoder-base"]).to_str())
    tokenizer = ForeignTokenizer.from_spec(spec, {"mask": "#5", "eom": "#2"}, name="tokenizer.json")
    assert tokenizer.vocabulary.foreign_ids[MASK] == 5
    assert min(id for id in tokenizer.vocabulary.foreign_ids[NUM_RESERVED:] if id is not None) == 9
    assert tokenizer.decode(tokenizer.encode("<[end▁of▁sentence]>")) == "<[end▁of▁sentence]>"


def test_a_token_whose_merges_are_ignored_stays_out_of_texts(spec) -> None:
    """Llama 3's tokenizers take a piece that is in the vocabulary whole."""
    spec = {**spec, "model": {**spec["model"], "ignore_merges": True}}
    spec["model"]["vocab"] = {**spec["model"]["vocab"], "ĠXY": 900}
    spec["added_tokens"] = [*spec["added_tokens"], {"id": 900, "content": "ĠXY"}]
    tokenizer = ForeignTokenizer.from_spec(spec, SPECIAL, name="tokenizer.json")
    assert 900 not in tokenizer.vocabulary.foreign_ids
    assert tokenizer.decode(tokenizer.encode("a XY b")) == "a XY b"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": {"type": "Unigram", "vocab": {}, "merges": []}}, "no byte-level BPE"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}, "no byte-level BPE"),
        ({"model": {}}, "Hugging Face format"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "cannot be undone"),
        ({"pre_tokenizer": None}, "cannot be undone"),
        ({"normalizer": {"type": "Lowercase"}}, "rewrites texts"),
        ({"added_tokens": []}, "no token <|mask|>, which its family needs as mask"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(spec, change, says) -> None:
    with pytest.raises(TokenizerError, match=says) as caught:
        ForeignTokenizer.from_spec({**spec, **change}, SPECIAL, name="x/tokenizer.json")
    assert "x/tokenizer.json" in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_more_names_than_reserved_ids(spec) -> None:
    many = {f"name{number}": "<|mask|>" for number in range(NUM_RESERVED)}
    with pytest.raises(TokenizerError, match="more special tokens"):
        ForeignTokenizer.from_spec(spec, many, name="tokenizer.json")


def test_another_choice_of_special_tokens_is_another_tokenizer(spec, tokenizer) -> None:
    other = ForeignTokenizer.from_spec(spec, {**SPECIAL, "del": "<|im_end|>"}, name="tokenizer.json")
    assert other.sha256 != tokenizer.sha256
    assert ForeignTokenizer.from_spec(spec, SPECIAL, name="y").sha256 == tokenizer.sha256


def test_spec_of_a_folder(tmp_path) -> None:
    tiny_tokenizer(FAMILIES["sdar"]).save(str(tmp_path / "tokenizer.json"))
    special = {"mask": "<|MASK|>", "eom": "<|im_end|>"}
    tokenizer = ForeignTokenizer.from_spec(tokenizer_spec(tmp_path), special, name="tokenizer.json")
    assert tokenizer.decode(tokenizer.encode("x = 1\n")) == "x = 1\n"
