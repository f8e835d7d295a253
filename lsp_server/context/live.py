"""The context of a session: what was edited and viewed lately, and for each document the snippets to send.

Snippets stand near the beginning of a prompt, so changing them makes the engine read all of it again: a document's
change only after a pause of two seconds without edits in it. They are gathered then, in a thread, and a request takes
what is there. Source: llama.vim (its ring is brought up to date when nothing was typed for a while). One gathering at a
time; only the document that is used now has one. Loop thread only. Left out: which code helps (gather.py).
"""

import asyncio
import importlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from lsp_server.context.budget import shown_path, snippet_budget
from lsp_server.context.line_index import LineIndex
from lsp_server.context.ring import Chunk, chunk_around, with_chunk
from lsp_server.context.scene import Findings, Scene
from lsp_server.context.window import prompt_window
from lsp_server.positions import Position, without_end
from lsp_server.settings import Settings
from lsp_server.snapshot import Document, Snapshot
from lsp_server.uris import display_path, folder_of, local_path
from model.engine import api
from model.syntax.incremental import Trees

if TYPE_CHECKING:
    from lsp_server.context.files import ProjectFiles
    from lsp_server.context.reach import Reach

PAUSE_S = 2.0
# An editor that restores a session opens many documents in a row: the last one is the one that is looked at.
SETTLE_S = 0.2
# What was chosen four lines above helped no more (docs/log.md).
FAR_LINES = 3

log = logging.getLogger("seedling.context")


class View(msgspec.Struct, frozen=True):
    """What the session knows now: workspace folders, the settings of the document at hand, the model."""

    folders: tuple[str, ...]
    settings: Settings
    capabilities: api.Capabilities | None


class _Spot:
    """Where the user is in a document, and the snippets for there."""

    def __init__(self, row: int) -> None:
        self.row = row
        self.edited_s = float("-inf")
        self.found = Findings()
        self.gathered_row: int | None = None
        self.gathered_by: View | None = None
        self.asked: Snapshot | None = None


class LiveContext:
    """The session's only owner of context; told what happens to documents, asked for snippets."""

    def __init__(
        self, view: Callable[[str], View], is_ever_asked: Callable[[Document], bool], *, pause_s: float = PAUSE_S
    ) -> None:
        """view: what holds for a document. is_ever_asked: whether a question about it may come; else none is
        prepared."""
        self._view = view
        self._is_ever_asked = is_ever_asked
        self._pause_s = pause_s
        self._ring: tuple[Chunk, ...] = ()
        self._spots: OrderedDict[str, _Spot] = OrderedDict()  # the last used document last
        self._documents: dict[str, Document] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._bench = _Bench()

    @property
    def num_chunks(self) -> int:
        return len(self._ring)

    @property
    def is_busy(self) -> bool:
        """Whether something is being gathered, or will be after the pause."""
        return self._timer is not None or self._task is not None

    # What happens

    def opened(self, document: Document) -> None:
        self._spots.pop(document.uri, None)
        self._documents[document.uri] = document
        self._use(document.uri)
        self._gather_in(min(SETTLE_S, self._pause_s))

    def changed(self, document: Document, row: int | None) -> None:
        """`row` is the last change's, None where the whole text was replaced."""
        if document.uri not in self._documents:
            return
        self._documents[document.uri] = document
        spot = self._use(document.uri)
        spot.row = min(spot.row if row is None else row, len(document.lines) - 1)
        spot.edited_s = _now_s()
        self._gather_in(self._pause_s)

    def closed(self, uri: str) -> None:
        self._pick(uri)
        self._spots.pop(uri, None)
        self._documents.pop(uri, None)

    def focused(self, uri: str | None) -> None:
        if uri in self._documents and uri != next(reversed(self._spots), None):
            self._use(uri)
            self._gather_in(min(SETTLE_S, self._pause_s))

    def saved(self, uri: str) -> None:
        self._pick(uri)

    def asked(self, snapshot: Snapshot) -> None:
        """A completion was asked for: the only message that tells where the cursor is."""
        uri = snapshot.document.uri
        if uri not in self._documents:
            return
        spot = self._use(uri)
        spot.row, spot.asked = snapshot.cursor.line, snapshot
        is_far = spot.gathered_row is None or abs(spot.gathered_row - spot.row) > FAR_LINES
        is_outdated = is_far or spot.gathered_by != self._view(uri)
        if is_outdated and not self.is_busy:
            self._gather_in(min(SETTLE_S, self._pause_s))

    async def close(self) -> None:
        self._spots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # What is asked

    def snippets_for(self, snapshot: Snapshot) -> tuple[api.Snippet, ...]:
        """What there is for a request, without what has come into the prompt's own window meanwhile."""
        view = self._view(snapshot.document.uri)
        snippets = self._found_by(view, snapshot).snippets
        own = shown_path(snapshot.path)
        if view.capabilities is None or all(snippet.path != own for snippet in snippets):
            return snippets
        prompt = prompt_window(snapshot, view.capabilities.context_tokens)
        window = prompt.prefix + prompt.line + prompt.tail + prompt.suffix
        return tuple(snippet for snippet in snippets if snippet.path != own or snippet.text not in window)

    def lines_for(self, snapshot: Snapshot) -> LineIndex | None:
        """The lines of the other texts, as they were in the last pause."""
        return self._found_by(self._view(snapshot.document.uri), snapshot).lines

    def _found_by(self, view: View, snapshot: Snapshot) -> Findings:
        spot = self._spots.get(snapshot.document.uri)
        # What was gathered by other settings or for other folders may hold what these exclude.
        if spot is None or view.capabilities is None or spot.gathered_by != view:
            return Findings()
        return spot.found

    # How it comes about

    def _use(self, uri: str) -> _Spot:
        """Makes a document the one that is used now; the one before it leaves a chunk."""
        last = next(reversed(self._spots), None)
        if last is not None and last != uri:
            self._pick(last)
        spot = self._spots.setdefault(uri, _Spot(0))
        self._spots.move_to_end(uri)
        return spot

    def _pick(self, uri: str) -> None:
        """Keeps the lines around where the user is in a document."""
        spot, document = self._spots.get(uri), self._documents.get(uri)
        if spot is None or document is None or self._view(uri).settings.context == "none":
            return
        chunk = chunk_around(document, spot.row)
        if chunk is not None:
            self._ring = with_chunk(self._ring, chunk)

    def _gather_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._paused)

    def _paused(self) -> None:
        self._timer = None
        uri = next(reversed(self._spots), None)
        if uri is None:
            return
        quiet_s = _now_s() - self._spots[uri].edited_s
        if quiet_s < self._pause_s:
            self._gather_in(self._pause_s - quiet_s)
            return
        self._pick(uri)
        if self._task is None:
            self._task = asyncio.ensure_future(self._gather(uri))
            self._task.add_done_callback(self._gathered)
        else:
            self._is_wanted = True

    def _gathered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("gathering failed: %s", type(error).__name__)
        if self._is_wanted:
            self._is_wanted = False
            self._gather_in(0)

    async def _gather(self, uri: str) -> None:
        spot, document = self._spots[uri], self._documents[uri]
        view = self._view(uri)
        if view.capabilities is None or not self._is_ever_asked(document):
            return  # without a model there is no budget; the next pause tries again
        row = min(spot.row, len(document.lines) - 1)
        scene = Scene(
            snapshot=_snapshot_at(document, row, spot.asked, view.folders),
            budget=snippet_budget(view.capabilities),
            context_tokens=view.capabilities.context_tokens,
            documents=tuple(self._documents[other] for other in reversed(self._spots) if other != uri),
            ring=self._ring,
            folders=view.folders,
            settings=view.settings,
        )
        found = await asyncio.to_thread(_gather_in_thread, self._bench, scene)
        is_same = self._spots.get(uri) is spot and self._documents.get(uri) is document
        if is_same:  # after an edit meanwhile the next pause gathers again
            spot.found, spot.gathered_row, spot.gathered_by = found, row, view
            num_chars, num_lines = sum(len(one.text) for one in found.snippets), len(found.lines or ())
            log.info("context: %d snippets, %d characters, %d lines", len(found.snippets), num_chars, num_lines)


