"""Requests as other tools were seen to send them, in shape; and of the answers, what those tools read.

Each shape names the repository, the file and the day or commit it was read at. The texts are ours.
"""

import json

import httpx
import pytest

from model.engine import api

BEFORE = "def add(a, b):\n    return "
AFTER = "\n\nprint(add(1, 2))\n"


async def post(served, path: str, body: dict, **headers: str) -> httpx.Response:
    async with served.http(headers=headers) as http:
        return await http.post(path, json=body)


def events_of(answer: httpx.Response) -> list[dict]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def surroundings(asked: api.DenoiseRequest) -> tuple[str, str]:
    prompt = asked.prompt
    return prompt.prefix + prompt.line, prompt.tail + prompt.suffix


# ggml-org/llama.vim, autoload/llama.vim at a1c8e6e: llama#fim and s:ring_update.
LLAMA_VIM = {
    "id_slot": 0,
    "input_prefix": "import os\n\ndef add(a, b):\n",
    "input_suffix": "\n\nprint(add(1, 2))\n",
    "input_extra": [{"text": "B = 1\n", "time": [1, 2], "filename": "other.py"}],
    "prompt": "    return ",
    "n_predict": 128,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": [
        "content",
        "timings/prompt_n",
        "timings/prompt_ms",
        "timings/prompt_per_token_ms",
        "timings/prompt_per_second",
        "timings/predicted_n",
        "timings/predicted_ms",
        "timings/predicted_per_token_ms",
        "timings/predicted_per_second",
        "truncated",
        "tokens_cached",
    ],
}
LLAMA_VIM_RING = {
    "id_slot": 0,
    "input_prefix": "",
    "input_suffix": "",
    "input_extra": [{"text": "B = 1\n", "time": [1, 2], "filename": "other.py"}],
    "prompt": "",
    "n_predict": 0,
    "temperature": 0.0,
    "samplers": [],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 1,
    "t_max_predict_ms": 1,
    "response_fields": [""],
}


async def test_llama_vim(served, scripted):
    scripted.text = lambda request, index: "a + b\n"
    answer = await post(served, "/infill", LLAMA_VIM)
    assert answer.status_code == 200
    said = answer.json()
    assert said["content"] == "a + b\n"
    assert list(said) == LLAMA_VIM["response_fields"]
    assert all(isinstance(said[field], int | float) for field in said if field.startswith("timings/"))
    [asked] = scripted.requests
    assert surroundings(asked) == ("import os\n\ndef add(a, b):\n    return ", "\n\nprint(add(1, 2))\n")
    assert asked.prompt.snippets == (api.Snippet("other.py", "B = 1\n"),)
    assert (asked.deadline_ms, asked.temperature, asked.top_p) == (1500, 0.0, 0.9)


async def test_llama_vim_warms_a_cache_that_needs_no_warming(served, scripted):
    answer = await post(served, "/infill", LLAMA_VIM_RING)
    assert (answer.status_code, answer.json()) == (200, {})
    assert scripted.requests == []


# ggml-org/llama.vscode, src/llama-server.ts at 3938fb3: createRequestPayload; src/completion.ts: getComplFromContent.
LLAMA_VSCODE = {
    "id_slot": 0,
    "input_prefix": "def add(a, b):\n",
    "input_suffix": AFTER,
    "input_extra": [{"text": "B = 1\n", "time": 1763700000000, "filename": "/home/me/other.py"}],
    "prompt": "    return ",
    "n_predict": 128,
    "n_cmpl": 3,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "n_indent": 4,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
}


async def test_llama_vscode_gets_several(served, scripted):
    scripted.text = lambda request, index: f"text {request.temperature} {index}"
    answer = (await post(served, "/infill", LLAMA_VSCODE)).json()
    assert [result["content"] for result in answer] == ["text 0.0 0", "text 0.8 0", "text 0.8 1"]
    assert answer[0]["timings"]["predicted_n"] == len("text 0.0 0")
    assert answer[0]["tokens_cached"] == 4


async def test_llama_vscode_gets_one(served):
    answer = (await post(served, "/infill", LLAMA_VSCODE | {"n_cmpl": 1})).json()
    assert (answer["content"], answer["stop_type"], answer["stop"]) == ("answer 0", "eos", True)


async def test_llama_vscode_asks_for_the_context(served):
    """src/language-model-token-limits.ts: a model with `meta` is asked for /props."""
    async with served.http() as http:
        [model] = (await http.get("/v1/models")).json()["data"]
        props = (await http.get("/props")).json()
    assert isinstance(model["meta"], dict)
    assert props["default_generation_settings"]["n_ctx"] == 2048


async def test_infill_streams_as_its_readme_says(served, scripted):
    """ggml-org/llama.cpp, tools/server/README.md: pieces without `stop`, then the figures."""
    scripted.text = lambda request, index: "a + bEND"
    answer = await post(served, "/infill", LLAMA_VSCODE | {"n_cmpl": 1, "stream": True, "stop": ["END"]})
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n") if line]
    assert "".join(event["content"] for event in events) == "a + b"
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    assert (events[-1]["stop_type"], events[-1]["stopping_word"]) == ("word", "END")


