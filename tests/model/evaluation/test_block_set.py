"""The list of the BLOCK set: what is chosen, what is written, what is found again."""

from pathlib import Path

import msgspec
import pytest

from model.evaluation import block_set
from model.evaluation.block_set import (
    LIST_FILE,
    MAX_TOKENS,
    MIN_TOKENS,
    choose_places,
    find_places,
    heldout_packages,
    line_stretches,
    node_stretches,
    read_list,
    write_list,
)
from model.evaluation.heldout_places import prose_rows
from model.evaluation.options import EvalError


@pytest.fixture(scope="module")
def chosen(heldout_texts, tokenizer) -> block_set.BlockSet:
    return choose_places(heldout_texts, tokenizer, num=20, seed=0)


def test_places_have_the_length_and_do_not_overlap(chosen, heldout_texts, tokenizer) -> None:
    assert chosen.num_places == 20
    texts = dict(heldout_texts)
    for document in chosen.documents:
        text, end = texts[document.path], 0
        for start, length in document.places:
            assert start >= end
            end = start + length
            assert MIN_TOKENS <= len(tokenizer.encode(text[start:end])) <= MAX_TOKENS
            assert text[start:end].strip("\n") == text[start:end]


def test_places_begin_and_end_on_code(chosen, heldout_texts) -> None:
    texts = dict(heldout_texts)
    for document in chosen.documents:
        text = texts[document.path]
        prose = prose_rows(text)
        for start, length in document.places:
            assert text.count("\n", 0, start) not in prose
            assert text.count("\n", 0, start + length) not in prose


def test_half_are_nodes_and_the_choice_depends_on_the_seed_alone(chosen, heldout_texts, tokenizer) -> None:
    texts = dict(heldout_texts)
    nodes = [
        stretch in node_stretches(texts[document.path], tokenizer)
        for document in chosen.documents
        for stretch in document.places
    ]
    assert sum(nodes) >= len(nodes) / 2
    assert chosen == choose_places(list(reversed(heldout_texts)), tokenizer, num=20, seed=0)
    assert chosen.documents != choose_places(heldout_texts, tokenizer, num=20, seed=1).documents


def test_lines_run_from_a_line_start_to_a_line_end(heldout_texts, tokenizer) -> None:
    from random import Random

    text = heldout_texts[0][1]
    stretches = line_stretches(text, tokenizer, Random(0))
    assert stretches
    for start, length in stretches:
        assert start == 0 or text[start - 1] == "\n"
        assert text[start + length] == "\n"


def test_the_list_is_read_as_it_was_written_and_holds_no_code(chosen, heldout_texts, tmp_path) -> None:
    write_list(tmp_path / "list.json", chosen)
    assert read_list(tmp_path / "list.json") == chosen
    assert "def " not in (tmp_path / "list.json").read_text("utf-8")
    found = find_places(chosen, heldout_texts, limit=None)
    assert len(found.places) == found.num_places == 20
    assert found.missing == []
    texts = dict(heldout_texts)
    assert all(place.before + place.gold + place.after == texts[place.path] for place in found.places)


def test_a_limit_takes_places_from_the_whole_list(chosen, heldout_texts) -> None:
    found = find_places(chosen, heldout_texts, limit=4)
    assert len(found.places) == 4
    assert len({place.path for place in found.places}) == 4


def test_changed_documents_count_as_missing(chosen, heldout_texts) -> None:
    changed = chosen.documents[0].path
    documents = [(path, text + "x = 1\n" if path == changed else text) for path, text in heldout_texts]
    found = find_places(chosen, documents, limit=None)
    assert found.missing == [changed]
    assert len(found.places) == 20 - len(chosen.documents[0].places)


def test_with_most_documents_missing_there_is_a_sentence(chosen, heldout_texts) -> None:
    with pytest.raises(EvalError, match=r"build shards from toy 1\.0") as error:
        find_places(msgspec.structs.replace(chosen, packages=("toy 1.0",)), heldout_texts[:2], limit=None)
    assert "\n" not in error.value.sentence


@pytest.mark.parametrize("content", ["", "[1]", '{"format": 1}', '{"format": 9, "what": "", "packages": []}'])
def test_a_foreign_list_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(EvalError, match=r"list\.json is not a list of places"):
        read_list(tmp_path / "list.json")


def test_a_missing_list_and_another_format_are_one_sentence(chosen, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="cannot be read"):
        read_list(tmp_path / "none.json")
    write_list(tmp_path / "list.json", msgspec.structs.replace(chosen, format=2))
    with pytest.raises(EvalError, match="has format 2"):
        read_list(tmp_path / "list.json")


def test_packages_come_from_the_manifest(shards_folder, tmp_path) -> None:
    assert heldout_packages(shards_folder) == ("toy0 1.0",)
    assert heldout_packages(tmp_path) == ()


def test_the_committed_list_is_large_small_on_disk_and_in_order() -> None:
    committed = read_list(LIST_FILE)
    assert committed.num_places >= 1_000
    assert LIST_FILE.stat().st_size < 150_000
    assert committed.packages
    for document in committed.documents:
        assert len(document.sha256) == 64
        ends = [start + length for start, length in document.places]
        assert all(start >= end for (start, _), end in zip(document.places[1:], ends, strict=False))
