"""What the server remembers for next edits: each document's last changes, what was offered, accepted and rejected.

Source: Copilot's `didShowInlineEdit` and `notifyRejected`, and an edit's command, which the editor runs behind it.
Rejections are hashes, kept until the session ends and never written down: the first takes away one place, the second of
the same change all that follows from it. Everything is bounded. Left out: what follows from what (features/next_edit).
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from lsp_server.features.next_edit.history import History, Lines
from lsp_server.features.next_edit.places import Place, applied
from lsp_server.features.next_edit.propose import Proposal
from lsp_server.outcome import Reason
from lsp_server.snapshot import Document
from model.syntax.incremental import Parsed

if TYPE_CHECKING:
    from lsp_server.session import Ticket

MAX_OFFERS = 16
MAX_REJECTED = 1_000
MAX_TREES = 2


class _Offer(msgspec.Struct, frozen=True):
    uri: str
    proposal: Proposal
    lines_after: Lines


class NextEdits:
    """All of it, by document URI. Loop thread only."""

    def __init__(self) -> None:
        self.num_shown = 0
        self.num_accepted = 0
        self.num_rejected = 0
        self._histories: dict[str, History] = {}
        self._running: dict[str, Ticket] = {}
        self._trees: OrderedDict[str, Parsed] = OrderedDict()
        self._offers: OrderedDict[str, _Offer] = OrderedDict()
        self._accepted: set[str] = set()
        self._rejected: OrderedDict[int, None] = OrderedDict()

    def changed(self, old: Document, new: Document, *, is_on: bool) -> None:
        """A document was changed: what is being looked for is of no use any more; while it is on, the change counts."""
        self.cut(new.uri, Reason.STALE)
        if not is_on:
            self._histories.pop(new.uri, None)
            return
        history = self._histories.get(new.uri, History())
        offer = next((one for one in reversed(self._offers.values()) if one.uri == new.uri), None)
        if offer is not None and offer.lines_after == new.lines:
            self._histories[new.uri] = history.followed(old.lines, new.lines)
        else:
            self._histories[new.uri] = history.after(old.lines, new.lines)

    def history(self, uri: str) -> History:
        return self._histories.get(uri, History())

    def forget(self, uri: str) -> None:
        """A document was closed or is another one now. What was rejected in it stays so."""
        self.cut(uri, Reason.CLOSED)
        self._histories.pop(uri, None)
        self._trees.pop(uri, None)

    # Requests

    def begin(self, uri: str, ticket: "Ticket") -> None:
        """A request has arrived; the one before it in the same document is superseded."""
        self.cut(uri, Reason.SUPERSEDED)
        self._running[uri] = ticket

    def end(self, uri: str, ticket: "Ticket") -> None:
        if self._running.get(uri) is ticket:
            del self._running[uri]

    def cut(self, uri: str, reason: Reason) -> None:
        """Ends what is being looked for in a document."""
        ticket = self._running.pop(uri, None)
        if ticket is not None:
            ticket.end(reason)

    def tree(self, uri: str) -> Parsed | None:
        """The tree of the last look, of whichever text that was."""
        return self._trees.get(uri)

    def keep_tree(self, uri: str, parsed: Parsed | None) -> None:
        if parsed is None or uri not in self._histories:
            return
        self._trees[uri] = parsed
        self._trees.move_to_end(uri)
        while len(self._trees) > MAX_TREES:
            self._trees.popitem(last=False)

    # Offers

    @property
    def rejected(self) -> frozenset[int]:
        return frozenset(self._rejected)

    def offer(self, offer_id: str, document: Document, proposal: Proposal, place: Place) -> None:
        """Remembers an edit that the editor was given. place: with its hole filled."""
        _, new = applied(place, document.lines)
        lines_after = (*document.lines[: place.start.line], *new, *document.lines[place.end.line + 1 :])
        self._offers[offer_id] = _Offer(document.uri, proposal, lines_after)
        while len(self._offers) > MAX_OFFERS:
            gone, _ = self._offers.popitem(last=False)
            self._accepted.discard(gone)

    def shown(self, offer_id: str | None) -> None:
        """The editor has drawn an edit."""
        self.num_shown += offer_id in self._offers

    def accepted(self, offer_id: str | None) -> bool:
        """An edit was accepted; whether it was one of ours, and not yet known to be."""
        is_new = offer_id in self._offers and offer_id not in self._accepted
        if offer_id is not None and is_new:
            self._accepted.add(offer_id)
            self.num_accepted += 1
        return is_new

    def reject(self, offer_id: str) -> bool:
        """An edit was rejected: it is not offered again, nor, after the second, what else follows from that change."""
        offer = self._offers.pop(offer_id, None)
        if offer is None:
            return False
        self.num_rejected += 1
        once = hash(("once", offer.uri, offer.proposal.source_key))
        self._rejected[offer.proposal.source_key if once in self._rejected else once] = None
        self._rejected[offer.proposal.key] = None
        while len(self._rejected) > MAX_REJECTED:
            self._rejected.popitem(last=False)
        return True
