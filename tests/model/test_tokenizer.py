"""The round trip is exact, reserved ids never come out of text, and pieces end where the design says."""

import json
import re
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model import tokenizer as module
from model.tokenizer import ASK, BOS, MASK, NUM_BASE, NUM_RESERVED, PIECES, Tokenizer, TokenizerError, tokenizer_json
from model.training.tokenizer_train import train_tokenizer

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(Path(module.__file__).parent.rglob("*.py"))]

# Half arbitrary Unicode, half the characters that code and this tokenizer care about.
code_text = st.text(st.sampled_from(list("abcdef_ \t\n\r019()[]{}<>:=.,'\"#é😀\u2028\u0085\x0c\0")))
any_text = st.text(st.characters(exclude_categories=["Cs"]))
texts = code_text | any_text
untimed = settings(deadline=None)  # a busy machine is no failure


@pytest.fixture(scope="module")
def trained_json() -> str:
    return train_tokenizer(TEXTS, vocab_size=900)


@pytest.fixture(scope="module")
def tokenizer(trained_json: str) -> Tokenizer:
    return Tokenizer.from_bytes(trained_json.encode())


@pytest.fixture(scope="module")
def bytes_only() -> Tokenizer:
    return Tokenizer.from_bytes(tokenizer_json([]).encode())


@untimed
@given(text=texts)
@example("a\r\nb\rc\n\u2028d\0😀")
@example("<mask><eom>⟨mask⟩⟨eom⟩ <bos>")
@example("\t \tx  =  1 \n\n   \r\n    y\t")
@example("")
def test_round_trip_is_exact_without_reserved_ids(tokenizer: Tokenizer, text: str):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert min(ids, default=NUM_RESERVED) >= NUM_RESERVED


@untimed
@given(lines=st.lists(texts))
def test_text_is_encoded_line_by_line(tokenizer: Tokenizer, lines: list[str]):
    lines = [line + "\n" for line in lines]
    assert tokenizer.encode("".join(lines)) == [id for line in lines for id in tokenizer.encode(line)]


@untimed
@given(batch=st.lists(texts, max_size=5))
def test_a_batch_equals_lone_texts(tokenizer: Tokenizer, batch: list[str]):
    assert tokenizer.encode_batch(batch) == [tokenizer.encode(text) for text in batch]


@untimed
@given(text=texts)
def test_no_token_leaves_its_piece(tokenizer: Tokenizer, text: str):
    # Pieces are cut by Python's engine here, by the library's there.
    ends = {0}
    for piece in re.findall(PIECES, text):
        ends.add(max(ends) + len(piece.encode()))
    assert max(ends) == len(text.encode())
    place = 0
    reached = {0}
    for id in tokenizer.encode(text):
        place += len(tokenizer.token_bytes[id])
        reached.add(place)
    assert ends <= reached


def test_indentation_digits_and_newlines_stand_alone(tokenizer: Tokenizer):
    texts = [tokenizer.decode([id]) for id in tokenizer.encode("        return x1 + 250\r\n\tif a:\n")]
    assert texts[0].isspace()
    assert [text for text in texts if text.strip().isdigit()] == ["1", "2", "5", "0"]
    assert "\r\n" in texts
    assert "\t" in texts
    for token in tokenizer.token_bytes[NUM_BASE:]:
        assert token == b"\r\n" or not set(token) & set(b"\r\n0123456789")
        assert token.isspace() or not token.startswith((b"  ", b"\t"))


def test_merges_cross_single_spaces(tokenizer: Tokenizer):
    assert any(b" " in token.strip() for token in tokenizer.token_bytes)


def test_layout_of_ids(tokenizer: Tokenizer):
    assert (BOS, MASK, ASK) == (1, 3, 12)
    assert tokenizer.vocab_size == len(tokenizer.token_bytes) == 900
    assert set(tokenizer.token_bytes[:NUM_RESERVED]) == {b""}
    assert [tokenizer.token_bytes[NUM_RESERVED + byte] for byte in range(256)] == [bytes([byte]) for byte in range(256)]


def test_decode_drops_reserved_ids_and_replaces_broken_characters(tokenizer: Tokenizer):
    assert tokenizer.decode([BOS, 64 + ord("a"), MASK, 64 + 0xF0, 64 + ord("b")]) == "a\ufffdb"
    with pytest.raises(IndexError):
        tokenizer.decode([900])


def test_a_lone_surrogate_is_refused_with_its_place(tokenizer: Tokenizer):
    with pytest.raises(TokenizerError, match=r"lone surrogate \(U\+D800 at 2\)"):
        tokenizer.encode("ab\ud800")
    with pytest.raises(TokenizerError, match="lone surrogate"):
        tokenizer.encode_batch(["fine", "\udfff"])


@untimed
@given(typed=st.binary(max_size=3) | st.sampled_from([b"", b" ", b"re", b"self", b"\xff", b"\xff\xff", b"a\xff"]))
def test_ids_starting_with(tokenizer: Tokenizer, typed: bytes):
    expected = {id for id in range(NUM_RESERVED, 900) if tokenizer.token_bytes[id].startswith(typed)}
    found = tokenizer.ids_starting_with(typed).tolist()
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found == sorted(found, key=lambda id: tokenizer.token_bytes[id])


def test_bytes_alone_are_a_tokenizer(bytes_only: Tokenizer):
    assert bytes_only.vocab_size == NUM_BASE
    assert bytes_only.encode("é\n") == [64 + 0xC3, 64 + 0xA9, 64 + 10]


def test_load_reads_what_training_wrote(tmp_path: Path, trained_json: str, tokenizer: Tokenizer):
    path = tmp_path / "tokenizer.json"
    path.write_text(trained_json, encoding="utf-8")
    loaded = Tokenizer.load(path)
    assert loaded.token_bytes == tokenizer.token_bytes
    assert loaded.sha256 == tokenizer.sha256


def test_a_missing_file_is_one_sentence(tmp_path: Path):
    with pytest.raises(TokenizerError, match=r"^cannot read the tokenizer .*No such file"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def _changed(change) -> bytes:
    spec = json.loads(tokenizer_json([("a", "b")]))
    change(spec)
    return json.dumps(spec).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        tokenizers.Tokenizer(tokenizers.models.BPE()).to_str().encode(),
        _changed(lambda spec: spec["added_tokens"].append({"id": 3, "content": "<mask>", "special": True})),
        _changed(lambda spec: spec.update(normalizer={"type": "NFKC"})),
        _changed(lambda spec: spec["pre_tokenizer"]["pretokenizers"].pop(0)),
        _changed(lambda spec: spec["model"].update(dropout=0.1)),
        _changed(lambda spec: spec["model"]["vocab"].update({"ab": 5})),
        _changed(lambda spec: spec["model"]["vocab"].pop("⟨mask⟩")),
        _changed(lambda spec: spec["model"]["vocab"].update({"⟨new⟩": 321})),
        _changed(lambda spec: spec["model"]["merges"].append(["no", "such"])),
    ],
)
def test_foreign_and_broken_files_are_refused(data: bytes):
    with pytest.raises(TokenizerError, match=r"^mine\.json is not a (Seedling tokenizer|readable tokenizer file) \("):
        Tokenizer.from_bytes(data, name="mine.json")
