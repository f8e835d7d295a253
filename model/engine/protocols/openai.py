"""OpenAI's /v1/completions and /v1/models: requests to holes and wishes, alternatives to answers and chunks.

Source: OpenAI's API reference (Completions, Models) and what openai-python reads; Inception's and Mistral's
/v1/fim/completions take the same requests. A model's name is not looked at: an engine has one, and many clients send a
placeholder. Left out: prompts as token ids (none crosses the border), penalties and logit biases (refused unless they
change nothing), `user`, and conversations.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal

import msgspec

from model.engine import api
from model.engine.protocols.asking import MAX_ALTERNATIVES, Wanted
from model.engine.protocols.hole import Hole, hole_of
from model.engine.protocols.written import Written
from model.engine.refusal import Refused

MAX_STOP_STRINGS = 32  # OpenAI's own limit of 4 would refuse Zed, which sends 14
MAX_LOGPROBS = 5

Num = Annotated[int, msgspec.Meta(ge=1, le=MAX_ALTERNATIVES)]
StopString = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Zero = Annotated[float, msgspec.Meta(ge=0, le=0)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
MaxTokens = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """temperature: without it the likeliest text, and beside it drawn ones where more are asked for."""

    model: str | None = None
    prompt: str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_ALTERNATIVES)] | None = ""
    suffix: str | None = None
    max_tokens: MaxTokens | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    n: Num | None = None
    best_of: Num | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: StopString | Annotated[tuple[StopString, ...], msgspec.Meta(max_length=MAX_STOP_STRINGS)] | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=MAX_LOGPROBS)] | None = None
    echo: bool | None = None
    seed: Seed | None = None
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    logit_bias: Annotated[dict[str, float], msgspec.Meta(max_length=0)] | None = None

    @property
    def prompts(self) -> tuple[str, ...]:
        return self.prompt if isinstance(self.prompt, tuple) else (self.prompt or "",)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    @property
    def num(self) -> int:
        return self.n or 1

    @property
    def num_tried(self) -> int:
        """How many are written for each prompt; the surest `num` of them are the answer."""
        return self.best_of or self.num


class Logprobs(msgspec.Struct, frozen=True, kw_only=True):
    """text_offset: in characters, from the beginning of the choice's text."""

    tokens: tuple[str, ...]
    token_logprobs: tuple[float, ...]
    top_logprobs: tuple[dict[str, float], ...] | None
    text_offset: tuple[int, ...]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The text once more where clients of Mistral's protocol look for it."""

    content: str
    role: Literal["assistant"] = "assistant"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    index: int
    finish_reason: Literal["stop", "length"] | None
    logprobs: Logprobs | None = None
    message: Message | msgspec.UnsetType = msgspec.UNSET
    delta: Message | msgspec.UnsetType = msgspec.UNSET


class CachedTokens(msgspec.Struct, frozen=True, kw_only=True):
    cached_tokens: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, or a chunk of one: both have one shape."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    object: Literal["text_completion"] = "text_completion"


class ModelMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What llama.cpp's clients read."""

    n_ctx_train: int


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created: int
    meta: ModelMeta
    owned_by: str = "seedling"
    object: Literal["model"] = "model"


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    data: tuple[Model, ...]
    object: Literal["list"] = "list"


class OpenAIErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    type: str
    code: str
    param: str | None = None


class OpenAIError(msgspec.Struct, frozen=True):
    error: OpenAIErrorBody


def check(asked: CompletionRequest) -> None:
    """What no single field tells, nor the OpenAPI document. Raises Refused."""
    if asked.num_tried < asked.num:
        raise Refused(422, "bad_request", f"best_of ({asked.best_of}) must not be smaller than n ({asked.num}).")
    if asked.stream and asked.num_tried > asked.num:
        raise Refused(422, "bad_request", "best_of cannot be streamed: the best is known at the end.")
    if len(asked.prompts) * asked.num_tried > MAX_ALTERNATIVES:
        raise Refused(422, "bad_request", f"One request may have {MAX_ALTERNATIVES} texts written, not more.")
    if asked.echo and asked.logprobs is not None:
        raise Refused(422, "bad_request", "echo with logprobs is not offered: only what is written has probabilities.")


def holes_of(asked: CompletionRequest) -> list[Hole]:
    """One hole a prompt."""
    return [hole_of(prompt, asked.suffix) for prompt in asked.prompts]


def wanted_of(asked: CompletionRequest) -> Wanted:
    """What is wanted for each prompt."""
    return Wanted(
        num=asked.num_tried,
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        logprobs=asked.logprobs,
    )


def best_of(written: Sequence[Written], num: int) -> list[Written]:
    """The `num` surest, by mean log-probability a token; all of them in the order in which they were written."""
    if len(written) <= num:
        return list(written)
    return sorted(written, key=_confidence, reverse=True)[:num]


def choice_of(written: Written, index: int, *, echoed: str = "", is_chatty: bool = False) -> Choice:
    """A finished alternative; is_chatty: its text also where clients of Mistral's protocol look for it."""
    text = echoed + written.text
    return Choice(
        text=text,
        index=index,
        finish_reason=written.finish_reason,
        logprobs=_logprobs_of(written),
        message=Message(content=text) if is_chatty else msgspec.UNSET,
    )


def chunk_of(written: Written, piece: str, index: int, *, is_chatty: bool = False) -> Choice:
    """A piece of an alternative; log-probabilities come with the last one, since only then its tokens are known."""
    return Choice(
        text=piece,
        index=index,
        finish_reason=written.finish_reason if written.is_over else None,
        logprobs=_logprobs_of(written) if written.is_over else None,
        delta=Message(content=piece) if is_chatty else msgspec.UNSET,
    )


def usage_of(prompts: Sequence[Sequence[Written]]) -> Usage:
    """Over all prompts, each counted once, and all that was written for them."""
    dones = [[written.done for written in group if written.done is not None] for group in prompts]
    prompt_tokens = sum(group[0].prompt_tokens for group in dones if group)
    completion_tokens = sum(done.num_tokens for group in dones for done in group)
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=CachedTokens(cached_tokens=sum(group[0].cached_tokens for group in dones if group)),
    )


def models_of(known: api.Capabilities, created: int) -> ModelList:
    """The one model."""
    return ModelList(data=(Model(id=known.model, created=created, meta=ModelMeta(n_ctx_train=known.context_tokens)),))


def error_answer(status: int, error: api.Error) -> OpenAIError:
    """The border's error as openai-python and its like expect it."""
    return OpenAIError(OpenAIErrorBody(message=error.sentence, type=_error_type(status), code=error.code))


def server_sent(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def _error_type(status: int) -> str:
    known = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    return known.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _confidence(written: Written) -> float:
    return written.done.confidence if written.done is not None else 0.0


def _logprobs_of(written: Written) -> Logprobs | None:
    """Those of the tokens that begin inside the text: a stop string may have cut the rest off."""
    tokens = () if written.done is None else written.done.tokens
    offsets = list(accumulate((len(token.text) for token in tokens), initial=0))
    kept = [token for token, offset in zip(tokens, offsets, strict=False) if offset < len(written.text)]
    if not kept:
        return None
    return Logprobs(
        tokens=tuple(token.text for token in kept),
        token_logprobs=tuple(token.logprob for token in kept),
        top_logprobs=tuple(token.top for token in kept) if any(token.top for token in kept) else None,
        text_offset=tuple(offsets[: len(kept)]),
    )