@pytest.mark.parametrize(
    ("wrong", "status"), [({"n_predict": -2}, 400), ({"n_cmpl": 0}, 400), ({"input_extra": ["text"]}, 400)]
)
async def test_infill_errors_are_llama_cpps(served, wrong, status):
    answer = await post(served, "/infill", LLAMA_VSCODE | wrong)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == (status, "invalid_request_error")
    assert error["message"].endswith(".")


async def test_infill_without_the_key(served):
    answer = await post(served, "/infill", LLAMA_VSCODE, authorization="Bearer wrong")
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


# milanglacier/minuet-ai.nvim, lua/minuet/backends/openai_base.lua and config.lua at 479487c, provider
# openai_fim_compatible; recipes.md: its template for servers that know no suffix.
async def test_minuet(served, scripted):
    scripted.text = lambda request, index: "a + b"
    body = {
        "model": "seedling",
        "stream": True,
        "max_tokens": 56,
        "top_p": 0.9,
        "prompt": f"# language: python\n# indentation: use 4 spaces for a tab\n{BEFORE}",
        "suffix": AFTER,
    }
    events = events_of(await post(served, "/v1/completions", body, accept="application/json"))
    assert "".join(event["choices"][0]["text"] for event in events) == "a + b"
    assert surroundings(scripted.requests[0]) == (BEFORE, AFTER)
    template = f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>"
    events_of(await post(served, "/v1/completions", {"model": "PLACEHOLDER", "stream": True, "prompt": template}))
    assert surroundings(scripted.requests[1]) == (BEFORE, AFTER)


# The same, provider codestral: Mistral's shape (lua/minuet/backends/codestral.lua reads delta.content).
async def test_clients_of_mistrals_protocol(served, scripted):
    scripted.text = lambda request, index: "a + b"
    body = {"model": "codestral-latest", "prompt": BEFORE, "suffix": AFTER, "max_tokens": 64}
    events = events_of(await post(served, "/v1/fim/completions", body | {"stream": True}))
    assert "".join(event["choices"][0]["delta"]["content"] for event in events) == "a + b"
    whole = (await post(served, "/v1/fim/completions", body)).json()
    assert whole["choices"][0]["message"]["content"] == whole["choices"][0]["text"] == "a + b"


# BerriAI/litellm, its test of text-completion-inception: Mercury's own shape.
async def test_clients_of_mercury(served, scripted):
    scripted.text = lambda request, index: "a + b"
    body = {"model": "mercury-edit-2", "prompt": BEFORE, "suffix": "\n", "max_tokens": 20}
    said = (await post(served, "/v1/fim/completions", body)).json()
    assert (said["object"], said["choices"][0]["text"]) == ("text_completion", "a + b")
    await post(served, "/v1/fim/completions", {"model": "mercury-edit-2", "prompt": BEFORE})
    assert scripted.requests[-1].stop == "line"


# continuedev/continue, packages/openai-adapters/src/apis/Inception.ts at 291913d: fimStream.
async def test_continue_as_inception(served, scripted):
    scripted.text = lambda request, index: "a + b\n\nmore"
    body = {
        "model": "seedling",
        "prompt": BEFORE,
        "suffix": "<|endoftext|>",
        "max_tokens": 150,
        "temperature": 0.01,
        "stop": ["\n\n", "\n \n"],
        "stream": True,
    }
    events = events_of(await post(served, "/v1/completions", body, accept="application/json"))
    assert "".join(event["choices"][0]["text"] for event in events) == "a + b"
    assert surroundings(scripted.requests[0]) == (BEFORE, "")


# The same, core/llm/llms/OpenAI.ts at 0069b94 (useLegacyCompletionsEndpoint): the hole in the format that it takes for
# unknown models, the key in two headers.
async def test_continue_as_openai(served, scripted):
    body = {
        "model": "seedling",
        "max_tokens": 256,
        "temperature": 0.01,
        "stop": ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>", "/src/", "#- coding: utf-8", "```"],
        "prompt": f"<fim_prefix>{BEFORE}<fim_suffix>{AFTER}<fim_middle>",
        "stream": True,
    }
    async with httpx.AsyncClient(base_url=served.url) as http:
        answer = await http.post("/v1/completions", json=body, headers={"api-key": served.token})
    assert events_of(answer)[-1]["choices"][0]["finish_reason"] == "stop"
    assert surroundings(scripted.requests[0]) == (BEFORE, AFTER)


# zed-industries/zed, crates/edit_prediction/src/{open_ai_compatible,fim}.rs: RawCompletionRequest, with the
# prompt_format "qwen"; all fields of its RawCompletionResponse but `finish_reason` must be there.
async def test_zed(served, scripted):
    scripted.text = lambda request, index: "a + b"
    others = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<PRE>", "<SUF>", "<MID>", "[PREFIX]", "[SUFFIX]"]
    marks = ["<|endoftext|>", "<|file_separator|>", "<|fim_pad|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
    body = {
        "model": "seedling",
        "prompt": f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>",
        "max_tokens": 256,
        "stop": [*marks, *others],
    }
    said = (await post(served, "/v1/completions", body)).json()
    assert said["choices"][0]["text"] == "a + b"
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(said)
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= set(said["usage"])
    assert surroundings(scripted.requests[0]) == (BEFORE, AFTER)
