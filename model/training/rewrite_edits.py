"""Old versions of code: a stretch of a text with something removed or spoilt, and the instruction that asks for it.

fix: lines with one to three slips (syntax_slips.py); type-hints and docstring: a function without them; rename: a
function in which one parameter or variable has another name. Whole lines or the code in them, at equal chance, as
users select. A function that is too long is cut after whole lines (but never for a rename). Source: this project's
design; code with its edits undone as training pairs, after InstructCoder's kinds of edit (arXiv 2310.20329). Left
out: changes of behaviour that need a test to tell.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple

import tree_sitter

from model.syntax.trees import CharOffsets, captures, parse
from model.training.syntax_slips import Slip, draw_slip, syntax_slips

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "fix": ("fix the bug", "fix this", "fix the mistake", "correct the code", "find and fix the error", "repair this"),
    "type-hints": (
        "add type hints",
        "add type annotations",
        "annotate the types",
        "type the signature",
        "add types to the parameters and the return value",
    ),
    "docstring": (
        "add a docstring",
        "write a docstring",
        "document this",
        "add documentation",
        "explain in a docstring what this does",
    ),
    "rename": (
        "rename {old} to {new}",
        "rename `{old}` to `{new}`",
        "call {old} {new}",
        "use the name {new} instead of {old}",
        "{old} should be named {new}",
    ),
    "syntax-error": ("fix the syntax error", "fix: invalid syntax", "syntax error"),
    "undefined-name": ("{name} is not defined", "fix the undefined name {name}", 'fix: "{name}" is not defined'),
}
KINDS = ("fix", "type-hints", "docstring", "rename")
MAX_SLIPS = 3
MAX_FIX_LINES = 24
SYNTAX_KINDS = frozenset(("missing-bracket", "missing-colon"))
_OTHER_NAMES = ("x", "y", "tmp", "value", "data", "item", "result", "obj", "var", "foo", "arg", "a", "n", "val", "res")

_FUNCTIONS = "(function_definition) @function"
_DOCUMENTED = "[(function_definition) (class_definition)] @documented"
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


class Rewrite(NamedTuple):
    """Characters start..end of a text are the new code; `old` is what it is made from."""

    kind: str
    start: int
    end: int
    old: str
    instruction: str


class _Edit(NamedTuple):
    start: int
    end: int
    replacement: str


def find_rewrite(kind: str, text: str, max_chars: int, rng: Random) -> Rewrite | None:
    """A rewrite of one of KINDS with about `max_chars` characters of new code at most; None if the text has no place
    for one. Old and new code always differ."""
    found = _FINDERS[kind](text, max_chars, rng)
    if found is None or found.old == text[found.start : found.end] or not found.old.strip():
        return None
    return found


def _fix(text: str, max_chars: int, rng: Random) -> Rewrite | None:
    starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]
    first = rng.randrange(len(starts))
    last = min(len(starts) - 1, first + int(MAX_FIX_LINES ** rng.random()))
    while last > first + 1 and starts[last] - starts[first] > max_chars:
        last -= 1
    end = starts[last] if last > first else len(text)
    start, end = _selection(text, starts[first], end, rng)
    slips = [slip for slip in syntax_slips(text, rng) if start <= slip.start and slip.end <= end]
    taken: list[Slip] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        slip = draw_slip(slips, rng)
        if slip is None:
            break
        taken.append(slip)
        slips = [other for other in slips if other.end < slip.start or other.start > slip.end]
    if not taken:
        return None
    old = _without(text, start, end, taken)
    return Rewrite("fix", start, end, old, _fix_instruction(taken, rng))


def _fix_instruction(slips: Sequence[Slip], rng: Random) -> str:
    """Half of the time what an editor's diagnostic would say, where it would say something."""
    if rng.random() < 0.5:
        if any(slip.kind in SYNTAX_KINDS for slip in slips):
            return _phrase("syntax-error", rng)
        for slip in slips:
            if slip.kind == "undefined-name":
                return _phrase("undefined-name", rng, name=slip.replacement)
    return _phrase("fix", rng)


def _phrase(kind: str, rng: Random, **names: str) -> str:
    """One of the instructions of a kind, three times in ten as a sentence."""
    form = rng.choice(INSTRUCTIONS[kind])
    if rng.random() < 0.3 and form[0] != "{":
        form = form[0].upper() + form[1:]
        if "{" not in form:
            form += rng.choice(("", "."))
    return form.format(**names)


def _type_hints(text: str, max_chars: int, rng: Random) -> Rewrite | None:
    functions = _nodes(text, _FUNCTIONS, "function")
    offset = CharOffsets(text).of
    places = []
    for node in functions:
        edits = _signature_edits(node, offset)
        if edits:
            places.append((node, edits))
    return _from_places("type-hints", text, places, offset, max_chars, rng)


