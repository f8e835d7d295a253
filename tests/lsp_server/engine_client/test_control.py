"""What the command line does with an engine."""

import stat
import subprocess
import sys

import httpx
import msgspec
import pytest

from lsp_server.engine_client import control
from lsp_server.engine_client.endpoint import local_endpoint, open_http_blocking
from model.engine import api


def test_status_start_restart_stop(place, pids):
    assert control.status().health is None
    assert control.stop() is False
    started = control.start()
    assert started.health is not None
    assert started.health.status == "ready"
    assert started.model == place.model
    assert control.start().health is not None
    assert len(pids()) == 1
    restarted = control.restart()
    assert restarted.health is not None
    assert pids() == [started.health.pid, restarted.health.pid]
    assert control.stop() is True
    assert control.status().health is None
    assert not place.socket.exists()
    assert control.log_path() == place.log
    assert stat.S_IMODE(place.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stderr.stat().st_mode) == 0o600


def test_the_tokens_of_prompts_are_what_the_engine_counted(place):
    assert control.prompt_tokens() is None
    control.start()
    assert control.prompt_tokens() == control.PromptTokens(0, 0)
    request = api.DenoiseRequest(id="1", prompt=api.Prompt(line="x = ("), canvas=(api.Masked(max_tokens=2),))
    endpoint = local_endpoint(place)
    assert endpoint is not None
    with open_http_blocking(endpoint) as http:
        for _ in range(2):
            answer = http.post("/v1/denoise", content=msgspec.json.encode(request))
    done = api.decode_event(answer.content.splitlines()[-1])
    assert isinstance(done, api.Done)
    assert control.prompt_tokens() == control.PromptTokens(2 * done.prompt_tokens, done.prompt_tokens)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "seedling_prompt_tokens_total x",
        "seedling_prompt_tokens_total",
        "<html>\n",
        "seedling_prompt_tokens_total 4.0",
    ],
)
def test_metrics_of_something_else_are_no_figures(place, monkeypatch, answer):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=answer))
    monkeypatch.setattr(control, "local_endpoint", lambda paths: "somewhere")
    monkeypatch.setattr(
        control, "open_http_blocking", lambda endpoint: httpx.Client(transport=transport, base_url="http://seedling")
    )
    assert control.prompt_tokens() is None


def test_serving_in_the_foreground_returns_the_exit_status(place, pids):
    code = "import sys; from lsp_server.engine_client.control import serve; sys.exit(serve(idle_s=0.2))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(pids()) == 1
