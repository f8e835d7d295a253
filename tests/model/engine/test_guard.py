"""Whom the guard lets in, how much each client may take, and what a refusal does with the body of the request."""

import asyncio

import pytest

from model.engine.guard import MAX_DISCARDED_BYTES, Guard, GuardSettings, is_named
from model.engine.limits import MAX_ATTACHED, Limits
from model.engine.tokens import Tokens, single_token

SCOPE = {"type": "http", "path": "/v1/drain", "headers": [(b"host", b"here")]}


def refused(messages: list[dict], *, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """(status of the answer, messages left unread) where the client sends these and then nothing more."""
    monkeypatch.setattr("model.engine.guard.DISCARD_S", 0.01)
    sent = []

    async def app(scope, receive, send):
        raise AssertionError

    async def receive():
        if messages:
            return messages.pop(0)
        return await asyncio.get_running_loop().create_future()

    async def send(message):
        sent.append(message)

    guard = Guard(app, GuardSettings(hosts=frozenset({"here"}), tokens=single_token("t")))
    asyncio.run(guard(SCOPE, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], len(messages)


def test_a_small_body_is_read_before_the_answer(monkeypatch):
    parts = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.request", "body": b"}"}]
    assert refused(parts, monkeypatch=monkeypatch) == (401, 0)


def test_a_large_body_is_not(monkeypatch):
    part = {"type": "http.request", "body": b"x" * MAX_DISCARDED_BYTES, "more_body": True}
    assert refused([part] * 9, monkeypatch=monkeypatch) == (401, 7)


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert refused([part], monkeypatch=monkeypatch) == (401, 0)
    assert refused([{"type": "http.disconnect"}], monkeypatch=monkeypatch) == (401, 0)


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("box.example.org", True),
        ("box.example.org:8443", True),
        ("a.wild.example", True),
        ("a.b.wild.example", False),
        ("wild.example", False),
        ("localhost:1", True),
        ("localhost:2", False),
        ("[::1]", True),
        ("[::1]:8443", True),
        ("evil.example", False),
        ("", False),
        ("box.example.org.evil.example", False),
    ],
)
def test_host_names(host, fits):
    hosts = frozenset({"box.example.org", "*.wild.example", "localhost:1", "[::1]"})
    assert is_named(host, hosts) is fits


class Door:
    """A guard before an app that answers when the test lets it; `now_s` is the clock."""

    def __init__(self, limits: Limits) -> None:
        self.now_s = 0.0
        self.go_on = asyncio.Event()
        self.clients: list[str] = []
        tokens = Tokens(
            (("ann", single_token("a").pairs[0][1]), ("ben", single_token("b").pairs[0][1])),
        )
        settings = GuardSettings(frozenset({"here"}), tokens, limits=limits, is_shared=True)
        self.guard = Guard(self._app, settings, now=lambda: self.now_s)

    async def _app(self, scope, receive, send) -> None:
        self.clients.append(scope["seedling.client"])
        while (await receive()).get("more_body"):
            pass
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(self, token: str, path: str = "/v1/denoise", body: bytes = b"") -> tuple[int, str]:
        """Status and Retry-After."""
        sent: list[dict] = []

        async def receive():
            return {"type": "http.request", "body": body}

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"here"), (b"authorization", b"Bearer " + token.encode())]
        await self.guard({"type": "http", "path": path, "headers": headers}, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]).get(b"retry-after", b"").decode()


async def test_requests_at_a_time_are_bounded_for_each_client(until):
    door = Door(Limits(max_running=2))
    running = [asyncio.ensure_future(door.ask("a")) for _ in range(2)]
    await until(lambda: len(door.clients) == 2)
    assert await door.ask("a") == (429, "1")
    assert len(door.clients) == 2, "the app never saw it"
    other = asyncio.ensure_future(door.ask("b"))
    await until(lambda: door.clients == ["ann", "ann", "ben"])
    cancel = asyncio.ensure_future(door.ask("a", "/v1/cancel"))
    await until(lambda: len(door.clients) == 4)
    door.go_on.set()
    assert {(await task)[0] for task in (*running, other, cancel)} == {200}
    assert (await door.ask("a"))[0] == 200


async def test_requests_a_minute_are_bounded_and_come_back():
    door = Door(Limits(max_requests_per_minute=30))
    door.go_on.set()
    assert {(await door.ask("a"))[0] for _ in range(30)} == {200}
    assert await door.ask("a") == (429, "2")
    assert (await door.ask("b"))[0] == 200
    door.now_s += 2.0
    assert [(await door.ask("a"))[0] for _ in range(2)] == [200, 429]
    door.now_s += 3600.0
    assert [(await door.ask("a"))[0] for _ in range(31)] == [200] * 30 + [429]


async def test_bytes_a_minute_are_bounded_by_what_arrives():
    door = Door(Limits(max_bytes_per_minute=1000))
    door.go_on.set()
    assert (await door.ask("a", body=b"x" * 1500))[0] == 200, "one body may overdraw"
    status, retry_after_s = await door.ask("a")
    assert (status, int(retry_after_s)) == (429, 31)
    door.now_s += 31
    assert (await door.ask("a"))[0] == 200


async def test_connected_editors_are_bounded_by_themselves(until):
    door = Door(Limits(max_running=1))
    editors = [asyncio.ensure_future(door.ask("a", "/v1/attach")) for _ in range(MAX_ATTACHED)]
    await until(lambda: len(door.clients) == MAX_ATTACHED)
    assert (await door.ask("a", "/v1/attach"))[0] == 429
    door.go_on.set()
    assert {(await task)[0] for task in editors} == {200}
    assert (await door.ask("a", "/v1/attach"))[0] == (await door.ask("a"))[0] == 200


async def test_a_clock_that_runs_backwards_gives_nothing_away():
    door = Door(Limits(max_requests_per_minute=2))
    door.go_on.set()
    door.now_s = 100.0
    assert [(await door.ask("a"))[0] for _ in range(3)] == [200, 200, 429]
    door.now_s = 0.0
    assert (await door.ask("a"))[0] == 429
    door.now_s = 30.0
    assert (await door.ask("a"))[0] == 200
