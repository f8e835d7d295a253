"""`python -m model.engine serve`: one engine process from its lock to its end.

Source: the project's process rules; the order is: private folder, lock (the loser exits 0), socket, then everything
slow, so that a client's first `/health` is answered while the model loads. With --listen others may come in
(listening.py): the port is the lock then, and such an engine does not end for want of clients. Left out: finding a
place to listen (the client names it), starting in the background (lsp_server/engine_client/launch.py).
"""

import argparse
import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import msgspec

from model.engine.init_process import leave_process_one
from model.engine.lifecycle import DRAIN_TIMEOUT_S
from model.engine.lock import UnsafeFolder, bind_loopback, bind_unix, check_private, take_lock
from model.engine.logs import log_to
from model.engine.tokens import TokenFileError, Tokens, single_token

if TYPE_CHECKING:
    import uvicorn

    from model.engine.lifecycle import Lifecycle
    from model.engine.listening import Access, Address, Door

IDLE_S = 600.0
MAX_OPEN_FILES = 8192

log = logging.getLogger("seedling.engine")


class _Place(msgspec.Struct, frozen=True):
    """Where this engine listens, and under which names, with which token. `door` where others may come in."""

    listener: socket.socket
    hosts: frozenset[str] = frozenset()
    tokens: Tokens | None = None
    door: "Door | None" = None


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 after a normal end or when another engine holds the lock, 2 for wrong arguments, 1 otherwise."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.tcp is not None and options.endpoint_file is None:
        parser.error("--tcp needs --endpoint-file")
    leave_process_one()
    try:
        return serve(options)
    except (UnsafeFolder, OSError) as error:
        sentence = str(error) if isinstance(error, UnsafeFolder) else f"The engine cannot listen: {error}."
        print(sentence, file=sys.stderr)
        return 1


def serve(options: argparse.Namespace) -> int:
    """Runs until idle, drained or stopped by a signal."""
    os.umask(0o077)
    quiet_libraries()
    _allow_many_connections()
    faulthandler.enable()
    with contextlib.ExitStack() as stack:
        place = _open_door(options) if options.listen is not None else stack.enter_context(_own_place(options))
        if isinstance(place, str):
            print(place, file=sys.stderr)
            return 0 if options.listen is None else 1
        log_to(options.log, options.log_format)
        asyncio.run(_serve(options, place))
    return 0


@contextlib.contextmanager
def _own_place(options: argparse.Namespace) -> Iterator[_Place | str]:
    """For one user: the place that the options name, or a sentence when another engine has it."""
    where: Path = options.socket or options.endpoint_file
    check_private(where.parent)
    lock = take_lock(options.lock or where.with_suffix(".lock"))
    if lock is None:
        yield "Another engine holds the lock."
        return
    if options.socket is not None:
        listener, tokens = bind_unix(options.socket), None
        hosts = frozenset({"seedling", "localhost"})
    else:
        host, port = options.tcp
        listener, token = bind_loopback(host, port, options.endpoint_file)
        port, tokens = listener.getsockname()[1], single_token(token)
        hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"})
    try:
        yield _Place(listener, hosts, tokens)
    finally:
        # Before the lock goes with the process: nobody can have put another one there.
        where.unlink(missing_ok=True)


def _open_door(options: argparse.Namespace) -> _Place | str:
    """For others: the port that the options name, or a sentence why not."""
    from model.engine.listening import Door, ListenError

    try:
        door = Door(options.listen, access_of(options))
    except (ListenError, TokenFileError) as error:
        return str(error)
    return _Place(door.listener, door=door)


def access_of(options: argparse.Namespace) -> "Access":
    """What the options of `add_access` say."""
    from model.engine.limits import Limits
    from model.engine.listening import Access

    return Access(
        cert=options.tls_cert,
        key=options.tls_key,
        token_file=options.token_file,
        is_behind_proxy=options.behind_proxy,
        names=tuple(options.name),
        limits=Limits(
            max_running=options.max_running,
            max_requests_per_minute=options.max_requests_per_minute,
            max_bytes_per_minute=options.max_mb_per_minute * 2**20,
        ),
    )


async def _serve(options: argparse.Namespace, place: _Place) -> None:
    import importlib.metadata

    import uvicorn  # here and below: the socket is bound already, a client can wait on it

    from model.engine.app import EngineInfo, make_app
    from model.engine.compiling import BackgroundCompile
    from model.engine.guard import GuardSettings
    from model.engine.http_protocol import BoundedHttp
    from model.engine.iterations import Resident
    from model.engine.lifecycle import Lifecycle
    from model.engine.runner import Runner

    compiling = BackgroundCompile()

    def load(report: Callable[[float, str], None]) -> Resident:
        report(0.05, "PyTorch is being loaded.")
        from model.checkpoints.precision import is_small
        from model.engine.generation import load_resident

        resident = load_resident(
            options.model,
            device=options.device,
            dtype_name=options.dtype,
            precision=options.precision,
            num_threads=options.threads,
            report=report,
        )
        if not options.eager and not is_small(resident.network):
            compiling.start(resident.network, options.model)
        return resident

    def end() -> None:
        runner.stop(timeout_s=0.0)  # what still runs after the time for draining ends as cancelled, not as broken off
        server.should_exit = True

    try:
        version = importlib.metadata.version("seedling-lsp")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    idle_s = options.idle_s if options.idle_s is not None else IDLE_S if place.door is None else float("inf")
    life = Lifecycle(idle_s=idle_s, stop=end, socket_path=options.socket, drain_timeout_s=options.drain_s)
    runner = Runner(load, on_loading=life.set_loading, on_ready=life.set_ready, on_failed=life.set_failed)
    app = make_app(
        runner,
        life,
        EngineInfo(version=version, model=options.model.name, device=options.device),
        GuardSettings(hosts=place.hosts, tokens=place.tokens) if place.door is None else place.door.guard,
    )
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        http=BoundedHttp,
        ws="none",
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=65536,
    )
    config.load()
    config.ssl = None if place.door is None else place.door.tls
    server = _make_server(config, life)
    log.info("listening, process %d, version %s", os.getpid(), version)
    runner.start()
    watching = asyncio.get_running_loop().create_task(life.watch())
    if (door := place.door) is not None:

        def renew() -> None:
            if door.renew():
                app.settings = door.guard

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renew)
    try:
        await server.serve(sockets=[place.listener])
    finally:
        watching.cancel()
        compiling.stop()
        log.info("ending: %s", life.closing_reason or "stopped")
        await asyncio.get_running_loop().run_in_executor(None, runner.stop)


