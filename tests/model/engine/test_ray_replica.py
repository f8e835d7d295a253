"""One replica without Ray: closed until it is told who may come in, open for them, ended, and left alone by Ray."""

import asyncio
import json

import httpx
import msgspec
import pytest

from model.engine import ray_replica
from model.engine.guard import GuardSettings
from model.engine.listening import hosts_for
from model.engine.ray_replica import LoadFailed, Replica, ReplicaChoice, config_of
from model.engine.tokens import single_token

TOKEN = "anns-token-correct-horse-battery"
GUARD = GuardSettings(hosts=hosts_for(["box"]), tokens=single_token(TOKEN), is_shared=True)
BODY = {"id": "1", "prompt": {"line": "x = "}, "canvas": [{"state": "masked", "max_tokens": 2}]}


@pytest.fixture
def choice(checkpoint_folder, monkeypatch) -> ReplicaChoice:
    monkeypatch.setattr(ray_replica, "quiet_libraries", lambda: None)
    monkeypatch.setattr(ray_replica, "log_to", lambda path, log_format: None)
    return ReplicaChoice(model=checkpoint_folder, device="cpu", dtype="float32", eager=True)


@pytest.fixture
async def replica(choice):
    made = Replica(choice)
    yield made
    made.__del__()


def http(replica: Replica) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(replica.__serve_build_asgi_app__())
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(transport=transport, base_url="http://box", headers=headers)


async def test_nobody_comes_in_until_it_is_told_who_may(replica):
    async with http(replica) as client:
        assert (await client.get("/v1/capabilities")).status_code == 421
        replica.reconfigure(through_json(config_of(GUARD)))
        assert (await client.get("/v1/capabilities")).json()["model"] == "tiny"
        lines = (await client.post("/v1/denoise", json=BODY)).text.splitlines()
        assert json.loads(lines[-1])["event"] == "done"
        other = GuardSettings(hosts=GUARD.hosts, tokens=single_token(TOKEN[::-1]), is_shared=True)
        replica.reconfigure(through_json(config_of(other)))
        assert (await client.get("/v1/capabilities")).status_code == 401


def test_what_is_handed_over_is_all_of_the_guard_and_no_token():
    config = through_json(config_of(GUARD, is_ending=True))
    assert msgspec.convert(config["guard"], GuardSettings) == GUARD
    assert config["is_ending"] is True
    assert TOKEN not in json.dumps(config)


async def test_at_the_end_new_requests_are_refused_and_editors_are_told(replica, until):
    replica.reconfigure(config_of(GUARD))
    attached = asyncio.create_task(held(replica))
    await until(lambda: replica.life.num_attached == 1)
    replica.reconfigure(config_of(GUARD, is_ending=True))
    assert '"closing","reason":"signal"' in await attached
    async with http(replica) as client:
        refused = await client.post("/v1/denoise", json=BODY)
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert (await client.get("/ready")).status_code == 503


async def test_editors_let_go_of_a_replica_that_ray_asks_no_more(replica, until, monkeypatch):
    replica.reconfigure(config_of(GUARD))
    attached = asyncio.create_task(held(replica))
    await until(lambda: replica.life.num_attached == 1)
    replica.check_health()
    monkeypatch.setattr(ray_replica, "LEAVING_S", -1.0)
    assert '"closing","reason":"leaving"' in await attached
    assert replica.life.status == "ready", "what was sent to it is still answered"


def test_a_model_that_cannot_be_loaded_is_said_in_a_sentence(choice, tmp_path):
    with pytest.raises(LoadFailed, match=r"preset\.json"):
        Replica(msgspec.structs.replace(choice, model=tmp_path))


async def held(replica: Replica) -> str:
    async with http(replica) as client:
        return (await client.get("/v1/attach", timeout=None)).text


def through_json(config: dict[str, object]) -> dict[str, object]:
    return json.loads(json.dumps(config))
