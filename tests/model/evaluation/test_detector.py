"""The detector: windows tile a text, margins are those of the sampler's own reading, thresholds keep their promise."""

import math
from dataclasses import replace
from random import Random

import msgspec
import pytest

from model.diffusion.canvas import draft_canvas
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.sampler import run_pass
from model.engine.prompting import LineEncoder
from model.evaluation.detector import (
    MAX_WINDOW_TOKENS,
    Query,
    choose_threshold,
    line_scores,
    margins,
    scan,
    window_query,
    windows,
)
from model.network.kv_cache import KVCache

TEXT = '''"""Ä docstring
over two lines."""

import os  # why
# a comment


def f(a, ä):
    b = "quoted text"
    return a + 1
'''


@pytest.fixture
def encoder(tokenizer) -> LineEncoder:
    return LineEncoder(tokenizer)


@pytest.fixture(scope="module")
def queries(checkpoint, tokenizer, heldout_texts) -> list[Query]:
    """Windows with prompts of different lengths."""
    path, text = heldout_texts[0]
    encoder = LineEncoder(tokenizer)
    return [window_query(path, text, window, checkpoint, encoder) for window in windows(text, tokenizer, encoder)[:6]]


def test_windows_tile_the_text(heldout_texts, tokenizer, encoder) -> None:
    for _, text in heldout_texts[:3]:
        found = windows(text, tokenizer, encoder)
        assert [window.start for window in found] == [0, *(window.end for window in found[:-1])]
        assert found[-1].end == len(text)
        for window in found:
            assert 0 < len(window.ids) <= MAX_WINDOW_TOKENS
            assert tokenizer.decode(window.ids) == text[window.start : window.end]
            assert len(window.rows) == len(window.judged) == len(window.ids)
            assert window.rows[0] == text.count("\n", 0, window.start)
            assert window.rows[-1] == text.count("\n", 0, window.end - 1)


def test_a_line_that_is_too_long_stands_in_no_window(tokenizer, encoder) -> None:
    text = "a = 1\n" + "b" * 80 + " = 2\n" + "c = 3\nd = 4"
    found = windows(text, tokenizer, encoder)
    assert [text[window.start : window.end] for window in found] == ["a = 1\n", "c = 3\nd = 4"]
    assert [window.rows[0] for window in found] == [0, 2]
    assert windows("", tokenizer, encoder) == []


def test_comments_and_the_text_of_strings_are_not_judged(tokenizer, encoder) -> None:
    judged = b""
    rows = set()
    for window in windows(TEXT, tokenizer, encoder):
        pairs = zip(window.ids, window.judged, strict=True)
        judged += b"".join(tokenizer.token_bytes[i] for i, is_judged in pairs if is_judged)
        rows |= set(window.judged_rows)
    lines = TEXT.split("\n")
    assert {lines[row] for row in rows} >= {"import os  # why", "def f(a, ä):", "    return a + 1"}
    assert not {"", "# a comment"} & {lines[row] for row in rows}
    text = judged.decode()
    for word in ("docstring", "over two lines", "why", "quoted", "comment"):
        assert word not in text
    for word in ("import os", "def f(a, ä):\n", "return a + 1\n", 'b = ""'):
        assert word in text


def test_a_query_is_the_engines_prompt_of_a_few_lines(checkpoint, tokenizer, encoder) -> None:
    roomy = replace(checkpoint, preset=msgspec.structs.replace(checkpoint.preset, context_tokens=1024))
    text = "".join(f"name_{n} = {n}\n" for n in range(200))
    window = windows(text, tokenizer, encoder)[20]
    query = window_query("p.py", text, window, roomy, encoder)
    assert query.ids == window.ids
    assert 300 < len(query.prompt_ids) < 400
    prompt = tokenizer.decode(query.prompt_ids)
    first = window.rows[0]
    assert prompt.endswith(f"name_{first - 1} = {first - 1}\n")
    assert f"name_{window.rows[-1] + 1} = " in prompt
    assert f"name_{first} = " not in prompt
    assert "name_0 = " not in prompt


def test_margins_agree_with_what_the_sampler_reads(checkpoint, queries) -> None:
    """log p(best other) - log p(own): positive exactly where the sampler's best label is another one."""
    for query in queries:
        policy = Policy(edits="insert-delete", block=64)
        run = Run(query.prompt_ids, draft_canvas(query.ids), policy)
        request = run.request()
        cache = KVCache(checkpoint.preset.network, capacity=512)
        reading = run_pass(checkpoint.network, cache, request)
        [found] = margins(checkpoint.network, [query])
        assert len(found) == len(query.ids)
        for m, ask in enumerate(request.asks):
            if ask.locked:
                continue  # <eom>
            if reading.label[m] == ask.token:
                assert found[ask.index] < 0
            else:
                wanted = math.log(reading.p[m]) - math.log(reading.own[m])
                assert found[ask.index] == pytest.approx(wanted, abs=1e-3)
        assert sum(not ask.locked for ask in request.asks) == len(query.ids)


def test_a_batch_gives_what_each_window_gives_alone(checkpoint, queries) -> None:
    assert len({len(query.prompt_ids) for query in queries}) > 1
    together = margins(checkpoint.network, queries)
    for query, found in zip(queries, together, strict=True):
        assert found == pytest.approx(margins(checkpoint.network, [query])[0], abs=1e-4)


def test_scan_keeps_the_order_of_more_windows_than_a_batch(checkpoint, queries) -> None:
    many = [queries[n % len(queries)] for n in range(11)]
    found = list(scan(checkpoint.network, iter(many)))
    assert len(found) == 11
    for n, row in enumerate(found):
        assert row == pytest.approx(found[n % len(queries)], abs=1e-4)
        assert len(row) == len(many[n].ids)


def test_a_line_scores_the_largest_margin_of_its_judged_tokens(tokenizer, encoder) -> None:
    [window] = windows("a = 1\n# xyz\nb = 'c'\n", tokenizer, encoder)
    margin = [float(n) for n in range(len(window.ids))]
    scores = line_scores(window, margin)
    assert sorted(scores) == [0, 2]
    assert scores[0] == 4.0 if tokenizer.decode(window.ids[4:5]) == "\n" else scores[0] == 5.0
    assert scores[2] == len(window.ids) - 1


@pytest.mark.parametrize(("num", "allowed"), [(10, 0), (999, 0), (1000, 1), (4321, 4)])
def test_the_threshold_keeps_false_alarms_in_bounds(num: int, allowed: int) -> None:
    rng = Random(num)
    scores = [rng.gauss(0, 1) for _ in range(num)]
    threshold = choose_threshold(scores, 1.0)
    assert sum(score > threshold for score in scores) == allowed
    assert threshold in scores


def test_equal_scores_never_exceed_the_bound() -> None:
    assert sum(score > choose_threshold([1.0] * 2000, 1.0) for score in [1.0] * 2000) == 0
    with pytest.raises(ValueError, match="at least one"):
        choose_threshold([], 1.0)
