"""The app over the real resident model: in process, and through a socket where a stream's end matters."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import httpx
import msgspec
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from model.engine import api, app
from model.engine.app import EngineInfo, make_app
from model.engine.guard import GuardSettings
from model.engine.lifecycle import Lifecycle
from model.engine.limits import Limits
from model.engine.lock import bind_unix
from model.engine.runner import Runner
from model.engine.scheduler import Bounds
from model.engine.tokens import Tokens, single_token

SETTINGS = GuardSettings(hosts=frozenset({"seedling"}), max_body_bytes=100_000)
SHORT = (api.Masked(max_tokens=4),)
LONG = (api.Masked(max_tokens=200),)


class Engine:
    """Runner, life cycle and app, not yet loaded: `load` lets the model appear."""

    def __init__(self, resident, settings: GuardSettings = SETTINGS) -> None:
        self.stopped = False
        self.life = Lifecycle(idle_s=60, stop=lambda: setattr(self, "stopped", True))
        self.runner = Runner(
            lambda report: resident,
            on_loading=self.life.set_loading,
            on_ready=self.life.set_ready,
            on_failed=self.life.set_failed,
            bounds=Bounds(max_waiting=2),
        )
        info = EngineInfo(version="1.2.3", model="tiny-folder", device="auto")
        self.app = make_app(self.runner, self.life, info, settings)

    def http(self, **options) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://seedling", timeout=30, **options
        )


@pytest.fixture
def cold(resident):
    engine = Engine(resident)
    yield engine
    if engine.runner._thread.is_alive():
        engine.runner.stop()


@pytest.fixture
async def engine(cold, until):
    cold.runner.start()
    await until(lambda: cold.life.status == "ready")
    return cold


async def post(engine: Engine, request: api.DenoiseRequest) -> list[api.Event]:
    async with engine.http() as http:
        answer = await http.post("/v1/denoise", content=msgspec.json.encode(request))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [api.decode_event(line) for line in answer.content.splitlines()]


def error_of(answer: httpx.Response) -> api.Error:
    """Every refusal is one JSON object with one sentence."""
    error = msgspec.json.decode(answer.content, type=api.Error)
    assert error.sentence.endswith(".")
    assert "\n" not in error.sentence
    return error


async def test_a_request_streams_its_events(engine, ask):
    events = await post(engine, ask(canvas=SHORT, want_progress=True))
    assert [type(e) for e in events] == [api.Progress] * (len(events) - 1) + [api.Done]
    assert events[-1].model == "tiny"


async def test_the_same_request_gives_the_same_text(engine, ask):
    first, second = [(await post(engine, ask(canvas=SHORT)))[-1] for _ in range(2)]
    assert first.text == second.text
    assert second.cached_tokens == second.prompt_tokens


async def test_health_and_capabilities(engine):
    async with engine.http() as http:
        health = msgspec.json.decode((await http.get("/health")).content, type=api.Health)
        known = msgspec.json.decode((await http.get("/v1/capabilities")).content, type=api.Capabilities)
    assert (health.status, health.version, health.model, health.api) == ("ready", "1.2.3", "tiny", api.API_VERSION)
    assert known == engine.runner.capabilities


async def figures_of(engine: Engine) -> dict[str, float]:
    """/metrics, read by the library's own parser: sample name with its labels → value."""
    async with engine.http() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [s for family in text_string_to_metric_families(answer.text) for s in family.samples]
    return {s.name + "".join(f" {name}={value}" for name, value in s.labels.items()): s.value for s in samples}


async def test_metrics_count_what_was_asked_and_delivered(engine, ask, until):
    before = await figures_of(engine)
    line = "secret_name = "
    (done,) = await post(engine, ask(line, canvas=SHORT, stop="eom"))
    again = (await post(engine, ask(line, canvas=SHORT, stop="eom", n=2, seed=1)))[-1]
    (refused,) = await post(engine, ask(line, model="other"))
    assert isinstance(refused, api.Error)
    async with engine.http() as http:
        await http.post("/v1/denoise", content=b"{")
    after = await figures_of(engine)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown(f"seedling_requests_total kind=complete outcome={done.reason}") == 2
    assert grown("seedling_requests_total kind=complete outcome=wrong_model") == 1
    assert grown("seedling_requests_total kind= outcome=bad_request") == 1
    assert grown("seedling_request_seconds_count kind=complete") == 3
    assert grown("seedling_prompt_tokens_total") == 2 * done.prompt_tokens
    assert grown("seedling_prefix_cache_hit_tokens_total") == done.cached_tokens + done.prompt_tokens
    assert grown("seedling_forwards_total") >= done.forwards + again.forwards
    assert grown("seedling_delivered_tokens_total") >= done.num_tokens
    assert grown("seedling_prefix_cache_evicted_tokens_total") == 0
    assert after["seedling_prefix_cache_bytes"] > before.get("seedling_prefix_cache_bytes", 0)
    assert after["seedling_queue_length"] == 0
    assert not any("secret" in name or "python_" in name or "process_" in name for name in after)


