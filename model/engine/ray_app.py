"""`python -m model.engine.ray_app`: the engine as replicas of a Ray Serve application, on one machine or on many.

Source: Ray Serve (serve.run with an application object, autoscaling, its consistent-hash router) and Ray's pages on
token authentication and usage statistics. Who may come in, TLS and limits are those of `engine serve --listen`. A
replica is chosen by the hash of the Authorization header: what a person's editor sends finds its prefix cached, its
cancellations find its requests, and limits hold for a token as a whole. Left out: what a replica does
(ray_replica.py), and everything that Ray does.
"""

import argparse
import contextlib
import hashlib
import importlib.metadata
import logging
import os
import queue
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from model.engine.command import Parser, access_of, add_access, address_given, positive
from model.engine.lifecycle import DRAIN_TIMEOUT_S
from model.engine.listening import Address, Door, ListenError
from model.engine.logs import LogFormat, log_to
from model.engine.ray_replica import HEALTH_PERIOD_S, LEAVING_S, Replica, ReplicaChoice, config_of
from model.engine.tokens import TokenFileError

if TYPE_CHECKING:
    from ray.serve import Application  # pyright: ignore[reportMissingImports]
    from ray.serve.schema import ServeStatus  # pyright: ignore[reportMissingImports]

INSTALL = 'pip install "seedling-lsp[cluster]"'
APP_NAME = "seedling"
ROUTER = "ray.serve.experimental.consistent_hash_router:ConsistentHashRouter"
PER_REPLICA = 32
CROWDED = 4  # times as many are too many for one replica: then others help out
SHARED_MEMORY_BYTES = 128 * 2**20  # requests and answers are small; Ray would take a third of the machine
LOAD_TRIES = 2

log = logging.getLogger("seedling.engine")

LOGGING: dict[str, Any] = {"enable_access_log": False, "log_level": "WARNING"}
"""Of Ray itself; the replicas' log comes to this process's standard error."""

RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the cluster
    "RAY_AUTH_MODE": "token",  # who can reach a cluster's ports without it can run anything on it
    "RAY_SERVE_SESSION_ID_HEADER_KEY": "authorization",
    "RAY_DEDUP_LOGS": "0",  # the replicas' lines as they are
    "RAY_COLOR_PREFIX": "0",
}
"""Explicit, for this process and for all that it starts."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How many replicas. per_replica: connected editors and running requests that one is meant for."""

    min_replicas: int = 1
    max_replicas: int = 1
    per_replica: int = PER_REPLICA
    cpus: int = 1
    gpus: int = 0
    drain_s: float = DRAIN_TIMEOUT_S


class ClusterError(Exception):
    """The replicas cannot run as told; the message is one sentence."""


