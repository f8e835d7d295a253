"""Replicas in a Ray cluster: what is refused before Ray starts, the application object, and (slow) two of them."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from model.engine import ray_app
from model.engine.guard import GuardSettings
from model.engine.ray_app import Scale, application, main
from model.engine.ray_replica import ReplicaChoice, config_of
from model.engine.tokens import single_token

EMBEDDED = Path(ray_app.__file__).resolve().parents[1] / "embedded"
WAIT_S = 120
TOKENS = tuple(f"token-{number:02}-correct-horse-battery" for number in range(12))
CANVAS = [{"state": "masked", "max_tokens": 8}]
BODY = {"prompt": {"prefix": "def add(a, b):\n" * 20, "line": "    return "}, "canvas": CANVAS}


@pytest.fixture
def words(tmp_path) -> list[str]:
    """Arguments that are right."""
    write_tokens(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ["--listen", f"127.0.0.1:{port}", "--model", str(EMBEDDED)]
    return [*where, "--token-file", str(tmp_path / "tokens")]


def write_tokens(folder: Path, tokens: tuple[str, ...] = TOKENS) -> None:
    (folder / "tokens").touch(0o600)
    (folder / "tokens").write_text("".join(f"{token[:8]} {token}\n" for token in tokens))


@pytest.mark.parametrize(
    ("more", "said", "status"),
    [
        (["--listen", "0.0.0.0:0"], "needs --tls-cert and --tls-key", 1),
        (["--token-file", "nowhere"], "cannot be read", 1),
        (["--model", "nowhere"], "'nowhere' is not a folder", 2),
        (["--min-replicas", "none"], "'none' is not a positive whole number", 2),
        (["--device", "tpu"], "invalid choice", 2),
    ],
)
def test_wrong_arguments_get_a_sentence_before_anything_starts(words, more, said, status, capsys, monkeypatch):
    monkeypatch.setattr(ray_app, "_prepare", lambda log_format: pytest.fail("it went on"))
    ended: int | str | None
    try:
        ended = main([*words, *more])
    except SystemExit as leaving:
        ended = leaving.code
    assert ended == status
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_without_ray_a_sentence_says_what_to_install(words, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(ray_app, "_prepare", lambda log_format: None)
    assert main(words) == 1
    assert 'pip install "seedling-lsp[cluster]"' in capsys.readouterr().err


def test_statistics_and_tokens_of_ray_are_said_explicitly(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_app, "log_to", lambda path, log_format: None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_SERVE_SESSION_ID_HEADER_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "something else")
    for name in ray_app.RAY_SETTINGS:
        monkeypatch.setenv(name, "1")
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    try:
        ray_app._prepare("text")
    finally:
        os.umask(before)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_SERVE_SESSION_ID_HEADER_KEY"] == "authorization"
    assert "PYTHONPATH" not in os.environ
    assert (Path.cwd() / "model" / "engine").is_dir(), "workers import from the current folder, which must be ours"


def test_the_application_is_an_object_with_the_scale_that_was_asked_for():
    pytest.importorskip("ray.serve")
    config = config_of(GuardSettings(hosts=frozenset({"box"}), tokens=single_token(TOKENS[0]), is_shared=True))
    scale = Scale(min_replicas=2, max_replicas=5, per_replica=7, cpus=3, gpus=1, drain_s=4)
    choice = ReplicaChoice(model=EMBEDDED)
    engine = application(choice, scale, config)._bound_deployment
    assert engine.name == "Engine"
    assert engine.init_args == (choice,)
    assert engine.user_config == config
    assert engine.ray_actor_options == {"num_cpus": 3, "num_gpus": 1}
    wanted = engine._deployment_config.autoscaling_config
    assert (wanted.min_replicas, wanted.max_replicas, wanted.target_ongoing_requests) == (2, 5, 7)
    assert engine._deployment_config.request_router_config.request_router_class == ray_app.ROUTER
    assert engine._deployment_config.graceful_shutdown_timeout_s > 4

    def version_of(choice: ReplicaChoice) -> str | None:
        return application(choice, scale, {})._bound_deployment._version

    assert version_of(choice) == engine._version, "new tokens replace no replica"
    assert version_of(ReplicaChoice(model=EMBEDDED, replaced_at_s=1)) != engine._version


class Cluster:
    """The command with two replicas of the embedded model, of one thread each, behind TLS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(folder / "cert.key")
        write_tokens(folder)
        self.trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(self.trusting)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-E", "-P", "-m", "model.engine.ray_app", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--model", str(EMBEDDED), "--device", "cpu", "--eager", "--min-replicas", "2", "--drain-s", "2"]
        command += ["--tls-cert", "cert.pem", "--tls-key", "cert.key", "--token-file", "tokens"]
        self.errors = (folder / "stderr").open("wb")
        # A group of its own, so that nothing of Ray is left behind whatever happens.
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=self.errors, stderr=self.errors, start_new_session=True
        )

    def http(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"https://localhost:{self.port}"
        return httpx.Client(base_url=url, verify=self.trusting, headers=headers, timeout=30, trust_env=False)

    def replica_of(self, token: str) -> int:
        """Its process."""
        with self.http(token) as http:
            return http.get("/health").json()["pid"]

    def replicas(self) -> set[int]:
        """Processes that requests without a token reach, which have no replica of their own."""
        with self.http() as http:
            return {http.get("/health").json()["pid"] for _ in range(24)}

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT_S
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, f"the condition never held\n{self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.errors.close()


class Load:
    """One client a token, which asks all the time and retries what failed. `tries` counts each try's end by token."""

    def __init__(self, cluster: Cluster, tokens: list[str]) -> None:
        self.cluster, self.tokens = cluster, tokens
        self.tries: dict[str, Counter[str]] = {token: Counter() for token in tokens}
        self.lost: list[str] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(token,), daemon=True) for token in tokens]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(WAIT_S)

    @property
    def least(self) -> int:
        return min(count["done"] for count in self.tries.values())

    def _ask_on(self, token: str) -> None:
        with self.cluster.http(token) as http:
            number = 0
            while not self._ending.is_set():
                number += 1
                # What asks again: anything but an answer with an end.
                if not any(self._ask(http, token, number) for _ in range(40)):
                    self.lost.append(f"{token} {number}")

    def _ask(self, http: httpx.Client, token: str, number: int) -> bool:
        try:
            answer = http.post("/v1/denoise", json={"id": str(number), **BODY})
            is_done = answer.status_code == 200 and answer.text.rstrip().splitlines()[-1:] != []
            end = json.loads(answer.text.splitlines()[-1])["event"] if is_done else str(answer.status_code)
        except (httpx.TransportError, json.JSONDecodeError) as error:
            end = type(error).__name__
        self.tries[token][end] += 1
        if end != "done":
            self._ending.wait(0.3)
        return end == "done"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("ray.serve")
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.until(lambda: "listening" in cluster.log())
            yield cluster
        finally:
            cluster.end()