async def test_metrics_answer_while_loading_and_show_the_queue(cold, ask):
    assert (await figures_of(cold))["seedling_queue_length"] == 0
    waiting = asyncio.ensure_future(post(cold, ask(canvas=SHORT)))
    while cold.life.num_active < 1:
        await asyncio.sleep(0)
    figures = await figures_of(cold)
    assert figures["seedling_queue_length"] == 1
    assert "seedling_prefix_cache_bytes" not in figures
    cold.runner.start()
    await waiting


async def test_unknown_fields_are_ignored(engine):
    body = {"id": "1", "new": 1, "prompt": {"line": "x", "newer": []}, "canvas": [{"state": "masked", "max_tokens": 2}]}
    async with engine.http() as http:
        answer = await http.post("/v1/denoise", json=body)
    assert isinstance(api.decode_event(answer.content.splitlines()[-1]), api.Done)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"\xff"',
        b"{}",
        b'{"id": 1, "prompt": {}}',
        b'{"id": "1", "prompt": {"path": null}}',
        b'{"id": "1", "prompt": {}, "stop": "never"}',
        b'{"id": "1", "prompt": {}, "canvas": []}',
        b'{"id": "1", "prompt": {}, "canvas": [{"state": "odd"}]}',
        b'{"id": "1", "prompt": {}, "n": 9}',
        b'{"id": "1", "prompt": {}, "temperature": -1}',
        b'{"id": "1", "prompt": {}, "top_p": 0}',
        b'{"id": "1", "prompt": {}, "max_steps": 0}',
        b'{"id": "1", "prompt": {}, "deadline_ms": -5}',
        b'{"id": "1", "prompt": {}, "api": 99}',
    ],
)
async def test_a_malformed_request_is_one_sentence(engine, body):
    async with engine.http() as http:
        answer = await http.post("/v1/denoise", content=body)
    assert answer.status_code == 400
    assert error_of(answer).code in ("bad_request", "bad_api")


async def test_an_oversized_body_is_refused_with_or_without_a_length(engine, ask):
    body = msgspec.json.encode(ask("x" * 200_000))

    async def chunks():
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    async with engine.http() as http:
        for content in (body, chunks()):
            answer = await http.post("/v1/denoise", content=content)
            assert answer.status_code == 413
            assert error_of(answer).code == "too_large"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "evil.example"}, 421, "wrong_host"),
        ({"Host": ""}, 421, "wrong_host"),
        ({"Origin": "https://evil.example"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
    ],
)
async def test_web_pages_and_rebound_names_are_refused(engine, headers, status, code):
    async with engine.http(headers=headers) as http:
        for path in ("/health", "/metrics", "/v1/capabilities"):
            answer = await http.get(path)
            assert answer.status_code == status
            assert error_of(answer).code == code
            assert not any(name.startswith("access-control") for name in answer.headers)


async def test_with_a_token_only_the_probes_are_open(resident):
    engine = Engine(resident, GuardSettings(hosts=frozenset({"seedling"}), tokens=single_token("right")))
    async with engine.http() as http:
        assert (await http.get("/health")).status_code == 200
        assert error_of(await http.get("/ready")).code == "loading"
        for value in (None, "Bearer wrong", "right", "Bearer "):
            headers = {} if value is None else {"Authorization": value}
            answer = await http.post("/v1/drain", headers=headers, json={})
            assert answer.status_code == 401
            assert error_of(answer).code == "wrong_token"
            assert error_of(await http.get("/metrics", headers=headers)).code == "wrong_token"
        assert engine.life.status == "loading"
        assert (await http.post("/v1/drain", headers={"Authorization": "Bearer right"}, json={})).status_code == 200
        assert engine.life.status == "draining"


ANN, BEN = {"Authorization": f"Bearer {'a' * 24}"}, {"api-key": "b" * 24}


@pytest.fixture
def shared(resident):
    """An engine of two users, not yet loaded."""
    pairs = tuple((name, single_token(token * 24).pairs[0][1]) for name, token in (("ann", "a"), ("ben", "b")))
    settings = GuardSettings(frozenset({"seedling"}), Tokens(pairs), limits=Limits(), is_shared=True)
    engine = Engine(resident, settings)
    yield engine
    engine.runner.stop()


