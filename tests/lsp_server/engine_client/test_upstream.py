"""Another server in the engine's place, on a socket: what it is asked, and what becomes of recorded replies."""

import asyncio
import contextlib
import json
import socket

import msgspec
import pytest
import uvicorn

from lsp_server.engine_client.connect import connect
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_link import EngineLink, EngineTrouble
from lsp_server.outcome import Reason
from model.engine import api

PROMPT = api.Prompt(
    path="a.py",
    prefix="def add(a, b):\n",
    line="    return ",
    tail="\n\n",
    suffix="print(add(1, 2))\n",
    snippets=(api.Snippet("b.py", "B = 1\n"),),
)
BEFORE, AFTER = PROMPT.prefix + PROMPT.line, PROMPT.tail + PROMPT.suffix
KEY = "sk-of-this-test"


def sse(*events: dict | str) -> bytes:
    lines = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def completion(text: str, reason: str | None = None, **more) -> dict:
    """A chunk as vLLM 0.9 and SGLang send it."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason, "stop_reason": None}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], **more}


# llama.cpp's server, build 8681: /infill with stream.
LLAMA_CPP = sse(
    {"index": 0, "content": "a", "tokens": [64], "stop": False, "id_slot": -1, "tokens_predicted": 1},
    {"index": 0, "content": " + b", "tokens": [489], "stop": False, "id_slot": -1, "tokens_predicted": 2},
    {
        "index": 0,
        "content": "",
        "tokens": [],
        "id_slot": 0,
        "stop": True,
        "model": "q.gguf",
        "tokens_predicted": 3,
        "tokens_evaluated": 21,
        "stop_type": "eos",
        "stopping_word": "",
        "tokens_cached": 23,
        "truncated": False,
    },
)
OPENAI = sse(
    completion("a"),
    completion(" + b", None),
    completion("", "stop"),
    completion("", None, choices=[], usage={"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24})
    | {"choices": []},
    "[DONE]",
)
# Inception's own answer to a request that is not streamed.
MERCURY = json.dumps(completion("a + b", "stop", usage={"prompt_tokens": 5, "completion_tokens": 3})).encode()
MODELS = json.dumps({"object": "list", "data": [{"id": "the-one", "object": "model"}]}).encode()


class OtherServer:
    """Answers with what it is told; `asked` has (method, path, headers, body)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], dict]] = []
        self.reply = (200, "text/event-stream", OPENAI)
        self.models = (200, "application/json", MODELS)
        self.headers: list[tuple[bytes, bytes]] = []
        self.stays_open = False
        self.num_left = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def questions(self) -> list[dict]:
        return [body for method, _, _, body in self.asked if method == "POST"]

    async def __call__(self, scope, receive, send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["method"], scope["path"], headers, json.loads(body or b"{}")))
        status, kind, content = self.reply if scope["method"] == "POST" else self.models
        sent = [(b"content-type", kind.encode()), *self.headers]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": content, "more_body": self.stays_open})
        if self.stays_open:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.num_left += 1


@pytest.fixture
async def other(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN", KEY)
    monkeypatch.delenv("SEEDLING_MODEL", raising=False)
    server = OtherServer()
    monkeypatch.setenv("SEEDLING_ENGINE", server.url)
    running = uvicorn.Server(
        uvicorn.Config(server, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1)
    )
    task = asyncio.ensure_future(running._serve(sockets=[server.listener]))
    yield server
    running.should_exit = True
    await task


@pytest.fixture
async def open_as(other, monkeypatch):
    """open_as(kind, **of EngineChoice) → a client."""
    clients = []

    async def open_it(kind: str, **more: str):
        monkeypatch.setenv("SEEDLING_ENGINE_UPSTREAM", kind)
        for name, value in more.items():
            monkeypatch.setenv(f"SEEDLING_ENGINE_{name.upper()}", value)
        clients.append(await connect())
        return clients[-1]

    yield open_it
    for client in clients:
        await client.close()


def ask(**fields) -> api.DenoiseRequest:
    return api.DenoiseRequest(**{"id": "1", "prompt": PROMPT, "stop": "line", "deadline_ms": 30_000, **fields})


async def answers(client, request: api.DenoiseRequest) -> list[api.Event]:
    async with contextlib.aclosing(client.denoise(request)) as events:
        return [event async for event in events]


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_openai_server(other, open_as):
    client = await open_as("openai")
    known = await client.capabilities()
    assert (known.model, known.device) == ("the-one", "openai")
    assert (known.rewrite, known.fix, known.mend, known.next_edit) == ("none", False, False, False)
    [done] = await answers(client, ask())
    assert (done.text, done.reason, done.num_tokens, done.prompt_tokens) == ("a + b", "eom", 3, 21)
    (_, path, headers, body) = other.asked[-1]
    assert path == "/v1/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "the-one",
        "prompt": BEFORE,
        "suffix": AFTER,
        "max_tokens": 64,
        "temperature": 0.0,
        "stream": True,
    }


