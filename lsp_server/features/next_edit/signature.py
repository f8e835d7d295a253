"""Changed signature: a parameter was renamed, removed or added in a function's header; its calls in the same document.

Exact: the keyword of a renamed parameter, the argument of a removed one, and for an added one without a default the
variable of its own name, where the caller has one. Else an added parameter leaves a hole that only the model can fill.
A call that has been changed already is told from the text before: only calls that stood there so are touched. Python;
one parameter at a time. Left out: calls that another file makes, calls through other objects than `self` and `cls`,
calls that unpack their arguments, several parameters or their order.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import tree_sitter

from lsp_server.features.next_edit.history import Run
from lsp_server.features.next_edit.places import FollowUp, Place
from lsp_server.positions import Position
from model.syntax.incremental import Parsed
from model.syntax.names import LANGUAGE, Occurrence, at, occurrences, place_of
from model.syntax.signatures import Argument, Parameter, Signature, arguments, signatures

ChangeKind = Literal["renamed", "removed", "added"]
CONSTRUCTOR = "__init__"


class _Changed(NamedTuple):
    """`name` of the parameter before (of an added one: now); `new_name` where it was renamed; `rank` counts
    the parameters before it, in the signature that has it."""

    kind: ChangeKind
    name: str
    new_name: str
    rank: int
    parameter: Parameter


class _Call(NamedTuple):
    node: tree_sitter.Node
    arguments: list[Argument]


def changed_signatures(run: Run, now: Parsed, before: Callable[[], Parsed | None]) -> list[FollowUp]:
    """What follows from the headers that `run` has changed. before: the tree of the document before it."""
    if now.language != LANGUAGE or not any("def " in line or "(" in line or "," in line for line in run.new):
        return []
    after_headers = signatures(now, run.row, run.end_row - 1)
    parsed_before = before() if after_headers else None
    if parsed_before is None:
        return []
    before_headers = signatures(parsed_before, run.before_row, run.before_row + len(run.old) - 1)
    if len(before_headers) != len(after_headers):
        return []
    found = []
    for old, new in zip(before_headers, after_headers, strict=True):
        changed = _change(old.parameters, new.parameters)
        if changed is not None:
            places = tuple(_places(changed, old, new, parsed_before, now))
            if places:
                found.append(FollowUp("signature", _title(changed), places))
    return found


def _title(changed: _Changed) -> str:
    match changed.kind:
        case "renamed":
            return f"Rename argument {changed.name} to {changed.new_name}"
        case "removed":
            return f"Remove argument {changed.name}"
        case _:
            return f"Add argument {changed.name}"


def _change(old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> _Changed | None:
    old_names, new_names = [one.name for one in old], [one.name for one in new]
    gone, come = set(old_names) - set(new_names), set(new_names) - set(old_names)
    kept_old, kept_new = [n for n in old_names if n not in gone], [n for n in new_names if n not in come]
    if kept_old != kept_new or len(gone) > 1 or len(come) > 1 or "" in come:
        return None
    gone_name, new_name = next(iter(gone), ""), next(iter(come), "")
    if gone and come:
        index = old_names.index(gone_name)
        is_same_place = new_names.index(new_name) == index and old[index].kind == new[index].kind != "splat"
        return _Changed("renamed", gone_name, new_name, index, new[index]) if is_same_place else None
    if gone:
        index = old_names.index(gone_name)
        return _Changed("removed", gone_name, "", index, old[index]) if old[index].kind != "splat" else None
    if come:
        index = new_names.index(new_name)
        is_needed = new[index].kind != "splat" and not new[index].has_default
        return _Changed("added", new_name, "", index, new[index]) if is_needed else None
    return None


def _places(changed: _Changed, old: Signature, new: Signature, before: Parsed, now: Parsed) -> Iterator[Place]:
    untouched = Counter(call.node.text for call in _calls(old, before))
    for call in _calls(new, now):
        # Counted: where two calls were alike and one has been changed by hand, the other is still to be changed.
        if untouched[call.node.text] == 0:
            continue
        untouched[call.node.text] -= 1
        place = _place(changed, call, now)
        if place is not None:
            yield place


def _calls(header: Signature, parsed: Parsed) -> Iterator[_Call]:
    name = "" if header.name.text is None else header.name.text.decode("utf-8", "surrogatepass")
    target = header.name
    if name == CONSTRUCTOR:
        class_name = None if header.holder is None else header.holder.child_by_field_name("name")
        if class_name is None or class_name.text is None:
            return
        name, target = class_name.text.decode("utf-8", "surrogatepass"), class_name
    found = occurrences(parsed, (name,))
    defined = at(found, *place_of(parsed, target.start_point))
    if defined is None or defined.variable is None:
        return
    if sum(one.is_binding and one.variable == defined.variable for one in found) > 1:
        return  # defined twice: who knows which is called
    for one in found:
        if one.variable == defined.variable and not one.is_binding:
            call = _call_of(one)
            given = None if call is None else arguments(call)
            if call is not None and given is not None and not any(argument.is_unpacked for argument in given):
                yield _Call(call, given)


def _call_of(one: Occurrence) -> tree_sitter.Node | None:
    function = one.node.parent if one.role == "attribute" else one.node
    call = None if function is None else function.parent
    is_called = call is not None and call.type == "call" and call.child_by_field_name("function") == function
    return call if is_called else None


def _place(changed: _Changed, call: _Call, now: Parsed) -> Place | None:
    given = call.arguments
    by_keyword = next((argument for argument in given if argument.keyword == changed.name), None)
    if changed.kind == "renamed":
        name = None if by_keyword is None else by_keyword.node.child_by_field_name("name")
        return None if name is None else _replaced(now, name.start_point, name.end_point, changed.new_name)
    num_positional = sum(not argument.keyword for argument in given)
    if changed.kind == "removed":
        is_positional = changed.parameter.kind == "plain" and changed.rank < num_positional
        gone = by_keyword or (given[changed.rank] if is_positional else None)
        return None if gone is None else _removed(gone, given, now)
    if by_keyword is not None or (changed.parameter.kind == "plain" and changed.rank > num_positional):
        return None
    return _added(changed, call, now, num_positional)


def _removed(gone: Argument, given: list[Argument], now: Parsed) -> Place | None:
    index = given.index(gone)
    if index > 0:
        return _replaced(now, given[index - 1].node.end_point, gone.node.end_point, "")
    if len(given) > 1:
        return _replaced(now, gone.node.start_point, given[1].node.start_point, "")
    return _replaced(now, gone.node.start_point, gone.node.end_point, "")


def _added(changed: _Changed, call: _Call, now: Parsed, num_positional: int) -> Place | None:
    listed = call.node.child_by_field_name("arguments")
    assert listed is not None, "a call without arguments was left out"
    is_positional = changed.parameter.kind == "plain" and changed.rank <= num_positional
    index = changed.rank if is_positional else len(call.arguments)
    prefix = "" if is_positional else f"{changed.name}="
    text = prefix + (changed.name if _is_known_at(changed.name, call.node, now) else "")
    hole = None if text != prefix else len(prefix)
    if index > 0:
        before = call.arguments[index - 1].node.end_point
        place = _replaced(now, before, before, f", {text}")
        hole = None if hole is None else hole + 2
    else:
        start = (listed.start_point[0], listed.start_point[1] + 1)
        place = _replaced(now, start, start, f"{text}, " if call.arguments else text)
    return None if place is None else Place(place.start, place.end, place.old, place.text, hole)


def _is_known_at(name: str, call: tree_sitter.Node, now: Parsed) -> bool:
    """Whether the caller's function binds a variable of this name above the call."""
    function: tree_sitter.Node | None = call
    while function is not None and function.type != "function_definition":
        function = function.parent
    if function is None:
        return False
    return any(
        one.is_binding and one.variable == ("name", function.start_byte) and one.node.end_byte <= call.start_byte
        for one in occurrences(now, (name,))
    )


def _replaced(now: Parsed, start: tuple[int, int], end: tuple[int, int], text: str) -> Place | None:
    first, last = Position(*place_of(now, start)), Position(*place_of(now, end))
    if first.line == last.line:
        old = now.lines[first.line][first.column : last.column]
    else:
        middle = now.lines[first.line + 1 : last.line]
        old = "".join((now.lines[first.line][first.column :], *middle, now.lines[last.line][: last.column]))
    return Place(first, last, old, text)