def _signature_edits(function: tree_sitter.Node, offset: Callable[[tuple[int, int]], int]) -> list[_Edit]:
    parameters = function.child_by_field_name("parameters")
    if parameters is None:
        return []
    edits = []
    for child in parameters.named_children:
        if child.type == "typed_parameter" and child.named_children:
            edits.append(_Edit(offset(child.named_children[0].end_point), offset(child.end_point), ""))
        elif child.type == "typed_default_parameter":
            name, value = child.child_by_field_name("name"), child.child_by_field_name("value")
            if name is not None and value is not None:
                edits.append(_Edit(offset(name.end_point), offset(value.start_point), "="))
    answer = function.child_by_field_name("return_type")
    if answer is not None:
        edits.append(_Edit(offset(parameters.end_point), offset(answer.end_point), ""))
    return edits


def _docstring(text: str, max_chars: int, rng: Random) -> Rewrite | None:
    offset = CharOffsets(text).of
    places = []
    for node in _nodes(text, _DOCUMENTED, "documented"):
        body = node.child_by_field_name("body")
        if body is None or body.named_child_count < 2:
            continue
        first = body.named_children[0]
        if first.type != "expression_statement" or [child.type for child in first.named_children] != ["string"]:
            continue
        start, end = offset(first.start_point), offset(first.end_point)
        line_start = text.rfind("\n", 0, start) + 1
        if text[line_start:start].strip() or text[end : end + 1] != "\n":
            continue
        end += 2 if text[end + 1 : end + 2] == "\n" and rng.random() < 0.5 else 1
        places.append((node, [_Edit(line_start, end, "")]))
    return _from_places("docstring", text, places, offset, max_chars, rng)


def _rename(text: str, max_chars: int, rng: Random) -> Rewrite | None:
    offset = CharOffsets(text).of
    functions = [node for node in _nodes(text, _FUNCTIONS, "function") if node.end_byte - node.start_byte <= max_chars]
    if not functions:
        return None
    function = rng.choice(functions)
    found = captures(function, _NAMES)
    spans = {
        name: {(offset(n.start_point), offset(n.end_point)) for n in nodes if not n.is_missing}
        for name, nodes in found.items()
    }
    used = spans.get("name", set()) - spans.get("other", set())
    words = {text[slice(*span)] for span in spans.get("name", set())}
    bound = {text[slice(*span)] for span in spans.get("bound", set())}
    bound -= {text[slice(*span)] for span in spans.get("fixed", set())} | {"self", "cls", "_"}
    places = {word: [span for span in used if text[slice(*span)] == word] for word in bound}
    candidates = sorted(word for word, uses in places.items() if len(uses) >= 2)
    if not candidates:
        return None
    new = rng.choice(candidates)
    old = _other_name(new, words, rng)
    if old is None:
        return None
    edits = [_Edit(*span, old) for span in places[new]]
    start, end = _selection(text, offset(function.start_point), offset(function.end_point), rng)
    instruction = _phrase("rename", rng, old=old, new=new)
    return Rewrite("rename", start, end, _without(text, start, end, edits), instruction)


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


def _nodes(text: str, query: str, capture: str) -> list[tree_sitter.Node]:
    """Nodes without syntax errors inside, in the order of the text."""
    tree = parse(text, "python")
    assert tree is not None
    nodes = [node for node in captures(tree.root_node, query).get(capture, []) if not node.has_error]
    return sorted(nodes, key=lambda node: node.start_byte)


def _from_places(
    kind: str,
    text: str,
    places: list[tuple[tree_sitter.Node, list[_Edit]]],
    offset: Callable[[tuple[int, int]], int],
    max_chars: int,
    rng: Random,
) -> Rewrite | None:
    """A rewrite of one of the nodes, cut after whole lines where it is too long, if all its edits are in what is
    left."""
    fitting = []
    for node, edits in places:
        start, end = offset(node.start_point), offset(node.end_point)
        if end - start > max_chars:
            end = text.rfind("\n", start, start + max_chars) + 1
        if max(edit.end for edit in edits) < end:
            fitting.append((start, end, edits))
    if not fitting:
        return None
    start, end, edits = rng.choice(fitting)
    start, end = _selection(text, start, end, rng)
    return Rewrite(kind, start, end, _without(text, start, end, edits), _phrase(kind, rng))


def _selection(text: str, start: int, end: int, rng: Random) -> tuple[int, int]:
    """The stretch as whole lines with the last newline, or from its first to its last visible character."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    line_start = text.rfind("\n", 0, start) + 1
    if rng.random() < 0.5 and text[end : end + 1] == "\n" and not text[line_start:start].strip():
        return line_start, end + 1
    return start, end


def _without(text: str, start: int, end: int, edits: Iterable[_Edit | Slip]) -> str:
    """text[start:end] with the edits made."""
    for edit in sorted(edits, key=lambda edit: -edit.start):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
        end += len(edit.replacement) - (edit.end - edit.start)
    return text[start:end]


_FINDERS: dict[str, Callable[[str, int, Random], Rewrite | None]] = {
    "fix": _fix,
    "type-hints": _type_hints,
    "docstring": _docstring,
    "rename": _rename,
}
