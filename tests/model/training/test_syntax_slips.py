"""Slips from the parse tree: each changes the text at its own place, and each kind looks as it is named."""

import ast
from random import Random

import pytest

from model.syntax.trees import parse
from model.training.syntax_slips import SLIP_KINDS, apply_slip, draw_slip, syntax_slips

SOURCE = '''import os as system

class Counter(Base):
    """Counts — ä."""

    def add(self, amount: int, *, limit=10):
        total = self.value + amount
        if total == limit and not self.frozen:
            self.store(total, limit, force=True)
        return f"{total} ä", total[0], {"key": amount}

async def main(argv):
    counter = Counter(argv[1], argv)
    for name in argv:
        counter.add(1, 22)
'''


def lines_of(kind, text=SOURCE, seeds=range(20)):
    """The lines that slips of this kind leave, over some seeds."""
    found = set()
    for seed in seeds:
        for slip in syntax_slips(text, Random(seed)):
            if slip.kind == kind:
                changed = apply_slip(text, slip)
                found |= {line.strip() for line in changed.split("\n")} - {line.strip() for line in text.split("\n")}
    return found


@pytest.mark.parametrize("text", [SOURCE, SOURCE[150:400], "x = (1\ndef f(:\n  y == ä[0", "", "ü = ä + 1\n", "\r\n"])
def test_every_slip_changes_the_text_inside_it(text):
    for seed in range(10):
        slips = syntax_slips(text, Random(seed))
        assert slips == syntax_slips(text, Random(seed))
        assert slips == sorted(slips, key=lambda slip: slip.start)
        for slip in slips:
            assert slip.kind in SLIP_KINDS
            assert 0 <= slip.start < slip.end <= len(text)
            assert text[slip.start : slip.end] != slip.replacement
            assert apply_slip(text, slip) != text


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("wrong-name", {"if limit == limit and not self.frozen:", "for name in counter:"}),
        ("undefined-name", {"total = self.value + amout", "total = self.value + amonut"}),
        ("operator", {"total = self.value - amount", "if total == limit or not self.frozen:"}),
        ("equals", {"if total = limit and not self.frozen:", "total == self.value + amount"}),
        ("off-by-one", {"counter.add(1, 23)", "counter.add(0, 22)", "def add(self, amount: int, *, limit=11):"}),
        ("swapped-arguments", {"self.store(limit, total, force=True)", "counter = Counter(argv, argv[1])"}),
        ("missing-self", {"total = value + amount", "def add(amount: int, *, limit=10):"}),
        ("missing-bracket", {"counter.add(1, 22", 'return f"{total} ä", total0], {"key": amount}'}),
        ("missing-colon", {"for name in argv", 'return f"{total} ä", total[0], {"key" amount}'}),
    ],
)
def test_kinds(kind, lines):
    assert lines <= lines_of(kind, seeds=range(60))


def test_wrong_names_are_of_the_same_function_and_sort():
    found = lines_of("wrong-name", seeds=range(60))
    assert "if limit == limit and not self.frozen:" in found
    assert "if amount == limit and not self.frozen:" in found
    assert "total = self.frozen + amount" in found
    assert not any(word in line for line in found for word in ("argv + ", "self.total", "Counter ==", "import counter"))


def test_kinds_that_break_the_syntax_and_kinds_that_do_not():
    for slip in syntax_slips(SOURCE, Random(1)):
        changed = apply_slip(SOURCE, slip)
        if slip.kind in ("missing-bracket", "missing-colon"):
            tree = parse(changed, "python")
            assert tree is not None
            assert tree.root_node.has_error, slip
        elif slip.kind != "equals":
            assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE)), slip


def test_braces_of_f_strings_stay():
    assert not any('f"total}' in line or 'f"{total ' in line for line in lines_of("missing-bracket"))


def test_draw_gives_each_kind_its_turn():
    slips = syntax_slips(SOURCE, Random(0))
    rng = Random(0)
    drawn = [slip for _ in range(400) if (slip := draw_slip(slips, rng)) is not None]
    counts = [sum(slip.kind == kind for slip in drawn) for kind in SLIP_KINDS]
    assert min(counts) > 20
    assert draw_slip([], rng) is None
