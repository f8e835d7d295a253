"""What every request must pass before any route sees it: Host, Origin, token, size.

Source: the project's rules on listening. A web page can make a browser send requests to loopback; it can neither forge
`Host` (so a rebound name is refused) nor hide `Origin` (so any request from a page is refused). Answers carry no CORS
headers. Left out: TLS and listening beyond loopback, which this engine refuses (command.py).
"""

import asyncio
import contextlib
import hmac

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from model.engine import api

MAX_BODY_BYTES = 4 * 2**20
MAX_DISCARDED_BYTES = 2**16
DISCARD_S = 1.0


class GuardSettings(msgspec.Struct, frozen=True):
    """`hosts`: acceptable Host headers, lower case. `token`: wanted on all paths but /health; None on a Unix socket,
    which only its owner can open.
    """

    hosts: frozenset[str]
    token: str | None = None
    max_body_bytes: int = MAX_BODY_BYTES


class Guard:
    """ASGI middleware; refuses with one JSON error and never calls the app then."""

    def __init__(self, app: ASGIApp, settings: GuardSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, error = refusal
        await _discard(receive)
        await send_error(send, status, error)

    def _refusal(self, scope: Scope) -> tuple[int, api.Error] | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if headers.get(b"host", b"").decode("latin-1").lower() not in self._settings.hosts:
            return 421, api.Error(code="wrong_host", sentence="This engine does not answer under that host name.")
        if b"origin" in headers:
            return 403, api.Error(code="foreign_origin", sentence="This engine does not answer web pages.")
        if self._settings.token is not None and scope["path"] != "/health":
            given = headers.get(b"authorization", b"")
            wanted = b"Bearer " + self._settings.token.encode()
            if not hmac.compare_digest(given, wanted):
                return 401, api.Error(code="wrong_token", sentence="The engine's token is missing or wrong.")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._settings.max_body_bytes:
            return 413, too_large(self._settings.max_body_bytes)
        return None


async def _discard(receive: Receive) -> None:
    """Reads a small body away: closing a connection with bytes unread resets it, and the answer may be lost with it."""
    num_bytes = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while num_bytes <= MAX_DISCARDED_BYTES:
                message = await receive()
                num_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def too_large(max_body_bytes: int) -> api.Error:
    return api.Error(code="too_large", sentence=f"The request is larger than {max_body_bytes // 2**20} MiB.")


async def send_error(send: Send, status: int, error: api.Error) -> None:
    """One complete JSON answer."""
    body = api.encode_event(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # a large body is not read, so the connection cannot be used again
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
