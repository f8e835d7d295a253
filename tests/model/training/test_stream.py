"""Parts of a corpus in turns: each epoch reads all of them, the place follows from the number, few are open."""

import sys
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from model.training.corpus.split import split_shards
from model.training.mistakes import SlipTable
from model.training.prefetch import Batches, BatchShape
from model.training.shards import ShardError, open_shards
from model.training.stream import NUM_OPEN, PARTS_FILE, Parts, Stream

NUM_PARTS = 5
BATCH_TOKENS = 256


@pytest.fixture(scope="module")
def parts(toy_folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("parts") / "shards"
    meta = msgspec.json.decode((toy_folder / "meta.json").read_bytes())
    assert "tokenizer_sha256" in meta
    split_shards(toy_folder, out, NUM_PARTS)
    return out


def stream_of(folder: Path, seed: int = 0) -> Stream:
    return Stream(folder, seed=seed, batch_tokens=BATCH_TOKENS)


def batches_an_epoch(folder: Path) -> dict[int, int]:
    return {part: -(-len(open_shards(folder / f"part-{part:05}").tokens) // BATCH_TOKENS) for part in range(NUM_PARTS)}


def test_an_epoch_reads_every_part_for_its_size(parts):
    stream, wanted = stream_of(parts), batches_an_epoch(parts)
    epoch = sum(wanted.values())
    first, second = ([stream.part_at(number) for number in range(low, low + epoch)] for low in (0, epoch))
    assert Counter(first) == Counter(second) == wanted
    for order in (first, second):  # one after the other: what a part holds is read once and let go
        assert len([part for part, before in zip(order, [None, *order], strict=False) if part != before]) == NUM_PARTS
    assert first != second
    assert first != [stream_of(parts, seed=1).part_at(number) for number in range(epoch)]


def test_a_place_needs_no_state(parts):
    going, jumping = stream_of(parts), stream_of(parts)
    far = sum(batches_an_epoch(parts).values()) + 3
    for number in range(far):
        going.at(number)
    assert np.array_equal(going.at(far).tokens, jumping.at(far).tokens)


def test_few_parts_are_open(parts, monkeypatch):
    opened = Counter()

    def counted(folder: Path, split: str = "train"):
        opened[folder.name] += 1
        return open_shards(folder, split)

    monkeypatch.setattr(sys.modules[Stream.__module__], "open_shards", counted)
    stream = stream_of(parts)
    for number in range(sum(batches_an_epoch(parts).values())):
        stream.at(number)
        assert len(stream._open) <= NUM_OPEN
    assert sum(opened.values()) <= NUM_PARTS + 1  # the first is opened for the tokenizer too


def test_batches_come_from_the_part_of_their_number(parts):
    shape = BatchShape(seed=0, num_rows=1, clean_tokens=BATCH_TOKENS, noisy_tokens=64)
    stream = shape.open_stream(parts)
    table = SlipTable(stream.tokenizer)
    number = next(n for n in range(10_000) if stream.part_at(n) != stream.part_at(0))
    with Batches(parts, stream, table, shape) as batches:
        found = batches.get("warm-up", number)
    alone = shape.open_stream(parts / f"part-{stream.part_at(number):05}")
    with Batches(parts, alone, table, shape) as batches:
        wanted = batches.get("warm-up", number)
    assert np.array_equal(found.clean_tokens, wanted.clean_tokens)


def test_shards_without_parts_are_their_own(toy_folder, toy_shards):
    stream = stream_of(toy_folder)
    assert (stream.num_parts, stream.num_tokens) == (1, len(toy_shards.tokens))
    assert stream.part_at(10**9) == 0
    assert stream.at(0) is stream.at(10**9)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "damaged"), (msgspec.json.encode(Parts([])), "must name"), (b'{"parts": ["../x"]}', "must name")],
)
def test_a_damaged_list_is_one_sentence(tmp_path, content, said):
    (tmp_path / PARTS_FILE).write_bytes(content)
    with pytest.raises(ShardError, match=said):
        stream_of(tmp_path)


def test_a_part_that_is_missing_or_foreign_is_named(parts, tmp_path):
    (tmp_path / "a").symlink_to(parts / "part-00000")
    (tmp_path / PARTS_FILE).write_bytes(msgspec.json.encode(Parts(["a", "b"])))
    with pytest.raises(ShardError, match="incomplete"):
        stream_of(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "meta.json").write_text('{"tokenizer_sha256": "other"}')
    (tmp_path / "b" / "train.bin").write_bytes(b"\0\0")
    with pytest.raises(ShardError, match="another tokenizer"):
        stream_of(tmp_path)
