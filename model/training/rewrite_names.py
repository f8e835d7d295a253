"""Old versions in which one parameter or variable of a function has another name.

Attributes, keyword arguments, functions and classes keep theirs. Source: this project's design. Left out: renames
across functions and files, which a symbol index does without a model.
"""

from collections.abc import Iterable, Iterator
from random import Random

from model.syntax.trees import captures
from model.training.rewrite_code import Code, Edit, Place

_OTHER_NAMES = ("x", "y", "tmp", "value", "data", "item", "result", "obj", "var", "foo", "arg", "a", "n", "val", "res")
_FUNCTIONS = "(function_definition) @function"
_NAMES = """
(identifier) @name
(attribute attribute: (identifier) @other)
(keyword_argument name: (identifier) @other)
(function_definition name: (identifier) @other)
(class_definition name: (identifier) @other)
[
  (parameters (identifier) @bound)
  (default_parameter name: (identifier) @bound)
  (typed_parameter (identifier) @bound)
  (typed_default_parameter name: (identifier) @bound)
  (assignment left: (identifier) @bound)
  (assignment left: (pattern_list (identifier) @bound))
  (for_statement left: (identifier) @bound)
  (for_statement left: (pattern_list (identifier) @bound))
  (for_in_clause left: (identifier) @bound)
  (as_pattern_target (identifier) @bound)
  (named_expression name: (identifier) @bound)
]
[(global_statement (identifier) @fixed) (nonlocal_statement (identifier) @fixed)]
"""


def rename(code: Code, rng: Random) -> Iterator[Place]:
    """Functions with a name that is bound in them and used at two places or more."""
    text = code.text
    for function in code.shuffled(_FUNCTIONS, "function", rng):
        if function.end_byte - function.start_byte > code.max_chars:
            continue
        spans = {
            name: {code.span(node) for node in nodes if not node.is_missing}
            for name, nodes in captures(function, _NAMES).items()
        }
        used = spans.get("name", set()) - spans.get("other", set())
        words = {text[slice(*span)] for span in spans.get("name", set())}
        bound = {text[slice(*span)] for span in spans.get("bound", set())}
        bound -= {text[slice(*span)] for span in spans.get("fixed", set())} | {"self", "cls", "_"}
        places = {word: [span for span in used if text[slice(*span)] == word] for word in bound}
        candidates = sorted(word for word, uses in places.items() if len(uses) >= 2)
        if not candidates:
            continue
        new = rng.choice(candidates)
        old = _other_name(new, words, rng)
        if old is not None:
            edits = tuple(Edit(*span, old) for span in sorted(places[new]))
            yield Place(*code.span(function), edits, "rename", {"old": old, "new": new}, widens=False)


def _other_name(new: str, words: Iterable[str], rng: Random) -> str | None:
    """A name that the function does not have: a general one, an abbreviation, or the name with a part more or less."""
    parts = new.split("_")
    candidates = [
        rng.choice(_OTHER_NAMES),
        new[0],
        new[:3],
        f"{new}_{rng.choice(_OTHER_NAMES)}",
        f"my_{new}",
        parts[-1],
    ]
    candidates = [word for word in candidates if word.isidentifier() and word not in words and word != new]
    return rng.choice(candidates) if candidates else None
