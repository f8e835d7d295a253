"""`seedling complete FILE:LINE[:COL]`: one completion through the same planning and shaping as the language server's.

On a terminal the denoising is drawn as it happens, slowed down to what an eye can follow; in a pipe the text alone goes
to standard output and the figures to standard error; with --json one object is printed.
Left out: finding the place (place.py), drawing a frame (denoise_view.py), planning and shaping (features/complete.py).
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from lsp_server.engine_client.connect import connect
from lsp_server.engine_command import show_progress
from lsp_server.engine_link import EngineState
from lsp_server.features.complete import plan_completion, shape_completion
from lsp_server.ignored import ignored
from lsp_server.outcome import Item, Outcome
from lsp_server.place import Place
from lsp_server.printable import printable
from lsp_server.project_settings import FILE_NAME, Projects
from lsp_server.settings import Settings, parse_settings
from lsp_server.snapshot import Snapshot, detect_indent, open_document
from lsp_server.uris import display_path
from lsp_server.user_settings import read_user_settings
from model.engine import api
from model.syntax.languages import language_of_suffix

DEADLINE_MS = 10_000.0
FRAME_S = 0.08
CATCH_UP_S = 1.5  # the view never falls further behind the engine than this
NUM_CONTEXT_LINES = 3

Show = Callable[[api.Progress], None]
T = TypeVar("T")


class NoCompletion(Exception):
    """The engine gave no answer at all: its own sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Answer(msgspec.Struct, frozen=True):
    """What came of one request. `done` is None where the engine was not asked."""

    outcome: Outcome
    done: api.Done | None
    total_ms: float


class Request(msgspec.Struct, frozen=True):
    """A place as the language server would see it, asked for by hand, and the settings that hold there.

    `ignored` says what in the settings files does not count.
    """

    snapshot: Snapshot
    settings: Settings
    ignored: tuple[str, ...] = ()


def request_at(place: Place) -> Request:
    """The request for a place: with the user's settings, and what its project restricts."""
    path = Path(os.path.abspath(place.path))
    folder_uris = (project_folder(path).as_uri(),)
    projects = Projects()
    projects.look(folder_uris)
    user = read_user_settings()
    settings = parse_settings(user=user.values).settings
    sentences = (*user.sentences, *projects.sentences(settings))
    settings = projects.restrict(settings, path.as_uri())
    document = open_document(path.as_uri(), language_of_suffix(path.suffix), 0, place.text)
    snapshot = Snapshot(
        document=document,
        cursor=place.cursor,
        path=display_path(document.uri, folder_uris),
        trigger="invoked",
        indent=detect_indent(document.lines, near=place.cursor.line),
        is_ignored=bool(ignored([document.uri], folder_uris)),
    )
    return Request(snapshot, msgspec.structs.replace(settings, invoked_deadline_ms=DEADLINE_MS), sentences)


def project_folder(path: Path) -> Path:
    """What an editor would have opened: the nearest folder with a project's settings or a repository; else the current
    folder, if the file lies in it; else the file's own."""
    for above in path.parents:
        if (above / FILE_NAME).exists() or (above / ".git").exists():
            return above
    return Path.cwd() if Path.cwd() in path.parents else path.parent


async def complete(request: Request, show: Show | None) -> Answer:
    """Asks the engine, starting it if need be. Raises EngineUnavailable or NoCompletion."""
    started_s = time.perf_counter()
    snapshot, settings = request.snapshot, request.settings
    client = await connect(on_progress=show_progress)
    try:
        engine = EngineState(kind="ready", capabilities=await client.capabilities())
        planned = plan_completion(snapshot, settings, engine, f"cli-{time.monotonic_ns()}")
        if isinstance(planned, Outcome):
            return Answer(planned, None, _ms_since(started_s))
        asked = msgspec.structs.replace(planned.request, want_progress=show is not None)
        async for event in client.denoise(asked):
            if isinstance(event, api.Progress) and show is not None:
                show(event)
            elif isinstance(event, api.Error):
                raise NoCompletion(event.sentence)
            elif isinstance(event, api.Done):
                outcome = shape_completion(event, snapshot, settings, planned)
                return Answer(outcome, event, _ms_since(started_s))
        raise NoCompletion("The engine ended its answer early; its log is shown by seedling engine logs.")
    finally:
        await client.close()


