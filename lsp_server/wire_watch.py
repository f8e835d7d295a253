"""What an editor asks for with the command `seedling.watch`: plain JSON in, a frozen struct out.

Left out: other messages (wire.py).
"""

from typing import Any

import msgspec

from lsp_server.wire import UnreadableParams, optional_int, position_of, text_of


class WatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """position is the client's (line, units). version None = the newest. token: whose frames these are."""

    uri: str
    position: tuple[int, int]
    version: int | None = None
    token: str | int | None = None


def read_watch(argument: Any) -> WatchRequest:
    """Reads the command's argument. Raises UnreadableParams with what is wrong in it."""
    if not isinstance(argument, dict):
        raise UnreadableParams("its argument must be an object with uri and position")
    token = argument.get("token")
    return WatchRequest(
        uri=text_of(argument.get("uri"), "uri"),
        position=position_of(argument.get("position"), "position"),
        version=optional_int(argument.get("version")),
        token=token if isinstance(token, str | int) and not isinstance(token, bool) else None,
    )
