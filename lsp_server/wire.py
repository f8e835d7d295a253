"""The messages whose parameters we read ourselves: plain JSON in, frozen structs out.

Source: LSP 3.18 (`textDocument/inlineCompletion`, text synchronisation, configuration) and the custom methods that
Copilot's language server made common (`textDocument/didFocus`, `didShowCompletion`, `didPartiallyAcceptCompletion`,
`copilotInlineEdit`, `didShowInlineEdit`, `notifyRejected`,
`textDocument.version` and `formattingOptions` in completion requests). Why not lsprotocol's classes: they drop every
field they do not know, and refuse whole messages for one value: vscode-languageclient 9.x sends VS Code's own
`triggerKind` (0 or 1), lsprotocol knows 1 and 2, and pygls then never answers the request. Left out: messages that are
rare and plain (pygls reads those).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lsp_server.snapshot import Change, Trigger


class UnreadableParams(Exception):
    """The parameters of a message lack something required; the text says what. Becomes error -32602."""


class SelectedInfo(msgspec.Struct, frozen=True):
    start: tuple[int, int]
    end: tuple[int, int]
    text: str


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`textDocument/inlineCompletion` and `textDocument/completion`. Positions are the client's (line, units)."""

    uri: str
    position: tuple[int, int]
    trigger_kind: int | None = None
    version: int | None = None
    selected: SelectedInfo | None = None
    tab_size: int | None = None
    insert_spaces: bool | None = None


class Opened(msgspec.Struct, frozen=True):
    uri: str
    language: str
    version: int
    text: str


class Changed(msgspec.Struct, frozen=True):
    uri: str
    version: int
    changes: tuple[Change, ...]


class Saved(msgspec.Struct, frozen=True):
    uri: str


class Closed(msgspec.Struct, frozen=True):
    uri: str


class Focused(msgspec.Struct, frozen=True):
    """`textDocument/didFocus`; no uri means that no document has the focus."""

    uri: str | None


class Feedback(msgspec.Struct, frozen=True):
    """What became of a shown item: its id (the first argument of its command) and the accepted units, if told."""

    item_id: str | None
    accepted_units: int | None = None


class Rejected(msgspec.Struct, frozen=True):
    """`notifyRejected`: the ids of what was dismissed."""

    item_ids: tuple[str, ...]


class ConfigurationChanged(msgspec.Struct, frozen=True):
    """`settings` is whatever the client sent: None where it wants to be asked (workspace/configuration)."""

    settings: Any


def read_inline_completion(params: Any) -> CompletionRequest:
    """Reads a request for inline completion; `trigger_of` says what its `triggerKind` means."""
    fields = mapping_of(params, "params")
    context = optional_mapping(fields.get("context"))
    return _completion_request(fields, optional_int(context.get("triggerKind")), context)


def read_completion(params: Any) -> CompletionRequest:
    """Reads a plain completion request; its `triggerKind` 1 is typing and the completion key alike."""
    fields = mapping_of(params, "params")
    return _completion_request(fields, optional_int(optional_mapping(fields.get("context")).get("triggerKind")), {})


def trigger_of(trigger_kind: int | None, *, counts_from_zero: bool) -> Trigger:
    """The meaning of `triggerKind`: 1 invoked, 2 automatic; for a client that counts from zero 0 and 1.

    vscode-languageclient 9.x counts from zero. Until it has sent its first 0, its automatic 1 is served as invoked,
    which shows more and never less. No kind means automatic: the quiet choice.
    """
    if trigger_kind == 0 or (trigger_kind == 1 and not counts_from_zero):
        return "invoked"
    return "automatic"


def _completion_request(fields: Mapping, trigger_kind: int | None, context: Mapping) -> CompletionRequest:
    document = mapping_of(fields.get("textDocument"), "textDocument")
    formatting = optional_mapping(fields.get("formattingOptions"))
    tab_size, spaces = formatting.get("tabSize"), formatting.get("insertSpaces")
    return CompletionRequest(
        uri=text_of(document.get("uri"), "textDocument.uri"),
        position=position_of(fields.get("position"), "position"),
        trigger_kind=trigger_kind,
        version=optional_int(document.get("version")),
        selected=_selected(context.get("selectedCompletionInfo")),
        tab_size=tab_size if isinstance(tab_size, int) and 0 < tab_size <= 16 else None,
        insert_spaces=spaces if isinstance(spaces, bool) else None,
    )


def read_opened(params: Any) -> Opened:
    document = mapping_of(mapping_of(params, "params").get("textDocument"), "textDocument")
    language = document.get("languageId")
    return Opened(
        uri=text_of(document.get("uri"), "textDocument.uri"),
        language=language if isinstance(language, str) else "",
        version=optional_int(document.get("version")) or 0,
        text=text_of(document.get("text"), "textDocument.text"),
    )


def read_changed(params: Any) -> Changed:
    fields = mapping_of(params, "params")
    document = mapping_of(fields.get("textDocument"), "textDocument")
    changes = fields.get("contentChanges")
    if not isinstance(changes, list):
        raise UnreadableParams("contentChanges must be a list")
    return Changed(
        uri=text_of(document.get("uri"), "textDocument.uri"),
        version=optional_int(document.get("version")) or 0,
        changes=tuple(_change(change) for change in changes),
    )


