"""What each kind of old version looks like: code as it stands, and all the old codes that may come of it."""

import ast
import re
from random import Random

import pytest

from model.training.rewrite_edits import find_rewrite
from model.training.rewrite_instructions import INSTRUCTIONS, phrase

CASES: dict[str, list[tuple[str, set[str]]]] = {
    "comprehension": [
        ("xs = [f(a) for a in b]\n", {"xs = []\nfor a in b:\n    xs.append(f(a))\n"}),
        ("xs: set[int] = {a for a in b if a}\n", {"xs: set[int] = set()\nfor a in b:\n    if a:\n        xs.add(a)\n"}),
        ("xs = {k: v for k, v in b}\n", {"xs = {}\nfor k, v in b:\n    xs[k] = v\n"}),
        (
            "def f(b):\n    return [a for a in b]\n",
            {"def f(b):\n    result = []\n    for a in b:\n        result.append(a)\n    return result\n"},
        ),
    ],
    "loop": [
        ("xs = []\nfor a in b:\n    if a:\n        xs.append(f(a))\n", {"xs = [f(a) for a in b if a]\n"}),
        ("xs = {}\nfor k in b:\n    xs[k] = k + 1\n", {"xs = {k: k + 1 for k in b}\n"}),
        (
            "def f(b):\n    xs = set()\n    for a in b:\n        xs.add(a)\n    return xs\n",
            {
                "def f(b):\n    xs = {a for a in b}\n    return xs\n",
                "def f(b):\n    return {a for a in b}\n",
            },
        ),
    ],
    "guard": [("def f(a):\n    if a:\n        return 1\n\n    g(a)\n", {"def f(a):\n    g(a)\n"})],
    "early-return": [
        ("def f(a):\n    if not a:\n        return\n    g(a)\n", {"def f(a):\n    if a:\n        g(a)\n"}),
        (
            "def f(a):\n    if a is None:\n        return 1\n    return g(a)\n",
            {"def f(a):\n    if a is not None:\n        return g(a)\n    else:\n        return 1\n"},
        ),
        (
            "for a in b:\n  if a and c:\n    continue\n  g(a)\n",
            {"for a in b:\n  if not (a and c):\n    g(a)\n"},
        ),
    ],
    "no-else": [
        (
            "def f(a):\n    if a:\n        g()\n        return 1\n    h()\n    return 2\n",
            {"def f(a):\n    if a:\n        g()\n        return 1\n    else:\n        h()\n        return 2\n"},
        )
    ],
    "ternary": [("x = a if b else c\n", {"if b:\n    x = a\nelse:\n    x = c\n"})],
    "if-else": [
        ("if b:\n    x += a\nelse:\n    x += c\n", set()),
        ("if b:\n    x = a\nelse:\n    x = c\n", {"x = a if b else c\n"}),
        ("if b:\n    x = a\nelse:\n    y = c\n", set()),
    ],
    "with": [
        (
            "def f(p):\n    with open(p) as g:\n        x = g.read()\n    return x\n",
            {
                "def f(p):\n    g = open(p)\n    x = g.read()\n    g.close()\n    return x\n",
                "def f(p):\n    g = open(p)\n    try:\n        x = g.read()\n"
                "    finally:\n        g.close()\n    return x\n",
            },
        ),
        (
            "with self.lock:\n    return x\n",
            {"self.lock.acquire()\ntry:\n    return x\nfinally:\n    self.lock.release()\n"},
        ),
        ("with torch.no_grad():\n    x = 1\n", set()),
    ],
    "try": [("try:\n    a = f()\nexcept ValueError:\n    a = 1\n", {"a = f()\n"})],
    "f-string": [
        (
            'x = f"a {b} c{d!r}"\n',
            {'x = "a {} c{!r}".format(b, d)\n', 'x = "a %s c%r" % (b, d)\n'},
        ),
        ('x = f"a {b}"\n', {'x = "a {}".format(b)\n', 'x = "a %s" % b\n', 'x = "a " + str(b)\n'}),
        ('x = f"{b:>{c}}"\n', set()),
        ('x = f"{b + c}"\n', set()),
    ],
    "format": [
        ('x = "a {} {!r}".format(b, c.d)\n', {'x = f"a {b} {c.d!r}"\n'}),
        ('x = "a {1} {0}".format(b, c)\n', {'x = f"a {c} {b}"\n'}),
        ("""x = "{}".format(d["k"])\n""", set()),
    ],
    "percent": [
        ('x = "a %s %r" % (b, c)\n', {'x = f"a {b} {c!r}"\n'}),
        ('x = "%d %s" % (b, c)\n', set()),
    ],
    "idiom": [
        ("x = a is not None\n", {"x = a != None\n"}),
        ("x = a not in b\n", {"x = not a in b\n"}),
        ("x = 0 < a <= b\n", {"x = 0 < a and a <= b\n"}),
        ("x += f(y)\n", {"x = x + f(y)\n"}),
        ("x = {}\n", {"x = dict()\n"}),
        ("x = a or b\n", {"x = a if a else b\n"}),
        ("x = isinstance(a, (B, C))\n", {"x = isinstance(a, B) or isinstance(a, C)\n"}),
        ("try:\n    f()\nexcept Exception as e:\n    pass\n", set()),
        ("try:\n    f()\nexcept Exception:\n    pass\n", {"try:\n    f()\nexcept:\n    pass\n"}),
        (
            "class A(B):\n    def f(self):\n        super().f()\n",
            {"class A(B):\n    def f(self):\n        super(A, self).f()\n"},
        ),
    ],
    "modern-types": [
        ("x: int | None = f()\n", {"x: Optional[int] = f()\n"}),
        ("x: A | B | None = f()\n", {"x: Optional[Union[A, B]] = f()\n"}),
        ("x: dict[str, A] = f()\n", {"x: Dict[str, A] = f()\n"}),
    ],
    "logging": [
        ('logger.info("a %s", b)\n', {'print("a %s" % b)\n'}),
        ('self._log.error("a %s %s", b, c)\n', {'print("a %s %s" % (b, c))\n'}),
        ('math.log.info("a", exc_info=True)\n', set()),
    ],
    "type-hints": [
        ("def f(a: int, *b: C, c: D = 1, **d: E) -> F:\n    g()\n", {"def f(a, *b, c=1, **d):\n    g()\n"}),
    ],
    "docstring": [
        ('def f():\n    """Ä."""\n    g()\n', {"def f():\n    g()\n"}),
        ('class F:\n    """Ä."""\n\n    x = 1\n', {"class F:\n\n    x = 1\n", "class F:\n    x = 1\n"}),
        ('def f():\n    """Ä."""\n', set()),
    ],
    "default": [("def f(a, b=1, c=2):\n    g()\n", {"def f(a, b, c=2):\n    g()\n"})],
    "parameter": [
        ("def f(a, b: int = 1):\n    g()\n", {"def f(a):\n    g()\n"}),
        ("def f(a):\n    g()\n", set()),
    ],
    "decorator": [("@property\ndef f(a):\n    g()\n", {"def f(a):\n    g()\n"})],
    "async": [
        (
            "async def f(a):\n    async with a:\n        await g()\n",
            {"def f(a):\n    with a:\n        g()\n"},
        )
    ],
    "sort-imports": [
        ("import a\nimport b\nx = 1\n", set()),
        ("import b\nimport a\nimport c\n", set()),
    ],
}


