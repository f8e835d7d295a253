"""An engine on another machine: its address, token, certificate authority, proxy; and why it cannot be reached.

Source: the project's rules on trust (all of it comes from the user's own hand: environment or settings file) and on
listening (TLS 1.2 and newer, no redirects, so that a token goes to one host only). Left out: HTTP (endpoint.py), trying
again (backoff.py, engine_link.py).
"""

import ipaddress
import os
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.user_settings import EngineChoice

if TYPE_CHECKING:
    import httpx

MAX_TOKEN_BYTES = 1024
TOKEN_VARIABLE = "SEEDLING_ENGINE_TOKEN"


def check_url(url: str) -> SplitResult:
    """The parts of an engine's http address. Raises EngineUnavailable where a token would travel in the open."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits, parts = False, urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise _bad("SEEDLING_ENGINE (or engine in settings.toml) must be unix:/path or https://host:port.")
    if parts.username is not None or parts.query or parts.fragment:
        raise _bad(
            "The engine's address holds more than https://host:port (a token goes into a file or the environment)."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise _bad("An engine on another machine is reached by https:// only: nothing travels in the open.")
    return parts


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_for(choice: EngineChoice) -> str | None:
    """The token: TOKEN_VARIABLE (where an editor puts what its secret store holds), else that of the file."""
    if told := os.environ.get(TOKEN_VARIABLE):
        return _checked(told.strip(), TOKEN_VARIABLE)
    if choice.token_file is None:
        return None
    path = Path(choice.token_file).expanduser()
    try:
        status = path.stat()
        is_open = sys.platform != "win32" and bool(stat.S_IMODE(status.st_mode) & 0o077)
        if not is_open:
            with path.open("rb") as file:
                return _checked(file.read(MAX_TOKEN_BYTES + 1).decode("ascii", "replace").strip(), str(path))
    except OSError as error:
        raise _bad(f"The token file {path} cannot be read ({error.strerror}).") from None
    raise _bad(f"Other users may open the token file {path}: run chmod 600 on it.")


def _checked(token: str, where: str) -> str:
    """A token goes into a header, where other characters would end it."""
    if not token or len(token) > MAX_TOKEN_BYTES or any(not "!" <= character <= "~" for character in token):
        raise _bad(f"{where} does not hold a token: one word of printable ASCII characters.")
    return token


def proxy_for(url: str, choice: EngineChoice) -> str | None:
    """The HTTP proxy to `url`: that of the settings, else the environment's HTTPS_PROXY unless NO_PROXY holds."""
    parts = urlsplit(url)
    named = choice.proxy
    if named == "none" or is_loopback(parts.hostname or ""):
        return None
    if named is None:
        import urllib.request  # 10 ms, and only where an engine is on another machine

        proxies = urllib.request.getproxies_environment()
        named = proxies.get("https") or proxies.get("all")
        # Not documented, but what urllib itself asks: the rules of NO_PROXY are nobody's to write anew.
        bypass = urllib.request.proxy_bypass_environment  # pyright: ignore[reportAttributeAccessIssue]
        if not named or bypass(parts.netloc, proxies):
            return None
    named = named if "://" in named else f"http://{named}"
    try:
        parts = urlsplit(named)
        is_known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_known = False
    if not is_known:
        raise _bad("The proxy to the engine must be http://host:port (engine.proxy in settings.toml, or HTTPS_PROXY).")
    return named


def ca_for(choice: EngineChoice) -> str | None:
    """The file of authorities that the user names. Raises EngineUnavailable unless it holds any."""
    if choice.ca is None:
        return None
    path = Path(choice.ca).expanduser()
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # what is no PEM is an OSError of OpenSSL
        why = "no certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise _bad(f"The file of certificate authorities {path} cannot be used ({why}).") from None
    return str(path)


def tls_context(ca: str | None) -> ssl.SSLContext:
    """For https: the named authorities, else the system's, else those that come with httpx."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    if ca is None and paths.cafile is None and paths.capath is None and not context.get_ca_certs():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def keep_alive_options() -> list[tuple[int, int, int]]:
    """So that a box which vanished without a word (a lost network) is noticed in two minutes."""
    wanted = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 120_000}
    known = [(socket.IPPROTO_TCP, getattr(socket, name), n) for name, n in wanted.items() if hasattr(socket, name)]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *known]


def offline(url: str, why: str) -> EngineUnavailable:
    return EngineUnavailable("offline", f"The engine at {url} does not answer: {why}.")


def why_unreachable(error: "httpx.TransportError") -> str:
    """A transport's failure in words: what a person can do something about comes first."""
    import httpx

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            advice = "engine.ca names the authority to trust"
            return f"its certificate is not trusted ({cause.verify_message or 'verification failed'}; {advice})"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refuses ({' '.join(str(error).split())[:100] or 'no reason given'})"
    if isinstance(error, httpx.ConnectTimeout):
        return "nothing answers there in time"
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return "its name is unknown"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection ({(cause.reason or 'unknown reason').replace('_', ' ').lower()})"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    return "the connection broke" if not isinstance(error, httpx.TimeoutException) else "no answer came in time"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        yield error
        error = error.__cause__ or error.__context__


def _bad(sentence: str) -> EngineUnavailable:
    return EngineUnavailable("bad_address", sentence)
