"""The kinds of edit: every wording that models are trained on is recognised, and a menu offers what makes sense."""

import pytest

from lsp_server.features.rewrite_kinds import KINDS, examples, instruction_of, kind_of, menu_kinds
from model.training.rewrite_edits import KINDS as TRAINED
from model.training.rewrite_instructions import INSTRUCTIONS

# Keys of wordings that belong to a kind of another name.
KIND_OF_KEY = {
    "syntax-error": "fix",
    "undefined-name": "fix",
    "with-lock": "with",
    "try-pass": "try",
    "property": "decorator",
    "optional": "modern-types",
    **dict.fromkeys(("is-none", "not-in", "is-not", "augmented", "super", "isinstance", "chain", "literal"), "idiom"),
    **dict.fromkeys(("or", "bare-except"), "idiom"),
}
WORDS = {
    "name": "width",
    "old": "width",
    "new": "height",
    "value": "3",
    "function": "draw",
    "decorator": "cache",
    "type": "list",
    "action": "return",
    "condition": "x is None",
    "close": "close()",
    "exception": "ValueError",
    "operator": "+=",
    "literal": "{}",
    "call": "dict()",
    "logger": "log",
    "level": "debug",
}


def test_the_kinds_are_those_of_training() -> None:
    assert {kind.name for kind in KINDS} == set(TRAINED)


@pytest.mark.parametrize("key", INSTRUCTIONS)
def test_every_wording_is_recognised(key: str) -> None:
    kind = KIND_OF_KEY.get(key, key)
    for form in INSTRUCTIONS[key]:
        words = form.format(**WORDS)
        for spelled in (words, words[0].upper() + words[1:] + ".", f"please {words}"):
            assert kind_of(spelled, [kind]) == kind, spelled


@pytest.mark.parametrize(
    "words", ["translate it to Rust", "make it faster", "write a poem", "x", "upper-case everything"]
)
def test_what_is_no_kind_is_none(words: str) -> None:
    assert kind_of(words, [kind.name for kind in KINDS]) is None


def test_a_kind_that_is_not_listed_is_not_made() -> None:
    assert kind_of("add a docstring", ["rename"]) is None
    assert kind_of("docstring", ["docstring"]) == "docstring"
    assert instruction_of("docstring") == "add a docstring"
    assert instruction_of("rename") == "rename"  # a name alone does not say to what


def test_a_listed_kind_of_a_newer_model_is_known_by_its_name() -> None:
    assert kind_of("newer-kind", ["newer-kind"]) == "newer-kind"
    assert examples(["newer-kind", "docstring"]) == "newer-kind, add a docstring"
    assert menu_kinds("def f(): pass", ["newer-kind"]) == []


@pytest.mark.parametrize(
    ("code", "offered", "not_offered"),
    [
        ("def f(x):\n    return x", {"type-hints", "docstring", "async"}, {"ternary", "f-string", "sort-imports"}),
        ('async def f(x: int):\n    """Doc."""\n    return x', set(), {"type-hints", "docstring", "async"}),
        ("def f(x):\n    pass", {"body"}, {"comprehension"}),
        ("for x in y:\n    z.append(x)", {"comprehension"}, {"loop"}),
        ("z = [x for x in y]", {"loop"}, {"comprehension"}),
        ("if x:\n    y = 1\nelse:\n    y = 2", {"ternary"}, {"if-else"}),
        ("y = 1 if x else 2", {"if-else"}, {"ternary"}),
        ("if x:\n    return 1\nelse:\n    return 2", {"no-else"}, set()),
        ("f = open(p)\nf.close()", {"with"}, set()),
        ("with open(p) as f:\n    pass", set(), {"with"}),
        ("s = '%s' % x", {"f-string"}, {"format"}),
        ("s = f'{x}'", {"format", "percent"}, {"f-string"}),
        ("if x == None:\n    y = 1", {"idiom"}, set()),
        ("x: Optional[int] = 1", {"modern-types"}, set()),
        ("print(x)", {"logging", "debug"}, set()),
        ("import b\nimport a", {"sort-imports", "unused-import"}, set()),
        ("import b", {"unused-import"}, {"sort-imports"}),
        ("# x = 1\ny = 2", {"commented-out"}, set()),
        ("# a sentence\ny = 2", set(), {"commented-out"}),
    ],
)
def test_a_menu_offers_what_makes_sense(code: str, offered: set[str], not_offered: set[str]) -> None:
    names = {kind.name for kind in menu_kinds(code, None)}
    assert offered <= names
    assert not names & not_offered
    assert not names & {"rename", "default", "parameter", "decorator", "guard", "try"}, "they need a word of the user's"
