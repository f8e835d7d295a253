"""The canvases that are being written by hand (rewrites, watches), at most one a document: a newer one, a keystroke or
closing the document ends it.

Left out: requests for ghost text (session.py), which live and end by their own rules.
"""

from typing import TYPE_CHECKING

from lsp_server.outcome import Reason
from lsp_server.uris import document_key

if TYPE_CHECKING:
    from lsp_server.session import Ticket


class Canvases:
    """By document. Loop thread only."""

    def __init__(self) -> None:
        self._tickets: dict[tuple[str, ...], Ticket] = {}

    def begin(self, uri: str, ticket: "Ticket") -> None:
        """A request has arrived; the one before it in the same document is superseded."""
        self.cut(uri, Reason.SUPERSEDED)
        self._tickets[document_key(uri)] = ticket

    def end(self, uri: str, ticket: "Ticket") -> None:
        """A request was answered."""
        if self._tickets.get(document_key(uri)) is ticket:
            del self._tickets[document_key(uri)]

    def cut(self, uri: str, reason: Reason) -> None:
        """Ends what is being asked for in a document."""
        ticket = self._tickets.pop(document_key(uri), None)
        if ticket is not None:
            ticket.end(reason)

    def close(self) -> None:
        """Ends all."""
        tickets, self._tickets = self._tickets, {}
        for ticket in tickets.values():
            ticket.end(Reason.CLOSED)