async def test_an_openai_server_that_knows_no_suffix(other, open_as):
    client = await open_as("openai", fim="qwen", upstream_model="q")
    await answers(client, ask(n=2, temperature=0.5, top_p=0.9, seed=7))
    bodies = sorted(other.questions, key=lambda body: body["seed"])
    assert [body["seed"] for body in bodies] == [7, 8]
    body = bodies[0]
    files = "<|repo_name|>workspace\n<|file_sep|>b.py\nB = 1\n\n<|file_sep|>a.py\n"
    assert body["prompt"] == f"{files}<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>"
    assert "suffix" not in body
    assert len(body["stop"]) <= 4
    assert (body["model"], body["temperature"], body["top_p"]) == ("q", 0.5, 0.9)


async def test_mercury(other, open_as):
    other.reply = (200, "application/json", MERCURY)
    other.models = (404, "application/json", b"{}")
    client = await open_as("mercury")
    assert client.is_metered
    assert (await client.capabilities()).model == "mercury-edit-2"
    [done] = await answers(client, ask(stop="node"))
    assert (done.text, done.prompt_tokens) == ("a + b", 5)
    (_, path, _, body) = other.asked[-1]
    assert path == "/fim/completions"
    assert (body["model"], body["prompt"], body["suffix"], body["max_tokens"]) == ("mercury-edit-2", BEFORE, AFTER, 128)
    assert "temperature" not in body


async def test_llama_cpp(other, open_as):
    other.reply = (200, "text/event-stream", LLAMA_CPP)
    client = await open_as("llama.cpp")
    await client.capabilities()
    assert other.asked[-1][1] == "/props"
    [done] = await answers(client, ask(canvas=(api.Masked(max_tokens=9),)))
    assert (done.text, done.reason, done.num_tokens, done.prompt_tokens) == ("a + b", "eom", 3, 21)
    (_, path, _, body) = other.asked[-1]
    assert path == "/infill"
    assert (body["input_prefix"], body["prompt"], body["input_suffix"]) == (PROMPT.prefix, PROMPT.line, AFTER)
    assert body["input_extra"] == [{"filename": "b.py", "text": "B = 1\n"}]
    assert body["n_predict"] == 9


@pytest.mark.parametrize(
    ("stop", "text", "expected"),
    [
        ("line", "a + b\nprint(1)\n", "a + b"),
        ("node", "[\n        a,\n    ]\n\nprint(1)\n", "[\n        a,\n    ]"),
        ("eom", "a\nb\n", "a\nb\n"),
    ],
)
async def test_the_stop_rule_ends_the_stream(other, open_as, stop, text, expected):
    events = [completion(text[i : i + 3]) for i in range(0, len(text), 3)]
    other.reply = (200, "text/event-stream", sse(*events) + (sse("[DONE]") if stop == "eom" else b""))
    other.stays_open = stop != "eom"
    [done] = await answers(await open_as("openai", upstream_model="m"), ask(stop=stop))
    assert (done.text, done.reason) == (expected, "eom" if stop == "eom" else "stop")
    if other.stays_open:
        await until(lambda: other.num_left == 1)


