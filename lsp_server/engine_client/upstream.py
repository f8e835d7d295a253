"""Another server in the engine's place: any that speaks OpenAI's completions, Mercury's, or llama.cpp's.

It has the interface of EngineClient (client.py), and completes only: it can neither correct a draft nor leave locked
text alone, so its capabilities say that nothing else is to be had. What an engine would do is done here: the stop rule
(model/syntax) and the deadline, behind both of which the stream is closed, which is what ends the work over there. The
key goes to the named host and nowhere else: redirects are refused. Left out: how sure it is (nobody would tell: its
answers count as certain), alternatives in one request, and prompts longer than CONTEXT_TOKENS (each key would pay).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, cast

import msgspec

from lsp_server.engine_client import remote
from lsp_server.engine_client.endpoint import Endpoint, endpoint_of, open_http
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.pause import NUM_TRIES, STATUSES, OnPause, Pause, nobody_asks
from lsp_server.engine_client.upstream_kinds import (
    CHARS_PER_TOKEN,
    FIMS,
    KINDS,
    MERCURY_MODEL,
    Failed,
    Fim,
    Kind,
    Piece,
    Question,
    Upstream,
    message_of,
    model_in,
    piece_of,
    question_of,
)
from lsp_server.user_settings import EngineChoice
from model.engine import api
from model.syntax.languages import LANGUAGES
from model.syntax.stop import stop_offset

if TYPE_CHECKING:
    import httpx

CONTEXT_TOKENS = 2048
PROBE_TIMEOUT_S = 10.0
MAX_EVENT_BYTES = 2**18
MAX_ERROR_BYTES = 2**16
MAX_TEXT_CHARS = 2**16  # a server that does not heed max_tokens is not listened to for ever

_ONLY_COMPLETES = api.Error(code="unsupported", sentence="This server completes code and does nothing else.")


def upstream_of(choice: EngineChoice) -> Upstream:
    """What the user has said of the server. Raises EngineUnavailable where that means nothing."""
    if choice.upstream not in KINDS:
        raise EngineUnavailable("bad_address", f"engine.upstream must be seedling, {', '.join(KINDS)}.")
    if choice.fim not in FIMS:
        raise EngineUnavailable("bad_address", f"engine.fim must be one of {', '.join(FIMS)}.")
    return Upstream(
        kind=cast("Kind", choice.upstream),
        fim=cast("Fim", choice.fim),
        model=choice.upstream_model,
        is_metered=choice.metered or choice.upstream == "mercury",
    )


def upstream_endpoint(choice: EngineChoice, upstream: Upstream) -> Endpoint:
    """Where it is. Raises EngineUnavailable."""
    if not choice.url:
        raise EngineUnavailable(
            "bad_address", f"engine.upstream is {upstream.kind}, but no engine.url says where it is."
        )
    endpoint = endpoint_of(choice.url, choice)
    if upstream.kind == "openai" and endpoint.url is not None and not remote.check_url(endpoint.url).path:
        return msgspec.structs.replace(endpoint, url=f"{endpoint.url}/v1")  # what every such server has there
    return endpoint


def connect_upstream(choice: EngineChoice) -> "UpstreamClient":
    """A client; whether the server answers is found when it is asked. Raises EngineUnavailable."""
    upstream = upstream_of(choice)
    return UpstreamClient(upstream, upstream_endpoint(choice, upstream))


class UpstreamClient:
    """As EngineClient, for one server. Every method may raise EngineUnavailable."""

    completes_only = True

    def __init__(self, upstream: Upstream, endpoint: Endpoint) -> None:
        self.is_metered = upstream.is_metered
        self._upstream = upstream
        self._where = endpoint.socket or str(endpoint.url)
        self.on_pause: OnPause = nobody_asks
        self._pause = Pause(lambda seconds: self.on_pause(seconds))
        self._is_key_refused = False
        self._http: httpx.AsyncClient = open_http(endpoint)

    async def capabilities(self) -> api.Capabilities:
        """What it can do; asks it whether it is there, and for its model where none was named."""
        await self._probe()
        return api.Capabilities(
            api=api.API_VERSION,
            model=self._model,
            device=self._upstream.kind,
            languages=tuple(LANGUAGES),
            complete=("line", "block"),
            rewrite="none",
            fix=False,
            mend=False,
            next_edit=False,
            context_tokens=CONTEXT_TOKENS,
        )

    async def health(self) -> api.Health:
        """Ready, or not reachable."""
        await self._probe()
        return api.Health(
            status="ready",
            progress=1.0,
            sentence="",
            api=api.API_VERSION,
            version="",
            model=self._model,
            device=self._upstream.kind,
            pid=0,
            uptime_s=0.0,
        )

    async def denoise(self, request: api.DenoiseRequest) -> AsyncGenerator[api.Event, None]:
        """`n` done events or one error event. Closing the iterator ends the work over there."""
        if len(request.canvas) != 1 or not isinstance(request.canvas[0], api.Masked) or request.prompt.instruction:
            yield _ONLY_COMPLETES
            return
        writing = [asyncio.ensure_future(self._written(request, index)) for index in range(request.n)]
        try:
            for task in writing:
                event = await task
                yield event
                if isinstance(event, api.Error):
                    return
        finally:
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)

    async def repair(self, request: api.RepairRequest) -> AsyncGenerator[api.RepairEvent, None]:
        """Always an error event."""
        yield _ONLY_COMPLETES

    async def cancel(self, request_id: str) -> None:
        """Nothing: a stream that is closed is cancelled."""

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def _model(self) -> str:
        usual = MERCURY_MODEL if self._upstream.kind == "mercury" else self._upstream.kind
        return self._upstream.model or usual

    async def _probe(self) -> None:
        import httpx

        if self._is_key_refused:  # many a server tells its models to anybody
            raise EngineUnavailable("bad_token", f"The server at {self._where} does not accept the key.")
        try:
            answer = await self._http.get(self._upstream.probe_path, timeout=PROBE_TIMEOUT_S)
        except httpx.RequestError as error:
            raise self._unreachable(error) from None
        if answer.status_code in (401, 403):
            raise EngineUnavailable("bad_token", f"The server at {self._where} does not accept the key.")
        if answer.is_redirect:
            raise EngineUnavailable("foreign_answer", self._elsewhere.sentence)
        if answer.status_code >= 500:
            raise remote.offline(self._where, f"it says {answer.status_code}")
        if self._upstream.model is None and self._upstream.kind == "openai":
            # 404: a server need not list its models, but most want to be told one.
            only = model_in(answer.content)
            if only is None:
                raise EngineUnavailable("bad_address", "engine.upstream_model must name one of the server's models.")
            self._upstream = msgspec.structs.replace(self._upstream, model=only)

    async def _written(self, request: api.DenoiseRequest, index: int) -> api.Done | api.Error:
        """One alternative, as far as the stop rule and the deadline let it come."""
        begun_s = time.monotonic()
        writer, error = _Writer(request), None
        try:
            async with asyncio.timeout(None if request.deadline_ms is None else request.deadline_ms / 1000):
                for _ in range(NUM_TRIES):
                    passed_ms = (time.monotonic() - begun_s) * 1000
                    left_ms = None if request.deadline_ms is None else request.deadline_ms - passed_ms
                    too_long = await self._pause.outlast(left_ms)
                    if too_long is not None:
                        return error or too_long
                    error = await self._read(question_of(self._upstream, request, index), writer)
                    if error is None or not self._pause.remaining_s:
                        break
        except TimeoutError:
            error, writer.reason = None, "deadline"
        return error or writer.done(self._model, self._upstream.kind, index, (time.monotonic() - begun_s) * 1000)

    async def _read(self, question: Question, writer: "_Writer") -> api.Error | None:
        """Lets `writer` see the stream until it has enough."""
        import httpx

        body = msgspec.json.encode(question.body)
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        try:
            async with self._http.stream("POST", question.path, content=body, headers=headers) as answer:
                if answer.status_code != 200:
                    if answer.status_code in STATUSES:
                        self._pause.begin(answer.headers.get("retry-after", ""))
                    return self._refusal(answer, await _beginning(answer))
                async for data in _events(answer):
                    if writer.add(piece_of(self._upstream.kind, data)):
                        return None
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        except Failed as failed:
            return self._error("upstream_error", f"fails: {failed}")
        except (msgspec.DecodeError, httpx.DecodingError, _Overlong):
            return self._error("foreign_answer", f"does not speak the protocol of {self._upstream.kind}")
        return None

    def _refusal(self, answer: "httpx.Response", body: bytes) -> api.Error:
        status = answer.status_code
        if answer.is_redirect:
            return self._elsewhere
        if status in (401, 403):
            self._is_key_refused = True
            return self._error("wrong_token", "does not accept the key")
        said = message_of(body)
        return self._error("too_many" if status == 429 else "upstream_error", f"says {status}{said and ': '}{said}")

    def _error(self, code: str, what: str) -> api.Error:
        return api.Error(code=code, sentence=f"The server at {self._where} {what.rstrip('.')}.")

    @property
    def _elsewhere(self) -> api.Error:
        return self._error("foreign_answer", "leads elsewhere, where no key is sent: name that place itself")

    def _unreachable(self, error: "httpx.RequestError") -> EngineUnavailable:
        import httpx

        why = remote.why_unreachable(error) if isinstance(error, httpx.TransportError) else "it cannot be read"
        return remote.offline(self._where, why)


class _Writer:
    """The text so far, cut where the request's stop rule wants it."""

    def __init__(self, request: api.DenoiseRequest) -> None:
        self.reason: api.DoneReason = "eom"
        self._request = request
        self._text = ""
        self._num_prompt: int | None = None
        self._num_written: int | None = None

    def add(self, piece: Piece) -> bool:
        """Whether the text is complete."""
        self._num_prompt = self._num_prompt if piece.prompt_tokens is None else piece.prompt_tokens
        self._num_written = self._num_written if piece.num_tokens is None else piece.num_tokens
        self._text += piece.text
        if "\n" in piece.text or (piece.end is not None and "\n" in self._text):
            prompt = self._request.prompt
            end = stop_offset(
                prompt.prefix + prompt.line,
                self._text,
                prompt.tail + prompt.suffix,
                self._request.stop,
                prompt.language,
            )
            if end is not None:
                self._text, self.reason = self._text[:end], "stop"
                return True
        if piece.end is not None:
            self.reason = piece.end
        elif len(self._text) > MAX_TEXT_CHARS:
            self.reason = "length"
            return True
        return False

    def done(self, model: str, device: str, index: int, elapsed_ms: float) -> api.Done:
        prompt = self._request.prompt
        num_chars = sum(map(len, (prompt.prefix, prompt.line, prompt.tail, prompt.suffix)))
        return api.Done(
            text=self._text,
            reason=self.reason,
            confidence=1.0,
            steps=0,
            forwards=0,
            num_tokens=len(self._text) // CHARS_PER_TOKEN if self._num_written is None else self._num_written,
            prompt_tokens=num_chars // CHARS_PER_TOKEN if self._num_prompt is None else self._num_prompt,
            cached_tokens=0,
            model=model,
            device=device,
            engine_ms=elapsed_ms,
            index=index,
        )


class _Overlong(Exception):
    """No event is that long."""


async def _events(answer: "httpx.Response") -> AsyncIterator[bytes]:
    """The data of the server-sent events, without the one that says that none follows; or a whole body."""
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        yield await _beginning(answer, MAX_EVENT_BYTES, refuse_longer=True)
        return
    rest = b""
    async for chunk in answer.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, data = line.partition(b":")
            if name == b"data" and data.strip() not in (b"", b"[DONE]"):
                yield data.strip()
        if len(rest) > MAX_EVENT_BYTES:
            raise _Overlong


async def _beginning(
    answer: "httpx.Response", max_bytes: int = MAX_ERROR_BYTES, *, refuse_longer: bool = False
) -> bytes:
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            if refuse_longer:
                raise _Overlong
            break
    return body