def _ms_since(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1e3


async def complete_on_terminal(request: Request) -> Answer:
    """`complete`, drawing the steps."""
    return await drawn(lambda show: complete(request, show), *surrounding_text(request.snapshot))


async def drawn(ask: Callable[[Show], Awaitable[T]], before: str, after: str) -> T:
    """The result of `ask`, whose steps are drawn between two texts, slowed down so that they can be seen."""
    from rich.console import Console
    from rich.live import Live

    from lsp_server.denoise_view import frame

    frames: asyncio.Queue[api.Progress | None] = asyncio.Queue()

    async def draw() -> None:
        with Live(console=Console(highlight=False), auto_refresh=False, transient=True) as live:
            while (progress := await frames.get()) is not None:
                live.update(frame(before, progress, after), refresh=True)
                await asyncio.sleep(min(FRAME_S, CATCH_UP_S / (frames.qsize() + 1)))

    drawing = asyncio.create_task(draw())
    try:
        return await ask(frames.put_nowait)
    finally:
        frames.put_nowait(None)
        await drawing


def surrounding_text(snapshot: Snapshot) -> tuple[str, str]:
    """The lines above up to the cursor, and the rest of the cursor's line, as far as the view shows them."""
    lines, row = snapshot.document.lines, snapshot.cursor.line
    above = "".join(lines[max(0, row - NUM_CONTEXT_LINES) : row])
    return _with_line_feeds(above + snapshot.line_before), snapshot.line_after


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def figures_text(done: api.Done, total_ms: float) -> str:
    """One line: how sure, how much work, how long."""
    work = f"{done.num_tokens} tokens in {done.steps} steps, {done.forwards} forwards"
    times = f"{done.engine_ms:.0f} ms in the engine, {total_ms:.0f} ms in all"
    return f"confidence {done.confidence:.2f} · {work} · {times}"


def as_object(place: Place, answer: Answer) -> dict[str, object]:
    """What --json prints. `text` is null where there is no completion, and `why` names the reason."""
    item = answer.outcome.items[0] if answer.outcome.items else None
    shown: dict[str, object] = {
        "file": str(place.path),
        "line": place.cursor.line + 1,
        "column": place.cursor.column + 1,
        "text": item.text if item else None,
        "replaces_characters": item.end.column - place.cursor.column if item else 0,
        "why": answer.outcome.reason.slug if answer.outcome.reason else None,
        "total_ms": round(answer.total_ms, 1),
    }
    if answer.done is not None:
        shown |= {
            name: value for name, value in msgspec.to_builtins(answer.done).items() if name not in ("event", "text")
        }
    return shown


def print_on_terminal(snapshot: Snapshot, item: Item, figures: str) -> None:
    """The completed place, the new text in bold, and the figures."""
    from rich.console import Console
    from rich.text import Text

    before, after = surrounding_text(snapshot)
    shown = Text(printable(before), style="dim")
    shown.append(printable(_with_line_feeds(item.text)), style="bold green")
    shown.append(printable(after[item.end.column - snapshot.cursor.column :]), style="dim")
    shown.append(f"\n\n{figures}")
    Console(highlight=False).print(shown, soft_wrap=True)


def run(place: Place, as_json: bool) -> int:
    """Completes and prints. Exit code 1, and the reason on standard error, where there is no completion."""
    request = request_at(place)
    for sentence in request.ignored:
        print(printable(f"seedling: {sentence}"), file=sys.stderr)
    on_terminal = sys.stdout.isatty() and not as_json
    answer = asyncio.run(complete_on_terminal(request) if on_terminal else complete(request, None))
    item = answer.outcome.items[0] if answer.outcome.items else None
    figures = figures_text(answer.done, answer.total_ms) if answer.done else ""
    if as_json:
        print(json.dumps(as_object(place, answer)))
    elif item is None:
        print(printable(f"seedling: no completion: {answer.outcome.sentence}"), file=sys.stderr)
    elif on_terminal:
        print_on_terminal(request.snapshot, item, figures)
    else:
        print(printable(_with_line_feeds(item.text)), flush=True)
        print(figures, file=sys.stderr)
    return 0 if item else 1
