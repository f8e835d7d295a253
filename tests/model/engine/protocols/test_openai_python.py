"""OpenAI's own client against the app on a socket: what it sends is understood, and what it gets is what it expects."""

import asyncio

import httpx
import openai
import pytest

from model.engine import api

BEFORE = "def add(a, b):\n    return "
AFTER = "\n\nprint(add(1, 2))\n"


@pytest.fixture
def client(served):
    return open_client(served)


def open_client(served, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key or served.token, max_retries=0, timeout=30)


async def test_a_suffix_makes_a_hole(client, scripted):
    scripted.text = lambda request, index: "a + b"
    answer = await client.completions.create(model="any", prompt=BEFORE, suffix=AFTER, max_tokens=32)
    [choice] = answer.choices
    assert (choice.text, choice.finish_reason, choice.index) == ("a + b", "stop", 0)
    assert (answer.object, answer.model) == ("text_completion", "scripted")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 5, 15)
    [asked] = scripted.requests
    assert asked.prompt.prefix + asked.prompt.line == BEFORE
    assert asked.prompt.tail + asked.prompt.suffix == AFTER
    assert (asked.stop, asked.canvas, asked.temperature) == ("line", (api.Masked(max_tokens=32),), 0.0)


async def test_the_same_streamed(client, scripted):
    scripted.text = lambda request, index: "total = a + b\nreturn total\n"
    stream = await client.completions.create(
        model="any", prompt=BEFORE, suffix=AFTER, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(piece.text for piece in pieces) == "total = a + b\nreturn total\n"
    assert len(pieces) > 3
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 27
    assert len({chunk.id for chunk in chunks}) == 1


async def test_an_empty_block_is_filled_as_a_whole(client, scripted):
    await client.completions.create(model="any", prompt="def f():\n    ", suffix="\n\nf()\n")
    await client.completions.create(model="any", prompt="Once", max_tokens=3)
    await client.completions.create(model="any", prompt="Once")
    assert [asked.stop for asked in scripted.requests] == ["node", "eom", "eom"]
    assert [asked.canvas[0].max_tokens for asked in scripted.requests] == [None, 3, 16]


async def test_several_are_the_likeliest_and_then_others(client, scripted):
    scripted.text = lambda request, index: f"t{request.temperature}s{request.seed}i{index}"
    answer = await client.completions.create(model="any", prompt="x", n=3, seed=7)
    assert [choice.text for choice in answer.choices] == ["t0.0s7i0", "t0.8s8i0", "t0.8s8i1"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.prompt_tokens == 10


async def test_several_streamed_keep_their_numbers(client, scripted):
    scripted.text = lambda request, index: f"text {request.temperature} {index}"
    stream = await client.completions.create(model="any", prompt="x", n=3, stream=True)
    texts = ["", "", ""]
    async for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == ["text 0.0 0", "text 0.8 0", "text 0.8 1"]


async def test_best_of_gives_the_surest(client):
    answer = await client.completions.create(model="any", prompt="x", n=1, best_of=3, temperature=1.0)
    assert [choice.text for choice in answer.choices] == ["answer 2"]
    assert answer.usage.completion_tokens == 3 * len("answer 0")


async def test_a_list_of_prompts_is_answered_in_order(client, scripted):
    scripted.text = lambda request, index: request.prompt.line + "!"
    answer = await client.completions.create(model="any", prompt=["a", "b"], n=2, temperature=0.5, echo=True)
    assert [choice.text for choice in answer.choices] == ["aa!", "aa!", "bb!", "bb!"]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_stop_strings_end_the_text_and_the_work(client, scripted, is_streamed):
    scripted.text, scripted.is_endless = lambda request, index: "one two END", True
    answer = await client.completions.create(model="any", prompt="x", stop=["nothing", "END"], stream=is_streamed)
    if is_streamed:
        choices = [chunk.choices[0] async for chunk in answer]
        text, reason = "".join(choice.text for choice in choices), choices[-1].finish_reason
    else:
        text, reason = answer.choices[0].text, answer.choices[0].finish_reason
    assert (text, reason) == ("one two ", "stop")
    assert scripted.ends == ["cancelled"]


async def test_the_work_ends_when_every_alternative_has_met_its_stop_string(client, scripted):
    scripted.text, scripted.is_endless = lambda request, index: f"{index} " * (5 * index + 1) + "END", True
    answer = await client.completions.create(model="any", prompt="x", n=3, temperature=1.0, stop="END")
    assert [choice.text for choice in answer.choices] == ["0 ", "1 " * 6, "2 " * 11]
    assert [choice.finish_reason for choice in answer.choices] == ["stop"] * 3
    assert scripted.ends == ["cancelled"] * 3


async def test_as_many_stop_strings_as_zed_sends(client):
    assert (await client.completions.create(model="any", prompt="x", stop=["s"] * 14)).choices[0].text == "an"


async def test_a_seed_is_kept_and_without_one_there_is_some(client, scripted):
    for seed in (5, -1, None):
        await client.completions.create(model="any", prompt="x", temperature=1.0, seed=seed)
    seeds = [asked.seed for asked in scripted.requests]
    assert seeds[0] == 5
    assert all(0 <= seed < 2**31 for seed in seeds)


async def test_logprobs_are_of_the_text_that_is_left(client, scripted):
    scripted.text = lambda request, index: "abcXd"
    plain = await client.completions.create(model="any", prompt="x", logprobs=0, stop="X")
    assert plain.choices[0].logprobs.tokens == ["a", "b", "c"]
    assert plain.choices[0].logprobs.token_logprobs == [-1.0] * 3
    assert plain.choices[0].logprobs.text_offset == [0, 1, 2]
    assert plain.choices[0].logprobs.top_logprobs is None
    wide = await client.completions.create(model="any", prompt="x", logprobs=1, stream=True)
    chunks = [chunk async for chunk in wide]
    assert [chunk.choices[0].logprobs is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].choices[0].logprobs.top_logprobs == [{"z": -2.0}] * 5
    assert [asked.logprobs for asked in scripted.requests] == [0, 1]


async def test_no_tokens_are_no_question(client, scripted):
    answer = await client.completions.create(model="any", prompt="abc", max_tokens=0, echo=True)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("abc", "length")
    stream = await client.completions.create(model="any", prompt="abc", max_tokens=0, stream=True)
    assert [chunk.choices[0].finish_reason async for chunk in stream] == ["length"]
    assert scripted.requests == []


async def test_models(client):
    [model] = (await client.models.list()).data
    assert (model.id, model.object, model.owned_by) == ("scripted", "model", "seedling")


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"prompt": [1, 2]}, "Expected `str`"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"logprobs": 6}, "logprobs"),
        ({"temperature": -1}, "temperature"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"stop": ["a"] * 33}, "stop"),
        ({"stop": ""}, "stop"),
    ],
)
async def test_what_is_not_offered_is_one_sentence(client, wrong, part):
    with pytest.raises(openai.BadRequestError) as raised:
        await client.completions.create(**{"model": "any", "prompt": "x", **wrong})
    error = raised.value.body
    assert part in error["message"]
    assert error["message"].endswith(".")
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "bad_request"


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"n": 3, "best_of": 2}, "best_of (2) must not be smaller than n (3)."),
        ({"best_of": 2, "stream": True}, "best_of cannot be streamed"),
        ({"prompt": ["a"] * 5, "n": 2}, "8 texts"),
        ({"echo": True, "logprobs": 1}, "echo with logprobs"),
    ],
)
async def test_what_does_not_go_together_is_one_sentence(client, wrong, part):
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        await client.completions.create(**{"model": "any", "prompt": "x", **wrong})
    assert part in raised.value.body["message"]
    assert raised.value.body["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"prompt": "x", "n": 2.0, "max_tokens": 1e1}', 200),
        (b'{"prompt": "x", "n": 2.5}', 400),
        (b'{"prompt": "x", "n": 1e400}', 400),
        (b'{"prompt": "x", "n": "2"}', 400),
        (b'{"prompt": "\\ud800"}', 400),
        (b'{"prompt": "x", "unknown": [1.5]}', 200),
        (b"{", 400),
        (b"[]", 400),
        (b"", 400),
    ],
)
async def test_bodies_that_no_library_sends(served, body, status):
    async with served.http() as http:
        answer = await http.post("/v1/completions", content=body)
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["error"]["message"].endswith(".")