@pytest.fixture
def pair(cluster) -> list[str]:
    """Two tokens, each with a replica of its own."""
    by_replica = {cluster.replica_of(token): token for token in TOKENS}
    assert len(by_replica) == 2
    return list(by_replica.values())


@pytest.mark.slow
def test_requests_of_a_token_reach_one_replica_and_find_its_cache(cluster):
    places = set()
    for token in TOKENS:
        with cluster.http(token) as http:
            pids = {http.get("/health").json()["pid"] for _ in range(4)}
            ends = [json.loads(http.post("/v1/denoise", json={"id": "1", **BODY}).text.splitlines()[-1]) for _ in "123"]
        assert len(pids) == 1, "the same client, the same replica"
        places |= pids
        assert ends[0]["cached_tokens"] < ends[0]["prompt_tokens"] // 2, "nobody finds what others sent"
        for end in ends[1:]:
            assert end["cached_tokens"] >= end["prompt_tokens"] - 1
    assert places == cluster.replicas()
    assert len(places) == 2


@pytest.mark.slow
def test_a_killed_replica_loses_no_request_that_is_sent_again(cluster, pair):
    victim, other = (cluster.replica_of(token) for token in pair)
    with Load(cluster, pair) as load:
        cluster.until(lambda: load.least >= 5)
        os.kill(victim, signal.SIGKILL)
        before = load.tries[pair[0]]["done"]
        cluster.until(lambda: load.tries[pair[0]]["done"] >= before + 20)
        cluster.until(lambda: len(cluster.replicas() - {victim}) == 2)
        after = load.least
        cluster.until(lambda: load.least >= after + 5)
    assert load.lost == []
    assert set(load.tries[pair[1]]) == {"done"}, "who was on the other replica notices nothing"
    assert other in cluster.replicas()


@pytest.mark.slow
def test_new_tokens_count_without_a_restart(cluster):
    before = cluster.replicas()
    write_tokens(cluster.folder, TOKENS[1:])
    cluster.process.send_signal(signal.SIGHUP)
    with cluster.http(TOKENS[0]) as old, cluster.http(TOKENS[1]) as kept:
        cluster.until(lambda: old.get("/v1/capabilities").status_code == 401)
        assert kept.get("/v1/capabilities").status_code == 200
        write_tokens(cluster.folder)
        cluster.process.send_signal(signal.SIGHUP)
        cluster.until(lambda: old.get("/v1/capabilities").status_code == 200)
    assert cluster.replicas() == before


@pytest.mark.slow
def test_the_replicas_log_names_and_numbers_and_nothing_else(cluster):
    """On standard error, and in the files that Ray keeps."""
    folder = Path(os.readlink(f"/proc/{cluster.replica_of(TOKENS[0])}/fd/2")).parent
    assert (folder / "serve").is_dir()
    kept = "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
    cluster.until(lambda: f"complete of {TOKENS[0][:8]}" in cluster.log())
    for secret in (*TOKENS, "def add"):
        assert secret not in cluster.log()
        assert secret not in kept


@pytest.mark.slow
def test_replicas_are_replaced_one_by_one_and_nobody_notices(cluster, pair):
    before, num_told = cluster.replicas(), cluster.log().count("up to date")
    with (
        Load(cluster, pair) as load,
        cluster.http(pair[0]) as http,
        http.stream("GET", "/v1/attach", timeout=WAIT_S) as attached,
    ):
        lines = attached.iter_lines()
        assert "attached" in next(lines)
        cluster.process.send_signal(signal.SIGUSR1)
        cluster.until(lambda: len(now := cluster.replicas()) == 2 and not now & before)
        cluster.until(lambda: cluster.log().count("up to date") > num_told)
        assert any('"closing"' in line for line in lines), "its editors are told"
    assert load.lost == []
    assert [set(count) for count in load.tries.values()] == [{"done"}, {"done"}]


@pytest.mark.slow
def test_sigterm_takes_no_new_requests_and_ends_everything(cluster):
    """Last."""
    cluster.process.send_signal(signal.SIGTERM)
    with cluster.http(TOKENS[0]) as http:
        cluster.until(lambda: http.get("/ready").status_code == 503)
        refused = http.post("/v1/denoise", json={"id": "1", **BODY})
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
    assert cluster.process.wait(WAIT_S) == 0
    with pytest.raises(httpx.TransportError), cluster.http() as http:
        http.get("/health")
    alive = subprocess.run(["pgrep", "-g", str(cluster.process.pid)], capture_output=True, text=True, check=False)
    assert alive.stdout == "", "nothing of Ray is left"