def _change(value: Any) -> Change:
    fields = mapping_of(value, "contentChanges[]")
    text = text_of(fields.get("text"), "contentChanges[].text")
    if fields.get("range") is None:
        return Change(text)
    start, end = read_range(fields["range"], "contentChanges[].range")
    return Change(text, start, end)


def read_saved(params: Any) -> Saved:
    document = mapping_of(mapping_of(params, "params").get("textDocument"), "textDocument")
    return Saved(text_of(document.get("uri"), "textDocument.uri"))


def read_closed(params: Any) -> Closed:
    document = mapping_of(mapping_of(params, "params").get("textDocument"), "textDocument")
    return Closed(text_of(document.get("uri"), "textDocument.uri"))


def read_focused(params: Any) -> Focused:
    uri = optional_mapping(optional_mapping(params).get("textDocument")).get("uri")
    return Focused(uri if isinstance(uri, str) else None)


def read_feedback(params: Any) -> Feedback:
    fields = optional_mapping(params)
    command = optional_mapping(optional_mapping(fields.get("item")).get("command"))
    arguments = command.get("arguments")
    first = arguments[0] if isinstance(arguments, list) and arguments else None
    return Feedback(first if isinstance(first, str) else None, optional_int(fields.get("acceptedLength")))


def read_next_edit(params: Any, *, by_hand: bool = False) -> CompletionRequest:
    """Reads a request for the next edit."""
    return _completion_request(mapping_of(params, "params"), 1 if by_hand else 2, {})


def read_rejected(params: Any) -> Rejected:
    return Rejected(tuple(_strings(optional_mapping(params).get("uuids"))))


def read_configuration(params: Any) -> ConfigurationChanged:
    return ConfigurationChanged(optional_mapping(params).get("settings"))


READERS: Mapping[str, Callable[[Any], Any]] = {
    "textDocument/inlineCompletion": read_inline_completion,
    "textDocument/completion": read_completion,
    "textDocument/didOpen": read_opened,
    "textDocument/didChange": read_changed,
    "textDocument/didSave": read_saved,
    "textDocument/didClose": read_closed,
    "textDocument/didFocus": read_focused,
    "textDocument/didShowCompletion": read_feedback,
    "textDocument/didPartiallyAcceptCompletion": read_feedback,
    "textDocument/copilotInlineEdit": read_next_edit,
    "textDocument/didShowInlineEdit": read_feedback,
    "notifyRejected": read_rejected,
    "workspace/didChangeConfiguration": read_configuration,
    "workspace/didChangeWatchedFiles": lambda params: None,  # that some changed is enough
}


def only_needed_capabilities(params: Any) -> Any:
    """`initialize` parameters with the client capabilities cut down to those that pygls itself has to read.

    One enum value that lsprotocol does not know yet, anywhere in that tree, would otherwise refuse the whole client.
    Ours are read from the untouched parameters (client_profile.py).
    """
    if not isinstance(params, dict):
        return params
    general = optional_mapping(optional_mapping(params.get("capabilities")).get("general"))
    kept = {"positionEncodings": _strings(general.get("positionEncodings"))} if "positionEncodings" in general else {}
    capabilities: dict[str, Any] = {"general": kept} if kept else {}
    if isinstance(optional_mapping(params.get("capabilities")).get("notebookDocument"), dict):
        capabilities["notebookDocument"] = {"synchronization": {}}
    folders = params.get("workspaceFolders")
    return {
        "processId": optional_int(params.get("processId")),
        "rootUri": params.get("rootUri") if isinstance(params.get("rootUri"), str) else None,
        "capabilities": capabilities,
        "workspaceFolders": [
            {"uri": folder["uri"], "name": str(folder.get("name", ""))}
            for folder in (folders if isinstance(folders, list) else [])
            if isinstance(folder, dict) and isinstance(folder.get("uri"), str)
        ],
    }


def _selected(value: Any) -> SelectedInfo | None:
    fields = optional_mapping(value)
    try:
        start, end = read_range(fields.get("range"), "selectedCompletionInfo.range")
        return SelectedInfo(start, end, text_of(fields.get("text"), "selectedCompletionInfo.text"))
    except UnreadableParams:
        return None  # a hint, not a need


def read_range(value: Any, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Reads a range in the client's units; `name` is what it is called in a sentence."""
    fields = mapping_of(value, name)
    return position_of(fields.get("start"), f"{name}.start"), position_of(fields.get("end"), f"{name}.end")


def position_of(value: Any, name: str) -> tuple[int, int]:
    fields = mapping_of(value, name)
    line, character = fields.get("line"), fields.get("character")
    # Some clients send floats; some mean "end of line" by a huge number.
    if not isinstance(line, int | float) or not isinstance(character, int | float):
        raise UnreadableParams(f"{name} must have the numbers line and character")
    return _bounded(line), _bounded(character)


def _bounded(number: int | float) -> int:
    # NaN and infinity are JSON to Python's parser; both mean nothing here.
    return int(number) if 0 <= number <= 2**31 else 0 if not number > 0 else 2**31


def mapping_of(value: Any, name: str) -> Mapping:
    if not isinstance(value, dict):
        raise UnreadableParams(f"{name} must be an object")
    return value


def optional_mapping(value: Any) -> Mapping:
    return value if isinstance(value, dict) else {}


def text_of(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise UnreadableParams(f"{name} must be a string")
    return value


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def optional_int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
