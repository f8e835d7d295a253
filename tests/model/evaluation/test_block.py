"""The BLOCK evaluation: its scores against answers that are known, and the command from list to JSON."""

import json

import msgspec
import pytest

from model import cli
from model.checkpoints.load import load_checkpoint
from model.evaluation import block_set
from model.evaluation.block import MAX_ANSWER_TOKENS, bits_per_byte, score_blocks
from model.evaluation.block_set import choose_places, find_places, read_list, write_list
from model.evaluation.decode import Answer, Decoder, Place
from model.evaluation.metrics import edit_similarity

BEFORE, GOLD, AFTER = "def f(a):\n    ", "if a:\n        a = 1\n    b = [a, 2]", "\n    return b\n"
PLACE = Place(path="f.py", before=BEFORE, after=AFTER, gold=GOLD)
BROKEN = Place(path="g.py", before="x = (\n", after="\n)))\n", gold="1, 2")


class Scripted(Decoder):
    """A decoder whose answers are given, each at the cost of 3 forwards."""

    def __init__(self, checkpoint, texts: list[str]) -> None:
        super().__init__(checkpoint)
        self.texts = list(texts)
        self.asked: list[tuple] = []

    def complete(self, place, *, stop, length="free", max_tokens=None, one_by_one=False) -> Answer:
        self.asked.append((place, stop, length, max_tokens))
        text = self.texts.pop(0)
        return Answer(text=text, ids=tuple(self.encoder(text)), forwards=3, steps=3, confidence=0.5, reason="eom")


def test_a_right_a_broken_and_an_empty_answer(checkpoint) -> None:
    decoder = Scripted(checkpoint, [GOLD, "if (", ""])
    judge = Decoder(checkpoint)
    score = score_blocks(decoder, judge, [PLACE, PLACE, PLACE], "oracle")
    assert decoder.asked == [(PLACE, "eom", "oracle", MAX_ANSWER_TOKENS)] * 3
    assert score.exact_match == pytest.approx(1 / 3)
    assert score.edit_similarity == pytest.approx((1 + edit_similarity("if (", GOLD)) / 3)
    assert score.empty == pytest.approx(1 / 3)
    assert score.num_parsing == 3
    assert score.parse_rate == pytest.approx(2 / 3)  # without the hole's text the function still parses
    assert score.floor_parse_rate == 1.0
    assert score.floor_edit_similarity == 0.0
    assert score.forwards == 3.0
    assert score.bytes_per_forward == pytest.approx((len(GOLD) + 4) / 9)
    num_tokens = len(decoder.encoder(GOLD)) + len(decoder.encoder("if ("))
    assert score.tpf == pytest.approx(num_tokens / 9)
    assert score.true_text_bits_per_byte == pytest.approx(bits_per_byte(judge, [(PLACE, GOLD)]))


def test_documents_that_never_parsed_do_not_count_as_broken(checkpoint) -> None:
    score = score_blocks(Scripted(checkpoint, [GOLD, "1, 2"]), Decoder(checkpoint), [PLACE, BROKEN], "free")
    assert score.num_parsing == 1
    assert score.parse_rate == 1.0


def test_bits_are_those_of_the_clean_stream_over_all_bytes(checkpoint) -> None:
    judge = Decoder(checkpoint)
    one, two = (PLACE, "x = 1"), (BROKEN, "ä, 22")
    of_one, of_two = bits_per_byte(judge, [one]), bits_per_byte(judge, [two])
    assert of_one is not None
    assert of_two is not None
    both = bits_per_byte(judge, [one, (PLACE, ""), two])
    assert both == pytest.approx((of_one * 5 + of_two * 6) / 11)
    assert bits_per_byte(judge, [(PLACE, "")]) is None


def run_cli(capsys, *words: object) -> tuple[int, str, str]:
    code = cli.main(["eval", "block", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_scores_a_list(
    checkpoint_folder, shards_folder, heldout_texts, tokenizer, tmp_path, monkeypatch, capsys
) -> None:
    listed = choose_places(heldout_texts, tokenizer, num=6, seed=0)
    gone = with_a_changed_document(listed)
    write_list(tmp_path / "list.json", gone)
    monkeypatch.setattr(block_set, "LIST_FILE", tmp_path / "list.json")
    words = ("--shards", shards_folder, "--model", checkpoint_folder, "--threads", 1, "--fp32")
    code, out, err = run_cli(capsys, *words, "--limit", 2, "--judge", checkpoint_folder, "--json")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    assert result["places"] == 2
    assert result["listed"] == 6
    assert result["missing_documents"] == 1
    assert f"{gone.documents[0].path}" in err
    assert result["model"] == result["judge"] == "tiny"
    assert result["length"] == "free"
    places = find_places(gone, heldout_texts, limit=2).places
    decoder = Decoder(load_checkpoint(checkpoint_folder))
    answers = [decoder.complete(place, stop="eom", max_tokens=MAX_ANSWER_TOKENS) for place in places]
    assert result["forwards"] == sum(answer.forwards for answer in answers) / 2
    assert result["true_text_bits_per_byte"] == pytest.approx(bits_per_byte(decoder, [(p, p.gold) for p in places]))


def with_a_changed_document(listed: block_set.BlockSet) -> block_set.BlockSet:
    """The list with another hash at its first document."""
    first, *others = listed.documents
    changed = msgspec.structs.replace(first, sha256="0" * 64)
    return msgspec.structs.replace(listed, documents=(changed, *others))


def test_the_command_writes_a_list(shards_folder, heldout_texts, tmp_path, capsys) -> None:
    code, _, err = run_cli(capsys, "--shards", shards_folder, "--write-list", tmp_path / "new.json", "--limit", 5)
    assert code == 0
    assert "5 places" in err
    written = read_list(tmp_path / "new.json")
    assert written.packages == ("toy0 1.0",)
    assert find_places(written, heldout_texts, limit=None).missing == []


def test_other_documents_than_the_lists_are_one_sentence(checkpoint_folder, shards_folder, capsys) -> None:
    code, out, err = run_cli(capsys, "--shards", shards_folder, "--model", checkpoint_folder)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "are not in these shards" in err


def test_missing_shards_are_one_sentence(checkpoint_folder, tmp_path, capsys) -> None:
    code, _, err = run_cli(capsys, "--shards", tmp_path / "none", "--model", checkpoint_folder)
    assert code == 2
    assert err.count("\n") == 1
    assert "there is no shard folder" in err