async def test_the_deadline_gives_what_has_come(other, open_as):
    other.reply, other.stays_open = (200, "text/event-stream", sse(completion("a +"))), True
    client = await open_as("openai", upstream_model="m")
    [done] = await answers(client, ask(deadline_ms=500))
    assert (done.text, done.reason) == ("a +", "deadline")
    await until(lambda: other.num_left == 1)


async def test_a_cut_text_has_a_length(other, open_as):
    other.reply = (200, "text/event-stream", sse(completion("a"), completion("", "length"), "[DONE]"))
    [done] = await answers(await open_as("openai", upstream_model="m"), ask())
    assert (done.text, done.reason) == ("a", "length")


@pytest.mark.parametrize(
    "request_",
    [
        ask(canvas=(api.Draft("x = 1\n"),)),
        ask(canvas=(api.Masked(), api.Locked("x"))),
        ask(prompt=msgspec.structs.replace(PROMPT, instruction="rename")),
    ],
)
async def test_what_it_cannot_is_never_sent(other, open_as, request_):
    client = await open_as("openai", upstream_model="m")
    [error] = await answers(client, request_)
    assert (error.code, error.sentence) == ("unsupported", "This server completes code and does nothing else.")
    async with contextlib.aclosing(client.repair(api.RepairRequest(id="1", text="x"))) as events:
        assert [event.code async for event in events] == ["unsupported"]
    assert other.questions == []


@pytest.mark.parametrize(
    ("reply", "code", "part"),
    [
        ((400, "application/json", b'{"error": {"message": "suffix is not currently\\n supported"}}'), "upstream_error",
         "says 400: suffix is not currently supported."),
        ((400, "application/json", b'{"object": "error", "message": "No."}'), "upstream_error", "says 400: No."),
        ((422, "application/json", b'{"detail": [1]}'), "upstream_error", "says 422."),
        ((500, "text/html", b"<html>"), "upstream_error", "says 500."),
        ((429, "application/json", b"{}"), "too_many", "says 429."),
        ((401, "application/json", b"{}"), "wrong_token", "does not accept the key."),
        ((200, "text/event-stream", sse({"error": {"message": "KV full"}})), "upstream_error", "fails: KV full."),
        ((200, "text/html", b"<html>"), "foreign_answer", "does not speak the protocol of openai."),
        ((200, "text/event-stream", b"data: {\n\n"), "foreign_answer", "does not speak"),
        ((200, "application/json", b"{" + b" " * 300_000), "foreign_answer", "does not speak"),
        ((200, "text/event-stream", b"data: " + b" " * 300_000), "foreign_answer", "does not speak"),
    ],
)  # fmt: skip
async def test_errors_are_one_sentence(other, open_as, reply, code, part):
    other.reply = reply
    [error] = await answers(await open_as("openai", upstream_model="m"), ask())
    assert error.code == code
    assert part in error.sentence
    assert error.sentence.endswith(".")
    assert "\n" not in error.sentence
    assert KEY not in error.sentence


async def test_a_key_that_was_refused_is_not_tried_again(other, open_as):
    other.reply = (401, "application/json", b"{}")
    client = await open_as("openai")
    await client.capabilities()  # the models are shown to anybody
    await answers(client, ask())
    with pytest.raises(EngineUnavailable) as raised:
        await client.capabilities()
    assert raised.value.reason == "bad_token"


async def test_whoever_has_time_asks_again_when_the_server_wants(other, open_as, monkeypatch):
    monkeypatch.setattr("lsp_server.engine_client.pause.LONGEST_S", 0.02)
    client = await open_as("openai")
    client.on_pause = lambda seconds: setattr(other, "reply", (200, "text/event-stream", OPENAI))
    other.headers = [(b"retry-after", b"30")]
    other.reply = (503, "text/html", b"busy")
    assert [event.text for event in await answers(client, ask())] == ["a + b"]


async def test_a_pause_is_kept(other, open_as):
    client = await open_as("openai")
    told: list[float] = []
    client.on_pause = told.append
    other.headers = [(b"retry-after", b"30")]
    other.reply = (429, "application/json", b"{}")
    (error,) = await answers(client, ask(deadline_ms=400))
    assert error.code == "too_many"
    num_asked = len(other.asked)
    (error,) = await answers(client, ask(deadline_ms=400))
    assert "is not asked for" in error.sentence
    assert (len(other.asked), len(told)) == (num_asked, 1)