def old_texts(kind: str, text: str) -> set[str]:
    found = [find_rewrite(kind, text, 2_000, Random(seed)) for seed in range(60)]
    return {text[: one.start] + one.old + text[one.end :] for one in found if one is not None}


@pytest.mark.parametrize(("kind", "text", "wanted"), [(k, *case) for k, cases in CASES.items() for case in cases])
def test_the_old_code_is_known(kind: str, text: str, wanted: set[str]) -> None:
    assert old_texts(kind, text) == wanted


def test_a_body_becomes_a_stub_and_the_docstring_stays() -> None:
    for old in old_texts("body", 'def f(a):\n    """Ä."""\n    b = a\n    return b\n'):
        assert old.startswith('def f(a):\n    """Ä."""\n    ')
        assert "b = a" not in old
        ast.parse(old)


def test_imports_are_shuffled_and_nothing_else() -> None:
    text = "import a\nimport b\nfrom c import d\nx = 1\n"
    olds = old_texts("sort-imports", text)
    assert len(olds) >= 3
    assert all(sorted(old.splitlines()) == sorted(text.splitlines()) and old.endswith("x = 1\n") for old in olds)


@pytest.mark.parametrize("kind", ["debug", "commented-out", "unused-import"])
def test_what_is_too_much_stands_in_lines_of_its_own(kind: str) -> None:
    text = "import re\nimport wave\n\ndef f(a):\n    b = g(a)\n    return b\n"
    lines = text.splitlines()
    olds = old_texts(kind, text)
    assert len(olds) >= 3
    for old in olds:
        rest = iter(old.splitlines())
        assert all(line in rest for line in lines)  # all lines, in their order
        assert len(old.splitlines()) > len(lines)
        ast.parse(old)


def test_a_rename_is_undone_by_its_instruction() -> None:
    text = "def f(key, b):\n    total = key + b\n    total = g(key=total, c=[b.key for key in total])\n"
    text += '    return f"{total}"\n'
    forms = [
        re.compile(form.replace("{old}", r"(?P<old>\w+)", 1).replace("{new}", r"(?P<new>\w+)"))
        for form in INSTRUCTIONS["rename"]
    ]
    names = set()
    for seed in range(200):
        one = find_rewrite("rename", text, 2_000, Random(seed))
        assert one is not None
        found = next((match for form in forms if (match := form.fullmatch(one.instruction))), None)
        if found is None:  # polite or mistyped
            continue
        undone = re.sub(rf"(?<![\w.]){found['old']}(?!\w|=t)", found["new"], one.old)
        assert undone == text[one.start : one.end]
        names.add(found["new"])
    assert {"key", "b", "total"} <= names


def test_a_fix_says_what_an_editor_would_say() -> None:
    text = "def first(items):\n    other = items[0]\n    return call(other, items)\n"
    found = [find_rewrite("fix", text, 2_000, Random(seed)) for seed in range(200)]
    asked = [one.instruction.lower() for one in found if one is not None]
    assert any("is not defined" in one for one in asked)
    assert any("syntax" in one for one in asked)
    assert any("bug" in one for one in asked)


@pytest.mark.parametrize("asks", sorted(INSTRUCTIONS))
def test_instructions_have_paraphrases_and_their_words(asks: str) -> None:
    words = {name: f"<{name}>" for form in INSTRUCTIONS[asks] for name in re.findall(r"{(\w+)}", form)}
    said = {phrase(asks, words, Random(seed)) for seed in range(300)}
    assert len(set(INSTRUCTIONS[asks])) >= 3
    assert set(INSTRUCTIONS[asks]) <= {
        re.sub(r"<(\w+)>", r"{\1}", one) for one in said
    }  # each as it is, beside its variants
    assert len(said) > len(INSTRUCTIONS[asks])
    for one in said:
        assert not re.search(r"[{}]", one)
        assert one == one.strip()
