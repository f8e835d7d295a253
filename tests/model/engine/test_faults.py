"""What may happen to a running engine: each fault ends in an answer or a named error, and the next request works.

Real processes over a Unix socket. Further faults: test_http_protocol.py (slow, silent peers), test_remote.py (tokens,
signals, process 1), test_connect.py of the engine client (kill -9), test_guard.py (clocks).
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from model.engine import command

WAIT_S = 60
BODY = {"id": "1", "prompt": {"line": "x = "}, "canvas": [{"state": "masked", "max_tokens": 2}]}
LONG = {**BODY, "canvas": [{"state": "masked", "max_tokens": 200}], "n": 8, "stop": "eom", "want_progress": True}
HEAD = b"POST /v1/denoise HTTP/1.1\r\nHost: seedling\r\n"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


class Engine:
    """A process with a socket in a folder of its own."""

    def __init__(self, folder: Path, checkpoint: Path, *more: str, prefix: tuple[str, ...] = (), **options) -> None:
        self.socket = folder / "e.sock"
        program = ("-c", code) if (code := options.pop("code", "")) else ("-m", "model.engine")
        words = [sys.executable, "-E", "-P", *program, "serve", "--model", str(checkpoint), "--eager"]
        self.errors = folder / "errors"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*prefix, *words, "--socket", str(self.socket), *more], cwd=folder, stderr=errors, **options
            )

    def http(self, timeout_s: float = WAIT_S) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://seedling", timeout=timeout_s)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.errors.read_text()
        with self.http() as http, contextlib.suppress(httpx.TransportError):
            return http.get("/ready").status_code == 200
        return False

    def works(self) -> bool:
        with self.http() as http:
            events = [json.loads(line) for line in http.post("/v1/denoise", json=BODY).text.splitlines()]
        return events[-1]["event"] == "done"

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(WAIT_S)
        connection.connect(str(self.socket))
        return connection

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def until(condition) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)


@contextlib.contextmanager
def running(checkpoint: Path, *arguments: str, **options):
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        engine = Engine(Path(folder), checkpoint, *arguments, **options)
        try:
            until(engine.is_ready)
            yield engine
        finally:
            engine.end()


@pytest.fixture(scope="module")
def engine(checkpoint_folder):
    with running(checkpoint_folder) as engine:
        yield engine


def said(connection: socket.socket) -> bytes:
    """Everything until the engine closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


SENT = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
    "a head without end": (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, b"400"),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
    "a huge length": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", b"413"),
    "a large body": (HEAD + b"Content-Length: 5000000\r\n\r\n" + b"x" * 5_000_000, b"413"),
    "large chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n%b\r\n" % (b"x" * 2**20) * 5 + b"0\r\n\r\n",
        b"413",
    ),
    "no JSON": (HEAD + b"Connection: close\r\nContent-Length: 3\r\n\r\n{]}", b"400"),
    "no text": (HEAD + b"Connection: close\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00\x01", b"400"),
    "deep JSON": (HEAD + b"Connection: close\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000, b"400"),
    "another host": (b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"421"),
    "no host": (b"GET /health HTTP/1.0\r\n\r\n", b"421"),
}


@pytest.mark.parametrize(("sent", "status"), SENT.values(), ids=SENT)
def test_what_is_malformed_or_too_large_gets_a_status(engine, sent, status):
    with engine.connect() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        assert said(connection).split(b" ")[1] == status
    assert engine.works()


def test_a_body_that_breaks_off_is_forgotten(engine):
    with engine.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    assert engine.works()


@pytest.mark.parametrize("num_missing", [0, 1], ids=["a whole request", "a broken one"])
def test_a_socket_that_its_client_has_half_closed_comes_to_an_end(engine, num_missing):
    body = json.dumps(BODY).encode()
    with engine.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body) + num_missing, body))
        connection.shutdown(socket.SHUT_WR)
        said(connection)  # what it still says is its affair; that it ends is what counts
    assert engine.works()


def test_readers_that_stop_do_not_hold_the_others_up(engine):
    body = json.dumps(LONG).encode()
    connections = [engine.connect() for _ in range(3)]
    try:
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert connections[0].recv(10) == b"HTTP/1.1 2"
    finally:
        for connection in connections:
            connection.close()  # and what they had asked for is cancelled
    assert engine.works()


def test_a_thousand_connections(engine):
    connections = [engine.connect() for _ in range(1000)]
    try:
        assert engine.works()
        for connection in connections[::100]:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: seedling\r\n\r\n")
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
    finally:
        for connection in connections:
            connection.close()
    assert engine.works()


