"""Versioned edits of one span, as each kind of client understands them."""

import pytest

from lsp_server.applying import Span, range_of, versioned_edit
from lsp_server.client_profile import ClientProfile
from lsp_server.positions import Position
from lsp_server.snapshot import open_document

DOCUMENT = open_document("file:///w/a.py", "python", 7, "é = '😀'; x = 1\n")
SPAN = Span(Position(0, 4), Position(0, 7))
EDIT = {"range": {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 8}}, "newText": "2"}


def test_a_client_that_knows_everything_gets_version_and_annotation() -> None:
    client = ClientProfile(document_changes=True, change_annotations=True)
    assert versioned_edit(client, DOCUMENT, SPAN, "2", "Why") == {
        "documentChanges": [
            {
                "textDocument": {"uri": "file:///w/a.py", "version": 7},
                "edits": [{**EDIT, "annotationId": "seedling"}],
            }
        ],
        "changeAnnotations": {"seedling": {"label": "Why", "needsConfirmation": False}},
    }


def test_one_that_knows_no_annotations_gets_the_version() -> None:
    (change,) = versioned_edit(ClientProfile(document_changes=True), DOCUMENT, SPAN, "2", "Why")["documentChanges"]
    assert change == {"textDocument": {"uri": "file:///w/a.py", "version": 7}, "edits": [EDIT]}


def test_one_that_knows_neither_gets_the_edit() -> None:
    assert versioned_edit(ClientProfile(), DOCUMENT, SPAN, "2", "Why") == {"changes": {"file:///w/a.py": [EDIT]}}


@pytest.mark.parametrize(("encoding", "end"), [("utf-8", 11), ("utf-16", 8), ("utf-32", 7)])
def test_columns_are_the_clients(encoding, end) -> None:
    assert range_of(DOCUMENT, SPAN, ClientProfile(encoding=encoding))["end"]["character"] == end
