"""Requests side by side on the real resident: each answer is the one it gets alone, and none can spoil another's."""

import asyncio
import threading

import msgspec
import pytest

from model.engine import api
from model.engine.iterations import Iterations
from model.engine.job import Job
from model.engine.scheduler import NUM_SIDE_BY_SIDE, Bounds, Limits

LONG = (api.Masked(max_tokens=60),)


class Watched:
    """The resident, its iterations noted; `before(parts)` is called ahead of each."""

    def __init__(self, resident, limits: Limits | None = None) -> None:
        self._resident = resident
        self.capabilities, self.prefix_cache = resident.capabilities, resident.prefix_cache
        self.sequence_bytes = 1
        self.limits = limits or Limits()
        self.iterations: list[list[int]] = []
        self.before = lambda parts: None

    def open(self, job):
        return self._resident.open(job)

    def iterate(self, parts) -> None:
        self.before(parts)
        self.iterations.append([num_ahead for _, num_ahead in parts])
        self._resident.iterate(parts)

    def run(self, job):
        return self._resident.run(job)


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def asking(loop):
    """Builds the iterations over a watched resident, with jobs added: (iterations, watched, jobs)."""

    def build(resident, requests, *, limits: Limits | None = None, editors=()) -> tuple[Iterations, Watched, list[Job]]:
        watched = Watched(resident, limits)
        iterations = Iterations(Bounds(), threading.Condition())
        jobs = [Job(request, loop, editor=editors[i] if editors else "") for i, request in enumerate(requests)]
        for job in jobs:
            iterations.add(job)
        iterations.begin(watched)
        return iterations, watched, jobs

    return build


def run_all(iterations: Iterations) -> None:
    for _ in range(10_000):
        if iterations.is_idle:
            return
        assert iterations.run_one()
    raise AssertionError("it never ended")


def told(job: Job, loop) -> list[api.Event]:
    """What a job's reader got; the last thing is None."""
    loop.run_until_complete(asyncio.sleep(0))
    events = []
    while not job.events.empty():
        events.append(job.events.get_nowait())
    assert events.pop() is None
    assert None not in events
    return events


def bare(events: list[api.Event]) -> list[api.Event]:
    """Without times and what depends on who was there before."""
    return [
        msgspec.structs.replace(e, engine_ms=0.0, cached_tokens=0, confidence=round(e.confidence, 4))
        if isinstance(e, api.Done)
        else e
        for e in events
    ]


def test_side_by_side_is_as_alone(resident, loop, asking, ask):
    prefix = "".join(f"name{i} = {i}\n" for i in range(40))
    requests = [
        ask("x = (", canvas=(api.Masked(max_tokens=30),)),
        ask("y = ret", prefix=prefix, canvas=(api.Masked(max_tokens=12),), temperature=1.0, seed=3, n=2),
        ask("z", canvas=(api.Locked("a = "), api.Draft("bb"), api.Masked(max_tokens=4), api.Locked("\n"))),
        ask("w = [", canvas=(api.Masked(max_tokens=9, guess="1, 2"),)),
        ask("v = {", canvas=(api.Masked(max_tokens=16),), in_blocks=True),
    ]
    alone = [bare(list(resident.run(Job(request, loop)))) for request in requests]
    iterations, watched, jobs = asking(resident, requests)
    run_all(iterations)
    for job, wanted in zip(jobs, alone, strict=True):
        assert bare(told(job, loop)) == wanted
    assert max(map(len, watched.iterations)) >= 3


def test_alternatives_are_written_side_by_side_each_as_if_alone(resident, loop, asking, ask):
    request = ask("y = (", prefix="value = 1\n" * 20, canvas=(api.Masked(max_tokens=8),), temperature=1.0, seed=5, n=6)
    lone = [msgspec.structs.replace(request, n=1, seed=5 + index) for index in range(6)]
    texts = [list(resident.run(Job(each, loop)))[-1].text for each in lone]
    assert len(set(texts)) > 1
    other = ask("x = (", canvas=(api.Masked(max_tokens=8),))
    iterations, watched, (job, _) = asking(resident, [request, other], limits=Limits(max_ahead=64))
    widths: list[int] = []
    watched.before = lambda parts: widths.append(len(parts[0][0].steps))
    run_all(iterations)
    dones = [event for event in told(job, loop) if isinstance(event, api.Done)]
    assert {done.index: done.text for done in dones} == dict(enumerate(texts))
    assert max(widths) == NUM_SIDE_BY_SIDE
    assert len(watched.iterations) < sum(done.forwards for done in dones)
    assert [done.cached_tokens == done.prompt_tokens for done in dones if done.index] == [True] * 5