async def test_what_changes_nothing_is_taken(client):
    await client.completions.create(
        model="any", prompt="x", frequency_penalty=0, presence_penalty=0, logit_bias={}, user="me", n=None, stop=[]
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unsupported", openai.BadRequestError),
        ("queue_full", openai.RateLimitError),
        ("internal", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_the_engines_errors_are_the_clients(client, scripted, code, kind, is_streamed):
    scripted.error = api.Error(code=code, sentence="Because.")
    with pytest.raises(kind) as raised:
        await client.completions.create(model="any", prompt="x", stream=is_streamed)
    assert raised.value.body["message"] == "Because."


async def test_an_error_in_the_middle_of_a_stream_is_raised_too(client, scripted):
    def text(request: api.DenoiseRequest, index: int) -> str:
        if request.temperature:
            raise RuntimeError("text of the user")
        return "abc"

    scripted.text = text
    stream = await client.completions.create(model="any", prompt="x", n=2, stream=True)
    with pytest.raises(openai.APIError, match="engine failed"):
        async for _ in stream:
            pass


async def test_a_wrong_key_and_a_loading_model(cold):
    with pytest.raises(openai.AuthenticationError) as raised:
        await open_client(cold, "wrong").completions.create(model="any", prompt="x")
    assert raised.value.body["message"] == "The engine's token is missing or wrong."
    with pytest.raises(openai.InternalServerError) as raised:
        await open_client(cold).completions.create(model="any", prompt="x")
    assert raised.value.status_code == 503
    assert raised.value.response.headers["retry-after"]
    with pytest.raises(openai.InternalServerError):
        await open_client(cold).models.list()


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("is_silent", [False, True])
async def test_who_leaves_is_not_written_for(served, scripted, until, is_streamed, is_silent):
    scripted.is_endless, scripted.is_silent = True, is_silent
    body = {"prompt": "x", "stream": is_streamed}
    async with served.http() as http:
        request = http.build_request("POST", "/v1/completions", json=body)
        if is_streamed and not is_silent:
            answer = await http.send(request, stream=True)
            await answer.aclose()
        else:
            sending = asyncio.ensure_future(http.send(request))
            await until(lambda: scripted.requests)
            sending.cancel()
        await until(lambda: scripted.ends == ["cancelled"])
        await until(lambda: served.life.num_active == 0)
        scripted.is_endless = False
        assert (await http.post("/v1/completions", json={"prompt": "x"})).status_code == 200


async def test_over_the_network_streamed_and_whole_are_one_text(served_tiny):
    client = open_client(served_tiny)
    asked = {"model": "any", "prompt": BEFORE, "suffix": AFTER, "max_tokens": 12, "logprobs": 2}
    whole = (await client.completions.create(**asked)).choices[0]
    stream = await client.completions.create(**asked, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == whole.text
    assert "".join(whole.logprobs.tokens) == whole.text
    assert all(p <= 0 for p in whole.logprobs.token_logprobs)


async def test_over_tls_with_a_token_streamed_and_not(served_by_tls, scripted):
    served, verify = served_by_tls
    scripted.text = lambda request, index: "a + b"
    http = httpx.AsyncClient(verify=verify)
    client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.token, max_retries=0, http_client=http)
    asked = {"model": "any", "prompt": BEFORE, "suffix": AFTER}
    assert (await client.completions.create(**asked)).choices[0].text == "a + b"
    stream = await client.completions.create(**asked, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "a + b"
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").completions.create(**asked)
    await http.aclose()


async def test_over_the_network_a_seed_repeats_a_text(served_tiny):
    client = open_client(served_tiny)
    asked = {"model": "any", "prompt": "x = ", "temperature": 1.0, "max_tokens": 8}
    first, second = [(await client.completions.create(**asked, seed=3)).choices[0].text for _ in range(2)]
    assert first == second
