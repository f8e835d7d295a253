"""`seedling rewrite FILE:LINE[-LINE] -m "…"`: one rewrite through the same planning as the language server's.

On a terminal the denoising is drawn as it happens. Then the new code is printed, or a unified diff (--diff), or the
file is written (--write), unless it has changed since it was read. Left out: finding the lines (place.py), what is sent
and what comes of the answer (features/rewrite.py).
"""

import asyncio
import difflib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server.complete_command import NUM_CONTEXT_LINES, Request, Show, drawn, request_at
from lsp_server.engine_client.connect import connect
from lsp_server.engine_command import show_progress
from lsp_server.engine_link import EngineState
from lsp_server.features.quiet import Asked
from lsp_server.features.rewrite import (
    Target,
    breaks_syntax,
    line_end,
    position_of,
    rewrite_request,
    rewritten,
    target_of,
    why_not_rewritten,
)
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.place import Place, Rows
from lsp_server.positions import Position, split_lines, without_end
from lsp_server.printable import printable
from model.engine import api

Form = Literal["code", "diff", "write"]


class RewriteFailed(Exception):
    """Nothing was rewritten: one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is what stands in place of the target now, `text` the whole file; both with the file's line ends."""

    code: str
    text: str
    done: api.Done
    parses: bool


def run(rows: Rows, instruction: str, *, form: Form, seed: int) -> int:
    """Rewrites and prints. Exit code 1, and the reason on standard error, where nothing is rewritten."""
    request = request_at(Place(rows.path, rows.text, Position(rows.first, 0)))
    for sentence in request.ignored:
        print(printable(f"seedling: {sentence}"), file=sys.stderr)
    result = asyncio.run(rewrite(request, rows, instruction, seed))
    if isinstance(result, Outcome):
        print(printable(f"seedling: nothing rewritten: {result.sentence}"), file=sys.stderr)
        return 1
    if form == "write":
        write_unless_changed(rows.path, rows.text, result.text)
    elif form == "diff":
        print(printable(diff(rows.path, rows.text, result.text)), end="", flush=True)
    else:
        print(printable(_with_line_feeds(result.code)), flush=True)
    done = result.done
    doubt = "" if result.parses else " · the file does not parse any more"
    figures = f"confidence {done.confidence:.2f} · {done.forwards} forwards, {done.engine_ms:.0f} ms in the engine"
    print(figures + doubt, file=sys.stderr)
    return 0


async def rewrite(request: Request, rows: Rows, instruction: str, seed: int) -> Result | Outcome:
    """Asks the engine, starting it if need be. Raises EngineUnavailable or RewriteFailed."""
    snapshot, settings = request.snapshot, request.settings
    client = await connect(on_progress=show_progress)
    try:
        capabilities = await client.capabilities()
        engine = EngineState(kind="ready", capabilities=capabilities, completes_only=client.completes_only)
        refused = why_not_rewritten(Asked(snapshot, settings, engine), instruction)
        if refused is not None:
            return refused
        last = snapshot.document.lines[rows.last]
        selected = Position(rows.first, 0), Position(rows.last, len(without_end(last)))
        target = target_of(snapshot, *selected, capabilities.context_tokens)
        if target is None:
            return nothing(Reason.NOTHING_SELECTED)
        asked = rewrite_request(
            target, snapshot, instruction, seed, capabilities.context_tokens, f"cli-{time.monotonic_ns()}"
        )

        async def ask(show: Show | None) -> api.Done:
            async for event in client.denoise(asked):
                if isinstance(event, api.Progress) and show is not None:
                    show(event)
                elif isinstance(event, api.Error):
                    raise RewriteFailed(event.sentence)
                elif isinstance(event, api.Done):
                    return event
            raise RewriteFailed("The engine ended its answer early; its log is shown by seedling engine logs.")

        done = await (
            drawn(ask, *_surrounding_text(target)) if sys.stderr.isatty() and sys.stdout.isatty() else ask(None)
        )
    finally:
        await client.close()
    text = rewritten(target, done)
    if isinstance(text, Reason):
        return nothing(text)
    new = text.replace("\n", line_end(snapshot.document.lines))
    return Result(
        code=new,
        text=_spliced(snapshot.document.lines, target, new),
        done=done,
        parses=not breaks_syntax(target, text, snapshot.document.language),
    )


def _spliced(lines: tuple[str, ...], target: Target, new: str) -> str:
    """The document's text with `new` in place of the target: everything else byte by byte as it was."""
    start, end = position_of(target.source, target.start), position_of(target.source, target.end)
    before = "".join(lines[: start.line]) + lines[start.line][: start.column]
    return before + new + lines[end.line][end.column :] + "".join(lines[end.line + 1 :])


def _surrounding_text(target: Target) -> tuple[str, str]:
    above = target.source[: target.start - len(target.before)].split("\n")[-1 - NUM_CONTEXT_LINES :]
    below = target.source[target.end + len(target.after) :].split("\n")[:NUM_CONTEXT_LINES]
    return "\n".join(above), "\n".join(below)


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def diff(path: Path, old: str, new: str) -> str:
    """A unified diff that `patch -p0` takes."""
    lines: list[str] = []
    for line in difflib.unified_diff(_rows(old), _rows(new), str(path), str(path)):
        if line:
            lines.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(lines)


def _rows(text: str) -> list[str]:
    """The lines as `patch` counts them: behind the last line end there is none."""
    return [line for line in split_lines(text) if line]


def write_unless_changed(path: Path, old: str, new: str) -> None:
    """Replaces the file's text at once, or leaves it as it is. Raises RewriteFailed with a sentence."""
    target = path.resolve()
    try:
        if target.read_bytes() != old.encode("utf-8"):
            raise RewriteFailed(f"{path} has changed since it was read: it was not written.")
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(new.encode("utf-8"))
            shutil.copymode(target, beside)
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RewriteFailed(f"{path} could not be written ({error.strerror}).") from None
