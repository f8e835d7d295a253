"""The HTTP side of other tools' protocols: answers in one piece or as server-sent events, and whom they are for.

Source: starlette; the event stream of the HTML standard. A client that leaves cancels what is written for it: those of
these protocols close a connection with every key. Left out: what is said (the file of each protocol), and how requests
are counted, limited and queued (the app's door).
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from model.engine import api
from model.engine.protocols import llama_cpp, mercury, openai
from model.engine.protocols.asking import Wanted, requests_for
from model.engine.protocols.errors import encode_error
from model.engine.protocols.hole import Hole
from model.engine.protocols.openapi import OPENAPI_FILE
from model.engine.protocols.reading import read_as
from model.engine.protocols.written import Written
from model.engine.refusal import Refused, refusal_of

T = TypeVar("T")

Piece = tuple[int, Written, str]
"""The number of an alternative among all, the alternative, and what it has gained."""


class Door(Protocol):
    """What the app does for a protocol. All but `end` may raise Refused."""

    async def decode(self, request: Request, shape: type[T]) -> T:
        """The body, within its bounds."""
        ...

    def known(self) -> api.Capabilities:
        """Those of the model, once it is loaded."""
        ...

    def ask(self, request: Request, asked: api.DenoiseRequest) -> AsyncGenerator[api.Event, None]:
        """Queues a request and gives its events, which must be read; closing them cancels it."""
        ...

    def end(self, request: Request, request_id: str) -> bool:
        """Ends a request: its last event comes soon, with what was written until then."""
        ...


class ProtocolRoutes:
    """The handlers."""

    def __init__(self, door: Door, version: str) -> None:
        self._door = door
        self._version = version
        self._started_s = int(time.time())  # what /v1/models calls the model's creation

    def routes(self) -> list[Route]:
        return [
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/fim/completions", self.fim_completions, methods=["POST"]),
            Route("/infill", self.infill, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/props", self.props, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
        ]

    async def completions(self, request: Request) -> Response:
        return await self._complete(request, await self._read(request, openai.CompletionRequest))

    async def fim_completions(self, request: Request) -> Response:
        asked = mercury.as_hole(await self._read(request, openai.CompletionRequest))
        return await self._complete(request, asked, is_chatty=True)

    async def infill(self, request: Request) -> Response:
        asked = await self._read(request, llama_cpp.InfillRequest)
        model, answer = self._door.known().model, _Answer(self._door, request, asked.stop)
        pieces = answer.pieces([llama_cpp.hole_of_infill(asked)], llama_cpp.wanted_of(asked))
        if asked.stream:
            return await _streamed(request, _infill_events(asked, pieces, model))
        if not await _unless_left(request, _read(pieces)):
            return _nobody()
        [group] = answer.groups
        results = [
            llama_cpp.selected(llama_cpp.result_of(written, index, model), asked.response_fields)
            for index, written in enumerate(group)
        ]
        return _json(results if asked.n_cmpl > 1 else results[0])

    async def models(self, request: Request) -> Response:
        return _json(openai.models_of(self._door.known(), self._started_s))

    async def props(self, request: Request) -> Response:
        return _json(llama_cpp.props_of(self._door.known(), self._version))

    async def openapi(self, request: Request) -> Response:
        return Response(OPENAPI_FILE.read_bytes(), media_type="application/json")

    async def _read(self, request: Request, shape: type[T]) -> T:
        return read_as(await self._door.decode(request, msgspec.Raw), shape)

    async def _complete(
        self, request: Request, asked: openai.CompletionRequest, *, is_chatty: bool = False
    ) -> Response:
        openai.check(asked)
        head = openai.Completion(
            id=f"cmpl-{secrets.token_hex(12)}", created=int(time.time()), model=self._door.known().model, choices=()
        )
        answer = _Answer(self._door, request, asked.stop_strings)
        pieces = answer.pieces(openai.holes_of(asked), openai.wanted_of(asked))
        if asked.stream:
            return await _streamed(request, _chunks(asked, answer, pieces, head, is_chatty))
        if not await _unless_left(request, _read(pieces)):
            return _nobody()
        best = [
            (written, prompt)
            for group, prompt in zip(answer.groups, asked.prompts, strict=True)
            for written in openai.best_of(group, asked.num)
        ]
        choices = tuple(
            openai.choice_of(written, index, echoed=prompt if asked.echo else "", is_chatty=is_chatty)
            for index, (written, prompt) in enumerate(best)
        )
        return _json(msgspec.structs.replace(head, choices=choices, usage=openai.usage_of(answer.groups)))


class _Answer:
    """A request of another protocol on its way. `groups`: the alternatives of each hole so far."""

    def __init__(self, door: Door, request: Request, stop_strings: Sequence[str]) -> None:
        self.groups: list[list[Written]] = []
        self._door = door
        self._request = request
        self._stop_strings = stop_strings

    async def pieces(self, holes: Sequence[Hole], wanted: Wanted) -> AsyncGenerator[Piece, None]:
        """All pieces, one hole after the other. Raises Refused."""
        for number, hole in enumerate(holes):
            group: list[Written] = []
            self.groups.append(group)
            of_hole = self._unbegun(wanted, group) if wanted.max_tokens == 0 else self._of_hole(hole, wanted, group)
            async with contextlib.aclosing(of_hole) as pieces:
                async for index, written, piece in pieces:
                    yield number * wanted.num + index, written, piece

    async def _unbegun(self, wanted: Wanted, group: list[Written]) -> AsyncGenerator[Piece, None]:
        group += [Written.unbegun() for _ in range(wanted.num)]
        for index, written in enumerate(group):
            yield index, written, ""

    async def _of_hole(self, hole: Hole, wanted: Wanted, group: list[Written]) -> AsyncGenerator[Piece, None]:
        first = 0
        for asked in requests_for(hole, wanted, f"protocol-{secrets.token_hex(8)}"):
            alternatives = [Written(self._stop_strings) for _ in range(asked.n)]
            group += alternatives  # they are written side by side: any of them may come first
            async with contextlib.aclosing(self._door.ask(self._request, asked)) as events:
                async for event in events:
                    if isinstance(event, api.Error):
                        raise refusal_of(event)
                    if isinstance(event, api.Progress):
                        continue
                    written = alternatives[event.index]
                    was_wanted = _is_more_wanted(alternatives)
                    piece = written.finish(event) if isinstance(event, api.Done) else written.add(event.text)
                    if was_wanted and not _is_more_wanted(alternatives) and not _are_over(alternatives):
                        self._door.end(self._request, asked.id)  # the rest would be thrown away
                    yield first + event.index, written, piece
            if not _are_over(alternatives):
                raise Refused(503, "cancelled", "The engine ended before it had answered.")
            first += asked.n


def _is_more_wanted(alternatives: Sequence[Written]) -> bool:
    """Whether any of them goes on before its stop string."""
    return any(not written.is_cut and not written.is_over for written in alternatives)


def _are_over(alternatives: Sequence[Written]) -> bool:
    return all(written.is_over for written in alternatives)


async def _chunks(
    asked: openai.CompletionRequest,
    answer: _Answer,
    pieces: AsyncGenerator[Piece, None],
    head: openai.Completion,
    is_chatty: bool,
) -> AsyncGenerator[bytes, None]:
    begun: set[int] = set()
    async with contextlib.aclosing(pieces):
        async for index, written, piece in pieces:
            if asked.echo and index not in begun:
                piece = asked.prompts[index // asked.num] + piece
            begun.add(index)
            if piece or written.is_over:
                choice = openai.chunk_of(written, piece, index, is_chatty=is_chatty)
                yield openai.server_sent(msgspec.structs.replace(head, choices=(choice,)))
    if asked.stream_options is not None and asked.stream_options.include_usage:
        yield openai.server_sent(msgspec.structs.replace(head, usage=openai.usage_of(answer.groups)))
    yield openai.DONE


async def _infill_events(
    asked: llama_cpp.InfillRequest, pieces: AsyncGenerator[Piece, None], model: str
) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(pieces):
        async for index, written, piece in pieces:
            if piece:
                yield openai.server_sent(llama_cpp.Piece(content=piece, index=index))
            if written.is_over:
                result = llama_cpp.result_of(written, index, model)
                # The pieces have said it already.
                last = msgspec.structs.replace(result, content="")
                yield openai.server_sent(llama_cpp.selected(last, asked.response_fields))


async def _read(pieces: AsyncGenerator[Piece, None]) -> bool:
    async with contextlib.aclosing(pieces):
        async for _ in pieces:
            pass
    return True


async def _streamed(request: Request, events: AsyncGenerator[bytes, None]) -> Response:
    """An event stream; what fails before its first event is an error with a status."""
    first = await _unless_left(request, _next(events))
    if first is None:
        return _nobody()

    async def rest() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(events):
            yield first
            try:
                async for event in events:
                    yield event
            except Refused as refused:
                yield b"data: " + encode_error(request.url.path, refused.status, refused.error).strip() + b"\n\n"

    return StreamingResponse(rest(), media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _next(events: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(events)


async def _unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives; None when the client has left meanwhile (then the work is cancelled)."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Callable[[], Any]) -> None:
    """Ends when the client has gone; the body was read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _nobody() -> Response:
    """For whoever has left."""
    return Response(status_code=499)
