"""Samples: what stands in the layout is the document, cut once; shares, lengths and anchors are as described."""

import itertools
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from model.checkpoints.presets import Preset
from model.engine import api
from model.engine.prompting import LineEncoder, prepare
from model.network.config import tiny_test
from model.prompts import MAX_NEAR_TOKENS
from model.tokenizer import BOS, CUR, EOM, FILE, PRE, SUF, TAIL
from model.training.samples import (
    MAX_HOLE_TOKENS,
    MAX_NEAR_LINES,
    MAX_PATH_TOKENS,
    MAX_TAIL_LINES,
    Sample,
    draw_head,
    draw_sample,
)
from model.training.snippets import MAX_SNIPPET_TOKENS, draw_snippets

NUM_SAMPLES = 600
MAX_TOKENS = 400


@pytest.fixture(scope="module")
def samples(toy_shards):
    rng = Random(1)
    return [draw_sample(toy_shards, rng, MAX_TOKENS) for _ in range(NUM_SAMPLES)]


def texts_of(shards):
    return [shards.tokenizer.decode(shards.document(i)) for i in range(shards.num_documents)]


def test_lengths_and_kinds(samples):
    kinds = Counter(sample.kind for sample in samples)
    assert 0.30 <= kinds["document"] / NUM_SAMPLES <= 0.40
    assert 0.7 <= kinds["syntax"] / kinds["span"] <= 1.5
    for sample in samples:
        assert len(sample.ids) <= MAX_TOKENS
        assert 0 < sample.canvas_start < len(sample.ids)
        assert sample.path_end <= sample.canvas_start
        if sample.kind != "document":
            assert sample.ids[-1] == EOM
            assert len(sample.ids) - sample.canvas_start <= MAX_HOLE_TOKENS + 64


def test_an_infill_sample_reads_as_its_document(samples, toy_shards, parts_of):
    documents = texts_of(toy_shards)
    decode = toy_shards.tokenizer.decode
    seen = 0
    for sample in samples:
        if sample.kind == "document":
            continue
        parts, canvas = parts_of(sample)
        assert list(parts) == [BOS, FILE, SUF, PRE, TAIL, CUR]
        text = decode([*parts[PRE], *parts[CUR], *canvas[:-1], *parts[TAIL], *parts[SUF]])
        assert any(text in document for document in documents)
        assert decode(parts[CUR]).count("\n") <= MAX_NEAR_LINES
        assert not parts[PRE] or decode(parts[PRE]).endswith("\n")
        assert not parts[TAIL] or not parts[SUF] or decode(parts[TAIL]).endswith("\n")
        # The rest of the hole's line, and at most eight lines to the anchor.
        assert decode(parts[TAIL]).count("\n") <= MAX_TAIL_LINES + 1
        seen += 1
    assert seen > 300


def test_of_a_long_path_the_end_stays(toy_shards):
    shards = replace(toy_shards, paths=tuple("toy/" + "folder/" * 20 + f"{i}.py" for i in range(len(toy_shards.paths))))
    heads = {toy_shards.tokenizer.decode(draw_head(shards, i, Random(i))) for i in range(20)}
    assert all(head.endswith("\n") for head in heads)
    assert sum(head.endswith(".py\n") and len(head) == MAX_PATH_TOKENS for head in heads) >= 15
    for snippet in draw_snippets(shards, 5, (10, 20), 2, Random(0), 90):
        path, _ = toy_shards.tokenizer.decode(snippet).split("\n", 1)
        assert path.endswith(".py")


def test_the_engine_gives_the_same_tokens_to_the_same_parts(samples, toy_shards, parts_of):
    """Only the anchors differ: where the prefix ends and the lines of <cur> begin, and where the tail ends."""
    tokenizer = toy_shards.tokenizer
    preset = Preset(name="toy", network=tiny_test(tokenizer.vocab_size), context_tokens=2_000)
    encoder = LineEncoder(tokenizer)
    for sample in samples[:150]:
        if sample.kind == "document":
            continue
        parts, _ = parts_of(sample)
        above = tokenizer.decode([*parts[PRE], *parts[CUR]])
        prefix, line = above[: above.rfind("\n") + 1], above[above.rfind("\n") + 1 :]
        prompt = api.Prompt(
            path=tokenizer.decode(parts[FILE]).removesuffix("\n"),
            prefix=prefix,
            line=line,
            tail=tokenizer.decode(parts[TAIL]),
            suffix=tokenizer.decode(parts[SUF]),
        )
        made = prepare(api.DenoiseRequest(id="1", prompt=prompt), preset, tokenizer, encoder)
        ids = [*made.prompt_ids, *([made.taken_back.token] if made.taken_back else [])]
        theirs, _ = parts_of(Sample(ids, len(ids), 0, "span"))
        assert list(theirs) == list(parts)
        assert [theirs[part] for part in (FILE, SUF, TAIL)] == [parts[part] for part in (FILE, SUF, TAIL)]
        assert theirs[PRE] + theirs[CUR] == parts[PRE] + parts[CUR]
        assert tokenizer.decode(theirs[CUR]).count("\n") <= MAX_NEAR_LINES
        assert len(theirs[CUR]) <= MAX_NEAR_TOKENS + len(line.encode())


