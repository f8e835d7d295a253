"""The stop rule `node` where indentation holds a body together: Python.

A statement ends at the newline where prefix + canvas + suffix closes the line's brackets and strings without a new
ERROR or MISSING node; one with a block (or decorators) ends where the canvas dedents. Only windows around the cursor
are parsed (0.1-0.4 ms each). Source: this project's own design. Left out: the other rules (stop.py).
"""

from collections.abc import Callable

import tree_sitter

from model.syntax.languages import Grammar
from model.syntax.trees import encode, has_error, parse
from model.syntax.windows import line_ends, width

_OPENERS = ("(", "[", "{")
_CLOSERS = (")", "]", "}")


def end_of_statement(head: str, line: str, canvas: str, tail: str, language: str, kinds: Grammar) -> int | None:
    """The number of canvas characters that make the first finished statement, or None.

    `line` is the cursor's line up to the canvas, `head` and `tail` are windows of the text around both.
    """
    rest_of_line = tail.split("\n", 1)[0].strip()
    for end in line_ends(canvas):
        if not (line + canvas[:end]).strip():
            continue  # nothing but blank lines so far
        if not _is_closed(head, line, canvas[:end], tail, language):
            continue
        if rest_of_line or not _opens_block(line + canvas[:end], language, kinds):
            return end
        return dedent(line, canvas, end, kinds.clause_words, lambda text: _is_balanced_text(text, language))
    return None


def _is_closed(head: str, line: str, canvas: str, tail: str, language: str) -> bool:
    """Is the text from the cursor's line to the canvas's end whole: in its surroundings, or taken alone?"""
    own = line + canvas
    # The line's rest belongs to the canvas's last line; a canvas that stands for whole lines needs its newline.
    start = len(encode(head))
    end = start + len(encode(own)) + len(encode(tail.split("\n", 1)[0]))
    tree = parse(head + own + tail, language)
    assert tree is not None
    if not tree.root_node.has_error or not has_error(tree.root_node, start, end):
        return not _borrows_a_closer(tree.root_node, start + len(encode(line)), end)
    # Broken code above or below may swallow this text in an ERROR; then it is judged alone. Text whose brackets and
    # strings are closed counts as closed even when it is wrong: no later line can mend it.
    alone = parse(own + "\n", language)
    assert alone is not None
    return _is_balanced(alone.root_node)


def _borrows_a_closer(root: tree_sitter.Node, start_byte: int, end_byte: int) -> bool:
    """Is a bracket or string that begins in the canvas closed by what stands behind it, and was meant for another?"""
    node: tree_sitter.Node | None = root
    while node is not None:
        node = next((child for child in node.children if child.start_byte < end_byte < child.end_byte), None)
        if node is None or node.start_byte < start_byte:
            continue
        first = node.children[0].type if node.children else ""
        if first in (*_OPENERS, "string_start"):
            return True
    return False


def _is_balanced(root: tree_sitter.Node) -> bool:
    """Are all brackets and strings that open here closed again, with no line continuation at the end?"""
    depth = 0
    waiting = [root]
    last = None
    while waiting:
        node = waiting.pop()
        if node.child_count:
            waiting.extend(reversed(node.children))
            continue
        if node.is_missing:
            continue
        # A one-line string that is open at the newline stays broken; only a triple-quoted one goes on.
        is_long_string = node.type in ("string_start", "string_end") and (node.text or b"")[-3:] in (b'"""', b"'''")
        if node.type in _OPENERS or (is_long_string and node.type == "string_start"):
            depth += 1
        elif node.type in _CLOSERS or (is_long_string and node.type == "string_end"):
            depth -= 1
        last = node
    return depth <= 0 and not (last is not None and last.type == "line_continuation")


def _opens_block(text: str, language: str, kinds: Grammar) -> bool:
    """Does this closed text begin a statement whose body, or whose definition after decorators, is still to come?"""
    stripped = text.rstrip()
    last_line = stripped[stripped.rfind("\n") + 1 :].lstrip()
    if last_line.startswith("@"):
        return True
    tree = parse(text.strip() + "\n", language)
    assert tree is not None
    cursor: tree_sitter.Node | None = tree.root_node
    while cursor is not None and cursor.named_child_count:
        children = [c for c in cursor.named_children if c.type != "comment"]
        cursor = children[-1] if children else None
        if cursor is not None and cursor.type in kinds.blocks and cursor.start_byte == cursor.end_byte:
            return True
    # A clause alone (`else:`) has no tree of its own, and a broken header keeps its colon.
    code = stripped.split("#", 1)[0].rstrip() if tree.root_node.has_error else ""
    return code.endswith(":")


def dedent(
    line: str, canvas: str, header_end: int, clause_words: tuple[str, ...], is_balanced: Callable[[str], bool]
) -> int | None:
    """Where the block after the header that ends at `header_end` ends, once a less indented line proves it."""
    header = next(text for text in (line + canvas[:header_end]).split("\n") if text.strip())
    indent = width(header)
    end = header_end
    has_body = False
    is_decorated = header.lstrip().startswith("@")
    start = header_end + 1
    while start <= len(canvas):
        stop = canvas.find("\n", start)
        text = canvas[start:] if stop < 0 else canvas[start:stop]
        if text.strip():
            closed = is_balanced(line + canvas[: start - 1])
            if closed and width(text) <= indent:
                word = text.strip().split(" ")[0].rstrip(":(")
                if stop < 0 and word == text.strip() and any(w.startswith(word) for w in clause_words):
                    return None  # half a word that may become `else`
                follows = word in clause_words or (is_decorated and not has_body)
                if not follows:
                    return end
                is_decorated = is_decorated and text.lstrip().startswith("@")
            else:
                has_body = True
            if stop < 0:
                return None
            end = stop
        if stop < 0:
            return None
        start = stop + 1
    return None


def _is_balanced_text(text: str, language: str) -> bool:
    tree = parse(text + "\n", language)
    assert tree is not None
    return _is_balanced(tree.root_node)