async def test_users_of_one_engine_find_only_their_own_prompts(shared, ask):
    shared.runner.start()
    body = msgspec.json.encode(ask("nobody_wrote_this_before =", canvas=SHORT))

    async def cached_tokens(headers) -> int:
        async with shared.http(headers=headers) as http:
            answer = await http.post("/v1/denoise", content=body)
        return api.decode_event(answer.content.splitlines()[-1]).cached_tokens

    assert [await cached_tokens(ANN), await cached_tokens(BEN)] == [0, 0]
    assert await cached_tokens(ANN) == await cached_tokens(BEN) > 0


async def test_users_of_one_engine_neither_cancel_others_nor_end_it(shared, ask):
    body = msgspec.json.encode(ask(id="7", canvas=SHORT))
    async with shared.http(headers=ANN) as ann, shared.http(headers=BEN) as ben:
        waiting = asyncio.ensure_future(ann.post("/v1/denoise", content=body))
        while shared.life.num_active < 1:
            await asyncio.sleep(0)
        assert (await ben.post("/v1/cancel", json={"id": "7"})).json() == {"cancelled": False}
        assert (await ann.post("/v1/cancel", json={"id": "7"})).json() == {"cancelled": True}
        for http in (ann, ben):
            assert error_of(await http.post("/v1/drain", json={})).code == "not_allowed"
        assert shared.life.status == "loading"
        shared.runner.start()
        assert api.decode_event((await waiting).content.splitlines()[-1]).reason == "cancelled"


async def test_readiness_ends_with_draining_and_says_when_to_come_again(engine, ask):
    async with engine.http() as http:
        assert (await http.get("/ready")).json() == {"status": "ready"}
        engine.life.drain("signal")
        not_ready, health = await http.get("/ready"), await http.get("/health")
        refused = await http.post("/v1/denoise", content=msgspec.json.encode(ask()))
    assert (not_ready.status_code, health.status_code) == (503, 200)
    assert int(not_ready.headers["retry-after"]) == int(refused.headers["retry-after"]) > 0
    assert error_of(refused).code == "draining"


async def test_an_unknown_path_or_method_is_a_sentence(engine):
    async with engine.http() as http:
        for answer, status in ((await http.get("/v2/denoise"), 404), (await http.get("/v1/denoise"), 405)):
            assert answer.status_code == status
            assert answer.headers.get("allow") == (None if status == 404 else "POST")
            assert error_of(answer).code == "unknown_path"


async def test_while_loading_a_request_waits_as_long_as_its_deadline(cold, ask):
    async with cold.http() as http:
        assert (await http.get("/v1/capabilities")).status_code == 503
        health = msgspec.json.decode((await http.get("/health")).content, type=api.Health)
        assert (health.status, health.model) == ("loading", "tiny-folder")
        (event,) = await post(cold, ask(deadline_ms=30))
        assert isinstance(event, api.Error)
        assert event.code == "loading"
        waiting = asyncio.ensure_future(post(cold, ask(canvas=SHORT)))
        await asyncio.sleep(0)
        cold.runner.start()
        assert isinstance((await waiting)[-1], api.Done)


async def test_a_body_that_stops_coming_is_not_waited_for(engine, ask, monkeypatch):
    monkeypatch.setattr(app, "BODY_TIMEOUT_S", 0.02)

    async def half_a_body():
        yield b'{"id": "1", '
        await asyncio.sleep(60)

    async with engine.http() as http:
        answer = await http.post("/v1/denoise", content=half_a_body())
    assert answer.status_code == 408
    assert error_of(answer).code == "timeout"
    assert answer.headers["connection"] == "close"
    assert isinstance((await post(engine, ask(canvas=SHORT)))[-1], api.Done)


async def test_a_full_queue_is_a_429(cold, ask):
    waiting = [asyncio.ensure_future(post(cold, ask(id=str(i), canvas=SHORT))) for i in range(2)]
    async with cold.http() as http:
        while cold.life.num_active < 2:
            await asyncio.sleep(0)
        answer = await http.post("/v1/denoise", content=msgspec.json.encode(ask(canvas=SHORT)))
    assert answer.status_code == 429
    assert error_of(answer).code == "queue_full"
    cold.runner.start()
    for events in await asyncio.gather(*waiting):
        assert isinstance(events[-1], api.Done)


async def test_editors_on_one_socket_have_shares_of_their_own(engine, shared, ask):
    """One user's editors say who they are; where tokens do, nobody gets another share by saying so."""
    body = msgspec.json.encode(ask(canvas=SHORT))
    shared.runner.start()
    for which, headers, client in ((engine, {}, ""), (shared, ANN, "ann")):
        jobs, submit = [], which.runner.submit
        which.runner.submit = lambda *given, jobs=jobs, submit=submit: jobs.append(submit(*given)) or jobs[-1]
        for name in ("one", "two", "x" * 1000, ""):
            async with which.http(headers={**headers, api.EDITOR_HEADER: name}) as http:
                assert b'"done"' in (await http.post("/v1/denoise", content=body)).content
        wanted = [client or name for name in ("one", "two", "x" * 64, "")]
        assert [(job.client, job.share) for job in jobs] == [(client, share) for share in wanted]


