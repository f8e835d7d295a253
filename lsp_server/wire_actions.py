"""The messages about code actions and pulled diagnostics: plain JSON in, frozen structs out.

Source: LSP 3.18 `textDocument/codeAction`, `codeAction/resolve`, `textDocument/diagnostic`. Why not lsprotocol's
classes: see wire.py; and other servers' diagnostics must go back to the client as they came. Left out: which actions
there are (handlers/code_action.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lsp_server.wire import (
    UnreadableParams,
    mapping_of,
    optional_int,
    optional_mapping,
    position_of,
    read_range,
    text_of,
)

AUTOMATIC = 2


class Named(msgspec.Struct, frozen=True):
    """A diagnostic of the request. `raw` is all of it, as it came; positions are the client's. message: "" where it
    has none."""

    start: tuple[int, int]
    end: tuple[int, int]
    source: str
    raw: Mapping[str, Any]
    message: str = ""


class CodeActionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`textDocument/codeAction`. only: the kinds that are wanted, None for all. asked: by a person, not for a light
    bulb."""

    uri: str
    start: tuple[int, int]
    end: tuple[int, int]
    diagnostics: tuple[Named, ...] = ()
    only: tuple[str, ...] | None = None
    asked: bool = True


class ResolveRequest(msgspec.Struct, frozen=True):
    """`codeAction/resolve`. action: all of it, as it came; data: its `data` where that is an object."""

    action: Mapping[str, Any]
    data: Mapping[str, Any]


class PullRequest(msgspec.Struct, frozen=True):
    """`textDocument/diagnostic`."""

    uri: str
    previous_result_id: str | None = None


def read_code_action(params: Any) -> CodeActionRequest:
    fields = mapping_of(params, "params")
    context = optional_mapping(fields.get("context"))
    start, end = read_range(fields.get("range"), "range")
    only, found = context.get("only"), context.get("diagnostics")
    return CodeActionRequest(
        uri=text_of(mapping_of(fields.get("textDocument"), "textDocument").get("uri"), "textDocument.uri"),
        start=start,
        end=end,
        diagnostics=tuple(filter(None, map(_named, found))) if isinstance(found, list) else (),
        only=tuple(kind for kind in only if isinstance(kind, str)) if isinstance(only, list) else None,
        # No kind: whoever sends none (the field is new in 3.17) has been asked by somebody, mostly.
        asked=optional_int(context.get("triggerKind")) != AUTOMATIC,
    )


def _named(value: Any) -> Named | None:
    """A diagnostic, or None where it cannot be read: one odd server must not cost the others' fixes."""
    fields = optional_mapping(value)
    try:
        start, end = read_range(fields.get("range"), "diagnostics[].range")
    except UnreadableParams:
        return None
    source, message = fields.get("source"), fields.get("message")
    return Named(
        start,
        end,
        source if isinstance(source, str) else "",
        fields,
        message if isinstance(message, str) else "",
    )


def read_resolve(params: Any) -> ResolveRequest:
    action = mapping_of(params, "params")
    return ResolveRequest(action, optional_mapping(action.get("data")))


def read_pull(params: Any) -> PullRequest:
    fields = mapping_of(params, "params")
    previous = fields.get("previousResultId")
    uri = text_of(mapping_of(fields.get("textDocument"), "textDocument").get("uri"), "textDocument.uri")
    return PullRequest(uri, previous if isinstance(previous, str) else None)


def read_position(value: Any) -> tuple[int, int]:
    """A position in `data` or in a command's arguments."""
    return position_of(value, "position")


ACTION_READERS: Mapping[str, Callable[[Any], Any]] = {
    "textDocument/codeAction": read_code_action,
    "codeAction/resolve": read_resolve,
    "textDocument/diagnostic": read_pull,
}
