"""What the server remembers of repairs: who looks for some, what was found unasked, what the user has sent away.

Loop thread only. Left out: looking (handlers/fixing.py, handlers/diagnostic.py).
"""

from typing import TYPE_CHECKING, Literal

import msgspec

from lsp_server.dismissed import Dismissed
from lsp_server.features.fix import Repair
from lsp_server.features.mend import moved
from lsp_server.fix_searches import FixSearches
from lsp_server.outcome import Reason
from lsp_server.snapshot import Document

if TYPE_CHECKING:
    from lsp_server.session import Ticket

What = Literal["fix", "mend"]


class _Mended(msgspec.Struct, frozen=True):
    """What was found in a document with these lines."""

    lines: tuple[str, ...]
    repairs: tuple[Repair, ...]


class Repairs:
    """All of it, by document URI."""

    def __init__(self) -> None:
        self.dismissed = Dismissed()
        self.searches = FixSearches()
        self._running: dict[tuple[What, str], Ticket] = {}
        self._mended: dict[str, _Mended] = {}

    def begin(self, what: What, uri: str, ticket: "Ticket") -> "Ticket":
        """Somebody looks; whoever looked before in the same document is superseded."""
        self._cut(what, uri, Reason.SUPERSEDED)
        self._running[what, uri] = ticket
        return ticket

    def end(self, what: What, uri: str, ticket: "Ticket") -> None:
        if self._running.get((what, uri)) is ticket:
            del self._running[what, uri]

    def is_running(self, what: What, uri: str) -> bool:
        return (what, uri) in self._running

    def changed(self, uri: str) -> None:
        """What is being looked for in the older version is of no use."""
        self.cut_fix(uri, Reason.STALE)
        self._cut("mend", uri, Reason.STALE)

    def forget(self, uri: str) -> None:
        """A document was closed or is another one now."""
        self.cut_fix(uri, Reason.CLOSED)
        self._cut("mend", uri, Reason.CLOSED)
        self._mended.pop(uri, None)

    def cut_fix(self, uri: str, reason: Reason) -> None:
        """Ends the looking for fixes, and forgets what was found."""
        self._cut("fix", uri, reason)
        self.searches.forget(uri)

    def keep(self, document: Document, repairs: tuple[Repair, ...]) -> bool:
        """Remembers what was found unasked; whether it is another result than the one before."""
        before = self.mended(document)
        self._mended[document.uri] = _Mended(document.lines, repairs)
        return before != repairs

    def drop(self, uri: str) -> bool:
        """Forgets what was found unasked, and stops looking; whether there was anything."""
        self._cut("mend", uri, Reason.MEND_OFF)
        found = self._mended.pop(uri, None)
        return found is not None and bool(found.repairs)

    def is_done(self, document: Document) -> bool:
        """Whether this very text was looked through."""
        found = self._mended.get(document.uri)
        return found is not None and found.lines == document.lines

    def mended(self, document: Document) -> tuple[Repair, ...]:
        """What was found unasked last, where it stands now."""
        found = self._mended.get(document.uri)
        return () if found is None else moved(found.repairs, found.lines, document.lines)

    def _cut(self, what: What, uri: str, reason: Reason) -> None:
        ticket = self._running.pop((what, uri), None)
        if ticket is not None:
            ticket.end(reason)
