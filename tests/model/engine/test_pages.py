"""The engine with its caches in pages, by reference operations on the CPU: the texts of the one with caches side by
side, and no page left behind.
"""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import torch

from kernels.ops import ops_for
from model.checkpoints.load import Checkpoint, load_checkpoint
from model.checkpoints.memory import Plan
from model.engine import api
from model.engine.generation import ROOM_TOKENS, ResidentModel
from model.engine.iterations import Iterations
from model.engine.job import Job
from model.engine.scheduler import NUM_SIDE_BY_SIDE, Bounds
from model.network.paged_cache import PagedCache
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder
from tests.model.engine.test_foreign_families import edit, hole
from tests.model.engine.test_iterations import bare, loop, run_all, told

__all__ = ["loop"]
CPU = torch.device("cpu")
PREFIX = "".join(f"name{i} = {i}\n" for i in range(30))


def loaded_from(folder) -> Checkpoint:
    """With a short context, as the reference operations read all that a table names, and with a taste for characters
    that can be told apart: half of a random network's bytes are none.
    """
    checkpoint = load_checkpoint(folder, CPU, torch.float32)
    network, names = checkpoint.network, checkpoint.tokenizer.token_bytes
    logits, bias_V = network.logits, torch.zeros(network.config.vocab_size)
    bias_V[[i for i, name in enumerate(names) if name and name.isascii() and name.decode().isprintable()]] = 4.0
    network.logits = lambda hidden: logits(hidden) + bias_V
    return replace(checkpoint, preset=msgspec.structs.replace(checkpoint.preset, context_tokens=512))


def in_pages(folder, plan: Plan | None = None) -> ResidentModel:
    checkpoint = loaded_from(folder)
    resident = ResidentModel(checkpoint, CPU, torch.float32, plan=plan, pages=ops_for(CPU, "torch"))
    assert resident._pages is not None
    for rows in (resident._pages.pool.k_LPGWK, resident._pages.pool.v_LPGWK):
        rows.fill_(torch.nan)
    resident.warm_up()
    return resident


def num_held(resident: ResidentModel) -> int:
    """Pages that requests hold: all that are neither free nor those of the idle working cache."""
    assert resident._pages is not None
    pool, idle = resident._pages.pool, resident.prefix_cache._idle
    num_idle = len(idle[2].pages) if idle is not None and isinstance(idle[2], PagedCache) else 0
    return pool.k_LPGWK.shape[1] - pool.num_free - num_idle


@pytest.fixture(scope="module")
def paged(checkpoint_folder) -> ResidentModel:
    return in_pages(checkpoint_folder)


@pytest.fixture(scope="module")
def plain(checkpoint_folder) -> ResidentModel:
    resident = ResidentModel(loaded_from(checkpoint_folder), CPU, torch.float32)
    assert resident._pages is None
    return resident


@pytest.fixture
def requests(ask) -> list[api.DenoiseRequest]:
    """Of every way to write, short and long prompts."""
    return [
        ask("x = (", canvas=(api.Masked(max_tokens=20),), want_progress=True),
        ask("y = ret", prefix=PREFIX, canvas=(api.Masked(max_tokens=12),), temperature=1.0, seed=3, n=6),
        ask("z", canvas=(api.Locked("a = "), api.Draft("bb"), api.Masked(max_tokens=4), api.Locked("\n"))),
        ask("w = [", canvas=(api.Masked(max_tokens=9, guess="1, 2"),), logprobs=2),
        ask("v = {", prefix=PREFIX, canvas=(api.Masked(max_tokens=16),), in_blocks=True),
        ask("u = ", canvas=(api.Draft("return a\n"),), instruction="Return b."),
    ]


