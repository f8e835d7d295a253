"""What every request must pass before any route sees it: Host, Origin, token, size, and how much its client may take.

Source: the project's rules on listening. A web page can make a browser send requests to loopback; it can neither forge
`Host` (so a rebound name is refused) nor hide `Origin` (so any request from a page is refused). Answers carry no CORS
headers. Left out: TLS and where to listen (listening.py), times of a connection (http_protocol.py).
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.engine import api
from model.engine.limits import Allowance, Limits, Refusal
from model.engine.protocols.errors import encode_error
from model.engine.tokens import Tokens

MAX_BODY_BYTES = 4 * 2**20
MAX_DISCARDED_BYTES = 2**16
DISCARD_S = 1.0

OPEN_PATHS = ("/health", "/ready")  # for probes, which know no token
ATTACH_PATH, CANCEL_PATH = "/v1/attach", "/v1/cancel"
_KEY_HEADERS = (b"api-key", b"x-api-key")
_CLIENT = "seedling.client"

log = logging.getLogger("seedling.engine")


class GuardSettings(msgspec.Struct, frozen=True):
    """`hosts`: acceptable Host headers, lower case, with their port or for any port; `*.` stands for one label.

    tokens: wanted on all paths but OPEN_PATHS; None on a Unix socket, which only its owner can open. limits: of each
    client by itself; None where there is one user. is_shared: nobody may end the engine over HTTP.
    """

    hosts: frozenset[str]
    tokens: Tokens | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    limits: Limits | None = None
    is_shared: bool = False


def client_of(request: HTTPConnection) -> str:
    """The name beside the token that came with the request; empty where there is one user."""
    return request.scope.get(_CLIENT, "")


class _Refused(Exception):
    def __init__(self, status: int, code: str, sentence: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.error = api.Error(code=code, sentence=sentence)
        self.retry_after_s = retry_after_s


class Guard:
    """ASGI middleware; refuses with one JSON error and never calls the app then."""

    def __init__(self, app: ASGIApp, settings: GuardSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        """May be replaced while requests run."""
        self._app = app
        self._now = now
        self._allowances: dict[str, Allowance] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            client = self._client(scope)
            scope[_CLIENT] = client or ""
            limits = None if client is None else self.settings.limits
            end = (lambda: None) if client is None or limits is None else self._begin(scope["path"], client, limits)
        except _Refused as refused:
            if refused.status in (401, 429):
                log.warning("refused: %s (%s)", refused.error.code, scope.get(_CLIENT) or _address(scope))
            was_read = await _discard(receive)
            body = encode_error(scope["path"], refused.status, refused.error)
            await send_error(send, refused.status, body, refused.retry_after_s, close=not was_read)
            return
        try:
            await self._app(scope, receive if limits is None else self._counted(client or "", receive), send)
        finally:
            end()

    def _client(self, scope: Scope) -> str | None:
        """Whose request it is; None where no token is wanted. Raises _Refused."""
        settings = self.settings
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not is_named(headers.get(b"host", b"").decode("latin-1").lower(), settings.hosts):
            raise _Refused(421, "wrong_host", "This engine does not answer under that host name.")
        if b"origin" in headers:
            raise _Refused(403, "foreign_origin", "This engine does not answer web pages.")
        client = None
        if settings.tokens is not None and scope["path"] not in OPEN_PATHS:
            client = settings.tokens.name_of(_given_token(headers))
            if client is None:
                raise _Refused(401, "wrong_token", "The engine's token is missing or wrong.")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > settings.max_body_bytes:
            raise _Refused(413, "too_large", too_large(settings.max_body_bytes).sentence)
        return client

    def _begin(self, path: str, client: str, limits: Limits) -> Callable[[], None]:
        """Takes what the request needs of its client's allowance; what gives it back. Raises _Refused."""
        now_s = self._now()
        allowance = self._allowances.setdefault(client, Allowance(limits, now_s))
        if path == CANCEL_PATH:
            return lambda: None  # whoever has asked too much must be able to take it back
        refusal: Refusal | None = allowance.attach() if path == ATTACH_PATH else allowance.begin(now_s)
        if refusal is not None:
            raise _Refused(429, "too_many", f"{refusal.sentence[:-1]}: try again later.", refusal.retry_after_s)
        return allowance.detach if path == ATTACH_PATH else allowance.end

    def _counted(self, client: str, receive: Receive) -> Receive:
        async def counted() -> Message:
            message = await receive()
            self._allowances[client].sent(len(message.get("body", b"")), self._now())
            return message

        return counted


def is_named(host: str, hosts: frozenset[str]) -> bool:
    """Whether a Host header (lower case) is one of `hosts`, with its port or without."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    return host in hosts or name in hosts or f"*.{name.partition('.')[2]}" in hosts


def _given_token(headers: dict[bytes, bytes]) -> bytes:
    """As our clients send it, or as other tools send an API key."""
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() == b"bearer":
        return token.strip()
    return next((headers[name] for name in _KEY_HEADERS if name in headers), b"")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


async def _discard(receive: Receive) -> bool:
    """Reads a small body away: closing a connection with bytes unread resets it, and the answer may be lost with it.

    Whether all of it was read, so that the connection can be used again.
    """
    num_bytes = 0
    try:
        async with asyncio.timeout(DISCARD_S):
            while num_bytes <= MAX_DISCARDED_BYTES:
                message = await receive()
                num_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return message["type"] == "http.request"
    except TimeoutError:
        pass
    return False


def too_large(max_body_bytes: int) -> api.Error:
    return api.Error(code="too_large", sentence=f"The request is larger than {max_body_bytes // 2**20} MiB.")


async def send_error(
    send: Send, status: int, body: bytes, retry_after_s: float | None = None, *, close: bool = True
) -> None:
    """One complete JSON answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if close:
        headers.append((b"connection", b"close"))
    if retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(retry_after_s))).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