class _Bench:
    """What gatherings keep for the next one. Only the gathering that runs touches it."""

    def __init__(self) -> None:
        self.reach: Reach | None = None
        self.lines: LineIndex | None = None
        self.files: ProjectFiles | None = None
        self.files_by: tuple[str, tuple[str, ...], tuple[str, ...], int] | None = None


def _gather_in_thread(bench: _Bench, scene: Scene) -> Findings:
    # Grammars and patterns of ignore files cost some 50 ms to import: here, where nobody waits for them.
    if bench.reach is None:
        bench.reach = importlib.import_module("lsp_server.context.reach").Reach()
    gather = importlib.import_module("lsp_server.context.gather")
    found: Findings = gather.gather_all(scene, _files_of(bench, scene), bench.reach, bench.lines)
    bench.lines = found.lines
    return found


def _files_of(bench: _Bench, scene: Scene) -> "ProjectFiles | None":
    """The files of the workspace folder that the document lies in, if that is on this machine."""
    folder = folder_of(scene.snapshot.document.uri, scene.folders)
    path = None if folder is None else local_path(folder)
    if path is None:
        return None
    others = (local_path(other) for other in scene.folders if other != folder)
    nested = tuple(str(other) for other in others if other is not None)
    settings = scene.settings
    files_by = (str(path), settings.exclude, nested, settings.max_file_bytes)
    if bench.files is None or bench.files_by != files_by:
        files = importlib.import_module("lsp_server.context.files")
        bench.files, bench.files_by = files.ProjectFiles(*files_by), files_by
    return bench.files


def _snapshot_at(document: Document, row: int, asked: Snapshot | None, folders: tuple[str, ...]) -> Snapshot:
    """A snapshot of `document` as it is now, at the end of `row`."""
    cursor = Position(row, len(without_end(document.lines[row])))
    if asked is None:
        return Snapshot(document=document, cursor=cursor, path=display_path(document.uri, folders))
    # The trees belong to the loop thread.
    return msgspec.structs.replace(asked, document=document, cursor=cursor, selected=None, trees=Trees())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
