"""Empty blocks; each language's are in the tests of the server's rule (one_or_many_lines)."""

import pytest

from model.syntax.empty_block import begins_empty_block
from model.syntax.incremental import parse_lines


@pytest.mark.parametrize(
    ("text", "row", "is_empty"),
    [
        ("def f():\n\n", 1, True),
        ("def f():\n\n    x\n", 1, False),
        ("def f():\n    x\n\n", 2, False),
        ("def f():\n\n\n\nx = 1\n", 3, True),
        ('def f():\n    """a"""\n    # b\n\n', 3, True),
        ("else:\n\n", 1, True),  # a clause alone has no tree of its own
        ("lambda x:\n\n", 1, False),
        ("x: \n\n", 1, False),
        ("\n", 0, False),
        ("# only a comment\n\n", 1, False),
        ("é = '𝒳'\nif é:\n\n", 2, True),
    ],
)
def test_python(text, row, is_empty):
    parsed = parse_lines(tuple(text.splitlines(keepends=True)), "python")
    assert parsed is not None
    assert begins_empty_block(parsed, row) is is_empty
