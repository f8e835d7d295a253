"""llama.cpp's /infill and /props: requests to holes and wishes, alternatives to its results.

Source: llama.cpp's tools/server/README.md; what llama.vim (autoload/llama.vim) and llama.vscode (src/llama-server.ts)
send and read. Samplers, penalties, slots and grammars are not looked at: what is written is the likeliest text unless a
temperature is given and, where samplers are named, among them. `n_predict` 0 warms a cache there; here it writes
nothing, since the engine keeps what it has read anyway. Left out: token ids, probabilities, adapters.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from model.engine import api
from model.engine.protocols.asking import MAX_ALTERNATIVES, Wanted
from model.engine.protocols.hole import Hole, hole_between
from model.engine.protocols.openai import MAX_STOP_STRINGS, Seed
from model.engine.protocols.written import Written

MAX_EXTRA = 256
MAX_RESPONSE_FIELDS = 64

# Its clients may leave a stop string empty, and -1 means no limit.
Count = Annotated[int, msgspec.Meta(ge=-1, le=2**31)]
MAX_MS = 86_400_000  # a day, as the border has it
Milliseconds = Annotated[float, msgspec.Meta(ge=-1, le=MAX_MS)]


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of another file."""

    text: str = ""
    filename: str = ""


class InfillRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`prompt` stands directly before the cursor, behind `input_prefix` (llama.vim: the cursor's line up to it)."""

    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: Annotated[tuple[Extra, ...], msgspec.Meta(max_length=MAX_EXTRA)] = ()
    prompt: str = ""
    n_predict: Count = -1
    n_cmpl: Annotated[int, msgspec.Meta(ge=1, le=MAX_ALTERNATIVES)] = 1
    t_max_prompt_ms: Milliseconds = 0
    t_max_predict_ms: Milliseconds = 0
    temperature: Annotated[float, msgspec.Meta(ge=-1, le=10)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: Seed = -1
    samplers: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] | None = None
    stop: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=256)], ...], msgspec.Meta(max_length=MAX_STOP_STRINGS)
    ] = ()
    stream: bool = False
    response_fields: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_RESPONSE_FIELDS)] | None = None


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """prompt_n: tokens that were not found in the cache. One time is known, the whole: it is counted as prediction."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float


class Infilled(msgspec.Struct, frozen=True, kw_only=True):
    """A finished result."""

    content: str
    index: int
    stop_type: Literal["eos", "limit", "word"]
    stopping_word: str
    model: str
    tokens_predicted: int
    tokens_evaluated: int
    tokens_cached: int
    timings: Timings
    truncated: bool = False
    stop: bool = True


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a result that goes on."""

    content: str
    index: int
    stop: bool = False


class GenerationSettings(msgspec.Struct, frozen=True, kw_only=True):
    n_ctx: int


class Props(msgspec.Struct, frozen=True, kw_only=True):
    default_generation_settings: GenerationSettings
    model_path: str
    build_info: str
    total_slots: int = 1
    chat_template: str = ""


class LlamaCppErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    message: str
    type: str


class LlamaCppError(msgspec.Struct, frozen=True):
    error: LlamaCppErrorBody


def hole_of_infill(asked: InfillRequest) -> Hole:
    """The hole; empty pieces of other files are none."""
    extra = tuple(
        api.Snippet(path=piece.filename, text=piece.text) for piece in asked.input_extra if piece.text.strip()
    )
    return hole_between(asked.input_prefix + asked.prompt, asked.input_suffix, extra)


def wanted_of(asked: InfillRequest) -> Wanted:
    """What is wanted. The times of its two stages are one deadline here."""
    is_drawn = asked.temperature is not None and (asked.samplers is None or "temperature" in asked.samplers)
    limit_ms = min(MAX_MS, max(asked.t_max_prompt_ms, 0) + asked.t_max_predict_ms)
    return Wanted(
        num=asked.n_cmpl,
        max_tokens=None if asked.n_predict < 0 else asked.n_predict,
        temperature=max(asked.temperature or 0.0, 0.0) if is_drawn else None,
        top_p=asked.top_p,
        seed=None if asked.seed < 0 else asked.seed,
        deadline_ms=limit_ms if asked.t_max_predict_ms > 0 else None,
    )


def result_of(written: Written, index: int, model: str) -> Infilled:
    """A finished alternative; one that was never begun (`n_predict` 0) is empty."""
    done = written.done
    num_prompt = 0 if done is None else done.prompt_tokens - done.cached_tokens
    num_predicted = 0 if done is None else done.num_tokens
    milliseconds = 0.0 if done is None else done.engine_ms
    stop_type = "word" if written.is_cut else "limit" if written.finish_reason == "length" or done is None else "eos"
    return Infilled(
        content=written.text,
        index=index,
        stop_type=stop_type,
        stopping_word=written.stopped_by,
        model=model,
        tokens_predicted=num_predicted,
        tokens_evaluated=0 if done is None else done.prompt_tokens,
        tokens_cached=0 if done is None else done.cached_tokens,
        timings=Timings(
            cache_n=0 if done is None else done.cached_tokens,
            prompt_n=num_prompt,
            prompt_ms=0.0,
            prompt_per_token_ms=0.0,
            prompt_per_second=0.0,
            predicted_n=num_predicted,
            predicted_ms=milliseconds,
            predicted_per_token_ms=milliseconds / num_predicted if num_predicted else 0.0,
            predicted_per_second=num_predicted / milliseconds * 1000 if milliseconds else 0.0,
        ),
    )


def selected(result: Infilled, fields: tuple[str, ...] | None) -> Any:
    """The result, or those of its fields that were asked for: `a/b` is field b of a, under that whole name."""
    if fields is None:
        return result
    whole = msgspec.to_builtins(result)
    found = ((field, _field(whole, field)) for field in fields)
    return {field: value for field, value in found if value is not None}


def props_of(known: api.Capabilities, version: str) -> Props:
    """What llama.vscode asks for: the context."""
    return Props(
        default_generation_settings=GenerationSettings(n_ctx=known.context_tokens),
        model_path=known.model,
        build_info=f"seedling-{version}",
    )


def error_answer(status: int, error: api.Error) -> LlamaCppError:
    """The border's error as llama.cpp's server words it."""
    known = {401: "authentication_error", 404: "not_found_error", 503: "unavailable_error"}
    kind = known.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return LlamaCppError(LlamaCppErrorBody(code=status, message=error.sentence, type=kind))


def _field(value: Any, path: str) -> Any:
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
