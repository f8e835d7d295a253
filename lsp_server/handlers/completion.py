"""`textDocument/completion`, only for clients without inline completion: the same answer as one entry of the popup.

Left out: being a completion engine; the language's own server lists names.
"""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types

from lsp_server.handlers.answering import complete
from lsp_server.handlers.inline_completion import ACCEPTED, range_to_wire
from lsp_server.outcome import Item
from lsp_server.positions import Encoding
from lsp_server.wire import CompletionRequest

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

MAX_LABEL_CHARS = 60
TYPING_PAUSE_S = 1.0
_INVOKED, _AUTOMATIC = 1, 2  # InlineCompletionTriggerKind
_KIND_SNIPPET = 15
_AS_IS = 1


def register(server: "SeedlingServer") -> None:
    """Adds the handler; called during `initialize` when the client cannot show inline completions."""
    session = server.session

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "(", " ", "="]))
    def completion(params: CompletionRequest) -> Coroutine[Any, Any, dict]:
        since_change_s = asyncio.get_running_loop().time() - session.changed_at_s
        ticket, arrived = session.arrive(as_inline(params, since_change_s))
        document = session.document(params.uri)
        lines = () if document is None else document.lines

        async def answer() -> dict:
            outcome = await complete(server, params.uri, ticket, arrived)
            items = [to_wire(item, lines, session.client.encoding) for item in outcome.items]
            return {"isIncomplete": True, "items": items}

        return answer()


def as_inline(request: CompletionRequest, since_change_s: float) -> CompletionRequest:
    """The request with the trigger kind that it would have as one for inline completion.

    `CompletionTriggerKind` says 1 for a letter that was typed and for the completion key alike (2 and 3 are a trigger
    character and a list that goes on): editors ask within a second of typing, so later it was the key.
    """
    by_hand = request.trigger_kind == 1 and since_change_s >= TYPING_PAUSE_S
    return msgspec.structs.replace(request, trigger_kind=_INVOKED if by_hand else _AUTOMATIC)


def to_wire(item: Item, lines: tuple[str, ...], encoding: Encoding) -> dict[str, Any]:
    """`item` as an LSP CompletionItem. Editors filter by the word before the cursor, so the item repeats it."""
    before = lines[item.start.line][: item.start.column]
    word = before[len(before.rstrip("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")) :]
    first_line = item.text.partition("\n")[0].strip()
    whole = Item(item.id, word + item.text, item.start._replace(column=item.start.column - len(word)), item.end)
    return {
        "label": (word + first_line)[:MAX_LABEL_CHARS],
        "kind": _KIND_SNIPPET,
        "detail": "Seedling",
        "filterText": word + first_line,
        "sortText": "~",
        "insertTextMode": _AS_IS,
        "textEdit": {"range": range_to_wire(whole, lines, encoding), "newText": whole.text},
        "command": {"title": "Accepted", "command": ACCEPTED, "arguments": [item.id]},
    }