def rounded(events: Sequence[Any]) -> list[api.Event]:
    """As `bare`, and probabilities as far as they can be equal."""

    def each(event: api.Event) -> api.Event:
        if isinstance(event, api.Progress):
            pieces = tuple(msgspec.structs.replace(piece, confidence=0.0) for piece in event.pieces)
            return msgspec.structs.replace(event, pieces=pieces, confidence=0.0)
        if not isinstance(event, api.Done):
            return event
        scores = [
            msgspec.structs.replace(score, logprob=round(score.logprob, 3), top=sorted(score.top))
            for score in event.tokens or ()
        ]
        return msgspec.structs.replace(event, confidence=round(event.confidence, 3), tokens=tuple(scores))

    return [each(event) for event in bare(list(events))]


def cached(events: Sequence[Any]) -> list[int]:
    return [event.cached_tokens for event in events if isinstance(event, api.Done)]


def test_each_request_alone_and_with_its_prompt_known(plain, paged, requests, job_for):
    texts: list[str] = []
    for request in [*requests, *requests]:
        wanted, got = (list(each.run(job_for(request))) for each in (plain, paged))
        assert rounded(got) == rounded(wanted)
        assert cached(got) == cached(wanted)
        assert num_held(paged) == 0
        texts += [event.text for event in got if isinstance(event, api.Done)]
    assert len(set(texts)) > 8
    assert sum(character.isalnum() for character in "".join(texts)) > 20
    assert paged.prefix_cache.num_hit_tokens == plain.prefix_cache.num_hit_tokens > 0


def side_by_side(resident: ResidentModel, requests, loop, **limits) -> list[list[api.Event]]:
    iterations = Iterations(Bounds(), threading.Condition())
    jobs = [Job(request, loop) for request in requests]
    for job in jobs:
        iterations.add(job)
    iterations.begin(resident)
    iterations._scheduler.limits = msgspec.structs.replace(resident.limits, **limits)
    run_all(iterations)
    return [told(job, loop) for job in jobs]


def test_side_by_side_with_prompts_in_pieces(checkpoint_folder, plain, requests, job_for, loop):
    paged = in_pages(checkpoint_folder)  # knows no prompt
    wanted = [rounded(list(plain.run(job_for(request)))) for request in requests]
    got = side_by_side(paged, requests, loop, max_ahead=40, max_rows=90)
    assert [sorted(map(repr, rounded(each))) for each in got] == [sorted(map(repr, each)) for each in wanted]
    assert num_held(paged) == 0


