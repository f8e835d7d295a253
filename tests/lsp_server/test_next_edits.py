"""What is remembered for next edits: bounded, cut by the next key, gone with its document."""

import asyncio

from lsp_server.features.next_edit.places import Place
from lsp_server.features.next_edit.propose import Proposal
from lsp_server.next_edits import MAX_OFFERS, MAX_REJECTED, MAX_TREES, NextEdits
from lsp_server.outcome import Reason
from lsp_server.positions import Position
from lsp_server.session import Ticket
from lsp_server.snapshot import Change, Document, open_document
from model.syntax.incremental import parse_lines

URI = "file:///w/a.py"
PLACE = Place(Position(1, 6), Position(1, 7), "a", "b")


def written(text: str, version: int = 1, uri: str = URI) -> Document:
    return open_document(uri, "python", version, text)


def changed(edits: NextEdits, document: Document, text: str, *, is_on: bool = True) -> Document:
    after = document.changed([Change(text)], document.version + 1, "utf-16")
    edits.changed(document, after, is_on=is_on)
    return after


def proposal(key: int, source_key: int = 0) -> Proposal:
    return Proposal(PLACE, "Rename a to b", key, source_key)


def test_changes_count_while_it_is_on():
    edits, document = NextEdits(), written("a = 1\nprint(a)\n")
    document = changed(edits, document, "b = 1\nprint(a)\n")
    assert len(edits.history(URI).runs) == 1
    changed(edits, document, "bb = 1\nprint(a)\n", is_on=False)
    assert edits.history(URI).runs == ()


def test_an_accepted_edit_is_no_change_of_the_users_own_whichever_message_comes_first():
    for command_first in (True, False):
        edits, document = NextEdits(), written("a = 1\nprint(a)\n")
        document = changed(edits, document, "b = 1\nprint(a)\n")
        before = edits.history(URI)
        edits.offer("1", document, proposal(1), PLACE)
        if command_first:
            assert edits.accepted("1")
        changed(edits, document, "b = 1\nprint(b)\n")
        assert edits.history(URI) == before
        assert edits.accepted("1") != command_first
        assert edits.num_accepted == 1


def test_unknown_ids_are_no_acceptance_nor_rejection():
    edits = NextEdits()
    assert not edits.accepted("x")
    assert not edits.accepted(None)
    assert not edits.reject("x")
    edits.shown(None)
    assert (edits.num_shown, edits.num_accepted, edits.num_rejected) == (0, 0, 0)


def test_the_second_rejection_of_a_change_ends_all_that_follows_from_it():
    edits, document = NextEdits(), written("b = 1\nprint(a)\n")
    edits.offer("1", document, proposal(11, 7), PLACE)
    edits.offer("2", document, proposal(12, 7), PLACE)
    edits.shown("1")
    assert edits.reject("1")
    assert not edits.reject("1")
    assert 11 in edits.rejected
    assert 7 not in edits.rejected
    assert edits.reject("2")
    assert {11, 12, 7} <= edits.rejected
    assert (edits.num_shown, edits.num_rejected) == (1, 2)


def test_rejections_outlive_their_document():
    edits, document = NextEdits(), written("b = 1\nprint(a)\n")
    edits.offer("1", document, proposal(11), PLACE)
    edits.reject("1")
    edits.forget(URI)
    assert 11 in edits.rejected


def test_everything_is_bounded():
    edits, document = NextEdits(), written("b = 1\nprint(a)\n")
    for number in range(MAX_REJECTED + 20):
        edits.offer(str(number), document, proposal(number, number), PLACE)
        edits.reject(str(number))
    assert len(edits.rejected) == MAX_REJECTED
    for number in range(MAX_OFFERS + 5):
        edits.offer(str(number), document, proposal(number), PLACE)
    assert not edits.accepted("0")
    assert edits.accepted(str(MAX_OFFERS + 4))
    parsed = parse_lines(("x\n",), "python")
    for number in range(MAX_TREES + 1):
        uri = f"file:///w/{number}.py"
        changed(edits, written("a\n", uri=uri), "b\n")
        edits.keep_tree(uri, parsed)
    assert edits.tree("file:///w/0.py") is None
    assert edits.tree(f"file:///w/{MAX_TREES}.py") is parsed


async def test_what_is_looked_for_ends_with_the_next_key_request_or_the_document():
    edits, document = NextEdits(), written("a\n")
    tickets = [Ticket(str(number)) for number in range(4)]
    edits.begin(URI, tickets[0])
    edits.begin(URI, tickets[1])
    assert tickets[0].cut.result() is Reason.SUPERSEDED
    changed(edits, document, "b\n")
    assert tickets[1].cut.result() is Reason.STALE
    edits.begin(URI, tickets[2])
    edits.forget(URI)
    assert tickets[2].cut.result() is Reason.CLOSED
    edits.begin(URI, tickets[3])
    edits.end(URI, tickets[0])  # of an older request: says nothing
    edits.end(URI, tickets[3])
    changed(edits, document, "c\n")
    await asyncio.sleep(0)
    assert not tickets[3].cut.done()
