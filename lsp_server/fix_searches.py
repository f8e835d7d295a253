"""Searches for fixes in the newest version of each document: the one that runs, and what came of those that ended.

A menu waits for its search only so long (handlers/fixing.py); whoever opens it again, or chooses the fix that was not
there yet, finds the same search. Loop thread only. Left out: searching.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lsp_server.features.fix import Repair
from lsp_server.outcome import Reason
from model.syntax.errors import Rows

Found = tuple[Repair, ...] | Reason

# What is so until the text is another one; other reasons (no engine, a deadline) are worth another search.
_LASTING = frozenset({Reason.NOTHING_TO_FIX, Reason.UNSOUND_FIX, Reason.UNSAFE_TEXT})


class FixSearches:
    """By document URI and rows."""

    def __init__(self) -> None:
        self._by_uri: dict[str, dict[Rows, asyncio.Task[Found]]] = {}
        self._ending: set[asyncio.Task[Found]] = set()

    def join(self, uri: str, rows: Rows, begin: Callable[[], Coroutine[Any, Any, Found]]) -> asyncio.Task[Found]:
        """The search in these rows, running or ended; else `begin()`, in place of one that runs for other rows."""
        searches = self._by_uri.setdefault(uri, {})
        if rows not in searches:
            self.stop(uri)
            searches[rows] = asyncio.ensure_future(begin())
            searches[rows].add_done_callback(lambda ended: self._ended(searches, rows, ended))
        return searches[rows]

    def stop(self, uri: str) -> None:
        """Ends what runs in a document; what is known stays."""
        searches = self._by_uri.get(uri, {})
        for rows, search in list(searches.items()):
            if not search.done():
                del searches[rows]
                self._cancel(search)

    def forget(self, uri: str) -> None:
        """The document has another text, or none."""
        for search in self._by_uri.pop(uri, {}).values():
            self._cancel(search)

    async def close(self) -> None:
        """Ends all."""
        for uri in list(self._by_uri):
            self.forget(uri)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _cancel(self, search: asyncio.Task[Found]) -> None:
        if not search.done():
            search.cancel()
            self._ending.add(search)
            search.add_done_callback(self._ending.discard)

    def _ended(self, searches: dict[Rows, asyncio.Task[Found]], rows: Rows, ended: asyncio.Task[Found]) -> None:
        is_known = not ended.cancelled() and ended.exception() is None
        found = ended.result() if is_known else None
        is_worth_keeping = found is not None and (not isinstance(found, Reason) or found in _LASTING)
        if not is_worth_keeping and searches.get(rows) is ended:
            del searches[rows]
