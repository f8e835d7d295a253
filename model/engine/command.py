"""`python -m model.engine serve`: one engine process from its lock to its end.

Source: the project's process rules; the order is: private folder, lock (the loser exits 0), socket, then everything
slow, so that a client's first `/health` is answered while the model loads. Left out: finding a place to listen (the
client names it), starting in the background (lsp_server/engine_client/launch.py), listening beyond loopback.
"""

import argparse
import asyncio
import faulthandler
import logging
import logging.handlers
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from model.engine.lock import UnsafeFolder, bind_loopback, bind_unix, check_private, take_lock

if TYPE_CHECKING:
    import uvicorn

    from model.engine.lifecycle import Lifecycle

IDLE_S = 600.0
MAX_CONNECTIONS = 256
LOG_BYTES = 1_000_000
NUM_OLD_LOGS = 2

log = logging.getLogger("seedling.engine")


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 after a normal end or when another engine holds the lock, 2 for wrong arguments, 1 otherwise."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.tcp is not None and options.endpoint_file is None:
        parser.error("--tcp needs --endpoint-file")
    try:
        return serve(options)
    except (UnsafeFolder, OSError) as error:
        sentence = str(error) if isinstance(error, UnsafeFolder) else f"The engine cannot listen: {error}."
        print(sentence, file=sys.stderr)
        return 1


def serve(options: argparse.Namespace) -> int:
    """Runs until idle, drained or stopped by a signal."""
    os.umask(0o077)
    _quiet_libraries()
    faulthandler.enable()
    place: Path = options.socket or options.endpoint_file
    check_private(place.parent)
    lock = take_lock(options.lock or place.with_suffix(".lock"))
    if lock is None:
        print("Another engine holds the lock.", file=sys.stderr)
        return 0
    token = None
    if options.socket is not None:
        listener, hosts = bind_unix(options.socket), frozenset({"seedling", "localhost"})
    else:
        host, port = options.tcp
        listener, token = bind_loopback(host, port, options.endpoint_file)
        port = listener.getsockname()[1]
        hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"})
    try:
        _log_to(options.log)
        asyncio.run(_serve(options, listener, hosts, token))
        return 0
    finally:
        # Before the lock goes with the process: nobody can have put another one there.
        place.unlink(missing_ok=True)


async def _serve(
    options: argparse.Namespace, listener: socket.socket, hosts: frozenset[str], token: str | None
) -> None:
    import importlib.metadata

    import uvicorn  # here and below: the socket is bound already, a client can wait on it

    from model.engine.app import EngineInfo, make_app
    from model.engine.compiling import BackgroundCompile
    from model.engine.guard import GuardSettings
    from model.engine.lifecycle import Lifecycle
    from model.engine.runner import Resident, Runner

    compiling = BackgroundCompile()

    def load(report: Callable[[float, str], None]) -> Resident:
        report(0.05, "PyTorch is being loaded.")
        from model.engine.generation import load_resident

        resident = load_resident(
            options.model, device=options.device, dtype_name=options.dtype, num_threads=options.threads, report=report
        )
        if not options.eager:
            compiling.start(resident.network, options.model)
        return resident

    def end() -> None:
        server.should_exit = True

    try:
        version = importlib.metadata.version("seedling-lsp")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    life = Lifecycle(idle_s=options.idle_s, stop=end, socket_path=options.socket)
    runner = Runner(load, on_loading=life.set_loading, on_ready=life.set_ready, on_failed=life.set_failed)
    app = make_app(
        runner,
        life,
        EngineInfo(version=version, model=options.model.name, device=options.device),
        GuardSettings(hosts=hosts, token=token),
    )
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=65536,
    )
    server = _make_server(config, life)
    log.info("listening, process %d, version %s", os.getpid(), version)
    runner.start()
    watching = asyncio.get_running_loop().create_task(life.watch())
    try:
        await server.serve(sockets=[listener])
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model.engine", description="The resident engine of Seedling.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve_parser = commands.add_parser("serve", help="listen and answer until idle")
    place = serve_parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=Path, help="path of the Unix socket to listen on")
    place.add_argument("--tcp", type=_loopback, metavar="HOST:PORT", help="loopback address (port 0: any)")
    serve_parser.add_argument("--endpoint-file", type=Path, help="with --tcp: where address and token are written")
    serve_parser.add_argument("--lock", type=Path, help="lock file (default: beside the socket)")
    serve_parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    serve_parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    serve_parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="number format")
    serve_parser.add_argument("--threads", type=int, help="threads of one operation on a CPU")
    serve_parser.add_argument(
        "--eager",
        action="store_true",
        default=bool(os.environ.get("SEEDLING_EAGER")),
        help="never compile the layers (also: SEEDLING_EAGER=1)",
    )
    serve_parser.add_argument("--log", type=Path, help="log file (default: standard error)")
    serve_parser.add_argument("--idle-s", type=float, default=IDLE_S, help="end after so long without clients")
    return parser


def _loopback(text: str) -> tuple[str, int]:
    """host:port of a loopback address; anything else is refused, since there is no TLS here."""
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not 127.0.0.1:PORT (the engine listens on loopback only)")
    return "127.0.0.1", int(port)


def _quiet_libraries() -> None:
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
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def _log_to(path: Path | None) -> None:
    """Rotating, readable by the user alone (by the umask); without a path to standard error."""
    handler: logging.Handler = logging.StreamHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=NUM_OLD_LOGS)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A traceback's message may quote code; uvicorn and asyncio print them in full.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
