"""What became of the items that the editor was given: shown, accepted in parts, accepted.

Source: Copilot's `didShowCompletion` and `didPartiallyAcceptCompletion` (UTF-16 units from the start of `insertText`,
cumulative), and the command of an item, which an editor runs after its insertion. Left out: guessing from the document
what an editor does not tell.
"""

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from lsp_server.outcome import Item
from lsp_server.positions import num_units
from lsp_server.snapshot import Snapshot

MAX_OFFERS = 16


class Offer(msgspec.Struct, frozen=True):
    """An item and what it was made for."""

    snapshot: Snapshot
    item: Item


class Offers:
    """The last offers, and what the user did with all of them. Each is counted once, whatever is told how often."""

    def __init__(self) -> None:
        self.num_shown = 0
        self.num_accepted = 0
        self.num_accepted_units = 0
        self._offers: OrderedDict[str, Offer] = OrderedDict()
        self._accepted_units: dict[str, int] = {}
        self._shown: set[str] = set()

    def add(self, snapshot: Snapshot, items: Iterable[Item]) -> None:
        """Remembers what an answer holds."""
        for item in items:
            self._offers[item.id] = Offer(snapshot, item)
        while len(self._offers) > MAX_OFFERS:
            gone, _ = self._offers.popitem(last=False)
            self._accepted_units.pop(gone, None)
            self._shown.discard(gone)

    def shown(self, item_id: str | None) -> None:
        """The editor has drawn an item."""
        if item_id in self._offers and item_id not in self._shown:
            self._shown.add(item_id)
            self.num_shown += 1

    def partly_accepted(self, item_id: str | None, num_units_in_all: int | None) -> Offer | None:
        """A word or a line of an item was accepted, so many units since its start; the offer if that was the rest."""
        offer = self._offers.get(item_id or "")
        if offer is None or num_units_in_all is None:
            return None
        before = self._accepted_units.get(offer.item.id, 0)
        whole = num_units(offer.item.text, "utf-16")
        now = min(num_units_in_all, whole)
        if now <= before:
            return None
        self._note(offer, now, before)
        return offer if now == whole else None

    def accepted(self, item_id: str | None) -> Offer | None:
        """An item was accepted as a whole; the offer, unless it is unknown or that is known already."""
        offer = self._offers.get(item_id or "")
        if offer is None:
            return None
        before, whole = self._accepted_units.get(offer.item.id, 0), num_units(offer.item.text, "utf-16")
        if before == whole:
            return None
        self._note(offer, whole, before)
        return offer

    def _note(self, offer: Offer, now: int, before: int) -> None:
        self._accepted_units[offer.item.id] = now
        self.num_accepted += before == 0  # the first word counts as an acceptance, the others make it longer
        self.num_accepted_units += now - before