def test_of_many_that_start_at_once_one_stays(checkpoint_folder):
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(f"{folder}/e.sock")
        stale.close()
        engines = [Engine(Path(folder), checkpoint_folder) for _ in range(4)]
        try:
            until(lambda: sum(engine.process.poll() == 0 for engine in engines) == 3)
            winner = next(engine for engine in engines if engine.process.poll() is None)
            until(winner.is_ready)
            assert winner.works()
        finally:
            for engine in engines:
                engine.end()


def test_a_stopped_engine_goes_on_where_it_was(engine):
    """Also what a closed laptop lid does."""
    engine.process.send_signal(signal.SIGSTOP)
    try:
        with engine.http(timeout_s=0.3) as http, pytest.raises(httpx.TimeoutException):
            http.get("/health")
    finally:
        engine.process.send_signal(signal.SIGCONT)
    assert engine.works()


JUMPING_CLOCK = """
import itertools, runpy, time
ticks = itertools.cycle([0.0, 4e9, 1e9, -1e9])
time.time = lambda: next(ticks)
runpy.run_module("model.engine", run_name="__main__", alter_sys=True)
"""


def test_a_wall_clock_that_jumps_by_decades(checkpoint_folder):
    with running(checkpoint_folder, "--idle-s", "30", code=JUMPING_CLOCK) as engine:
        for _ in range(3):
            assert engine.works()
        with engine.http() as http:
            answer = http.post("/v1/denoise", json={**BODY, "deadline_ms": 60_000})
            assert json.loads(answer.text.splitlines()[-1])["reason"] != "deadline"
            assert 0 < http.get("/health").json()["uptime_s"] < WAIT_S


@linux_only
def test_a_full_disk_for_the_log(checkpoint_folder):
    with running(checkpoint_folder, "--log", "/dev/full") as engine:
        assert engine.works()
        assert engine.errors.read_text() == ""


def test_a_log_that_cannot_be_made_goes_to_standard_error(checkpoint_folder, tmp_path):
    (tmp_path / "file").touch()
    with running(checkpoint_folder, "--log", str(tmp_path / "file" / "log")) as engine:
        assert engine.works()
        assert "no log at" in engine.errors.read_text()
        assert "Traceback" not in engine.errors.read_text()


@pytest.mark.parametrize("broken", ["take_lock", "bind_unix"])
def test_a_full_disk_for_the_lock_or_the_socket_is_one_sentence(monkeypatch, capfd, tmp_path, broken):
    def full(*_):
        raise OSError(28, "No space left on device")

    tmp_path.chmod(0o700)
    monkeypatch.setattr(command, broken, full)
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    monkeypatch.setattr(command, "quiet_libraries", lambda: None)
    assert command.main(["serve", "--socket", str(tmp_path / "s"), "--model", "m"]) == 1
    assert capfd.readouterr().err == "The engine cannot listen: [Errno 28] No space left on device.\n"


@linux_only
def test_without_a_home_on_a_read_only_disk_as_an_unknown_user(checkpoint_folder):
    """As in a container: process 1, a user that is only a number, and one folder to write in."""
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        script = f'mount --bind {folder} {folder} && mount -o remount,bind,ro / && exec "$@"'
        as_root = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
        prefix = (*as_root, "sh", "-c", script, "sh")
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("this system does not let users make namespaces")
        homeless = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG_")}
        engine = Engine(Path(folder), checkpoint_folder, prefix=prefix, env=homeless)
        try:
            until(engine.is_ready)
            assert engine.works()
            written = {path.name for path in Path(folder).iterdir()}
            assert written == {"e.sock", "e.lock", "errors"}
            assert "Traceback" not in engine.errors.read_text()
        finally:
            engine.end()


@linux_only
def test_process_1_takes_in_orphans_and_ends_as_its_child_does():
    code = """
import os, subprocess, time
from model.engine.init_process import leave_process_one
assert os.getpid() == 1
leave_process_one()
assert os.getpid() != 1 and os.getppid() == 1
orphan = int(subprocess.run(["sh", "-c", "sleep 0.05 & echo $!"], capture_output=True, text=True).stdout)
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        os.kill(orphan, 0)  # a zombie can still be signalled
    except ProcessLookupError:
        os._exit(7)
    time.sleep(0.01)
"""
    command_words = ["unshare", "--user", "--map-root-user", "--pid", "--fork", sys.executable, "-E", "-P", "-c", code]
    done = subprocess.run(command_words, capture_output=True, text=True, timeout=WAIT_S, check=False)
    if "unshare" in done.stderr:
        pytest.skip("this system does not let users make namespaces")
    assert (done.returncode, done.stderr) == (7, "")
