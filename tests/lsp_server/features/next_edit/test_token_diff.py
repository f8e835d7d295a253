"""Which tokens a change replaced."""

import pytest

from lsp_server.features.next_edit.token_diff import MAX_TOKENS, script, tokens


def hunks(old: str, new: str) -> list[tuple[str, str]]:
    found = script(old, new)
    assert found is not None
    return [
        (
            " ".join(token.text for token in found.old[hunk.old_start : hunk.old_end]),
            " ".join(token.text for token in found.new[hunk.new_start : hunk.new_end]),
        )
        for hunk in found.hunks
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("f(total)", "f(count)", [("total", "count")]),
        ("total += total", "count += count", [("total", "count"), ("total", "count")]),
        ("f(a)", "f(a, b)", [("", ", b")]),
        ("f(a, b)", "f(b)", [("a ,", "")]),
        ("x = a", "x = str(a)", [("", "str ("), ("", ")")]),
        ("  a  =  1", "a = 1", []),
        ("é1 = 𝒳", "é2 = 𝒳", [("é1", "é2")]),
        ("x = 1.5", "x = 2.5", [("1.5", "2.5")]),
    ],
)
def test_hunks(old, new, expected):
    assert hunks(old, new) == expected


def test_offsets_are_characters():
    assert [(token.text, token.start) for token in tokens("é = (𝒳2)")] == [
        ("é", 0),
        ("=", 2),
        ("(", 4),
        ("𝒳2", 5),
        (")", 7),
    ]


def test_too_much_is_no_script():
    assert script("a " * (MAX_TOKENS + 1), "b " * (MAX_TOKENS + 1)) is None
