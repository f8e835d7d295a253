"""A real engine with a door for others: TLS, tokens, signals, its log. One process for most of it."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import openai
import pytest
import trustme

WAIT_S = 60
ANN, BEN = "anns-token-correct-horse-battery", "bens-token-correct-horse-battery"
BODY = {"id": "1", "prompt": {"line": "secret_name = "}, "canvas": [{"state": "masked", "max_tokens": 2}]}
LONG = {**BODY, "id": "2", "canvas": [{"state": "masked", "max_tokens": 200}], "n": 4, "stop": "eom"}


class Box:
    """An engine process that listens on a free loopback port with TLS."""

    def __init__(self, folder: Path, checkpoint: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.write("localhost", f"ann {ANN}\nben {BEN}\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.command = [
            *(*prefix, sys.executable, "-E", "-P", "-m", "model.engine", "serve", "--model", str(checkpoint)),
            *("--listen", f"127.0.0.1:{self.port}", "--tls-cert", "cert.pem", "--tls-key", "cert.key"),
            *("--token-file", "tokens", "--eager", "--idle-s", "600", *arguments),  # should nobody be left to end it
        ]
        self.errors = (folder / "stderr").open("wb")
        self.process = subprocess.Popen(self.command, cwd=folder, stdout=self.errors, stderr=self.errors)

    def write(self, host: str, tokens: str) -> None:
        issued = self.authority.issue_cert(host)
        (self.folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.folder / "cert.key")
        (self.folder / "tokens").touch(0o600)
        (self.folder / "tokens").write_text(tokens)

    @property
    def trusting(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context

    def http(self, token: str = ANN, **options) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        verify = options.pop("verify", None) or self.trusting
        base_url = options.pop("base_url", f"https://localhost:{self.port}")
        return httpx.Client(base_url=base_url, verify=verify, headers=headers, timeout=60, trust_env=False, **options)

    def status(self, path: str = "/health") -> int | None:
        with self.http("") as http, contextlib.suppress(httpx.TransportError):
            return http.get(path).status_code
        return None

    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()


def until(condition, box: Box):
    end = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert box.process.poll() is None, box.log()
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def box(checkpoint_folder):
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        box = Box(Path(folder), checkpoint_folder, "--log-format", "json")
        try:
            assert until(lambda: box.status() == 200, box)
            until(lambda: box.status("/ready") == 200, box)
            yield box
        finally:
            box.end()


def test_a_completion_over_tls_with_a_token(box):
    with box.http() as http:
        assert http.get("/v1/capabilities").json()["model"] == "tiny"
        lines = http.post("/v1/denoise", json=BODY).text.splitlines()
        assert json.loads(lines[-1])["event"] == "done"


def test_openai_python_completes_with_a_suffix_at_once_and_streaming(box):
    http = openai.DefaultHttpxClient(verify=box.trusting, trust_env=False)
    options = {"base_url": f"https://localhost:{box.port}/v1", "http_client": http, "max_retries": 0}
    with openai.OpenAI(api_key=ANN, **options) as client:
        asked = {"model": "any", "prompt": "def add(a, b):\n    return ", "suffix": "\n\nadd(1, 2)\n", "max_tokens": 4}
        whole = client.completions.create(**asked)
        assert whole.choices[0].finish_reason in ("stop", "length")
        chunks = list(client.completions.create(stream=True, **asked))
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key=f"{ANN}-wrong").completions.create(**asked)


@pytest.mark.parametrize("token", ["", ANN[:-1], ANN.upper(), f"ann {ANN}"])
def test_without_a_token_only_the_probes_answer(box, token):
    with box.http(token) as http:
        for method, path in (("GET", "/metrics"), ("GET", "/v1/attach"), ("POST", "/v1/denoise"), ("GET", "/no")):
            answer = http.request(method, path)
            assert answer.status_code == 401
            assert answer.json()["code"] == "wrong_token"
        assert http.get("/health").status_code == http.get("/ready").status_code == 200


def test_names_that_the_certificate_does_not_hold_are_not_answered(box):
    with box.http() as http:
        assert http.get("/health", headers={"Host": "evil.example"}).status_code == 421
        assert http.get("/health", headers={"Host": f"127.0.0.1:{box.port}"}).status_code == 200


def test_other_authorities_and_old_tls_and_plain_http_get_nothing(box):
    with box.http(verify=ssl.create_default_context()) as http, pytest.raises(httpx.ConnectError, match="certificate"):
        http.get("/health")
    old = box.trusting
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with box.http(verify=old) as http, pytest.raises(httpx.ConnectError):
        http.get("/health")
    with box.http(base_url=f"http://localhost:{box.port}") as http, pytest.raises(httpx.TransportError):
        http.get("/health")
    test_a_completion_over_tls_with_a_token(box)


def test_nobody_ends_it_over_http(box):
    with box.http() as http:
        assert http.post("/v1/drain", json={}).status_code == 403
    assert box.status("/ready") == 200


def test_the_log_is_json_with_names_and_numbers_and_nothing_else(box):
    with box.http(BEN) as http:
        http.post("/v1/denoise", json=BODY)
        http.get("/v1/capabilities", headers={"Authorization": "Bearer wrong-token-wrong-token-wrong"})
    lines = until(lambda: [line for line in map(json.loads, box.log().splitlines()) if "client" in line], box)
    assert {"time", "level", "process", "message", "client", "kind", "outcome", "ms"} == set(lines[-1])
    ended = [line for line in lines if line["client"] == "ben"][-1]
    assert ended["kind"] == "complete"
    assert ended["ms"] > 0
    for secret in ("secret_name", ANN, BEN, "wrong-token"):
        assert secret not in box.log()


def test_a_hangup_reads_tokens_and_certificate_again(box):
    with box.http(BEN) as ben:
        assert ben.get("/v1/capabilities").status_code == 200
        box.authority = trustme.CA()
        box.write("localhost", f"ann {ANN}\n")
        box.process.send_signal(signal.SIGHUP)
        until(lambda: ben.get("/v1/capabilities").status_code == 401, box)  # on the connection that was open
    test_a_completion_over_tls_with_a_token(box)  # the new authority is trusted, the old one would not do
    (box.folder / "tokens").write_text("nonsense\n")
    box.process.send_signal(signal.SIGHUP)
    until(lambda: "stay as they are" in box.log(), box)
    test_a_completion_over_tls_with_a_token(box)
    box.write("localhost", f"ann {ANN}\nben {BEN}\n")
    box.process.send_signal(signal.SIGHUP)
    with box.http(BEN) as ben:
        until(lambda: ben.get("/v1/capabilities").status_code == 200, box)


def test_sigterm_lets_requests_end_and_takes_no_new_ones(checkpoint_folder):
    """Last: as process 1 of its own process namespace, where that may be had."""
    alone = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    may_be_alone = sys.platform == "linux" and not _fails([*alone, "true"])
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        box = Box(Path(folder), checkpoint_folder, "--drain-s", "200", prefix=alone if may_be_alone else ())
        try:
            until(lambda: box.status("/ready") == 200, box)
            engine = _descendants(box.process.pid)
            assert len(engine) == (2 if may_be_alone else 0), "process 1 passes on, its child is the engine"
            with box.http() as http, http.stream("POST", "/v1/denoise", json={**LONG, "want_progress": True}) as answer:
                lines = answer.iter_lines()
                assert json.loads(next(lines))["event"] == "progress"
                os.kill(engine[0] if may_be_alone else box.process.pid, signal.SIGTERM)
                until(lambda: box.status("/ready") == 503, box)
                assert box.status() == 200
                with box.http() as other:
                    refused = other.post("/v1/denoise", json=BODY)
                assert (refused.status_code, refused.json()["code"]) == (503, "draining")
                assert "retry-after" in refused.headers
                events = [json.loads(line) for line in lines]
            assert events[-1]["event"] == "done"
            assert events[-1]["index"] == LONG["n"] - 1
            assert box.process.wait(WAIT_S) == 0
        finally:
            box.end()


def _fails(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode != 0
    except FileNotFoundError:
        return True


def _descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on, the oldest first."""
    found = [pid]
    for parent in found:  # grows while it is read
        for thread in Path(f"/proc/{parent}/task").glob("*"):
            found += map(int, (thread / "children").read_text().split())
    return found[1:]
