"""Parameters of functions, arguments of calls."""

from model.syntax.incremental import parse_lines
from model.syntax.signatures import Parameter, arguments, signatures

SOURCE = """\
def f(a, b: int, /, *args, c: str = "x", d, **kw) -> int:
    return g(1, x=2, *y, **z)

class K:
    @decorated
    def m(self, v,
          *, w=1): pass

    @classmethod
    def n(cls): pass

def outside(self, a): pass
def broken(a, :
"""


def tree(source: str = SOURCE):
    parsed = parse_lines(tuple(source.splitlines(keepends=True)), "python")
    assert parsed is not None
    return parsed


def names(first: int, last: int) -> list[str]:
    return [one.name.text.decode() for one in signatures(tree(), first, last) if one.name.text]


def test_the_parameters_in_order():
    (found,) = signatures(tree(), 0, 0)
    assert found.parameters == (
        Parameter("a", "plain", False),
        Parameter("b", "plain", False),
        Parameter("args", "splat", True),
        Parameter("c", "keyword_only", True),
        Parameter("d", "keyword_only", False),
        Parameter("kw", "splat", True),
    )
    assert found.holder is None


def test_a_methods_first_is_none_and_a_functions_is():
    method, other = signatures(tree(), 5, 6)[0], signatures(tree(), 11, 11)[0]
    assert method.parameters == (Parameter("v", "plain", False), Parameter("w", "keyword_only", True))
    assert method.holder is not None
    assert [one.name for one in other.parameters] == ["self", "a"]


def test_headers_that_touch_the_rows():
    assert names(0, 99) == ["f", "m", "n", "outside"]
    assert names(6, 6) == ["m"]
    assert names(1, 3) == []


def call(source: str):
    node = tree(source).tree.root_node.descendant_for_byte_range(0, 1)
    while node is not None and node.type != "call":
        node = node.parent
    assert node is not None
    return arguments(node)


def test_arguments():
    found = call("g(1, # one\n x=2, *y, **z)\n")
    assert found is not None
    assert [(one.keyword, one.is_unpacked) for one in found] == [("", False), ("x", False), ("", True), ("", True)]
    assert call("g()\n") == []
    assert call("g(x for x in y)\n") is None
    assert call("g(1, +)\n") is None
