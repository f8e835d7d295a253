"""The popup's completion: which requests come from the completion key."""

import pytest

from lsp_server.handlers.completion import TYPING_PAUSE_S, as_inline
from lsp_server.wire import read_completion, trigger_of


@pytest.mark.parametrize(
    ("context", "since_change_s", "trigger"),
    [
        ({"triggerKind": 1}, 0.02, "automatic"),  # a letter
        ({"triggerKind": 1}, TYPING_PAUSE_S, "invoked"),
        ({"triggerKind": 1}, float("inf"), "invoked"),
        ({"triggerKind": 2, "triggerCharacter": "("}, 0.02, "automatic"),
        ({"triggerKind": 2, "triggerCharacter": "("}, 60.0, "automatic"),
        ({"triggerKind": 3}, 60.0, "automatic"),
        ({}, 60.0, "automatic"),
        (None, 60.0, "automatic"),
        ({"triggerKind": "1"}, 60.0, "automatic"),
    ],
)
def test_the_key_is_told_from_typing_by_the_pause_before_it(context, since_change_s, trigger):
    params = {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 0, "character": 0}, "context": context}
    request = as_inline(read_completion(params), since_change_s)
    assert trigger_of(request.trigger_kind, counts_from_zero=False) == trigger
