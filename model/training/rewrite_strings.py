"""Old versions of strings with values in them: f-strings as format, percent or sum; format and percent as f-strings.

Source: this project's design. Left out: strings of several lines or parts, nested formats, braces to be doubled.
"""

import re
from collections.abc import Iterator
from random import Random

import tree_sitter

from model.training.rewrite_code import Code, Edit, Place

_STRINGS = "(string (interpolation)) @string"
_FORMATS = '(call function: (attribute object: (string) attribute: (identifier) @name) (#eq? @name "format")) @format'
_PERCENTS = '(binary_operator left: (string) operator: "%") @percent'
_FIELD = re.compile(r"\{(\d*)(![rsa])?(:[^{}]*)?\}")
_LOOSE = ("attribute", "subscript", "binary_operator", "comparison_operator", "concatenated_string", "unary_operator")
_PLAIN = ("identifier", "attribute", "call", "subscript", "integer")


def f_string(code: Code, rng: Random) -> Iterator[Place]:
    """f-strings as `.format`, as `%`, or as a sum; all of a selection in the same way."""
    style = rng.choice((_as_format, _as_percent, _as_sum))
    for node in code.shuffled(_STRINGS, "string", rng):
        text = code.of(node)
        quote = text[1:2]
        if text[0] not in "fF" or quote not in "\"'" or text[1:4] == quote * 3 or "\n" in text or "\\" in text:
            continue
        if node.parent is None or node.parent.type in _LOOSE or "{{" in text or "}}" in text:
            continue
        old = style(code, node, quote)
        if old is not None:
            yield Place(*code.span(node), (Edit(*code.span(node), old),), "f-string", form="f-string")


def _parts(code: Code, node: tree_sitter.Node) -> list[str | tuple[str, str, str]] | None:
    """Text, and (expression, conversion, format) of what is put in."""
    parts: list[str | tuple[str, str, str]] = []
    for child in node.named_children:
        if child.type == "string_content":
            parts.append(code.of(child))
        elif child.type == "interpolation":
            expression = child.child_by_field_name("expression")
            conversion = child.child_by_field_name("type_conversion")
            format_ = child.child_by_field_name("format_specifier")
            shown = code.of(child)
            if expression is None or expression.type not in _PLAIN or "=" in shown.split("(")[0]:
                return None
            spec = "" if format_ is None else code.of(format_)
            if "{" in spec:
                return None
            parts.append((code.of(expression), "" if conversion is None else code.of(conversion), spec))
    return parts


def _as_format(code: Code, node: tree_sitter.Node, quote: str) -> str | None:
    parts = _parts(code, node)
    if parts is None:
        return None
    text = "".join(part if isinstance(part, str) else "{" + part[1] + part[2] + "}" for part in parts)
    return f"{quote}{text}{quote}.format({', '.join(part[0] for part in parts if not isinstance(part, str))})"


def _as_percent(code: Code, node: tree_sitter.Node, quote: str) -> str | None:
    parts = _parts(code, node)
    if parts is None or any(not isinstance(part, str) and (part[2] or part[1] not in ("", "!r")) for part in parts):
        return None
    text = "".join(
        part.replace("%", "%%") if isinstance(part, str) else "%r" if part[1] == "!r" else "%s" for part in parts
    )
    values = [part[0] for part in parts if not isinstance(part, str)]
    return f"{quote}{text}{quote} % {values[0] if len(values) == 1 else '(' + ', '.join(values) + ')'}"


def _as_sum(code: Code, node: tree_sitter.Node, quote: str) -> str | None:
    parts = _parts(code, node)
    if parts is None or any(not isinstance(part, str) and (part[1] or part[2]) for part in parts):
        return None
    return " + ".join(f"{quote}{part}{quote}" if isinstance(part, str) else f"str({part[0]})" for part in parts)


def format_call(code: Code, rng: Random) -> Iterator[Place]:
    """`.format` with its values in order, as f-strings."""
    for node in code.shuffled(_FORMATS, "format", rng):
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if function is None or arguments is None:
            continue
        text = code.of(function.named_children[0])
        values = _values(code, arguments.named_children, text)
        if values is None or not _is_simple(text) or "{{" in text or "}}" in text:
            continue
        fields = list(_FIELD.finditer(text))
        order = [int(field[1]) if field[1] else index for index, field in enumerate(fields)]
        if text.count("{") != len(fields) or sorted(set(order)) != list(range(len(values))):
            continue
        filled = [f"{{{values[i]}{field[2] or ''}{field[3] or ''}}}" for i, field in zip(order, fields, strict=True)]
        yield _with_fields(code, node, text, fields, filled, "format")


def percent(code: Code, rng: Random) -> Iterator[Place]:
    """`%` with %s and %r, as f-strings."""
    for node in code.shuffled(_PERCENTS, "percent", rng):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None or node.parent is None or node.parent.type in _LOOSE:
            continue
        text = code.of(left)
        values = _values(code, right.named_children if right.type == "tuple" else [right], text)
        fields = list(re.finditer("%[sr]", text))
        if values is None or len(values) != len(fields) or text.count("%") != len(fields):
            continue
        if not _is_simple(text) or "{" in text or "}" in text:
            continue
        filled = [f"{{{value}{'!r' if field[0] == '%r' else ''}}}" for value, field in zip(values, fields, strict=True)]
        yield _with_fields(code, node, text, fields, filled, "percent")


def _with_fields(
    code: Code, node: tree_sitter.Node, text: str, fields: list[re.Match[str]], filled: list[str], asks: str
) -> Place:
    pieces, last = ["f"], 0
    for field, value in zip(fields, filled, strict=True):
        pieces += [text[last : field.start()], value]
        last = field.end()
    span = code.span(node)
    return Place(*span, (Edit(*span, "".join([*pieces, text[last:]])),), asks, form=asks)


def _values(code: Code, nodes: list[tree_sitter.Node], text: str) -> list[str] | None:
    """The values as text that may stand in an f-string with the quotes of `text`; None if one may not."""
    values = [code.of(node) for node in nodes]
    if not values or any(node.type not in _PLAIN for node in nodes):
        return None
    return None if any(char in value for value in values for char in (text[0], "\n", "\\", "{", "#")) else values


def _is_simple(text: str) -> bool:
    return text[:1] in "\"'" and text[:3] != text[:1] * 3 and "\n" not in text and "\\" not in text
