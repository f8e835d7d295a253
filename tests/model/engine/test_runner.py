"""The queue and the worker thread, over the real resident model."""

import asyncio
import threading

import pytest

from model.checkpoints.load import CheckpointError
from model.engine import api
from model.engine.runner import Runner
from model.engine.scheduler import Bounds, QueueFull

LONG = (api.Masked(max_tokens=200),)


class Reports:
    """What a runner told about its loading."""

    def __init__(self) -> None:
        self.progress: list[float] = []
        self.is_ready = False
        self.failure: str | None = None

    def runner(self, load, **options) -> Runner:
        return Runner(
            load,
            on_loading=lambda progress, sentence: self.progress.append(progress),
            on_ready=lambda: setattr(self, "is_ready", True),
            on_failed=lambda sentence: setattr(self, "failure", sentence),
            **options,
        )


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def runner(reports, resident):
    runner = reports.runner(lambda report: resident)
    runner.start()
    yield runner
    runner.stop()


async def end_of(job) -> api.Event:
    last = None
    while (event := await job.events.get()) is not None:
        last = event
    assert last is not None
    return last


async def test_requests_are_answered_in_order(runner, ask):
    loop = asyncio.get_running_loop()
    order: list[str] = []

    async def follow(job) -> None:
        await end_of(job)
        order.append(job.request.id)

    jobs = [runner.submit(ask(id=str(i), canvas=(api.Masked(max_tokens=3),)), loop) for i in range(5)]
    await asyncio.gather(*map(follow, jobs))
    assert order == list("01234")


async def test_cancel_reaches_the_running_and_the_waiting(runner, ask):
    loop = asyncio.get_running_loop()
    first = runner.submit(ask(id="run", canvas=LONG, n=8, want_progress=True), loop)
    second = runner.submit(ask(id="wait", canvas=LONG, n=8), loop)
    assert isinstance(await first.events.get(), api.Progress)
    assert runner.cancel("run")
    assert runner.cancel("wait")
    assert not runner.cancel("unknown")
    for job in (first, second):
        end = await end_of(job)
        assert isinstance(end, api.Done)
        assert end.reason == "cancelled"
    for job in (first, second):
        runner.forget(job)
    assert not runner.cancel("run")


async def test_a_full_queue_refuses_and_a_leaver_makes_room(reports, resident, ask):
    may_load = threading.Event()

    def load(report):
        may_load.wait(30)
        return resident

    runner = reports.runner(load, bounds=Bounds(max_waiting=2))
    runner.start()
    try:
        loop = asyncio.get_running_loop()
        jobs = [runner.submit(ask(id=str(i)), loop) for i in range(2)]
        with pytest.raises(QueueFull):
            runner.submit(ask(id="2"), loop)
        runner.forget(jobs[0])
        runner.submit(ask(id="3"), loop)
    finally:
        may_load.set()
        runner.stop()


async def test_a_request_that_cannot_be_done_does_not_end_the_worker(runner, ask):
    loop = asyncio.get_running_loop()
    bad = await end_of(runner.submit(ask(model="other"), loop))
    assert isinstance(bad, api.Error)
    assert bad.code == "wrong_model"
    assert isinstance(await end_of(runner.submit(ask(canvas=(api.Masked(max_tokens=2),)), loop)), api.Done)


async def test_a_failure_inside_is_one_sentence_and_no_code_in_the_log(reports, ask, resident, caplog):
    class Broken:
        capabilities, limits, sequence_bytes = resident.capabilities, resident.limits, resident.sequence_bytes

        def open(self, job):
            raise RuntimeError(f"secret code: {job.request.prompt.line}")

    runner = reports.runner(lambda report: Broken())
    runner.start()
    try:
        event = await end_of(runner.submit(ask("password = 1"), asyncio.get_running_loop()))
    finally:
        runner.stop()
    assert isinstance(event, api.Error)
    assert event.code == "internal"
    assert "RuntimeError" in caplog.text
    assert "password" not in caplog.text + event.sentence


async def test_a_failed_load_answers_who_waits(reports, ask, until):
    may_fail = threading.Event()

    def load(report):
        may_fail.wait(30)
        raise CheckpointError("There is no checkpoint folder at /x.")

    runner = reports.runner(load)
    runner.start()
    job = runner.submit(ask(), asyncio.get_running_loop())
    may_fail.set()
    event = await end_of(job)
    assert isinstance(event, api.Error)
    assert event.code == "failed"
    await until(lambda: reports.failure == "There is no checkpoint folder at /x.")
    assert not reports.is_ready