def application(choice: ReplicaChoice, scale: Scale, config: dict[str, object]) -> "Application":
    """What serve.run takes: an object, so that nothing is imported by a name from somewhere else.

    config: of ray_replica.config_of.
    """
    from ray import serve  # pyright: ignore[reportMissingImports]
    from ray.serve.config import AutoscalingConfig, RequestRouterConfig  # pyright: ignore[reportMissingImports]
    from ray.serve.schema import LoggingConfig  # pyright: ignore[reportMissingImports]

    deployment = serve.deployment(
        name="Engine",
        user_config=config,
        ray_actor_options={"num_cpus": scale.cpus, "num_gpus": scale.gpus},
        autoscaling_config=AutoscalingConfig(
            min_replicas=scale.min_replicas,
            max_replicas=scale.max_replicas,
            target_ongoing_requests=scale.per_replica,
        ),
        # Beyond these the next replica on the ring is asked, and then the one after it.
        max_ongoing_requests=CROWDED * scale.per_replica,
        request_router_config=RequestRouterConfig.model_validate({"request_router_class": ROUTER}),
        health_check_period_s=HEALTH_PERIOD_S,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=scale.drain_s + LEAVING_S,
        max_constructor_retry_count=LOAD_TRIES,
        logging_config=LoggingConfig(**LOGGING),
    )
    engine = deployment(serve.ingress()(Replica))
    # Else each serve.run has a version of its own, and replaces all replicas where new tokens would have been enough.
    engine._version = hashlib.sha256(repr(choice).encode()).hexdigest()[:16]
    return engine.bind(choice)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 after a normal end, 2 for wrong arguments, 1 otherwise."""
    options = _parser().parse_args(arguments)
    for name in ("tls_cert", "tls_key", "token_file"):
        if (path := getattr(options, name)) is not None:
            setattr(options, name, path.absolute())  # this process leaves its folder
    try:
        door = _closed_door(options)
        _prepare(options.log_format)
        return _Cluster(options, door).run()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "ray":
            raise
        sentence = f"Many boxes need Ray, which is not installed: run {INSTALL}."
    except (ListenError, TokenFileError, ClusterError) as error:
        sentence = str(error)
    print(sentence, file=sys.stderr)
    return 1


class _Cluster:
    """One application in one Ray cluster, from its start to its end."""

    def __init__(self, options: argparse.Namespace, door: Door) -> None:
        self._options, self._door = options, door
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._replaced_at_s = 0
        self._folder: Path | None = None

    def run(self) -> int:
        """Until SIGTERM or SIGINT. SIGHUP: tokens are read again. SIGUSR1: the replicas are replaced."""
        import ray  # pyright: ignore[reportMissingImports]
        from ray import serve  # pyright: ignore[reportMissingImports]

        self._join()
        try:
            self._open()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(number, self._take)
            self._deploy()
            log.info("listening, process %d, version %s", os.getpid(), _version())
            while (number := self._signals.get()) in (signal.SIGHUP, signal.SIGUSR1):
                self._renew(number)
            self._drain()
            serve.delete(APP_NAME)
            serve.shutdown()
        finally:
            ray.shutdown()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
        return 0

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)

    def _join(self) -> None:
        """Starts a cluster on this machine alone, which only this machine can reach; or joins the named one."""
        import ray  # pyright: ignore[reportMissingImports]
        from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

        options = self._options
        if options.cluster is None:
            self._folder = Path(tempfile.mkdtemp(prefix="seedling-ray-"))
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # lives as long as the cluster
        own: dict[str, Any] = {
            "include_dashboard": False,
            "object_store_memory": SHARED_MEMORY_BYTES,
            "_temp_dir": str(self._folder),  # Ray's own is open to everybody on this machine
        }
        try:
            if options.cluster is None:
                ray.init("local", logging_level=logging.ERROR, namespace=APP_NAME, **own)
            else:
                ray.init(options.cluster, logging_level=logging.ERROR, namespace=APP_NAME)
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            where = "on this machine" if options.cluster is None else options.cluster
            raise ClusterError(
                f"The Ray cluster {where} cannot be used ({_first_sentence(str(error)) or type(error).__name__})."
            ) from None

    def _open(self) -> None:
        """Ray's proxies, which do TLS, on every machine that holds a replica."""
        from ray import serve  # pyright: ignore[reportMissingImports]

        options = self._options
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        others = set(serve.status().applications) - {APP_NAME}
        if others:
            raise ClusterError(f"The Ray cluster serves {', '.join(sorted(others))} already: Seedling needs its own.")
        serve.start(
            proxy_location="EveryNode",
            http_options={
                "host": options.listen.host,
                "port": options.listen.port,
                "keep_alive_timeout_s": 75,
                "ssl_certfile": options.tls_cert and str(options.tls_cert),
                "ssl_keyfile": options.tls_key and str(options.tls_key),
            },
            # Machines that were started without these settings have them here all the same.
            controller_options={"runtime_env": {"env_vars": RAY_SETTINGS}},
            logging_config=LOGGING,
        )

    def _drain(self) -> None:
        """The replicas finish what they have and refuse what is new; a second signal does not wait for that."""
        self._deploy(is_ending=True)
        with contextlib.suppress(queue.Empty):
            self._signals.get(timeout=self._options.drain_s)

    def _deploy(self, is_ending: bool = False) -> None:
        """The application as it is to be now; Ray changes what differs. Returns when all replicas are ready."""
        import ray  # pyright: ignore[reportMissingImports]
        from ray import serve  # pyright: ignore[reportMissingImports]

        options = self._options
        gpus, cpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("GPU", "CPU"))
        if options.device == "cuda" and gpus == 0:
            raise ClusterError("No machine of the Ray cluster has a GPU.")
        uses_gpu = gpus > 0 and options.device != "cpu"
        scale = Scale(
            min_replicas=options.min_replicas,
            max_replicas=max(options.min_replicas, options.max_replicas or 0),
            per_replica=options.per_replica,
            cpus=options.threads,
            gpus=int(uses_gpu),
            drain_s=options.drain_s,
        )
        if options.cluster is None and scale.min_replicas > (gpus if uses_gpu else cpus // scale.cpus):
            has = f"{gpus} GPUs" if uses_gpu else f"{cpus} cores"
            raise ClusterError(f"This machine has {has}, too few for {scale.min_replicas} replicas.")
        choice = ReplicaChoice(
            model=options.model,
            device="cuda" if uses_gpu else "cpu",
            dtype=options.dtype,
            precision=options.precision,
            num_threads=options.threads,
            eager=options.eager,
            log_format=options.log_format,
            version=_version(),
            replaced_at_s=self._replaced_at_s,
        )
        try:
            serve.run(
                application(choice, scale, config_of(self._door.guard, is_ending=is_ending)),
                name=APP_NAME,
                route_prefix="/",
            )
        except RuntimeError as error:
            raise ClusterError(_why_not(str(error), serve.status())) from None

    def _renew(self, number: int) -> None:
        """What cannot be used leaves all as it was."""
        if number == signal.SIGUSR1:
            self._replaced_at_s = int(time.time())
        self._door.renew()
        try:
            self._deploy()
            log.info("the replicas are up to date")
        except ClusterError as error:
            log.error("%s", error)


def _closed_door(options: argparse.Namespace) -> Door:
    """Who may come in, checked as for `engine serve --listen`. The port is Ray's to open.

    Raises ListenError or TokenFileError.
    """
    # On a machine of a running cluster an earlier start's proxy may have the port.
    port = options.listen.port if options.cluster is None else 0
    door = Door(Address(options.listen.host, port), access_of(options))
    door.listener.close()
    return door


def _prepare(log_format: LogFormat) -> None:
    """For this process and those that it starts, before the first import of Ray."""
    log_to(None, log_format)
    os.umask(0o077)
    os.environ.update(RAY_SETTINGS)
    os.environ.pop("PYTHONPATH", None)
    # Ray gives the current folder to its workers to import from.
    os.chdir(Path(__file__).resolve().parents[2])


def _version() -> str:
    try:
        return importlib.metadata.version("seedling-lsp")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _why_not(message: str, status: "ServeStatus") -> str:
    """Of a deployment that failed: what a replica said, else what Ray says first."""
    told = [deployment.message for app in status.applications.values() for deployment in app.deployments.values()]
    found = re.search(r"LoadFailed: (.+)", "\n".join([*told, message]))
    return found[1] if found else f"Ray could not start the replicas ({_first_sentence(message)})."


def _first_sentence(message: str) -> str:
    return re.split(r"\.\s|\n", message.strip())[0].rstrip(".")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m model.engine.ray_app",
        description="The engine as replicas in a Ray cluster, until a signal.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--listen", type=address_given, required=True, metavar="HOST:PORT", help="where every machine's proxy listens"
    )
    parser.add_argument("--model", type=_folder, required=True, help="checkpoint folder, the same on all machines")
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="a running Ray cluster: HOST:PORT, or auto on one of its machines"
    )
    parser.add_argument("--min-replicas", type=positive, default=1, metavar="N", help="replicas that always run (1)")
    parser.add_argument("--max-replicas", type=positive, metavar="N", help="as many when it is busy (--min-replicas)")
    parser.add_argument(
        "--per-replica",
        type=positive,
        default=PER_REPLICA,
        metavar="N",
        help=f"connected editors and running requests that a replica is meant for ({PER_REPLICA})",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="auto: GPUs if there are any")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="number format")
    parser.add_argument(
        "--precision", default="auto", choices=("auto", "full", "int8", "fp8"), help="how the weights are held"
    )
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="cores of a replica (1)")
    parser.add_argument("--eager", action="store_true", help="never compile the layers")
    parser.add_argument("--log-format", default="text", choices=("text", "json"), help="json: an object a line")
    parser.add_argument(
        "--drain-s",
        type=positive,
        default=int(DRAIN_TIMEOUT_S),
        metavar="S",
        help=f"how long a replica that leaves waits for its requests ({DRAIN_TIMEOUT_S:.0f})",
    )
    add_access(parser)
    return parser


def _folder(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


if __name__ == "__main__":
    # Not this module, whose name is __main__ here: what Ray's workers get is found by its name.
    from model.engine.ray_app import main as run

    sys.exit(run())
