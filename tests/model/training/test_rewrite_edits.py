"""Old versions of code: what each kind removes, and that it can be put back."""

import ast
import re
from random import Random

import pytest

from model.training.rewrite_edits import INSTRUCTIONS, KINDS, find_rewrite

SOURCE = '''import os

class Store(Base):
    """Keeps — ä."""

    size: int = 0

    async def put(self, key: str, value: int = 3, *rest: bytes, **options) -> bool:
        """Puts."""

        key = key.lower()
        self.put(key, value=f"{value}", rest=[rest for rest in rest])
        return value == options

def plain(count):
    total = count + count
    return total
'''

RENAMES = [
    re.compile(form.replace("{old}", "(?P<old>\\w+)", 1).replace("{new}", "(?P<new>\\w+)"), re.IGNORECASE)
    for form in INSTRUCTIONS["rename"]
]


def rewrites(kind, text=SOURCE, max_chars=2_000, seeds=range(60)):
    found = [find_rewrite(kind, text, max_chars, Random(seed)) for seed in seeds]
    return [rewrite for rewrite in found if rewrite is not None]


def old_texts(kind, **options):
    return {SOURCE[: rewrite.start] + rewrite.old + SOURCE[rewrite.end :] for rewrite in rewrites(kind, **options)}


def test_the_same_random_state_gives_the_same_rewrite():
    for kind in KINDS:
        assert rewrites(kind, seeds=range(5)) == rewrites(kind, seeds=range(5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_chars", [40, 200, 2_000])
def test_old_and_new_differ_and_the_place_is_code(kind, max_chars):
    for rewrite in rewrites(kind, max_chars=max_chars):
        new = SOURCE[rewrite.start : rewrite.end]
        assert rewrite.kind == kind
        assert new != rewrite.old
        assert new.strip()
        assert len(new) <= max_chars + 80
        whole_lines = new.endswith("\n") and (rewrite.start == 0 or SOURCE[rewrite.start - 1] == "\n")
        assert whole_lines or new == new.strip()


def test_type_hints_go_from_the_signature_alone():
    signature = "async def put(self, key, value=3, *rest, **options):"
    texts = old_texts("type-hints")
    assert texts
    for text in texts:
        assert signature in text
        assert "size: int = 0" in text
        ast.parse(text)


def test_a_docstring_goes_with_its_line():
    texts = old_texts("docstring")
    without_first = SOURCE.replace('    """Keeps — ä."""\n', "")
    without_second = SOURCE.replace('        """Puts."""\n', "")
    assert texts == {
        without_first,
        without_first.replace("(Base):\n\n", "(Base):\n"),
        without_second,
        without_second.replace("-> bool:\n\n", "-> bool:\n"),
    }


def test_a_function_that_is_too_long_is_cut_behind_what_was_removed():
    found = rewrites("docstring", max_chars=150)
    assert found
    assert all('"""' in SOURCE[rewrite.start : rewrite.end] for rewrite in found)
    assert all(SOURCE[rewrite.start : rewrite.end].count("\n") >= 2 for rewrite in found)


def test_a_rename_is_undone_by_its_instruction():
    seen = set()
    for rewrite in rewrites("rename", seeds=range(150)):
        found = [pattern.fullmatch(rewrite.instruction) for pattern in RENAMES]
        old, new = next((match["old"], match["new"]) for match in found if match)
        renamed = re.sub(rf"(?<![\w.]){old}(?!\w|=f|=\[)", new, rewrite.old)  # but no attribute and no keyword
        assert renamed == SOURCE[rewrite.start : rewrite.end]
        seen.add(new)
    assert {"total", "count", "key"} <= seen


def test_names_of_keywords_and_attributes_stay():
    for rewrite in rewrites("rename", seeds=range(150)):
        if "class" not in rewrite.old and "put" in rewrite.old:
            assert "value=f" in rewrite.old
            assert ", rest=[" in rewrite.old
            assert "self.put(" in rewrite.old


def test_a_fix_says_what_an_editor_would_say():
    instructions = {rewrite.instruction.lower().rstrip(".") for rewrite in rewrites("fix", seeds=range(200))}
    assert set(INSTRUCTIONS["fix"]) <= instructions
    assert "fix the syntax error" in instructions
    named = [i for i in instructions if "not defined" in i or "undefined" in i]
    assert named


def test_no_place():
    assert rewrites("type-hints", text="x = 1\n") == []
    assert rewrites("docstring", text='def f():\n    """Only."""\n') == []
    assert rewrites("rename", text="def f(self):\n    return self\n") == []
    assert rewrites("fix", text="\n\n") == []
