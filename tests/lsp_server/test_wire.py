"""Reading parameters: odd clients are understood, broken ones refused with a sentence."""

import pytest

from lsp_server.snapshot import Change
from lsp_server.wire import (
    CompletionRequest,
    Feedback,
    SelectedInfo,
    UnreadableParams,
    only_needed_capabilities,
    read_changed,
    read_feedback,
    read_focused,
    read_inline_completion,
    read_opened,
    trigger_of,
)

POSITION = {"line": 1, "character": 2}
RANGE = {"start": POSITION, "end": {"line": 1, "character": 4}}


def test_everything_a_copilot_client_sends_is_kept():
    params = {
        "textDocument": {"uri": "u", "version": 7},
        "position": POSITION,
        "context": {"triggerKind": 2, "selectedCompletionInfo": {"range": RANGE, "text": "xy"}},
        "formattingOptions": {"tabSize": 8, "insertSpaces": False},
        "partialResultToken": "p",
        "workDoneToken": 1,
    }
    assert read_inline_completion(params) == CompletionRequest(
        uri="u",
        position=(1, 2),
        trigger_kind=2,
        version=7,
        selected=SelectedInfo((1, 2), (1, 4), "xy"),
        tab_size=8,
        insert_spaces=False,
    )


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        {},
        {"textDocument": {}, "position": POSITION},
        {"textDocument": {"uri": "u"}, "position": {"line": "1"}},
    ],
)
def test_what_is_required_is_required(params):
    with pytest.raises(UnreadableParams):
        read_inline_completion(params)


def test_what_is_optional_may_be_anything():
    odd = {"textDocument": {"uri": "u", "version": True}, "position": {"line": 1.0, "character": float("inf")}}
    for context in (None, 3, {"triggerKind": "x", "selectedCompletionInfo": {"range": 1}}):
        request = read_inline_completion({**odd, "context": context, "formattingOptions": {"tabSize": -1}})
        assert request == CompletionRequest(uri="u", position=(1, 2**31))


@pytest.mark.parametrize(
    ("kind", "from_zero", "trigger"),
    [
        (1, False, "invoked"),
        (2, False, "automatic"),
        (0, False, "invoked"),
        (0, True, "invoked"),
        (1, True, "automatic"),
        (None, False, "automatic"),
        (9, False, "automatic"),
    ],
)
def test_trigger_kinds(kind, from_zero, trigger):
    assert trigger_of(kind, counts_from_zero=from_zero) == trigger


def test_text_synchronisation():
    opened = read_opened({"textDocument": {"uri": "u", "languageId": None, "version": None, "text": "t"}})
    assert (opened.language, opened.version) == ("", 0)
    changes = [{"text": "a"}, {"text": "b", "range": RANGE, "rangeLength": 2}]
    changed = read_changed({"textDocument": {"uri": "u", "version": 3}, "contentChanges": changes})
    assert changed.changes == (Change("a"), Change("b", (1, 2), (1, 4)))
    for broken in ({}, {"textDocument": {"uri": "u"}, "contentChanges": [{"text": 1}]}):
        with pytest.raises(UnreadableParams):
            read_changed(broken)


def test_focus_and_feedback_never_fail():
    assert read_focused(None).uri is None
    assert read_focused({"textDocument": {"uri": "u"}}).uri == "u"
    item = {"command": {"arguments": ["id"]}}
    assert read_feedback({"item": item, "acceptedLength": 3}) == Feedback("id", 3)
    for odd in (None, {"item": 1}, {"item": {"command": {"arguments": []}}}):
        assert read_feedback(odd) == Feedback(None)


def test_only_what_pygls_needs_of_initialize_reaches_it():
    params = {
        "processId": 1,
        "rootUri": "file:///r",
        "capabilities": {"general": {"positionEncodings": ["utf-8", 3]}, "textDocument": {"codeAction": 5}},
        "workspaceFolders": [{"uri": "file:///r", "name": "r"}, {"name": "no uri"}, 3],
        "trace": "unheard of",
    }
    assert only_needed_capabilities(params) == {
        "processId": 1,
        "rootUri": "file:///r",
        "capabilities": {"general": {"positionEncodings": ["utf-8"]}},
        "workspaceFolders": [{"uri": "file:///r", "name": "r"}],
    }


def test_notebook_support_is_passed_on_and_its_details_are_not():
    notebooks = {"notebookDocument": {"synchronization": {"dynamicRegistration": "odd", "new": 7}}}
    kept = only_needed_capabilities({"capabilities": notebooks})["capabilities"]
    assert kept == {"notebookDocument": {"synchronization": {}}}
    assert only_needed_capabilities({"capabilities": {"notebookDocument": True}})["capabilities"] == {}
