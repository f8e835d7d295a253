"""Old versions of code: what each kind changes, that the text as it stands is the new code, and what is asked for."""

import ast
import re
from random import Random

import pytest

from model.training.rewrite_edits import KINDS, draw_kind, find_rewrite, may_have

SOURCE = '''import json
import os
import re

from typing import Any


class Store(Base):
    """Keeps — ä."""

    size: int = 0

    def __init__(self, path: str) -> None:
        """Begins."""
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return self.path.lower()

    async def put(self, key: str, value: int = 3, *rest: bytes, **options) -> bool:
        """Puts."""

        key = key.lower()
        await self.put(key, value=f"{value}", rest=[rest for rest in rest])
        return value == options


def plain(count):
    total = count + count
    total += 1
    return total


def branches(items: list[str], limit: int | None = None) -> dict[str, int]:
    if limit is None:
        return {}
    found = {}
    for key, number in items:
        if number:
            found[key] = number
    names = [item.name for item in items if item]
    label = "many" if len(items) > limit else "few"
    if label not in names:
        size = 1
    else:
        size = 2
    try:
        value = int(label)
    except ValueError:
        value = 0
    with open(label) as file:
        text = file.read()
    logger.info("read %s", label)
    print_name("a {} b".format(text), "%s!" % value, f"{label}: {size}")
    return found
'''


def rewrites(kind, text=SOURCE, max_chars=2_000, seeds=range(24)):
    found = [find_rewrite(kind, text, max_chars, Random(seed)) for seed in seeds]
    return [rewrite for rewrite in found if rewrite is not None]


def old_text(rewrite, text=SOURCE):
    return text[: rewrite.start] + rewrite.old + text[rewrite.end :]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_random_state_gives_the_same_rewrite(kind):
    assert rewrites(kind, seeds=range(5)) == rewrites(kind, seeds=range(5))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_place_where_there_is_one(kind):
    assert may_have(kind, SOURCE)
    assert rewrites(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_chars", [40, 200, 2_000])
def test_old_and_new_differ_and_the_place_is_code(kind, max_chars):
    for rewrite in rewrites(kind, max_chars=max_chars):
        new = SOURCE[rewrite.start : rewrite.end]
        assert rewrite.kind == kind
        assert new != rewrite.old
        assert new.strip()
        assert len(new) <= max_chars + 120
        assert rewrite.instruction
        assert "{" not in rewrite.instruction.replace("{}", "")
        whole_lines = new.endswith("\n") and (rewrite.start == 0 or SOURCE[rewrite.start - 1] == "\n")
        assert whole_lines or new == new.strip()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"fix", "async", "default"}))
def test_the_old_text_is_python_too(kind):
    for rewrite in rewrites(kind):
        ast.parse(old_text(rewrite))


def test_all_kinds_are_drawn():
    rng = Random(0)
    assert {draw_kind(rng) for _ in range(2_000)} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"fix", "rename"}))
def test_no_place(kind):
    assert rewrites(kind, text="x = y + 1\n") == []
    assert rewrites(kind, text="\n\n") == []


def test_broken_text_is_no_obstacle():
    broken = SOURCE.replace("def plain(count):", "def plain(count:").replace("else:", "els")
    for kind in KINDS:
        for rewrite in rewrites(kind, text=broken, seeds=range(10)):
            assert rewrite.old != broken[rewrite.start : rewrite.end]


def test_loops_and_comprehensions_that_would_not_be_the_same_are_left_alone():
    leaks = "def f(b):\n    xs = [a for a in b]\n    return xs, a\n"
    builds_itself = "def f(b):\n    xs = [xs for a in b]\n    return xs\n"
    attribute = "class A:\n    xs = [a for a in B]\n"
    used_behind = "def f(b):\n    xs = []\n    for a in b:\n        xs.append(a)\n    return xs, a\n"
    assert rewrites("comprehension", text=leaks) == []
    assert rewrites("comprehension", text=builds_itself) == []
    assert rewrites("comprehension", text=attribute) == []
    assert rewrites("loop", text=used_behind) == []
    assert rewrites("loop", text=used_behind.replace(", a\n", "\n"))


def test_several_places_of_one_form_are_changed_together():
    text = "def f(a, b):\n    if a is None:\n        b = b is None\n    return f(a, b)\n"
    whole = [r for r in rewrites("idiom", text=text, seeds=range(80)) if text[r.start : r.end].count("is None") == 2]
    assert whole
    assert all("is None" not in rewrite.old for rewrite in whole)


def test_a_selection_is_the_place_its_lines_or_its_function():
    sizes = {SOURCE[r.start : r.end].count("\n") for r in rewrites("ternary", seeds=range(80))}
    assert 0 in sizes
    assert any(1 <= size <= 7 for size in sizes)
    assert any(size >= 20 for size in sizes)


def test_words_of_the_place_stand_in_the_instruction():
    assert any(re.search("return {} if limit is None", r.instruction) for r in rewrites("guard", seeds=range(80)))
    assert any("ValueError" in r.instruction for r in rewrites("try"))
