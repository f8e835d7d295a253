"""Real engine processes, spoken to as any HTTP client would."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

WAIT_S = 60


@pytest.fixture
def runtime():
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        yield Path(folder)


@pytest.fixture
def start(runtime, checkpoint_folder):
    """start(*arguments) → a process; every one is killed at the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def launch(*arguments: str, listen: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-E", "-P", "-m", "model.engine", "serve", "--model", str(checkpoint_folder)]
        command += [*(listen or ("--socket", str(runtime / "e.sock"))), "--log", str(runtime / "log"), *arguments]
        process = subprocess.Popen(command, cwd=runtime, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        processes.append(process)
        return process

    yield launch
    for process in processes:
        process.kill()
        process.communicate()


def poll(condition, process: subprocess.Popen[bytes] | None = None):
    end = time.monotonic() + WAIT_S
    while True:
        value = condition()
        if value:
            return value
        if process is not None and process.poll() is not None:
            pytest.fail(f"the engine ended: {process.communicate()[0].decode()}")
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)


def ask(runtime: Path, method: str = "GET", path: str = "/health", **options):
    """The answer, or None when nobody listens."""
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(runtime / "e.sock")), base_url="http://seedling", timeout=10
    ) as http:
        try:
            return http.request(method, path, **options)
        except httpx.TransportError:
            return None


def status(runtime: Path) -> str | None:
    answer = ask(runtime)
    return None if answer is None else answer.json()["status"]


def test_health_answers_while_loading_and_the_engine_drains(start, runtime):
    process = start()
    first = poll(lambda: status(runtime), process)
    assert first == "loading"  # importing torch takes longer than answering
    poll(lambda: status(runtime) == "ready", process)
    assert stat.S_IMODE((runtime / "e.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((runtime / "log").stat().st_mode) == 0o600
    body = {"id": "1", "prompt": {"line": "secret_name = "}, "canvas": [{"state": "masked", "max_tokens": 2}]}
    answer = ask(runtime, "POST", "/v1/denoise", json=body)
    assert json.loads(answer.text.splitlines()[-1])["event"] == "done"
    ask(runtime, "POST", "/v1/drain", json={"reason": "stop"})
    assert process.wait(WAIT_S) == 0
    assert not (runtime / "e.sock").exists()
    log = (runtime / "log").read_text()
    assert "ready" in log
    assert "ending: stop" in log
    assert "secret_name" not in log


def test_the_second_engine_leaves_with_status_0_and_the_first_stays(start, runtime):
    first = start()
    poll(lambda: status(runtime), first)
    inode = (runtime / "e.sock").stat().st_ino
    second = start()
    output, _ = second.communicate(timeout=WAIT_S)
    assert second.returncode == 0, output.decode()
    assert (runtime / "e.sock").stat().st_ino == inode
    assert status(runtime) is not None


def test_the_socket_of_a_killed_engine_is_replaced(start, runtime):
    first = start()
    poll(lambda: status(runtime), first)
    first.kill()
    first.wait()
    assert (runtime / "e.sock").exists()
    assert status(runtime) is None
    second = start()
    poll(lambda: status(runtime), second)
    assert ask(runtime).json()["pid"] == second.pid


def test_it_ends_when_idle(start, runtime):
    process = start("--idle-s", "1")
    assert process.wait(WAIT_S) == 0
    assert "ending: idle" in (runtime / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_although_a_client_is_attached(start, runtime, number):
    process = start()
    poll(lambda: status(runtime), process)
    with (
        httpx.Client(
            transport=httpx.HTTPTransport(uds=str(runtime / "e.sock")), base_url="http://seedling", timeout=30
        ) as http,
        http.stream("GET", "/v1/attach") as answer,
    ):
        lines = answer.iter_lines()
        assert json.loads(next(lines)) == {"event": "attached"}
        process.send_signal(number)
        assert json.loads(next(lines)) == {"event": "closing", "reason": "signal"}
    assert process.wait(WAIT_S) == 0
    assert not (runtime / "e.sock").exists()


def test_a_missing_checkpoint_is_told_by_health(runtime, start):
    process = start("--model", str(runtime / "none"))
    poll(lambda: status(runtime) == "failed", process)
    assert ask(runtime).json()["sentence"] == f"There is no checkpoint folder at {runtime / 'none'}."
    assert process.wait(WAIT_S) == 0


def test_loopback_tcp_wants_its_token(start, runtime):
    endpoint = runtime / "e.endpoint"
    process = start(listen=("--tcp", "127.0.0.1:0", "--endpoint-file", str(endpoint)))
    poll(endpoint.exists, process)
    told = json.loads(endpoint.read_text())
    with httpx.Client(base_url=told["url"], timeout=30, trust_env=False) as http:
        assert http.get("/health").status_code == 200
        assert http.post("/v1/drain", json={}).status_code == 401
        assert http.get("/health", headers={"Host": "evil.example"}).status_code == 421
        assert http.post("/v1/drain", json={}, headers={"Authorization": f"Bearer {told['token']}"}).status_code == 200
    assert process.wait(WAIT_S) == 0
    assert not endpoint.exists()


@pytest.mark.parametrize(
    ("arguments", "status_code", "sentence"),
    [
        (["--tcp", "0.0.0.0:80", "--endpoint-file", "x", "--model", "m"], 2, "loopback only"),
        (["--tcp", "127.0.0.1:0", "--model", "m"], 2, "--tcp needs --endpoint-file"),
        (["--model", "m"], 2, "one of the arguments --socket --tcp --listen is required"),
        (["--socket", "{open}/e.sock", "--model", "m"], 1, "mode 0700"),
        (["--socket", "{long}/e.sock", "--model", "m"], 1, "cannot listen"),
    ],
)
def test_wrong_arguments_are_one_sentence(tmp_path, arguments, status_code, sentence):
    (tmp_path / "open").mkdir(mode=0o755)
    long = tmp_path / ("x" * 100)
    long.mkdir(mode=0o700)
    command = [sys.executable, "-E", "-P", "-m", "model.engine", "serve"]
    command += [a.format(open=tmp_path / "open", long=long) for a in arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == status_code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_in_the_current_folder_or_pythonpath_is_imported(runtime, checkpoint_folder):
    for name in ("model.py", "msgspec.py", "torch.py", "sitecustomize.py"):
        (runtime / name).write_text("raise SystemExit(77)\n")
    command = [sys.executable, "-E", "-P", "-m", "model.engine", "serve", "--socket", str(runtime / "e.sock")]
    command += ["--model", str(checkpoint_folder), "--idle-s", "0.2"]
    environment = {**os.environ, "PYTHONPATH": str(runtime)}
    done = subprocess.run(command, cwd=runtime, env=environment, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
