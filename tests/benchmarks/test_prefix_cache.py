"""The 200 characters: a stretch of typing in a 2,000-line file runs at most 5 % of its prompt tokens again."""

import json
import sys

import pytest

from benchmarks import prefix_cache
from benchmarks.header import ROOT
from benchmarks.prefix_cache import BAR, TRACE, Prompt, main, prompts_of, share

EMBEDDED = ROOT / "model" / "embedded"


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return prompts_of(json.loads(TRACE.read_text("utf-8")), EMBEDDED)


def test_at_most_five_percent_run_again(prompts):
    assert prompts[0].num_rerun == prompts[0].num_tokens  # the cold one
    assert 0 < share(prompts[1:]) <= BAR


def test_nearly_every_event_asks_and_typing_costs_a_few_tokens(prompts):
    events = json.loads(TRACE.read_text("utf-8"))["events"]
    happened = [what for event in events for what in event if what != "pause"]
    asked = [prompt.what for prompt in prompts[1:]]
    rest = iter(happened)
    assert all(what in rest for what in asked)  # in their order
    assert len(asked) > 0.85 * len(happened)  # a docstring is typed too
    assert all(prompt.num_tokens > 100 for prompt in prompts)
    typed = [prompt.num_rerun for prompt in prompts if prompt.what == "type"]
    assert sum(typed) <= 3 * len(typed)


def test_a_line_of_json_ends_the_table(prompts, monkeypatch, capsys):
    monkeypatch.setattr(prefix_cache, "prompts_of", lambda trace, checkpoint: prompts)
    monkeypatch.setattr(sys, "argv", ["prefix_cache"])
    main()
    *table, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    assert result["reprefilled_share"] == round(share(prompts[1:]), 4) < result["reprefilled_share_with_cold"]
    assert {line.split()[0] for line in table} >= {prompt.what for prompt in prompts}
