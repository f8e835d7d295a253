"""The stop rule: at which character of a half-written canvas is the answer complete?

Source: the request's `stop` field. `line` ends at the first newline, always: one line is what was asked for, and an
open bracket at its end is a truth the user can type on from. `node` answers the first finished statement: it ends at
the newline where prefix + canvas + suffix closes the line's brackets and strings without a new ERROR or MISSING node;
a statement with a block (or decorators) ends where the canvas dedents. `eom` never stops early.
Only windows around the cursor are parsed (0.1-0.4 ms each). Left out: asking only after a newline appeared
(model/engine/stopping.py), and shortening an answer for display (the server's shaping).
"""

from typing import Literal

import tree_sitter

from model.syntax.trees import Grammar, encode, grammar, parse

StopRule = Literal["eom", "line", "node"]

MAX_PREFIX_LINES = 60
MAX_SUFFIX_LINES = 30


def stop_offset(prefix_text: str, canvas_text: str, suffix_text: str, rule: StopRule, language: str) -> int | None:
    """The number of canvas characters to keep if the canvas is complete, or None to go on.

    `prefix_text` is everything before the canvas (its last line is the cursor's), `suffix_text` everything behind it.
    The newline itself is not kept. The characters given must be final: a longer canvas gives the same answer.
    """
    if rule == "eom":
        return None
    newline = canvas_text.find("\n")
    if newline < 0:
        return None
    offset = newline if rule == "line" else _node_end(prefix_text, canvas_text, suffix_text, language)
    # Of a "\r\n" neither half is kept.
    return offset - 1 if offset and canvas_text[offset - 1] == "\r" else offset


def _node_end(prefix_text: str, canvas_text: str, suffix_text: str, language: str) -> int | None:
    kinds = grammar(language)
    line = prefix_text[prefix_text.rfind("\n") + 1 :]
    if kinds is None:
        # Plain text has no nodes: the first line with something on it.
        return next((end for end in _line_ends(canvas_text) if (line + canvas_text[:end]).strip()), None)
    rest_of_line = suffix_text.split("\n", 1)[0].strip()
    for end in _line_ends(canvas_text):
        if not (line + canvas_text[:end]).strip():
            continue  # nothing but blank lines so far
        if not _is_closed(prefix_text, canvas_text[:end], suffix_text, language, kinds):
            continue
        if rest_of_line or not _opens_block(line + canvas_text[:end], language, kinds):
            return end
        return _dedent(line, canvas_text, end, language, kinds)
    return None


def _line_ends(text: str) -> list[int]:
    ends: list[int] = []
    end = text.find("\n")
    while end >= 0:
        ends.append(end)
        end = text.find("\n", end + 1)
    return ends


def _is_closed(prefix: str, canvas: str, suffix: str, language: str, kinds: Grammar) -> bool:
    """Is the text from the cursor's line to the canvas's end whole: in its surroundings, or taken alone?"""
    line_start = prefix.rfind("\n") + 1
    own = prefix[line_start:] + canvas
    head = _last_lines(prefix[:line_start], MAX_PREFIX_LINES)
    # The line's rest belongs to the canvas's last line; a canvas that stands for whole lines needs its newline.
    tail = _first_lines(suffix, MAX_SUFFIX_LINES)
    start = len(encode(head))
    end = start + len(encode(own)) + len(encode(suffix.split("\n", 1)[0]))
    tree = parse(head + own + tail, language)
    assert tree is not None
    if not tree.root_node.has_error or not _has_error(tree.root_node, start, end):
        return True
    # Broken code above or below may swallow this text in an ERROR; then it is judged alone. Text whose brackets and
    # strings are closed counts as closed even when it is wrong: no later line can mend it.
    alone = parse(own + "\n", language)
    assert alone is not None
    return _is_balanced(alone.root_node, kinds)


def _has_error(root: tree_sitter.Node, start_byte: int, end_byte: int) -> bool:
    """Is there an ERROR or MISSING node that touches these bytes? Descends only where there are errors."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if not node.has_error or node.start_byte > end_byte or node.end_byte < start_byte:
            continue
        if node.is_missing or node.is_error:
            return True
        waiting.extend(node.children)
    return False


def _is_balanced(root: tree_sitter.Node, kinds: Grammar) -> bool:
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
        if node.type in kinds.openers or (is_long_string and node.type == "string_start"):
            depth += 1
        elif node.type in kinds.closers or (is_long_string and node.type == "string_end"):
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


def _dedent(line: str, canvas: str, header_end: int, language: str, kinds: Grammar) -> int | None:
    """Where the block after the header that ends at `header_end` ends, once a less indented line proves it."""
    header = next(text for text in (line + canvas[:header_end]).split("\n") if text.strip())
    indent = _width(header)
    end = header_end
    has_body = False
    is_decorated = header.lstrip().startswith("@")
    start = header_end + 1
    while start <= len(canvas):
        stop = canvas.find("\n", start)
        text = canvas[start:] if stop < 0 else canvas[start:stop]
        if text.strip():
            closed = _is_balanced_text(line + canvas[: start - 1], language, kinds)
            if closed and _width(text) <= indent:
                word = text.strip().split(" ")[0].rstrip(":(")
                if stop < 0 and word == text.strip() and any(w.startswith(word) for w in kinds.clause_words):
                    return None  # half a word that may become `else`
                follows = word in kinds.clause_words or (is_decorated and not has_body)
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


def _is_balanced_text(text: str, language: str, kinds: Grammar) -> bool:
    tree = parse(text + "\n", language)
    assert tree is not None
    return _is_balanced(tree.root_node, kinds)


def _width(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _last_lines(text: str, num_lines: int) -> str:
    at = len(text)
    for _ in range(num_lines + 1):
        at = text.rfind("\n", 0, at)
        if at < 0:
            return text
    return text[at + 1 :]


def _first_lines(text: str, num_lines: int) -> str:
    at = -1
    for _ in range(num_lines):
        at = text.find("\n", at + 1)
        if at < 0:
            return text
    return text[: at + 1]
