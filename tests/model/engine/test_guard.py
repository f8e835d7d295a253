"""What a refusal does with the body of the refused request."""

import asyncio

import pytest

from model.engine.guard import MAX_DISCARDED_BYTES, Guard, GuardSettings

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

    guard = Guard(app, GuardSettings(hosts=frozenset({"here"}), token="t"))
    asyncio.run(guard(SCOPE, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], len(messages)


def test_a_small_body_is_read_before_the_connection_is_closed(monkeypatch):
    parts = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.request", "body": b"}"}]
    assert refused(parts, monkeypatch=monkeypatch) == (401, 0)


def test_a_large_body_is_not(monkeypatch):
    part = {"type": "http.request", "body": b"x" * MAX_DISCARDED_BYTES, "more_body": True}
    assert refused([part] * 9, monkeypatch=monkeypatch) == (401, 7)


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert refused([part], monkeypatch=monkeypatch) == (401, 0)
    assert refused([{"type": "http.disconnect"}], monkeypatch=monkeypatch) == (401, 0)
