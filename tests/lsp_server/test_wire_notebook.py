"""Reading notebook messages: what matters is kept, what is broken refused."""

import pytest

from lsp_server.notebooks import Cell, Splice
from lsp_server.snapshot import Change
from lsp_server.wire import Changed, Opened, UnreadableParams
from lsp_server.wire_notebook import (
    NotebookChanged,
    NotebookClosed,
    NotebookOpened,
    read_notebook_changed,
    read_notebook_closed,
    read_notebook_opened,
)

TEXT = {"uri": "c1", "languageId": "python", "version": 3, "text": "x\n"}


def test_opened_and_closed():
    opened = {
        "notebookDocument": {
            "uri": "n",
            "notebookType": "jupyter-notebook",
            "version": 0,
            "cells": [
                {"kind": 2, "document": "c1", "executionSummary": {"executionOrder": 1}},
                {"kind": 1, "document": "c2"},
                {"kind": 77, "document": "c3", "metadata": {"tags": [None]}},
            ],
        },
        "cellTextDocuments": [TEXT],
    }
    assert read_notebook_opened(opened) == NotebookOpened(
        "n", (Cell("c1", True), Cell("c2", False), Cell("c3", False)), (Opened("c1", "python", 3, "x\n"),)
    )
    closed = {"notebookDocument": {"uri": "n"}, "cellTextDocuments": [{"uri": "c1"}]}
    assert read_notebook_closed(closed) == NotebookClosed("n", ("c1",))


def test_every_part_of_a_change():
    change = {
        "metadata": {},
        "cells": {
            "structure": {
                "array": {"start": 1, "deleteCount": 2, "cells": [{"kind": 2, "document": "c1"}]},
                "didOpen": [TEXT],
                "didClose": [{"uri": "c0"}],
            },
            "data": [{"kind": 1, "document": "c1"}],
            "textContent": [{"document": {"uri": "c1", "version": 4}, "changes": [{"text": "y"}]}],
        },
    }
    assert read_notebook_changed({"notebookDocument": {"uri": "n", "version": 2}, "change": change}) == NotebookChanged(
        uri="n",
        splice=Splice(1, 2, (Cell("c1", True),)),
        opened=(Opened("c1", "python", 3, "x\n"),),
        closed=("c0",),
        updated=(Cell("c1", False),),
        changes=(Changed("c1", 4, (Change("y"),)),),
    )


def test_a_change_of_nothing_that_matters():
    params = {"notebookDocument": {"uri": "n"}, "change": {"metadata": {"x": 1}, "cells": None}}
    assert read_notebook_changed(params) == NotebookChanged(uri="n")


@pytest.mark.parametrize(
    "change",
    [
        {"cells": {"structure": {"array": {"start": -1, "deleteCount": 0}}}},
        {"cells": {"structure": {"array": {"start": "0"}}}},
        {"cells": {"data": [{"kind": 2}]}},
        {"cells": {"data": [3]}},
        {"cells": {"data": {}}},
        {"cells": {"textContent": [None]}},
        {"cells": {"structure": {"array": {"start": 0, "deleteCount": 0}, "didOpen": [{"uri": "x"}]}}},
        None,
    ],
)
def test_what_cannot_be_read_is_refused_in_words(change):
    with pytest.raises(UnreadableParams, match=" must "):
        read_notebook_changed({"notebookDocument": {"uri": "n"}, "change": change})
