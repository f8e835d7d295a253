"""The commands of `workspace/executeCommand`: snooze, switches for a document or a language, and the status.

Every one answers with the status as it is then (handlers/status.py), so that a client need not ask twice. A wrong
argument is refused with one sentence and changes nothing. Left out: `seedling.accepted` (inline_completion.py).
"""

import asyncio
import math
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from lsp_server.handlers import diagnostic
from lsp_server.switches import MAX_SNOOZE_MINUTES

if TYPE_CHECKING:
    from lsp_server.server import SeedlingServer

SNOOZE = "seedling.snooze"
SET_DOCUMENT = "seedling.setDocument"
SET_LANGUAGE = "seedling.setLanguage"
STATUS = "seedling.status"

DEFAULT_SNOOZE_MINUTES = 10.0
# The loop's clock stands still while a laptop sleeps, the wall clock does not: so it is looked at again and again.
_LONGEST_NAP_S = 30.0


def register(server: "SeedlingServer") -> None:
    """Adds the handlers of this file."""
    session = server.session

    @server.command(SNOOZE)
    def snooze(*arguments: Any) -> dict[str, Any]:
        minutes = _minutes(arguments)
        session.switches.snooze(minutes)
        if minutes > 0:
            session.in_background(_tell_end(server))
        return _changed(server)

    @server.command(SET_DOCUMENT)
    def set_document(*arguments: Any) -> dict[str, Any]:
        uri, on = _text_and_switch(SET_DOCUMENT, arguments)
        session.switches.set_document(uri, on=on)
        return _changed(server)

    @server.command(SET_LANGUAGE)
    def set_language(*arguments: Any) -> dict[str, Any]:
        language, on = _text_and_switch(SET_LANGUAGE, arguments)
        session.switches.set_language(language, on=on)
        return _changed(server)

    @server.command(STATUS)
    def status(*arguments: Any) -> dict[str, Any]:
        uri = arguments[0] if arguments else None
        if uri is not None and not isinstance(uri, str):
            raise JsonRpcInvalidParams(f"{STATUS} takes the URI of a document, or nothing.")
        return server.status.report(uri)


def _changed(server: "SeedlingServer") -> dict[str, Any]:
    server.status.switched()
    diagnostic.switched(server)
    return server.status.report()


async def _tell_end(server: "SeedlingServer") -> None:
    switches = server.session.switches
    until_s = switches.snoozed_until_s
    while until_s is not None and switches.snoozed_until_s == until_s:
        await asyncio.sleep(min(_LONGEST_NAP_S, max(0.0, until_s - switches.now_s()) + 0.01))
    server.status.refresh()


def _minutes(arguments: tuple[Any, ...]) -> float:
    minutes = arguments[0] if arguments and arguments[0] is not None else DEFAULT_SNOOZE_MINUTES
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes < math.inf:
        raise JsonRpcInvalidParams(f"{SNOOZE} takes a number of minutes, 0 to end the snooze.")
    return float(min(minutes, MAX_SNOOZE_MINUTES))


def _text_and_switch(command: str, arguments: tuple[Any, ...]) -> tuple[str, bool]:
    match arguments:
        case (str() as text, bool() as on) if text:
            return text, on
    what = "the URI of a document" if command == SET_DOCUMENT else "a language id"
    raise JsonRpcInvalidParams(f"{command} takes {what}, and true or false.")