def test_a_document_sample_is_a_stretch_of_its_document(samples, toy_shards, parts_of):
    documents = [text.encode() for text in texts_of(toy_shards)]
    ended = 0
    for sample in samples:
        if sample.kind == "document":
            parts, canvas = parts_of(sample)
            assert list(parts) == [BOS, FILE, CUR]
            text = toy_shards.tokenizer.decode_bytes(canvas)  # the cut may fall into a character
            if canvas[-1] == EOM:
                ended += 1
                assert any(document.endswith(text) for document in documents)
            else:
                assert any(text in document for document in documents)
    assert ended > 20


def test_holes_reach_many_lengths_and_some_lie_inside_a_line(samples, toy_shards, parts_of):
    holes = [parts_of(sample)[1][:-1] for sample in samples if sample.kind == "span"]
    lengths = [len(hole) for hole in holes]
    assert min(lengths) <= 4
    assert max(lengths) >= 60
    one_line = sum("\n" not in toy_shards.tokenizer.decode(hole) for hole in holes)
    assert 0.4 <= one_line / len(holes) <= 0.95


def test_syntax_holes_are_whole_nodes(samples, toy_shards, parts_of):
    from model.syntax.spans import node_spans

    checked = 0
    for sample in samples:
        if sample.kind != "syntax":
            continue
        parts, canvas = parts_of(sample)
        decode = toy_shards.tokenizer.decode
        before = decode([*parts[PRE], *parts[CUR]])
        hole = decode(canvas[:-1])
        text = before + hole + decode([*parts[TAIL], *parts[SUF]])
        spans = {(span.start, span.end) for span in node_spans(text, "python")}
        checked += (len(before), len(before) + len(hole)) in spans
    assert checked > 0.8 * sum(s.kind == "syntax" for s in samples)  # a trimmed prefix can change the tree


def test_same_random_state_same_sample(toy_shards):
    assert draw_sample(toy_shards, Random(9), 200) == draw_sample(toy_shards, Random(9), 200)
    assert draw_sample(toy_shards, Random(9), 200) != draw_sample(toy_shards, Random(10), 200)


def test_lines_of_the_file_are_kept_for_drafts(toy_shards):
    sample = draw_sample(toy_shards, Random(2), 200, with_lines=True)
    assert sample.lines
    assert all(toy_shards.tokenizer.decode(line).count("\n") == 1 for line in sample.lines)


def test_some_holes_are_empty(toy_shards, parts_of):
    rng = Random(3)
    drawn = [draw_sample(toy_shards, rng, 200) for _ in range(2_500)]
    empty = [sample for sample in drawn if sample.kind == "empty"]
    assert 0.005 <= len(empty) / sum(sample.kind != "document" for sample in drawn) <= 0.045
    documents = texts_of(toy_shards)
    ends = starts = 0
    for sample in empty:
        parts, canvas = parts_of(sample)
        assert canvas == [EOM]
        before = toy_shards.tokenizer.decode([*parts[PRE], *parts[CUR]])
        after = toy_shards.tokenizer.decode([*parts[TAIL], *parts[SUF]])
        assert any(before + after in document for document in documents)
        ends += after.startswith("\n")
        starts += before.endswith("\n")
        assert parts[TAIL] or not parts[SUF]  # the rest of the cursor's line is in the tail, never only in the suffix
    assert ends >= 4
    assert starts >= 4


def test_snippets_are_lines_of_the_project_that_the_hole_is_not_in(toy_shards):
    rng = Random(4)
    documents = dict(zip(toy_shards.paths, texts_of(toy_shards), strict=True))
    drawn = [draw_sample(toy_shards, rng, 600) for _ in range(1_200)]
    infill = [sample for sample in drawn if sample.kind != "document"]
    seen = 0
    for sample in infill:
        head = sample.ids[: sample.ids.index(SUF)]
        cuts = [i for i, token in enumerate(head) if token == FILE] + [len(head)]
        assert sample.path_end == len(head)
        assert len(sample.ids) <= 600
        for start, end in itertools.pairwise(cuts[1:]):
            path, text = toy_shards.tokenizer.decode(head[start + 1 : end]).split("\n", 1)
            assert end - start - 1 <= MAX_SNIPPET_TOKENS
            assert any(name.startswith(path) and text in document for name, document in documents.items())
            assert text.endswith("\n")
            seen += 1
            assert not any(sample.has_text_label(i) for i in range(len(head) - 1))
    assert 0.05 <= seen / len(infill) <= 0.2


def test_snippets_are_never_cut_from_the_window(toy_shards):
    for seed in range(200):
        rng = Random(seed)
        size = len(toy_shards.document(5))
        low, high = size // 3, size // 2
        for snippet in draw_snippets(toy_shards, 5, (low, high), 2, rng, 90):
            assert len(snippet) <= 90
            document = toy_shards.tokenizer.decode(toy_shards.document(5))
            path, text = toy_shards.tokenizer.decode(snippet).split("\n", 1)
            if path == "toy/file5.py":
                before = toy_shards.tokenizer.decode(toy_shards.document(5)[:low])
                after = toy_shards.tokenizer.decode(toy_shards.document(5)[high:])
                assert text in before or text in after, document