def test_alternatives_end_together_when_time_is_over(resident, loop, asking, ask):
    iterations, watched, (job,) = asking(resident, [ask("x = (", canvas=LONG, n=6, deadline_ms=60_000)])
    for _ in range(4):
        iterations.run_one()
    num_passes = len(watched.iterations)
    job.received_s -= 100
    iterations.run_one()
    assert iterations.is_idle
    assert len(watched.iterations) == num_passes
    dones = told(job, loop)
    assert sorted((done.index, done.reason) for done in dones) == [(index, "deadline") for index in range(6)]
    assert not any(edge.num_leases for edge in resident.prefix_cache._tree._order)


def test_a_request_takes_room_for_all_that_it_writes_at_a_time(resident, asking, ask):
    requests = [ask("x = (", n=2), ask("x = (", n=8), api.RepairRequest(id="r", text="")]
    iterations, _, _ = asking(resident, requests)
    assert [entry.num_bytes for entry in iterations._scheduler._entries.values()] == [2, NUM_SIDE_BY_SIDE, 1]


def test_a_long_prompt_is_prefilled_in_pieces_while_others_step(resident, loop, asking, ask):
    prefix = "".join(f"other{i} = {i}\n" for i in range(40))
    limits = Limits(max_ahead=32, max_rows=64)
    requests = [ask("x = (", canvas=LONG), ask("nobody = ", prefix=prefix, canvas=(api.Masked(max_tokens=3),))]
    iterations, watched, jobs = asking(resident, requests, limits=limits)
    run_all(iterations)
    pieces = [parts for parts in watched.iterations if any(parts)]
    assert len(pieces) > 5
    assert all(sum(parts) <= 32 and len(parts) == 2 for parts in pieces[1:])
    assert all(isinstance(told(job, loop)[-1], api.Done) for job in jobs)


def test_cancel_and_deadline_hold_within_one_iteration(resident, loop, asking, ask):
    requests = [ask("x = (", canvas=LONG), ask("y = (", canvas=LONG), ask("z = (", canvas=LONG, deadline_ms=60_000)]
    iterations, watched, jobs = asking(resident, requests)
    for _ in range(3):
        iterations.run_one()
    jobs[0].is_cancelled = True
    jobs[2].received_s -= 100
    iterations.run_one()
    assert [len(parts) for parts in watched.iterations] == [3, 3, 3, 1]
    assert told(jobs[0], loop)[-1].reason == "cancelled"
    assert told(jobs[2], loop)[-1].reason == "deadline"
    run_all(iterations)
    assert told(jobs[1], loop)[-1].reason in ("eom", "length")


def test_what_is_late_before_it_begins_costs_no_pass(resident, loop, asking, ask):
    requests = [ask("x = (", canvas=LONG, deadline_ms=0.0, n=3), api.RepairRequest(id="r", text="a = (", deadline_ms=0)]
    iterations, watched, jobs = asking(resident, requests)
    assert not iterations.run_one()
    assert iterations.is_idle
    assert watched.iterations == []
    dones = told(jobs[0], loop)
    assert [(d.reason, d.text, d.index) for d in dones] == [
        ("deadline", "", 0),
        ("deadline", "", 1),
        ("deadline", "", 2),
    ]
    (repaired,) = told(jobs[1], loop)
    assert repaired.reason == "deadline"


def test_a_failure_of_one_is_its_own(resident, loop, asking, ask, caplog):
    requests = [ask("x = (", canvas=LONG), ask("secret", canvas=LONG), ask("y = (", model="other")]
    iterations, watched, jobs = asking(resident, requests)

    def break_second(parts) -> None:
        if len(watched.iterations) == 2:
            (steps,) = parts[1][0].steps
            absorb = steps.absorb
            steps.absorb = lambda logits: msgspec.structs.replace(absorb(logits), committed=None)

    watched.before = break_second
    run_all(iterations)
    assert isinstance(told(jobs[0], loop)[-1], api.Done)
    assert told(jobs[1], loop)[-1].code == "internal"
    assert told(jobs[2], loop)[-1].code == "wrong_model"
    assert "secret" not in caplog.text


