"""The one owner of mutable state: open documents, settings, running requests, the engine link. Loop thread only.

Features never see it: they get a Snapshot. Left out: the wire (handlers/), the engine's states (engine_link.py).
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

from lsp_server.canvases import Canvases
from lsp_server.client_profile import ClientProfile
from lsp_server.context.live import LiveContext, View
from lsp_server.engine_link import EngineLink
from lsp_server.features.lasting import is_ever_asked
from lsp_server.features.quiet import Asked
from lsp_server.ignored import ignored
from lsp_server.in_flight import Flights
from lsp_server.next_edits import NextEdits
from lsp_server.notebooks import Notebooks
from lsp_server.offers import Offers
from lsp_server.outcome import Outcome, Reason, nothing
from lsp_server.positions import Position, from_client
from lsp_server.project_settings import Projects
from lsp_server.repairs import Repairs
from lsp_server.settings import Settings, parse_settings
from lsp_server.snapshot import (
    Document,
    IndentStyle,
    Selected,
    Snapshot,
    detect_indent,
    open_document,
    usable_selection,
)
from lsp_server.switches import Switches
from lsp_server.toml_file import stamp_of
from lsp_server.type_along import TypeAlong, shown_at
from lsp_server.uris import display_path, document_key
from lsp_server.user_settings import UserSettings, read_user_settings
from lsp_server.wire import Changed, CompletionRequest, Opened, trigger_of
from model.syntax.incremental import Trees

T = TypeVar("T")
Key = tuple[str, str, str, str]


class Ticket:
    """A running request. `cut` is resolved with the reason when its answer is no longer wanted."""

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.cut: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self.arrived_s = time.perf_counter()

    def end(self, reason: Reason) -> None:
        """Makes the request answer `reason` now, unless it was cut before."""
        if not self.cut.done():
            self.cut.set_result(reason)


class Session:
    """One editor's session, from `initialize` to the end of the process."""

    def __init__(self, engine: EngineLink) -> None:
        self.engine = engine
        self.client = ClientProfile()
        self.settings = Settings()
        self.context = LiveContext(self._view_for, self._is_ever_asked)
        self.switches = Switches()
        self.trees = Trees()
        self.notebooks = Notebooks()
        self.changed_at_s = float("-inf")
        self.type_along = TypeAlong()
        self.flights = Flights()
        self.offers = Offers()
        self.next_edits = NextEdits()
        self.repairs = Repairs()
        self.canvases = Canvases()
        self._user: UserSettings | None = None
        self._projects = Projects()
        self._ignored: frozenset[str] = frozenset()
        self._configuration: Any = None
        self._said: set[str] = set()
        self._documents: dict[Key, Document] = {}
        self._running: dict[Key, Ticket] = {}
        self._leftovers: set[asyncio.Future] = set()
        self._counts_from_zero = False
        self._id_prefix = secrets.token_hex(4)
        self._num_requests = 0

    # Documents

    def open(self, opened: Opened) -> None:
        """Holds a document from now on; opening it twice replaces it, as a reload in the editor does."""
        key = document_key(opened.uri)
        self._cut(key, Reason.STALE)
        self._forget_document(key)
        document = open_document(opened.uri, opened.language, opened.version, opened.text)
        self._documents[key] = document
        self.context.opened(document)

    def change(self, changed: Changed) -> None:
        """Applies a change; what was being computed for the older version is answered `stale` at once."""
        key = document_key(changed.uri)
        document = self._documents.get(key)
        if document is None:
            return  # a client that skips didOpen; requests for it are answered `not_open`
        self.changed_at_s = asyncio.get_running_loop().time()
        self._cut(key, Reason.STALE)
        changed_document = document.changed(changed.changes, changed.version, self.client.encoding)
        self._documents[key] = changed_document
        self.flights.changed(changed_document)
        self.repairs.changed(document.uri)
        self.canvases.cut(document.uri, Reason.STALE)
        is_on = self.settings_for(document.uri).next_edit_enable
        self.next_edits.changed(document, changed_document, is_on=is_on)
        last = changed.changes[-1].start if changed.changes else None
        self.context.changed(changed_document, None if last is None else last[0])

    def close_document(self, uri: str) -> None:
        self._cut(document_key(uri), Reason.CLOSED)
        self._forget_document(document_key(uri))

    def _forget_document(self, key: Key) -> None:
        document = self._documents.pop(key, None)
        if document is not None:
            self.flights.cancel(document.uri)
            self.type_along.forget(document.uri)
            self.next_edits.forget(document.uri)
            self.repairs.forget(document.uri)
            self.canvases.cut(document.uri, Reason.CLOSED)
            self.trees.forget(document.uri)
            self.context.closed(document.uri)

    def open_documents(self) -> tuple[Document, ...]:
        return tuple(self._documents.values())

    def is_current(self, document: Document) -> bool:
        """Whether this is still the newest version of an open document."""
        now = self.document(document.uri)
        return now is not None and now.version == document.version and now.lines == document.lines

    def document(self, uri: str) -> Document | None:
        return self._documents.get(document_key(uri))

    # Requests

    def arrive(self, request: CompletionRequest) -> tuple[Ticket, Snapshot | Outcome]:
        """Takes the snapshot of a request that is just being dispatched, and cuts the one before it.

        Neovim's built-in client never cancels a request that a newer one made useless, so the server does.
        """
        key = document_key(request.uri)
        self._cut(key, Reason.SUPERSEDED)
        ticket = self._running[key] = self.ticket()
        self._counts_from_zero |= request.trigger_kind == 0
        arrived = self._look(request)
        if isinstance(arrived, Snapshot):
            self.flights.arrived(arrived)
            self.context.asked(arrived)
        return ticket, arrived

    def arrive_for_edit(self, request: CompletionRequest) -> tuple[Ticket, Snapshot | Outcome]:
        """As `arrive`, for a next edit: a request of its own, beside one for ghost text."""
        ticket, arrived = self.ticket(), self._look(request)
        if isinstance(arrived, Snapshot):
            self.next_edits.begin(arrived.document.uri, ticket)
        return ticket, arrived

    def arrive_for_canvas(
        self, uri: str, version: int | None, position: tuple[int, int] = (0, 0)
    ) -> tuple[Ticket, Snapshot | Outcome]:
        """As `arrive`, for a rewrite or a watch: asked for by hand always; a rewrite's selection is its own."""
        ticket = self.ticket()
        arrived = self._look(CompletionRequest(uri=uri, position=position, trigger_kind=0, version=version))
        if isinstance(arrived, Snapshot):
            self.canvases.begin(uri, ticket)
        return ticket, arrived

    def ticket(self) -> Ticket:
        """A ticket with an id of its own."""
        self._num_requests += 1
        return Ticket(f"{self._id_prefix}-{self._num_requests}")

    def _look(self, request: CompletionRequest) -> Snapshot | Outcome:
        document = self.document(request.uri)
        if document is None:
            return nothing(Reason.NOT_OPEN)
        if request.version is not None and request.version != document.version:
            return nothing(Reason.STALE)
        snapshot = self._snapshot(document, request)
        return self.switches.refusal(document.uri, document.language, snapshot.trigger) or snapshot

    def _snapshot(self, document: Document, request: CompletionRequest) -> Snapshot:
        lines, encoding = document.lines, self.client.encoding
        cursor = from_client(lines, *request.position, encoding)
        selected = None
        if request.selected is not None:
            start = from_client(lines, *request.selected.start, encoding)
            end = from_client(lines, *request.selected.end, encoding)
            selected = usable_selection(document, cursor, Selected(start, end, request.selected.text))
        tab_size = request.tab_size or 4
        if request.insert_spaces is None:
            indent = detect_indent(lines, tab_size=tab_size, near=cursor.line)
        else:
            indent = IndentStyle(" " * tab_size if request.insert_spaces else "\t", tab_size)
        return Snapshot(
            document=document,
            cursor=cursor,
            path=display_path(document.uri, self.client.folders),
            trigger=trigger_of(request.trigger_kind, counts_from_zero=self._counts_from_zero),
            indent=indent,
            selected=selected,
            is_ignored=self.is_ignored(document),
            above=self._lines_above(document),
            trees=self.trees,
        )

    def _lines_above(self, document: Document) -> tuple[str, ...]:
        """The lines of the code cells above a notebook's cell, those in its own language."""
        lines: list[str] = []
        for uri in self.notebooks.code_above(document.uri):
            cell = self.document(uri)
            if cell is not None and cell.language == document.language and cell.lines != ("",):
                *whole, last = cell.lines
                lines += [*whole, last + "\n"] if last else whole
        return tuple(lines)

    async def unless_cut(self, ticket: Ticket, work: Awaitable[T]) -> T | Reason:
        """The result of `work`, or the reason why nobody wants it any more, whichever comes first.

        The work is cancelled when it loses or when the request itself is cancelled; it may take its time to end.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, ticket.cut}, return_when=asyncio.FIRST_COMPLETED)
            return ticket.cut.result() if ticket.cut.done() else task.result()
        finally:
            if not task.done():
                task.cancel()
                self._leftovers.add(task)
                task.add_done_callback(self._forget)
            elif not task.cancelled():
                task.exception()  # marks it as seen, should the cut have won in the same moment

    async def idle(self) -> None:
        """Waits until nothing is asked, and no request is about to ask: one that pauses first has no flight yet."""
        await self.flights.idle()
        while self._running:
            await asyncio.wait({ticket.cut for ticket in self._running.values()})
            await self.flights.idle()

    def finish(self, uri: str, ticket: Ticket) -> None:
        """Forgets a request that was answered; the engine's work for it may serve the next one."""
        ticket.end(Reason.CLOSED)
        if self._running.get(document_key(uri)) is ticket:
            del self._running[document_key(uri)]
        document = self.document(uri)
        if document is not None:
            self.flights.left(document.uri)

    def remember(self, snapshot: Snapshot, outcome: Outcome, *, prefetched: bool = False) -> None:
        """Keeps the items of an answer, the first as the newest, for when the user types into them.

        Alternatives to it that are doubtful are not kept: the user may not have seen them, and did not ask for them.
        """
        for index, item in reversed(list(enumerate(outcome.items))):
            if index == 0 or item.confidence >= self.settings_for(snapshot.document.uri).confidence:
                self.type_along.add(shown_at(snapshot, item, prefetched=prefetched))

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` until it ends or the session does."""
        task = asyncio.ensure_future(work)
        self._leftovers.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Future) -> None:
        self._leftovers.discard(task)
        if not task.cancelled():
            task.exception()

    def _cut(self, key: Key, reason: Reason) -> None:
        ticket = self._running.pop(key, None)
        if ticket is not None:
            ticket.end(reason)

    # Settings and switches

    def configure(self, configuration: Any) -> list[str]:
        """Takes new settings (raw JSON; None keeps the last). Returns the sentences that were not said before."""
        if configuration is not None:
            self._configuration = configuration
        user = self._user
        parsed = parse_settings(self.client.options, self._configuration, user=None if user is None else user.values)
        if parsed.settings != self.settings:
            self.type_along.clear()
        self.settings = parsed.settings
        sentences = [*(user.sentences if user else ()), *parsed.remarks.values()]
        sentences += self._projects.sentences(self.settings)
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._said]
        self._said.update(new)
        return new

    def read_files(self, uris: Collection[str] = ()) -> bool:
        """Reads the user's and the projects' settings files where they have changed, and asks ignore files about the
        documents `uris` (about all, if none are named); whether anything is different now."""
        before, ignored_before = self._user, self._ignored
        if before is None or before.stamp != stamp_of(before.path):
            self._user = read_user_settings()
        changed = self._projects.look(self.client.folders)
        documents = self._documents.values() if not uris else filter(None, map(self.document, uris))
        looked_at = {document.uri for document in documents}
        self._ignored = (self._ignored - looked_at) | ignored(looked_at, self.client.folders)
        if changed:
            self.type_along.clear()
        return changed or self._user != before or self._ignored != ignored_before

    def is_ignored(self, document: Document) -> bool:
        """Whether the user wants nothing completed in this file."""
        return document.uri in self._ignored

    def settings_for(self, uri: str) -> Settings:
        """The settings for one document: its project may restrict the user's."""
        return self._projects.restrict(self.settings, uri)

    def snapshot_of(self, document: Document, cursor: Position | None = None) -> Snapshot:
        """A document as by-hand features see it: the user asked, wherever the cursor stands."""
        path = display_path(document.uri, self.client.folders)
        is_ignored = self.is_ignored(document)
        cursor = Position(0, 0) if cursor is None else cursor
        return Snapshot(document=document, cursor=cursor, path=path, trigger="invoked", is_ignored=is_ignored)

    def _view_for(self, uri: str) -> View:
        folders = self.client.folders
        settings = self.switches.restrict(self.settings_for(uri), uri, folders)
        return View(folders, settings, self.engine.state.capabilities)

    def _is_ever_asked(self, document: Document) -> bool:
        asked = Asked(self.snapshot_of(document), self.settings_for(document.uri), self.engine.state)
        return is_ever_asked(asked, self.switches)

    def cut_where(self, why_off: Callable[[Document], Reason | None]) -> None:
        """Ends what runs for the documents that are off, for whatever reason, and drops what was shown there."""
        for key, document in self._documents.items():
            reason = why_off(document)
            if reason is not None:
                self._cut(key, reason)
                self.flights.cancel(document.uri)
                self.type_along.forget(document.uri)
            by_hand = self.switches.refusal(document.uri, document.language, "invoked")
            if by_hand is not None and by_hand.reason is not None:
                self.canvases.cut(document.uri, by_hand.reason)
                self.repairs.cut_fix(document.uri, by_hand.reason)

    async def close(self) -> None:
        """Ends what still runs and lets the engine go."""
        for key in list(self._running):
            self._cut(key, Reason.CLOSED)
        self.canvases.close()
        await self.repairs.searches.close()
        leftovers = list(self._leftovers)
        for task in leftovers:
            task.cancel()
        await asyncio.gather(*leftovers, return_exceptions=True)
        await self.context.close()
        await self.flights.close()
        await self.engine.close()
