"""Names that a place may use."""

from model.mending.scope import Scopes

TEXT = """import os.path as osp
from x import y as z, w
import a.b

LIMIT = 3

class C(Base):
    field = 1

    def method(self, one, *rest, two: int = 2, **more):
        local = [item for item in rest]
        with open(one) as handle, other() as (p, q):
            pass
        try:
            value = self.field
        except ValueError as error:
            raise
        lambda t: t + local
        if (found := 1):
            print(found, item)
        return field

def outer(deco):
    def inner():
        nonlocal deco
        return deco + method
    return inner
"""


def unknown() -> set[str]:
    return {name for _, _, name in Scopes(TEXT).unknown(0, len(TEXT))}


def test_what_nothing_binds_is_unknown() -> None:
    """A base class that is nowhere, a comprehension's variable behind it, names of a class body in its methods."""
    assert unknown() == {"Base", "item", "field", "other", "method"}


def test_names_are_known_inside_their_function_alone() -> None:
    scopes = Scopes(TEXT)
    inside, outside = TEXT.index("return field"), TEXT.index("LIMIT")
    for name in ("self", "one", "rest", "two", "more", "local", "handle", "p", "q", "error", "value", "found"):
        assert scopes.is_known(name, inside), name
        assert not scopes.is_known(name, outside), name
    for name in ("osp", "z", "w", "a", "LIMIT", "C", "outer", "len", "ValueError"):
        assert scopes.is_known(name, inside), name
    assert not scopes.is_known("y", outside)
    assert scopes.attributes == {"field"}


def test_a_star_import_may_bring_anything() -> None:
    assert not Scopes("from x import *\nprint(anything)\n").unknown(0, 40)


def test_broken_text_has_scopes_too() -> None:
    text = "def f(a):\n    return a +\n\ndef g(b):\n    return b\n"
    assert Scopes(text).is_known("b", text.index("return b"))
