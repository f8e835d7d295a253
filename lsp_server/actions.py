"""A code action before it is a message: what the features offer, and what the editor gives back when one is chosen.

Source: LSP 3.18 "CodeAction". `data` travels to the editor and back, so it holds plain JSON and everything that is
needed to make the edit: uri, version and kind, which `resolve` compares first. Left out: the wire (wire_actions.py,
handlers/code_action.py).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

FIX_KIND = "quickfix.seedling"
REWRITE_KIND = "refactor.rewrite.seedling"


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the editor's menu.

    data: plain JSON with `kind` (who resolves it: `fix`, `find`, `mend`, `rewrite`), `uri` and `version`; None for a
    command. diagnostics: those of the request that it answers, as the client sent them. command: what runs instead of
    an edit. is_slow: its edit takes a while, so it is never resolved (editors resolve what is only looked at) but
    applied by a command.
    """

    title: str
    kind: str
    data: Mapping[str, Any] | None = None
    diagnostics: tuple[Mapping[str, Any], ...] = ()
    command: tuple[str, tuple[Any, ...]] | None = None
    is_slow: bool = False


def is_wanted(kind: str, only: tuple[str, ...] | None) -> bool:
    """Whether a client that asks for these kinds of action wants one of `kind`. Kinds are prefixes: `quickfix` includes
    `quickfix.seedling`. On saving editors ask for `source`: never wanted."""
    return only is None or any(kind == one or kind.startswith(f"{one}.") or not one for one in only)
