"""Real engines: found, started once, restarted after a kill, replaced by a newer package."""

import asyncio
import contextlib
import os
import signal
import socket
import sys

import msgspec
import pytest

from lsp_server.engine_client import connect as connecting
from lsp_server.engine_client import launch as launching
from lsp_server.engine_client.connect import ReachOptions, _is_older, connect, connect_with, package_version
from lsp_server.engine_client.errors import EngineUnavailable
from model.engine import api

REQUEST = api.DenoiseRequest(id="1", prompt=api.Prompt(line="x = ("), canvas=(api.Masked(max_tokens=3),), stop="eom")


async def ask(client) -> api.Event:
    events = [event async for event in client.denoise(REQUEST)]
    return events[-1]


@contextlib.asynccontextmanager
async def connected(**options):
    client = await connect(**options)
    try:
        yield client
    finally:
        await client.close()


async def test_nothing_is_started_unless_asked(place, pids):
    with pytest.raises(EngineUnavailable) as caught:
        await connect(launch=False)
    assert caught.value.reason == "not_running"
    assert pids() == []


async def test_two_editors_at_once_share_one_engine_that_survives_a_kill(place, pids):
    seen: list[api.Health] = []
    first, second = await asyncio.gather(connect(on_progress=seen.append), connect())
    try:
        assert len(pids()) == 1
        assert (await first.health()).pid == (await second.health()).pid == pids()[0]
        assert seen
        assert all(health.status == "loading" for health in seen)
        assert (await first.capabilities()).model == "tiny"
        one, two = await asyncio.gather(ask(first), ask(second))
        assert isinstance(one, api.Done)
        assert isinstance(two, api.Done)
        assert one.text == two.text

        os.kill(pids()[0], signal.SIGKILL)
        # Both notice, both may launch, one engine comes.
        again, too = await asyncio.gather(ask(first), ask(second))
        assert isinstance(again, api.Done)
        assert isinstance(too, api.Done)
        assert again.text == too.text == one.text
        assert len(pids()) == 2
    finally:
        await first.close()
        await second.close()


async def test_an_engine_killed_in_the_middle_of_an_answer_is_a_named_error_and_the_next_request_works(place, pids):
    long = msgspec.structs.replace(REQUEST, canvas=(api.Masked(max_tokens=200),), n=8, want_progress=True)

    async def kill_at_the_first_event(client) -> None:
        async for _ in client.denoise(long):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids()[0], signal.SIGKILL)

    async with connected() as client:
        with pytest.raises(EngineUnavailable, match="went away while it answered") as caught:
            await kill_at_the_first_event(client)
        assert caught.value.reason == "crashed"
        assert isinstance(await ask(client), api.Done)
    assert len(pids()) == 2


async def test_a_newer_package_drains_the_older_engine_and_starts_its_own(place, pids):
    async with connected() as old:
        newer = await connect_with(ReachOptions(own_version="99.0"))
        try:
            assert len(pids()) == 2
            assert (await newer.health()).pid == pids()[1]
            # The old client follows, and takes the end for no crash (a crash would cost a second's delay and a count).
            assert isinstance(await ask(old), api.Done)
            assert old._crashes._crashes_s == []
            assert len(pids()) == 2
        finally:
            await newer.close()


async def test_an_engine_named_in_the_environment_is_used_and_never_started(place, pids, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE", f"unix:{place.socket}")
    with pytest.raises(EngineUnavailable) as caught:
        await connect()
    assert caught.value.reason == "not_running"
    monkeypatch.delenv("SEEDLING_ENGINE")
    async with connected():
        monkeypatch.setenv("SEEDLING_ENGINE", f"unix:{place.socket}")
        async with connected() as client:
            assert isinstance(await ask(client), api.Done)
    assert len(pids()) == 1


async def test_an_address_that_cannot_be_understood(place, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE", "tcp://x")
    with pytest.raises(EngineUnavailable, match="unix:/path") as caught:
        await connect()
    assert caught.value.reason == "bad_address"


async def test_a_missing_model_is_told_in_the_engines_words(place, monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDLING_MODEL", str(tmp_path / "none"))
    with pytest.raises(EngineUnavailable, match="There is no checkpoint folder") as caught:
        await connect()
    assert caught.value.reason == "model_failed"
    os.kill((await connecting.read_health(connecting.local_endpoint(connecting.engine_paths()))).pid, signal.SIGKILL)


async def test_missing_extras_are_one_sentence(place, pids, monkeypatch):
    find = launching.importlib.util.find_spec
    monkeypatch.setattr(launching.importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.raises(EngineUnavailable) as caught:
        await connect()
    assert caught.value.reason == "missing_extras"
    assert 'pip install "seedling-lsp[engine]"' in caught.value.sentence


async def test_a_process_that_dies_at_once_is_told_with_its_last_words(place, monkeypatch):
    monkeypatch.setattr(
        launching, "engine_command", lambda paths, idle_s: [sys.executable, "-c", "raise SystemExit('no luck')"]
    )
    with pytest.raises(EngineUnavailable, match="no luck") as caught:
        await connect()
    assert caught.value.reason == "launch_failed"
    assert str(place.log) in caught.value.sentence


async def test_something_else_behind_the_socket_is_not_talked_to(place):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_unix_server(serve, path=str(place.socket))
    with pytest.raises(EngineUnavailable) as caught:
        await connect()
    assert caught.value.reason == "foreign_answer"
    server.close()


async def test_a_socket_nobody_listens_on_is_replaced(place, pids):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place.socket))
    dead.close()
    async with connected() as client:
        assert isinstance(await ask(client), api.Done)
    assert len(pids()) == 1


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("0.1.0", "0.2.0", True),
        ("0.9", "0.10", True),
        ("0.2", "0.2", False),
        ("1.0.dev3", "1.0", False),
        ("0", "0.1", True),
    ],
)
def test_versions_are_compared_by_number(version, than, older):
    assert _is_older(version, than) is older


def test_the_package_knows_its_version():
    assert package_version().split(".")[0].isdigit()