async def test_a_draining_engine_takes_nothing_new(engine, ask):
    engine.life.drain("stop")
    async with engine.http() as http:
        answer = await http.post("/v1/denoise", content=msgspec.json.encode(ask()))
    assert answer.status_code == 503
    assert error_of(answer).code == "draining"


@pytest.fixture
async def served(engine):
    """The same app behind a real socket: yields an HTTP client."""
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        path = Path(folder) / "s"
        server = uvicorn.Server(
            uvicorn.Config(engine.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        listener = bind_unix(path)
        serving = asyncio.ensure_future(server._serve(sockets=[listener]))
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://seedling", timeout=30) as http:
            yield http
        server.should_exit = True
        await serving


async def test_a_closed_stream_cancels(engine, served, ask, until):
    body = msgspec.json.encode(ask(id="gone", canvas=LONG, n=8, want_progress=True))
    async with served.stream("POST", "/v1/denoise", content=body) as answer:
        lines = answer.aiter_lines()
        assert isinstance(api.decode_event((await anext(lines)).encode()), api.Progress)
        assert engine.life.num_active == 1
    await until(lambda: engine.life.num_active == 0)
    assert not engine.runner.cancel("gone")
    # The worker is free again: the next request is answered.
    answer = await served.post("/v1/denoise", content=msgspec.json.encode(ask(canvas=SHORT)))
    assert isinstance(api.decode_event(answer.content.splitlines()[-1]), api.Done)


async def test_cancel_ends_a_stream_and_keeps_the_connection(served, ask):
    body = msgspec.json.encode(ask(id="c1", canvas=LONG, n=8, want_progress=True))
    async with served.stream("POST", "/v1/denoise", content=body) as answer:
        events = []
        async for line in answer.aiter_lines():
            events.append(api.decode_event(line.encode()))
            if len(events) == 1:
                said = await served.post("/v1/cancel", json={"id": "c1"})
                assert said.json() == {"cancelled": True}
    assert isinstance(events[-1], api.Done)
    assert events[-1].reason == "cancelled"
    assert (await served.post("/v1/cancel", json={"id": "c1"})).json() == {"cancelled": False}


async def test_an_attached_client_counts_until_it_leaves_and_hears_the_end(engine, served, until):
    async with contextlib.AsyncExitStack() as stack:
        answer = await stack.enter_async_context(served.stream("GET", "/v1/attach"))
        lines = answer.aiter_lines()
        assert msgspec.json.decode(await anext(lines)) == {"event": "attached"}
        assert engine.life.num_attached == 1
    await until(lambda: engine.life.num_attached == 0)
    watching = asyncio.ensure_future(engine.life.watch())
    async with served.stream("GET", "/v1/attach") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await served.post("/v1/drain", json={"reason": "upgrade"})
        assert msgspec.json.decode(await anext(lines)) == {"event": "closing", "reason": "upgrade"}
    await watching
    assert engine.stopped


async def test_a_repair_is_a_stream_of_its_own(engine):
    async with engine.http() as http:
        body = msgspec.json.encode(api.RepairRequest(id="1", text="x = (1\n", path="a.py", first_row=0, last_row=0))
        answer = await http.post("/v1/repair", content=body)
    assert answer.status_code == 200
    events = [api.decode_repair_event(line) for line in answer.content.splitlines()]
    assert isinstance(events[-1], api.Repaired)
    assert all(isinstance(event, api.Finding) for event in events[:-1])
    assert events[-1].num_findings == len(events) - 1


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"first_row": 1}, "both or neither"),
        ({"first_row": 2, "last_row": 1}, "last_row is out of range"),
        ({"first_row": -1, "last_row": 1}, "first_row is out of range"),
        ({"deadline_ms": -1.0}, "deadline_ms is out of range"),
        ({"api": 1}, "border"),
    ],
)
async def test_a_repair_that_makes_no_sense_is_refused(engine, fields, part):
    async with engine.http() as http:
        body = msgspec.json.encode(api.RepairRequest(**{"id": "1", "text": "x\n", **fields}))
        answer = await http.post("/v1/repair", content=body)
    assert answer.status_code == 400
    error = msgspec.json.decode(answer.content, type=api.Error)
    assert part in error.sentence


async def test_nothing_is_looked_for_without_a_calibration(engine):
    async with engine.http() as http:
        answer = await http.post("/v1/repair", content=msgspec.json.encode(api.RepairRequest(id="1", text="x = (1\n")))
    [event] = [api.decode_repair_event(line) for line in answer.content.splitlines()]
    assert isinstance(event, api.Error)
    assert event.code == "unsupported"
