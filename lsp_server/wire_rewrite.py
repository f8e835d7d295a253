"""What an editor asks for with the command `seedling.rewrite`: plain JSON in, a frozen struct out.

Left out: other messages (wire.py).
"""

from typing import Any

import msgspec

from lsp_server.features.rewrite import MAX_INSTRUCTION_CHARS
from lsp_server.wire import UnreadableParams, read_range

MAX_SEED = 2**31


class RewriteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Positions are the client's (line, units); an empty range is a cursor. version None = the newest.

    seed: 0 for the likeliest text, any other for a drawn one. token: whose progress this is. apply: whether the server
    has the editor apply the edit, or only answers with it.
    """

    uri: str
    start: tuple[int, int]
    end: tuple[int, int]
    instruction: str
    version: int | None = None
    seed: int = 0
    token: str | int | None = None
    apply: bool = True


def read_rewrite(argument: Any) -> RewriteRequest:
    """Reads the command's argument. Raises UnreadableParams with what is wrong in it."""
    if not isinstance(argument, dict):
        raise UnreadableParams("its argument must be an object with uri, range and instruction")
    uri, instruction = argument.get("uri"), argument.get("instruction")
    if not isinstance(uri, str):
        raise UnreadableParams("uri must be a string")
    if not isinstance(instruction, str) or not instruction.strip():
        raise UnreadableParams("instruction must say in words what is wanted")
    if len(instruction) > MAX_INSTRUCTION_CHARS:
        raise UnreadableParams(f"instruction may have {MAX_INSTRUCTION_CHARS} characters at most")
    seed, version, token = argument.get("seed", 0), argument.get("version"), argument.get("token")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < MAX_SEED:
        raise UnreadableParams("seed must be a whole number from 0 on")
    start, end = read_range(argument.get("range"), "range")
    return RewriteRequest(
        uri=uri,
        start=start,
        end=end,
        instruction=" ".join(instruction.split()),
        version=version if isinstance(version, int) and not isinstance(version, bool) else None,
        seed=seed,
        token=token if isinstance(token, str | int) and not isinstance(token, bool) else None,
        apply=argument.get("apply") is not False,
    )
