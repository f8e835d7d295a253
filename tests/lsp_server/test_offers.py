"""What became of items: counted once each, in the units that editors tell."""

from lsp_server.offers import MAX_OFFERS, Offers
from lsp_server.outcome import Item
from lsp_server.positions import Position
from lsp_server.snapshot import Snapshot, open_document

SNAPSHOT = Snapshot(document=open_document("file:///w/a.py", "python", 1, "x = "), cursor=Position(0, 4), path="a.py")


def item(item_id: str, text: str = "a😀b") -> Item:
    return Item(item_id, text, Position(0, 4), Position(0, 4))


def offered(*items: Item) -> Offers:
    offers = Offers()
    offers.add(SNAPSHOT, items)
    return offers


def test_a_whole_item():
    offers = offered(item("1"))
    offers.shown("1")
    offers.shown("1")
    offer = offers.accepted("1")
    assert offer is not None
    assert offer.item.text == "a😀b"
    assert offers.accepted("1") is None  # told twice
    assert (offers.num_shown, offers.num_accepted, offers.num_accepted_units) == (1, 1, 4)


def test_word_by_word_and_the_rest():
    offers = offered(item("1"))
    assert offers.partly_accepted("1", 1) is None
    assert offers.partly_accepted("1", 1) is None
    assert offers.partly_accepted("1", 3) is None
    assert (offers.num_accepted, offers.num_accepted_units) == (1, 3)
    last = offers.partly_accepted("1", 9)  # more than there is
    assert last is not None
    assert last.item.id == "1"
    assert offers.accepted("1") is None  # the last part was told as a part
    assert (offers.num_accepted, offers.num_accepted_units) == (1, 4)


def test_a_word_and_then_all():
    offers = offered(item("1"))
    offers.partly_accepted("1", 1)
    assert offers.accepted("1") is not None
    assert (offers.num_accepted, offers.num_accepted_units) == (1, 4)


def test_unknown_items_count_for_nothing():
    offers = offered(item("1"))
    offers.shown(None)
    offers.shown("x")
    assert offers.accepted(None) is None
    assert offers.partly_accepted("x", 1) is None
    assert offers.partly_accepted("1", None) is None
    assert offers.partly_accepted("1", -3) is None
    assert (offers.num_shown, offers.num_accepted, offers.num_accepted_units) == (0, 0, 0)


def test_only_the_last_offers_are_kept():
    offers = offered(*(item(str(number)) for number in range(MAX_OFFERS + 3)))
    assert offers.accepted("2") is None
    assert offers.accepted("3") is not None
