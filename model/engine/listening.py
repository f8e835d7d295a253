"""Where an engine listens for others than its own user: the rules, the socket, and TLS.

Source: the project's rules on listening (beyond loopback only with TLS and tokens, or behind a proxy that does TLS),
ssl of the standard library (TLS 1.2 and newer), tcp(7). The names that a certificate holds are those under which the
engine answers. Left out: Unix sockets and the loopback port of a single user (lock.py), token files (tokens.py).
"""

import contextlib
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import msgspec

from model.engine.guard import GuardSettings
from model.engine.limits import Limits
from model.engine.lock import BACKLOG
from model.engine.tokens import TokenFileError, read_tokens

# A peer that vanished (a closed laptop, a lost network) is given up after about two minutes without any sign of it.
KEEP_ALIVE_IDLE_S, KEEP_ALIVE_EVERY_S, NUM_KEEP_ALIVES = 60, 15, 4
UNACKNOWLEDGED_MS = 120_000


log = logging.getLogger("seedling.engine")


class ListenError(Exception):
    """The engine may not or cannot listen as told; the message is one sentence."""


class Address(msgspec.Struct, frozen=True):
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How others reach the engine. `names`: host names that it answers to; those of the certificate, if none."""

    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    is_behind_proxy: bool = False
    names: tuple[str, ...] = ()
    limits: Limits = Limits()


def read_address(text: str) -> Address:
    """Of `HOST:PORT` or `[IPv6]:PORT`. Raises ValueError with a sentence's end."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Address(host.lower(), int(port))


def check_access(address: Address, access: Access) -> None:
    """Raises ListenError where the rules forbid to listen."""
    if access.token_file is None:
        raise ListenError("--listen needs --token-file: a file of lines NAME TOKEN that only its owner can read.")
    if (access.cert is None) != (access.key is None):
        raise ListenError("--tls-cert and --tls-key are given both or neither.")
    if access.cert is not None and access.is_behind_proxy:
        raise ListenError("--behind-proxy means that the proxy does TLS: leave --tls-cert and --tls-key away.")
    if access.is_behind_proxy and not access.names:
        raise ListenError("--behind-proxy needs --name HOST, the name under which clients reach the proxy.")
    if access.cert is None and not access.is_behind_proxy and not address.is_loopback:
        raise ListenError(
            f"{address.host} is not a loopback address, so --listen needs --tls-cert and --tls-key (or --behind-proxy)."
        )


def hosts_for(names: Iterable[str]) -> frozenset[str]:
    """Host headers for the guard: these names, and this machine's own, which its probes use."""
    return frozenset({*map(_as_in_header, names), "127.0.0.1", "localhost", "[::1]"})


def _as_in_header(name: str) -> str:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower()
    return f"[{address}]" if address.version == 6 else str(address)


def bind(address: Address) -> socket.socket:
    """A listening TCP socket that notices vanished peers. Raises ListenError."""
    try:
        family, _, _, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(where[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        shown = f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ListenError(f"The engine cannot listen on {shown} ({why}).") from None
    listener.setblocking(False)
    # Connections inherit these.
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        # asyncio sets it only where a socket names its protocol, which accepted ones do not: then each answer's second
        # piece waits 40 ms for the other side to acknowledge the first.
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_ALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEP_ALIVE_EVERY_S),
        ("TCP_KEEPCNT", NUM_KEEP_ALIVES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
    ):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    for option in options:
        with contextlib.suppress(OSError):
            listener.setsockopt(*option)
    return listener


class Door:
    """An open port with who may come in. `renew` when the files have changed."""

    def __init__(self, address: Address, access: Access) -> None:
        """Raises ListenError or TokenFileError."""
        check_access(address, access)
        assert access.token_file is not None
        self._access = access
        self._token_file = access.token_file
        self._certificate = None
        if access.cert is not None and access.key is not None:
            self._certificate = Certificate(access.cert, access.key)
        self.guard = self._guard()
        self.listener = bind(address)

    @property
    def tls(self) -> ssl.SSLContext | None:
        return None if self._certificate is None else self._certificate.context

    def renew(self) -> bool:
        """Reads tokens and certificate again: for the next requests, and the next connections. False: all stays."""
        try:
            guard = self._guard()
            if self._certificate is not None:
                self._certificate.read()
                guard = self._guard()
        except (ListenError, TokenFileError) as error:
            log.error("tokens and certificate stay as they are: %s", error)
            return False
        self.guard = guard
        log.info("tokens and certificate were read again")
        return True

    def _guard(self) -> GuardSettings:
        access = self._access
        names = access.names or (() if self._certificate is None else self._certificate.names)
        tokens = read_tokens(self._token_file)
        return GuardSettings(hosts=hosts_for(names), tokens=tokens, limits=access.limits, is_shared=True)


class Certificate:
    """A certificate with its key, in a context for uvicorn. `read` again after the files have changed."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises ListenError."""
        self._cert, self._key = cert, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.names: frozenset[str] = frozenset()
        self.read()

    def read(self) -> None:
        """New connections get what the files hold now. Raises ListenError and changes nothing if that is unusable."""
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(trial)
        names = _names_in(trial, self._cert)
        self._load(self.context)
        self.names = names

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            # An encrypted key would make OpenSSL ask at the terminal.
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except ListenError:
            raise ListenError(f"The key {self._key} is encrypted, and nobody is there to type its password.") from None
        except ssl.SSLError as error:
            why = (error.reason or "").replace("_", " ").lower() or "not PEM"
            raise ListenError(f"{self._cert} and {self._key} are not a certificate and its key ({why}).") from None
        except OSError as error:
            missing = next((path for path in (self._cert, self._key) if not _is_readable(path)), self._cert)
            raise ListenError(f"{missing} cannot be read ({error.strerror}).") from None


def _no_password() -> str:
    raise ListenError("an encrypted key")


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _names_in(server_context: ssl.SSLContext, cert: Path) -> frozenset[str]:
    """The subject's alternative names, which only a client is told: so one shakes hands with the server, in memory.

    It trusts this certificate for itself and looks at its dates too. Raises ListenError.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        client_context.load_verify_locations(cert)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(to_client, to_server)
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(8):
            for side in (client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        told = client.getpeercert() or {}
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "verify_message", "") or str(error)
        raise ListenError(f"No client would accept the certificate {cert}: {why}.") from None
    names = frozenset(str(value) for kind, value in told.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))
    if not names:
        raise ListenError(f"The certificate {cert} names no host (subjectAltName), so no client would accept it.")
    return names
