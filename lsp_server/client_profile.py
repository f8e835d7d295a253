"""What the connected editor can do, resolved once from its `initialize` parameters into plain values.

Source: LSP 3.18 client capabilities. Left out: everything we do not use.
"""

from typing import Any

import msgspec

from lsp_server.positions import DEFAULT_ENCODING, Encoding, choose_encoding

_LLM_GENERATED = 1


class ClientProfile(msgspec.Struct, frozen=True, kw_only=True):
    """`folders` are the workspace folders' URIs; `options` the raw initializationOptions."""

    name: str = ""
    encoding: Encoding = DEFAULT_ENCODING
    inline_completion: bool = False
    work_done_progress: bool = False
    configuration: bool = False
    register_configuration: bool = False
    register_watched_files: bool = False
    apply_edit: bool = False
    document_changes: bool = False
    change_annotations: bool = False
    resolves_edits: bool = False
    action_tags: bool = False
    pull_diagnostics: bool = False
    refresh_diagnostics: bool = False
    folders: tuple[str, ...] = ()
    trace: bool = False
    options: Any = None


def read_profile(params: Any) -> ClientProfile:
    """The profile of the client that sent these raw `initialize` parameters; anything odd counts as absent."""
    params = params if isinstance(params, dict) else {}
    capabilities = params.get("capabilities")
    encodings = _at(capabilities, "general", "positionEncodings")
    folders = [_at(folder, "uri") for folder in params.get("workspaceFolders") or () if isinstance(folder, dict)]
    if not folders:
        folders = [params.get("rootUri")]
    name = _at(params.get("clientInfo"), "name")
    action, edit = _at(capabilities, "textDocument", "codeAction"), _at(capabilities, "workspace", "workspaceEdit")
    resolved, tags = _at(action, "resolveSupport", "properties"), _at(action, "tagSupport", "valueSet")
    return ClientProfile(
        name=name if isinstance(name, str) else "",
        encoding=choose_encoding(encodings if isinstance(encodings, list) else None),
        inline_completion=isinstance(_at(capabilities, "textDocument", "inlineCompletion"), dict),
        work_done_progress=_at(capabilities, "window", "workDoneProgress") is True,
        configuration=_at(capabilities, "workspace", "configuration") is True,
        register_configuration=_at(capabilities, "workspace", "didChangeConfiguration", "dynamicRegistration") is True,
        register_watched_files=_at(capabilities, "workspace", "didChangeWatchedFiles", "dynamicRegistration") is True,
        apply_edit=_at(capabilities, "workspace", "applyEdit") is True,
        document_changes=_at(edit, "documentChanges") is True,
        change_annotations=isinstance(_at(edit, "changeAnnotationSupport"), dict),
        resolves_edits=isinstance(resolved, list) and "edit" in resolved and _at(action, "dataSupport") is True,
        action_tags=isinstance(tags, list) and _LLM_GENERATED in tags,
        pull_diagnostics=isinstance(_at(capabilities, "textDocument", "diagnostic"), dict),
        refresh_diagnostics=_at(capabilities, "workspace", "diagnostics", "refreshSupport") is True,
        folders=tuple(folder for folder in folders if isinstance(folder, str)),
        trace=params.get("trace") in ("messages", "verbose"),
        options=params.get("initializationOptions"),
    )


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
