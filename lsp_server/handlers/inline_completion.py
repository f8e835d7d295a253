"""`textDocument/inlineCompletion` (LSP 3.18), and what clients tell about the items they were given.

The feature is registered with options: without them pygls leaves the capability out and no client ever asks.
"""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.handlers.answering import complete
from lsp_server.handlers.asking import prefetch
from lsp_server.offers import Offer
from lsp_server.outcome import Item
from lsp_server.positions import Encoding, to_client
from lsp_server.wire import CompletionRequest, Feedback

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

ACCEPTED = "seedling.accepted"


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    def inline_completion(params: CompletionRequest) -> Coroutine[Any, Any, dict]:
        ticket, arrived = session.arrive(params)
        document = session.document(params.uri)
        lines = () if document is None else document.lines

        async def answer() -> dict:
            outcome = await complete(server, params.uri, ticket, arrived)
            return {"items": [to_wire(item, lines, session.client.encoding) for item in outcome.items]}

        return answer()

    @server.feature("textDocument/didShowCompletion")
    def did_show(params: Feedback) -> None:
        session.offers.shown(params.item_id)

    @server.feature("textDocument/didPartiallyAcceptCompletion")
    def did_partially_accept(params: Feedback) -> None:
        server.log_feedback("partially accepted", params.item_id, params.accepted_units)
        follow(session.offers.partly_accepted(params.item_id, params.accepted_units))

    @server.command(ACCEPTED)
    def accepted(*arguments: Any) -> None:
        item_id = arguments[0] if arguments and isinstance(arguments[0], str) else None
        server.log_feedback("accepted", item_id, None)
        follow(session.offers.accepted(item_id))

    def follow(offer: Offer | None) -> None:
        if offer is not None:
            session.in_background(prefetch(session, offer))


def to_wire(item: Item, lines: tuple[str, ...], encoding: Encoding) -> dict[str, Any]:
    """`item` as an LSP InlineCompletionItem; `filterText` stays unset, as Neovim ignores it and VS Code needs none."""
    return {
        "insertText": item.text,
        "range": range_to_wire(item, lines, encoding),
        "command": {"title": "Accepted", "command": ACCEPTED, "arguments": [item.id]},
    }


def range_to_wire(item: Item, lines: tuple[str, ...], encoding: Encoding) -> dict[str, Any]:
    """The range of `item` in the client's units."""
    ends = (to_client(lines, position, encoding) for position in (item.start, item.end))
    start, end = ({"line": line, "character": character} for line, character in ends)
    return {"start": start, "end": end}
