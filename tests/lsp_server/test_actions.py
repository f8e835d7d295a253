"""Which kinds of action a client wants."""

import pytest

from lsp_server.actions import is_wanted


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        (None, True),
        ((), False),
        (("quickfix",), True),
        (("quickfix.seedling",), True),
        (("",), True),
        (("quickfix.seed",), False),
        (("quickfix.seedling.more",), False),
        (("source.fixAll", "source.organizeImports"), False),
        (("refactor",), False),
    ],
)
def test_kinds_are_prefixes(only, wanted) -> None:
    assert is_wanted("quickfix.seedling", only) is wanted