def _make_server(config: "uvicorn.Config", life: "Lifecycle") -> "uvicorn.Server":
    """A uvicorn server on which a signal drains (uvicorn itself would wait for attached clients for ever)."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if life.status == "draining":
                self.should_exit = True  # the second signal does not wait for running requests
            life.drain("signal")

    return Server(config)


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong use gets one sentence instead of the usage block."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"seedling engine: {message}\n")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m model.engine", description="The resident engine of Seedling.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    serve_parser = commands.add_parser("serve", help="listen and answer until idle")
    place = serve_parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=Path, help="path of the Unix socket to listen on")
    place.add_argument("--tcp", type=_loopback, metavar="HOST:PORT", help="loopback address (port 0: any)")
    place.add_argument(
        "--listen", type=address_given, metavar="HOST:PORT", help="an address for others, with their tokens"
    )
    serve_parser.add_argument("--endpoint-file", type=Path, help="with --tcp: where address and token are written")
    serve_parser.add_argument("--lock", type=Path, help="lock file (default: beside the socket)")
    serve_parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    serve_parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    serve_parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="number format")
    serve_parser.add_argument(
        "--precision", default="auto", choices=("auto", "full", "int8", "fp8"), help="how the weights are held"
    )
    serve_parser.add_argument("--threads", type=int, help="threads of one operation on a CPU")
    serve_parser.add_argument(
        "--eager",
        action="store_true",
        default=bool(os.environ.get("SEEDLING_EAGER")),
        help="never compile the layers (also: SEEDLING_EAGER=1)",
    )
    serve_parser.add_argument("--log", type=Path, help="log file (default: standard error)")
    serve_parser.add_argument("--log-format", default="text", choices=("text", "json"), help="json: an object a line")
    serve_parser.add_argument("--idle-s", type=float, help=f"end after so long without clients ({IDLE_S:.0f})")
    serve_parser.add_argument(
        "--drain-s",
        type=float,
        default=DRAIN_TIMEOUT_S,
        help=f"how long the end waits for requests ({DRAIN_TIMEOUT_S:.0f})",
    )
    add_access(serve_parser)
    return parser


def add_access(parser: argparse.ArgumentParser) -> None:
    from model.engine.limits import Limits

    limits = Limits()
    others = parser.add_argument_group("with --listen", "which never ends for want of clients unless told to")
    others.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate with its chain")
    others.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's key")
    others.add_argument("--token-file", type=Path, metavar="FILE", help="lines NAME TOKEN, readable by its owner alone")
    others.add_argument("--behind-proxy", action="store_true", help="listen without TLS: a proxy in front does that")
    others.add_argument(
        "--name", action="append", default=[], metavar="HOST", help="a host name of it (default: the certificate's)"
    )
    for name, value, what in (
        ("--max-running", limits.max_running, "requests of a token at a time"),
        ("--max-requests-per-minute", limits.max_requests_per_minute, "requests of a token in a minute"),
        ("--max-mb-per-minute", limits.max_bytes_per_minute // 2**20, "MiB that a token may send in a minute"),
    ):
        others.add_argument(name, type=positive, default=value, metavar="N", help=f"{what} ({value})")


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def address_given(text: str) -> "Address":
    from model.engine.listening import read_address

    try:
        return read_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _loopback(text: str) -> tuple[str, int]:
    """host:port of a loopback address; anything else is refused, since there is no TLS here."""
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not 127.0.0.1:PORT (the engine listens on loopback only)")
    return "127.0.0.1", int(port)


def quiet_libraries() -> None:
    """No telemetry and no network from anything this process imports; OpenMP threads that soon sleep when they wait.

    On a machine with other work (an editor, a build) threads that spin cost a factor of ten: a prefill of 700 tokens
    took 3.6 s on 2 shared cores, 0.37 s without. A thousand turns (microseconds) bridge the gap between two operations.
    """
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "true"
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # counters belong into memory, not into another program's folder
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Kernels of oneDNN, half a megabyte for each shape. It keeps 1,024 of them, and torch's own cache in front of it
    # (ideep) 1,024 others: hundreds of megabytes for shapes seen once (docs/log.md).
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def _allow_many_connections() -> None:
    """Each connection is an open file, of which a shell often allows 1,024 where the system allows many more."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