def test_a_pass_that_fails_is_answered_and_the_next_one_works(resident, loop, asking, ask):
    iterations, watched, jobs = asking(resident, [ask("x = (", canvas=LONG), ask("y = (", canvas=LONG)])

    def fail(parts) -> None:
        raise RuntimeError("out of memory")

    watched.before = fail
    run_all(iterations)
    assert [told(job, loop)[-1].code for job in jobs] == ["internal", "internal"]
    watched.before = lambda parts: None
    again = Job(ask("x = ("), loop)
    iterations.add(again)
    run_all(iterations)
    assert isinstance(told(again, loop)[-1], api.Done)


def test_ghost_texts_go_first_between_the_passes_of_a_repair(resident, loop, asking, ask):
    text = "def f(a, b):\n    return a + \n"
    iterations, watched, jobs = asking(resident, [api.RepairRequest(id="r", text=text, first_row=1, last_row=1)])
    ghost = Job(ask("x = (", canvas=(api.Masked(max_tokens=3),)), loop)
    order = []
    for job in (jobs[0], ghost):
        emit = job.emit
        job.emit = lambda event, emit=emit, job=job: (order.append((job.request.id, event)), emit(event))
    begin = watched.run

    def run(job):
        iterations.add(ghost)  # it comes when the repair has begun
        yield from begin(job)

    watched.run = run
    run_all(iterations)
    ends = [name for name, event in order if event is None]
    assert ends == ["1", "r"]
    assert isinstance(told(ghost, loop)[-1], api.Done)


def test_an_editor_that_asks_much_takes_no_turns_of_another(resident, loop, asking, ask):
    requests = [ask(f"a{i} = (", canvas=(api.Masked(max_tokens=3),)) for i in range(6)]
    requests.append(ask("b = (", canvas=(api.Masked(max_tokens=3),)))
    ends: dict[bool, list[int]] = {}
    for is_told in (False, True):
        editors = [*["busy"] * 6, "calm"] if is_told else []
        iterations, _, jobs = asking(resident, requests, limits=Limits(max_sequences=1), editors=editors)
        ended: list[int] = []
        for number, job in enumerate(jobs):
            job.emit = lambda event, number=number, ended=ended: ended.append(number) if event is None else None
        run_all(iterations)
        ends[is_told] = ended
    assert ends == {False: [0, 1, 2, 3, 4, 5, 6], True: [0, 6, 1, 2, 3, 4, 5]}


def test_a_next_edit_waits_behind_what_is_typed_for(resident, loop, asking, ask):
    short = (api.Masked(max_tokens=3),)
    requests = [ask(f"{p} = (", id=p, canvas=short, purpose=p) for p in ("next_edit", "complete")]
    requests.insert(0, ask("z", id="rewrite", canvas=short, instruction="sort it"))
    iterations, _, jobs = asking(resident, requests)
    ended: list[str] = []
    for job in jobs:
        job.emit = lambda event, job=job: ended.append(job.request.id) if event is None else None
    run_all(iterations)
    assert ended == ["complete", "next_edit", "rewrite"]


def test_who_leaves_before_it_begins_frees_its_place(resident, asking, ask):
    iterations, _, jobs = asking(resident, [ask("x = (", canvas=LONG) for _ in range(3)])
    assert iterations.num_waiting == 3
    iterations.leave(jobs[1])
    iterations.leave(jobs[1])
    assert iterations.num_waiting == 2
    run_all(iterations)
    assert iterations.num_waiting == 0


def test_what_was_lent_comes_back(resident, loop, asking, ask):
    iterations, _, jobs = asking(resident, [ask(f"name{i} = (", canvas=LONG) for i in range(4)])
    for _ in range(3):
        iterations.run_one()
    for job in jobs[:2]:
        job.is_cancelled = True
    run_all(iterations)
    assert not any(edge.num_leases for edge in resident.prefix_cache._tree._order)
