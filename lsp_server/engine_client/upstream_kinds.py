"""Other people's completion servers: our request in their words, their stream in ours. Pure.

Source: OpenAI's API reference (/v1/completions), Inception's (/v1/fim/completions), llama.cpp's tools/server/README.md
(/infill); for servers that know no `suffix` (vLLM, llama.cpp's own /v1/completions) the formats of their models: model
cards of Qwen2.5-Coder, StarCoder2, DeepSeek-Coder, CodeLlama. Left out: everything that these protocols cannot say
(drafts, locked text, guesses, instructions), files beside the document where a protocol has no place for them, and HTTP
(upstream.py).
"""

from typing import Any, Literal, NamedTuple, get_args

import msgspec

from model.engine import api

Kind = Literal["openai", "mercury", "llama.cpp"]
Fim = Literal["suffix", "qwen", "starcoder", "deepseek", "codellama"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FIMS: tuple[Fim, ...] = get_args(Fim)

MERCURY_MODEL = "mercury-edit-2"
# As our engine has them (model/engine/prompting.py).
DEFAULT_MAX_TOKENS: dict[api.StopRule, int] = {"line": 64, "node": 128, "eom": 256}
CHARS_PER_TOKEN = 3

_MARKS: dict[Fim, tuple[str, str, str]] = {
    "qwen": ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    "starcoder": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    "deepseek": ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    "codellama": ("<PRE> ", " <SUF>", " <MID>"),
}


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A server that the user has named. model None: it has one, or a usual one."""

    kind: Kind
    fim: Fim = "suffix"
    model: str | None = None
    is_metered: bool = False

    @property
    def probe_path(self) -> str:
        """What tells at no cost whether it is there and takes the key."""
        return "/props" if self.kind == "llama.cpp" else "/models"


class Question(NamedTuple):
    path: str
    body: dict[str, Any]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What one event of a stream says. end: why the text ended, on its last piece."""

    text: str = ""
    end: Literal["eom", "length"] | None = None
    prompt_tokens: int | None = None
    num_tokens: int | None = None


class Failed(Exception):
    """The server says in its stream that it cannot; the message is its own, cut."""


def question_of(upstream: Upstream, request: api.DenoiseRequest, index: int) -> Question:
    """The question for alternative `index` of a request whose canvas is one hole."""
    hole = request.canvas[0]
    assert isinstance(hole, api.Masked), "only holes are sent to other servers"
    max_tokens = hole.max_tokens or DEFAULT_MAX_TOKENS[request.stop]
    sampling: dict[str, Any] = {"temperature": request.temperature}
    if request.temperature > 0:
        sampling |= {"top_p": request.top_p, "seed": request.seed + index}
    if upstream.kind == "llama.cpp":
        return _llama_cpp(upstream, request, max_tokens, sampling)
    prompt = request.prompt
    before, after = prompt.prefix + prompt.line, prompt.tail + prompt.suffix
    body: dict[str, Any] = {"model": upstream.model, "max_tokens": max_tokens, "stream": True}
    if upstream.kind == "mercury":
        # A temperature of 0 lies outside of what it takes; its own is low.
        drawn = sampling if request.temperature > 0 else {}
        named = {"model": upstream.model or MERCURY_MODEL, "prompt": before, "suffix": after}
        return Question("/fim/completions", body | named | drawn)
    if upstream.fim == "suffix":
        return Question("/completions", body | sampling | {"prompt": before, "suffix": after})
    stop = [*(mark.strip() for mark in _MARKS[upstream.fim]), "<|endoftext|>"]  # OpenAI takes four, no more
    return Question("/completions", body | sampling | {"prompt": _marked(upstream.fim, prompt), "stop": stop})


def piece_of(kind: Kind, data: bytes) -> Piece:
    """One event's data, or a whole answer that was not streamed. Raises Failed, or msgspec.DecodeError."""
    said = msgspec.json.decode(data, type=dict[str, Any])
    if said.get("error"):
        raise Failed(message_of(data))
    if kind == "llama.cpp":
        return Piece(
            text=_text(said.get("content")),
            end=_END_OF_LLAMA_CPP.get(said.get("stop_type")) if said.get("stop") is not False else None,
            prompt_tokens=_number(said.get("tokens_evaluated")),
            num_tokens=_number(said.get("tokens_predicted")),
        )
    choices = said.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("delta") or choice.get("message") or {}
    counted = said.get("usage")
    usage: dict[str, Any] = counted if isinstance(counted, dict) else {}
    ended = choice.get("finish_reason")
    return Piece(
        text=_text(choice.get("text")) or _text(message.get("content") if isinstance(message, dict) else None),
        end=None if ended is None else "length" if ended == "length" else "eom",
        prompt_tokens=_number(usage.get("prompt_tokens")),
        num_tokens=_number(usage.get("completion_tokens")),
    )


def message_of(body: bytes, max_chars: int = 160) -> str:
    """What an error's body says, on one line; empty where that cannot be told."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"]
    for key in ("message", "error", "detail", "sentence"):
        inner = said.get(key) if isinstance(said, dict) else None
        if isinstance(inner, str):
            return " ".join(inner.split())[:max_chars]
    return ""


def model_in(body: bytes) -> str | None:
    """The only model of a /models answer; None where there are several, or none."""
    try:
        listed = msgspec.json.decode(body, type=_Models).data
    except msgspec.DecodeError:
        return None
    return listed[0].id if len(listed) == 1 else None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


_END_OF_LLAMA_CPP: dict[Any, Literal["eom", "length"]] = {"eos": "eom", "word": "eom", "limit": "length"}


def _llama_cpp(upstream: Upstream, request: api.DenoiseRequest, max_tokens: int, sampling: dict[str, Any]) -> Question:
    prompt = request.prompt
    body = {
        "input_prefix": prompt.prefix,
        "input_suffix": prompt.tail + prompt.suffix,
        "input_extra": [{"filename": snippet.path, "text": snippet.text} for snippet in prompt.snippets],
        "prompt": prompt.line,
        "n_predict": max_tokens,
        "cache_prompt": True,
        "stream": True,
    }
    named = {"model": upstream.model} if upstream.model else {}
    return Question("/infill", body | sampling | named)


def _marked(fim: Fim, prompt: api.Prompt) -> str:
    first, second, third = _MARKS[fim]
    files = ""
    if fim == "qwen" and prompt.snippets:  # the only one of these formats with a place for other files
        files = "".join(f"<|file_sep|>{snippet.path}\n{snippet.text}\n" for snippet in prompt.snippets)
        files = f"<|repo_name|>workspace\n{files}<|file_sep|>{prompt.path}\n"
    return f"{files}{first}{prompt.prefix}{prompt.line}{second}{prompt.tail}{prompt.suffix}{third}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
