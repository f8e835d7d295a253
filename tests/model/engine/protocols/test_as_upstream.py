"""Both halves together: the language server's side of each protocol against the engine's side of it."""

import contextlib

import pytest

from lsp_server.engine_client.endpoint import Endpoint
from lsp_server.engine_client.upstream import UpstreamClient
from lsp_server.engine_client.upstream_kinds import Upstream
from model.engine import api

PROMPT = api.Prompt(prefix="def add(a, b):\n", line="    return ", tail="\n\n", suffix="print(add(1, 2))\n")


@pytest.mark.parametrize(
    ("upstream", "path"),
    [
        (Upstream(kind="openai"), "/v1"),
        (Upstream(kind="openai", fim="qwen"), "/v1"),
        (Upstream(kind="openai", fim="codellama"), "/v1"),
        (Upstream(kind="mercury"), "/v1"),
        (Upstream(kind="llama.cpp"), ""),
    ],
)
async def test_a_hole_arrives_as_it_was_sent(served, scripted, upstream, path):
    scripted.text = lambda request, index: "a + b\n"
    client = UpstreamClient(upstream, Endpoint(url=served.url + path, token=served.token))
    try:
        await client.capabilities()
        request = api.DenoiseRequest(id="1", prompt=PROMPT, stop="line", deadline_ms=30_000)
        async with contextlib.aclosing(client.denoise(request)) as events:
            [done] = [event async for event in events]
    finally:
        await client.close()
    assert isinstance(done, api.Done), done
    assert (done.text, done.reason) == ("a + b", "stop")
    [asked] = scripted.requests
    assert asked.prompt.prefix + asked.prompt.line == PROMPT.prefix + PROMPT.line
    assert asked.prompt.tail + asked.prompt.suffix == PROMPT.tail + PROMPT.suffix
    assert (asked.stop, asked.temperature) == ("line", 0.0)


async def test_a_wrong_key_is_noticed(served):
    client = UpstreamClient(Upstream(kind="openai", model="m"), Endpoint(url=f"{served.url}/v1", token="wrong" * 6))
    request = api.DenoiseRequest(id="1", prompt=PROMPT)
    async with contextlib.aclosing(client.denoise(request)) as events:
        [error] = [event async for event in events]
    await client.close()
    assert isinstance(error, api.Error)
    assert error.code == "wrong_token"
