"""The budget of snippets, and how a path is shown."""

import pytest
from capabilities import capabilities

from lsp_server.context.budget import MAX_PATH_CHARS, shown_path, snippet_budget


@pytest.mark.parametrize("context_tokens", [128, 512, 2048, 8192, 131072])
def test_snippets_never_take_most_of_a_context(context_tokens):
    budget = snippet_budget(capabilities(context_tokens=context_tokens))
    assert 0 <= budget.snippet_chars <= budget.total_chars <= context_tokens
    assert budget.num_snippets <= 16


def test_larger_models_get_more():
    small, large = snippet_budget(capabilities(context_tokens=512)), snippet_budget(capabilities(context_tokens=8192))
    assert large.num_snippets > small.num_snippets
    assert large.snippet_chars > small.snippet_chars


def test_a_small_context_takes_one_snippet():
    assert snippet_budget(capabilities(context_tokens=512)).num_snippets == 1
    assert snippet_budget(capabilities(context_tokens=2048)).num_snippets > 1


def test_a_path_is_one_short_line():
    assert shown_path("src/a.py") == "src/a.py"
    assert shown_path("a\nimport os\r\u2028\x1b[2J.py") == "a_import os___[2J.py"
    long = "folder/" * 30 + "name.py"
    assert len(shown_path(long)) <= MAX_PATH_CHARS
    assert shown_path(long).startswith("folder/")
    assert shown_path("x" * 500 + ".py").endswith("x.py")
