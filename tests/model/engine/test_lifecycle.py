"""When an engine ends, with short times."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from model.engine import lifecycle
from model.engine.lifecycle import Lifecycle


class Ended:
    def __init__(self) -> None:
        self.value = False

    def __call__(self) -> None:
        self.value = True


@pytest.fixture
def ended() -> Ended:
    return Ended()


async def test_it_ends_when_idle_but_not_while_somebody_is_attached(ended, until):
    life = Lifecycle(idle_s=0.1, stop=ended)
    life.set_ready()
    life.num_attached = 1
    watching = asyncio.ensure_future(life.watch())
    await asyncio.sleep(0.3)
    assert not ended.value
    assert life.status == "ready"
    life.num_attached = 0
    await until(lambda: ended.value)
    assert life.closing.is_set()
    assert life.closing_reason == "idle"
    await watching


async def test_draining_waits_for_running_requests(ended, until):
    life = Lifecycle(idle_s=60, stop=ended)
    life.num_active = 1
    life.drain("stop")
    watching = asyncio.ensure_future(life.watch())
    await asyncio.sleep(0.2)
    assert not ended.value
    life.num_active = 0
    await until(lambda: ended.value)
    await watching


async def test_draining_does_not_wait_for_ever(ended, until):
    life = Lifecycle(idle_s=60, stop=ended, drain_timeout_s=0.05)
    life.num_active = 1
    life.drain("stop")
    watching = asyncio.ensure_future(life.watch())
    await until(lambda: ended.value)
    await watching


async def test_a_failed_engine_leaves_after_its_clients_could_read_why(ended, until, monkeypatch):
    monkeypatch.setattr(lifecycle, "FAILED_LINGER_S", 0.05)
    life = Lifecycle(idle_s=1, stop=ended)
    life.set_failed("There is no checkpoint folder at /x.")
    assert (life.status, life.sentence) == ("failed", "There is no checkpoint folder at /x.")
    life.num_attached = 1
    watching = asyncio.ensure_future(life.watch())
    await until(lambda: ended.value)
    await watching


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_an_engine_nobody_can_reach_ends(ended, until, is_replaced):
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        path = Path(folder) / "s"
        path.touch()
        life = Lifecycle(idle_s=1, stop=ended, socket_path=path)
        life.num_attached = 1
        other = Path(folder) / "other"
        other.touch()
        if is_replaced:
            other.rename(path)
        else:
            path.unlink()
        watching = asyncio.ensure_future(life.watch())
        await until(lambda: ended.value)
        assert life.closing_reason == "socket removed"
        await watching


def test_a_state_reached_late_does_not_undo_draining(ended):
    life = Lifecycle(idle_s=60, stop=ended)
    life.drain("stop")
    life.set_ready()
    assert life.status == "draining"
    life.set_failed("x")
    assert life.status == "draining"
