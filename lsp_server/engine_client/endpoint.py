"""How to speak HTTP to one engine: a Unix socket, or TCP with a token, by TLS unless on loopback; and its `/health`.

Source: httpx transports (`uds=`). httpx is imported inside functions: importing the language server must stay fast.
Left out: starting an engine and waiting for it (connect.py), streaming (client.py), what the user may say about an
engine on another machine (remote.py).
"""

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from lsp_server.engine_client import remote
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.paths import EnginePaths
from lsp_server.user_settings import EngineChoice, chosen_engine
from model.engine.api import Error, Health

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 2.0
REMOTE_CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 120.0
# In place of a body that cannot be decompressed: only another server sends one.
UNREADABLE = b""


class Endpoint(msgspec.Struct, frozen=True):
    """Exactly one of `socket` (a path) and `url` is set. `token` goes with every request to a `url`.

    ca: file of the authorities to trust; proxy: URL of an HTTP proxy on the way.
    """

    socket: str | None = None
    url: str | None = None
    token: str | None = None
    ca: str | None = None
    proxy: str | None = None

    @property
    def is_remote(self) -> bool:
        """May it be unreachable without having crashed? Then it is nothing that we could start, either."""
        return self.url is not None and self.url.startswith("https:")


class _EndpointFile(msgspec.Struct):
    url: str
    token: str


def endpoint_from_environment() -> Endpoint | None:
    """The running engine that the user has named (unix:/path or https://host:port), or None if there is none.

    SEEDLING_ENGINE names it, else the user's settings file. Raises EngineUnavailable on anything that cannot be used.
    """
    choice = chosen_engine()
    return None if not choice.url else endpoint_of(choice.url, choice)


def endpoint_of(named: str, choice: EngineChoice) -> Endpoint:
    """`named` with what belongs to it. Raises EngineUnavailable."""
    if named.startswith("unix:/"):
        return Endpoint(socket=named.removeprefix("unix:"))
    is_tls = remote.check_url(named).scheme == "https"
    return Endpoint(
        url=named.rstrip("/"),
        token=remote.token_for(choice),
        ca=remote.ca_for(choice) if is_tls else None,
        proxy=remote.proxy_for(named, choice) if is_tls else None,
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
    """An HTTP client for `endpoint`. The caller closes it. It follows no redirect: a token is for one host."""
    import httpx

    transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None), **_transport(endpoint))
    return httpx.AsyncClient(transport=transport, timeout=_timeout(endpoint, READ_TIMEOUT_S), **_client(endpoint))


def open_http_blocking(endpoint: Endpoint) -> "httpx.Client":
    """As `open_http`, for the command line."""
    import httpx

    transport = httpx.HTTPTransport(**_transport(endpoint))
    return httpx.Client(transport=transport, timeout=_timeout(endpoint, 10.0), **_client(endpoint))


def _transport(endpoint: Endpoint) -> dict[str, Any]:
    """Reading all certificates takes tens of milliseconds, and every poll of a loading engine would pay for it: TLS
    only where it is spoken."""
    if not endpoint.is_remote:
        return {"uds": endpoint.socket, "verify": False}
    verify = remote.tls_context(endpoint.ca)
    return {"verify": verify, "proxy": endpoint.proxy, "socket_options": remote.keep_alive_options()}


def _client(endpoint: Endpoint) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
    base_url = endpoint.url or "http://seedling"
    return {"base_url": base_url, "headers": headers, "trust_env": False, "follow_redirects": False}


def _timeout(endpoint: Endpoint, read_s: float) -> "httpx.Timeout":
    import httpx

    return httpx.Timeout(read_s, connect=REMOTE_CONNECT_TIMEOUT_S if endpoint.is_remote else CONNECT_TIMEOUT_S)


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
        return health_in(response, endpoint)


def health_in(response: "httpx.Response", endpoint: Endpoint) -> Health:
    """As `decode_health`, of a whole answer. `offline` is raised also where a proxy answers for a dead box."""
    where = endpoint.socket or str(endpoint.url)
    if endpoint.is_remote and response.status_code in (407, 502, 503, 504):
        raise remote.offline(where, f"what stands before it says {response.status_code}")
    if 300 <= response.status_code < 400:
        sentence = f"{where} leads elsewhere, where no token is sent: name the engine itself."
        raise EngineUnavailable("foreign_answer", sentence)
    if response.status_code >= 400:
        with contextlib.suppress(msgspec.DecodeError):
            sentence = msgspec.json.decode(response.content, type=Error).sentence
            raise EngineUnavailable("foreign_answer", f"The engine at {where} refuses: {sentence}")
    return decode_health(response.content, endpoint)


async def remote_health(http: "httpx.AsyncClient", endpoint: Endpoint) -> Health:
    """The health of an engine on another machine. Raises EngineUnavailable, `offline` where it cannot be reached."""
    import httpx

    try:
        return health_in(await http.get("/health", timeout=_timeout(endpoint, 5.0)), endpoint)
    except httpx.TransportError as error:
        raise remote.offline(str(endpoint.url), remote.why_unreachable(error)) from None
    except httpx.DecodingError:
        return decode_health(UNREADABLE, endpoint)