@pytest.mark.parametrize("num_caches", [1, 5])
def test_what_is_admitted_finds_its_pages(checkpoint_folder, plain, requests, job_for, loop, num_caches):
    """As many pages as the plan has room for, and of one idle cache: enough for whatever begins, in any order."""
    one = in_pages(checkpoint_folder).sequence_bytes
    paged = in_pages(checkpoint_folder, Plan(weights="full", context_tokens=512, cache_bytes=num_caches * one))
    assert paged._pages is not None
    assert paged._pages.pool.num_free >= (num_caches // 2 + 1) * one // paged.prefix_cache._row_bytes // 64
    several = [msgspec.structs.replace(request, seed=seed) for seed in range(2) for request in requests]
    several[3] = msgspec.structs.replace(several[3], deadline_ms=0)
    wanted = [rounded(list(plain.run(job_for(request)))) for request in several]
    got = side_by_side(paged, several, loop)
    assert [sorted(map(repr, rounded(each))) for each in got] == [sorted(map(repr, each)) for each in wanted]
    assert num_held(paged) == 0


def test_pages_come_back_from_what_ends_early(paged, job_for, ask):
    for num_passes in range(1, 5):
        course = paged.open(job_for(ask("q = (", prefix=PREFIX, canvas=(api.Masked(max_tokens=60),), n=6)))
        for _ in range(num_passes):
            paged.iterate([(course, 0)])
        assert num_held(paged) > 0
        course.close()
        assert num_held(paged) == 0


def test_a_draft_that_may_outgrow_its_pages_has_rows_of_its_own(paged, plain, job_for, ask):
    assert paged._pages is not None
    request = ask("", prefix=PREFIX, canvas=(api.Draft("b = 1\n" * 40),), max_steps=12)
    with contextlib.closing(paged.open(job_for(request))) as course:
        cache = course.steps[0].cache
        assert not isinstance(cache, PagedCache)
        assert paged._pages.max_rows >= paged._checkpoint.preset.context_tokens + ROOM_TOKENS
    other = ask("x = (", canvas=(api.Masked(max_tokens=8),))
    wanted, got = (
        [rounded(events) for events in side_by_side(each, [request, other], job_for(request)._loop)]
        for each in (plain, paged)
    )
    assert got == wanted


def test_repairs_are_the_same(paged, plain, job_for, monkeypatch):
    assert paged._pages is not None
    passes, run = [], paged._pages.run
    monkeypatch.setattr(paged._pages, "run", lambda asked: passes.append(asked) or run(asked))
    text = PREFIX + "def f(x):\n    return name2 + nam3 + x\n"
    request = api.RepairRequest(
        id="1", text=text, path="a.py", first_row=31, last_row=31, messages=("Undefined name `nam3`",)
    )
    wanted, got = (list(each.run(job_for(request))) for each in (plain, paged))
    found = [
        [(each.start, each.end, each.text) for each in events if isinstance(each, api.Finding)]
        for events in (got, wanted)
    ]
    assert found[0] == found[1]
    assert found[0]
    assert passes
    assert isinstance(got[-1], api.Repaired)
    assert isinstance(wanted[-1], api.Repaired)
    assert (got[-1].num_findings, got[-1].forwards) == (wanted[-1].num_findings, wanted[-1].forwards)
    assert num_held(paged) == 0


@pytest.mark.parametrize("name", ["stable-diffcoder-base", "sdar"])
def test_foreign_weights_whose_rows_see_their_unit(tmp_path, name, job_for, loop):
    folder = tmp_path / FAMILIES[name].name
    write_tiny_folder(folder, name)
    paged = in_pages(folder)
    plain = ResidentModel(loaded_from(folder), CPU, torch.float32)
    fields = {"temperature": 1.0, "canvas": (api.Masked(max_tokens=12),)}
    asked = [hole(), hole(n=5, seed=5, **fields)] if plain.capabilities.complete else [edit(), edit(seed=4)]
    wanted: list[list[Any]] = []
    for _ in range(2):
        wanted = [list(plain.run(job_for(request))) for request in asked]
        got = [list(paged.run(job_for(request))) for request in asked]
        assert list(map(rounded, got)) == list(map(rounded, wanted))
        assert list(map(cached, got)) == list(map(cached, wanted))
    together = side_by_side(in_pages(folder), asked, loop, max_ahead=16)
    assert [sorted(map(repr, rounded(each))) for each in together] == [
        sorted(map(repr, rounded(each))) for each in wanted
    ]
    assert num_held(paged) == 0


def test_a_network_that_sees_all_keeps_rows_side_by_side(tmp_path):
    folder = tmp_path / FAMILIES["llada-base"].name
    write_tiny_folder(folder, "llada-base")
    resident = ResidentModel(loaded_from(folder), CPU, torch.float32)
    assert resident._pages is None


def test_alternatives_never_take_more_caches_than_there_is_room_for(checkpoint_folder, job_for, ask):
    one = in_pages(checkpoint_folder).sequence_bytes
    for num_caches, num_lanes in ((1, 1), (3, 3), (40, NUM_SIDE_BY_SIDE)):
        plan = Plan(weights="full", context_tokens=512, cache_bytes=2 * num_caches * one)
        paged = in_pages(checkpoint_folder, plan)
        course = paged.open(job_for(ask("q = (", canvas=(api.Masked(max_tokens=20),), n=6)))
        paged.iterate([(course, 0)])
        assert len(course.steps) == num_lanes
        course.close()