async def test_a_text_without_an_end_has_one(other, open_as):
    other.reply, other.stays_open = (200, "text/event-stream", sse(*[completion("x" * 10_000)] * 8)), True
    [done] = await answers(await open_as("openai", upstream_model="m"), ask())
    assert (len(done.text), done.reason) == (70_000, "length")


async def test_a_redirect_is_not_followed(other, open_as):
    elsewhere = OtherServer()
    other.reply = (307, "text/plain", b"")
    other.headers = [(b"location", f"{elsewhere.url}/v1/completions".encode())]
    client = await open_as("openai", upstream_model="m")
    [error] = await answers(client, ask())
    assert "leads elsewhere, where no key is sent" in error.sentence
    other.models = other.reply
    with pytest.raises(EngineUnavailable, match="leads elsewhere"):
        await client.capabilities()
    elsewhere.listener.close()


@pytest.mark.parametrize(
    ("models", "reason", "part"),
    [
        ((401, "application/json", b"{}"), "bad_token", "does not accept the key"),
        ((503, "application/json", b"{}"), "offline", "it says 503"),
        ((404, "application/json", b"{}"), "bad_address", "engine.upstream_model must name"),
        ((200, "application/json", b'{"data": [{"id": "a"}, {"id": "b"}]}'), "bad_address", "must name"),
    ],
)
async def test_a_server_that_cannot_be_used_says_why(other, open_as, models, reason, part):
    other.models = models
    client = await open_as("openai")
    with pytest.raises(EngineUnavailable, match=part) as raised:
        await client.capabilities()
    assert raised.value.reason == reason


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"kind": "ollama"}, "engine.upstream must be seedling, openai, mercury, llama.cpp"),
        ({"kind": "openai", "fim": "none"}, "engine.fim must be one of suffix"),
    ],
)
async def test_what_means_nothing_is_refused(open_as, more, part):
    with pytest.raises(EngineUnavailable, match=part) as raised:
        await open_as(more.pop("kind"), **more)
    assert raised.value.reason == "bad_address"


async def test_a_key_never_travels_in_the_open(open_as, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE", "http://example.org/v1")
    with pytest.raises(EngineUnavailable, match="https:// only"):
        await open_as("openai")
    monkeypatch.setenv("SEEDLING_ENGINE", "https://user:secret@example.org/v1")
    with pytest.raises(EngineUnavailable, match="holds more than"):
        await open_as("openai")


async def test_without_a_place_only_mercury_has_one(open_as, monkeypatch):
    monkeypatch.delenv("SEEDLING_ENGINE")
    with pytest.raises(EngineUnavailable, match=r"no engine\.url says where"):
        await open_as("openai")
    client = await open_as("mercury")
    assert client._where == "https://api.inceptionlabs.ai/v1"


async def test_the_link_says_what_is_there_and_what_it_lacks(other, open_as, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE_UPSTREAM", "mercury")
    link = EngineLink(lambda state: None)
    link.start()
    await until(lambda: link.state.kind == "ready")
    assert (link.state.completes_only, link.state.is_metered) == (True, True)
    assert [done.text for done in await link.ask(ask())] == ["a + b"]
    other.reply = (429, "application/json", b"{}")
    with pytest.raises(EngineTrouble) as raised:
        await link.ask(ask())
    assert raised.value.reason is Reason.BUSY
    await link.close()


async def test_a_server_that_is_gone_is_offline(open_as, monkeypatch):
    nobody = OtherServer()
    nobody.listener.close()
    monkeypatch.setenv("SEEDLING_ENGINE", nobody.url)
    client = await open_as("openai", upstream_model="m")
    with pytest.raises(EngineUnavailable, match="does not answer") as raised:
        await client.capabilities()
    assert raised.value.reason == "offline"
    with pytest.raises(EngineUnavailable):
        await answers(client, ask())
