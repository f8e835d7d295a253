"""How to speak HTTP to one engine: a Unix socket, or loopback TCP with a token; and reading its `/health`.

Source: httpx transports (`uds=`). httpx is imported inside functions: importing the language server must stay fast.
Left out: starting an engine and waiting for it (connect.py), streaming (client.py).
"""

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.paths import EnginePaths
from lsp_server.user_settings import chosen_engine
from model.engine.api import Health

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 120.0
# In place of a body that cannot be decompressed: only another server sends one.
UNREADABLE = b""


class Endpoint(msgspec.Struct, frozen=True):
    """Exactly one of `socket` (a path) and `url` is set. `token` goes with every request to a `url`."""

    socket: str | None = None
    url: str | None = None
    token: str | None = None


class _EndpointFile(msgspec.Struct):
    url: str
    token: str


def endpoint_from_environment() -> Endpoint | None:
    """The running engine that the user has named (unix:/path or http://127.0.0.1:port), or None if there is none.

    SEEDLING_ENGINE names it, else the user's settings file. The token for an http address is read from
    SEEDLING_ENGINE_TOKEN. Raises EngineUnavailable on anything else.
    """
    named = chosen_engine()
    if not named:
        return None
    if named.startswith("unix:/"):
        return Endpoint(socket=named.removeprefix("unix:"))
    if named.startswith(("http://", "https://")):
        return Endpoint(url=named.rstrip("/"), token=os.environ.get("SEEDLING_ENGINE_TOKEN"))
    raise EngineUnavailable(
        "bad_address", "SEEDLING_ENGINE (or engine in settings.toml) must be unix:/path or http://host:port."
    )


def local_endpoint(paths: EnginePaths) -> Endpoint | None:
    """Where the local engine of `paths` would listen, or None when there is nothing there to connect to."""
    if sys.platform != "win32":
        return Endpoint(socket=str(paths.socket)) if paths.socket.exists() else None
    try:
        file = msgspec.json.decode(paths.endpoint.read_bytes(), type=_EndpointFile)
    except (OSError, msgspec.DecodeError):
        return None
    return Endpoint(url=file.url, token=file.token)


def open_http(endpoint: Endpoint) -> "httpx.AsyncClient":
    """An HTTP client for `endpoint`. The caller closes it. Proxies of the environment are never used."""
    import httpx

    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(
            uds=endpoint.socket, verify=_needs_tls(endpoint), limits=httpx.Limits(max_connections=None)
        ),
        base_url=endpoint.url or "http://seedling",
        headers=_headers(endpoint),
        timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        trust_env=False,
    )


def open_http_blocking(endpoint: Endpoint) -> "httpx.Client":
    """As `open_http`, for the command line."""
    import httpx

    return httpx.Client(
        transport=httpx.HTTPTransport(uds=endpoint.socket, verify=_needs_tls(endpoint)),
        base_url=endpoint.url or "http://seedling",
        headers=_headers(endpoint),
        timeout=httpx.Timeout(10.0, connect=CONNECT_TIMEOUT_S),
        trust_env=False,
    )


def decode_health(body: bytes, endpoint: Endpoint) -> Health:
    """The health in an answer. Raises EngineUnavailable when it is not our engine that answers."""
    try:
        return msgspec.json.decode(body, type=Health)
    except msgspec.DecodeError:
        where = endpoint.socket or endpoint.url
        raise EngineUnavailable("foreign_answer", f"What listens at {where} is not a Seedling engine.") from None


async def read_health(endpoint: Endpoint) -> Health | None:
    """The engine's health, or None when nothing listens there (also: it died while it answered)."""
    import httpx

    async with open_http(endpoint) as http:
        try:
            response = await http.get("/health", timeout=5.0)
        except httpx.TransportError:
            return None
        except httpx.DecodingError:
            return decode_health(UNREADABLE, endpoint)
        return decode_health(response.content, endpoint)


def _needs_tls(endpoint: Endpoint) -> bool:
    """Reading all certificates takes tens of milliseconds, and every poll of a loading engine would pay for it."""
    return endpoint.url is not None and endpoint.url.startswith("https:")


def _headers(endpoint: Endpoint) -> dict[str, str]:
    return {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
