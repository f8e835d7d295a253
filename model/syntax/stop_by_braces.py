"""The stop rule `node` where braces hold a body together, and for text without a grammar.

A statement ends at the newline where every bracket that the canvas opened is closed again and the last token ends a
statement: `;`, `}`, a label's `:`, the `,` of an item. Where a statement may end without a mark, the parser is asked
(0.1-0.4 ms). Brackets are counted by the scanner: a parser whose input lacks a `}` takes the enclosing block's instead.
Left out: waiting for an `else` on the line after a `}` (the statement is finished; the rest is another answer), and
windows that begin inside a string of many lines (each line is an answer then).
"""

import re
from typing import NamedTuple

import tree_sitter

from model.syntax.languages import PLAIN, Grammar
from model.syntax.scan import Token, tokens, unclosed, unopened
from model.syntax.stop_by_indentation import dedent
from model.syntax.trees import encode, has_error, parse
from model.syntax.windows import line_ends, width

_UNSEEN = ("comment", "directive")
_LEADING_OPERATOR = re.compile(r"\.(?!\.)|[?:&|=%*^]|\+(?!\+)|-(?!-)")
_HALF_OPERATORS = (".", "+", "-")


class _Line(NamedTuple):
    """The text from the cursor's line to one end of line in the canvas, with what stands around it.

    `code` are its tokens without comments; their offsets count from the start of `head`.
    """

    head: str
    own: str
    tail: str
    num_typed: int  # characters of `own` before the canvas
    code: list[Token]
    language: str
    kinds: Grammar


def end_of_statement(head: str, line: str, canvas: str, tail: str, language: str, kinds: Grammar) -> int | None:
    """The number of canvas characters that make the first finished statement, or None.

    `line` is the cursor's line up to the canvas, `head` and `tail` are windows of the text around both.
    """
    head = _without_half_comment(head)
    seen = list(tokens(head + line + canvas, kinds))
    start, canvas_start = len(head), len(head) + len(line)
    closing = _Closing(line, tail, kinds)
    for end in line_ends(canvas):
        own = line + canvas[:end]
        at = canvas_start + end
        if not own.strip():
            continue  # nothing but blank lines so far
        across = next((token for token in seen if token.start < at < token.end), None)
        if across is not None:
            if across.start >= start:
                continue  # inside a string or a comment of many lines that began here
            return end  # one that began above: each of its lines is an answer
        here = [token for token in seen if token.start >= start and token.end <= at]
        if not closing.closes(unclosed(here), canvas_start):
            continue
        code = [token for token in here if token.kind not in _UNSEEN]
        if closing.rest_of_line or not code or here[-1].kind == "directive":
            return end  # the line goes on with what stands there already, or holds no code
        text = _Line(head, own, tail, len(line), code, language, kinds)
        if _has_end_mark(text):
            return end
        if not _ends_unmarked(text):
            continue
        following = canvas[end:].lstrip()
        if kinds.operators_lead and following.strip() in ("", *_HALF_OPERATORS):
            return None  # what comes next decides
        if not (kinds.operators_lead and _LEADING_OPERATOR.match(following)):
            return end
    return None


def end_in_plain_text(line: str, canvas: str, tail: str) -> int | None:
    """The same without a grammar: brackets are closed, and what is indented below a line ending in `:` is its own."""
    seen = list(tokens(line + canvas, PLAIN))
    closing = _Closing(line, tail, PLAIN)
    for end in line_ends(canvas):
        own = line + canvas[:end]
        here = [token for token in seen if token.end <= len(own)]
        if not own.strip() or not closing.closes(unclosed(here), len(line)):
            continue
        if closing.rest_of_line or not own.rstrip().endswith(":"):
            return end
        return dedent(line, canvas, end, PLAIN.clause_words, lambda _text: True)
    return None


class _Closing:
    """What the text behind the canvas closes of the brackets before it."""

    def __init__(self, line: str, tail: str, kinds: Grammar) -> None:
        self.rest_of_line = tail.split("\n", 1)[0].strip()
        self._num_rest_chars = tail.find("\n") if "\n" in tail else len(tail)
        self._indent = width(line)
        self._tail = tail
        self._closers = unopened(list(tokens(tail, kinds)))
        below = next((text for text in tail.split("\n")[1:] if text.strip()), "")
        self._has_body_below = width(below) > self._indent

    def closes(self, opened: list[Token], canvas_start: int) -> bool:
        """Are all of `opened` closed behind the canvas? What the canvas itself opened only on the cursor's line."""
        for depth, token in enumerate(reversed(opened)):
            closer = self._closers[depth] if depth < len(self._closers) else None
            if token.start >= canvas_start:
                if closer is None or closer.start >= self._num_rest_chars:
                    return False
            elif not self._has_body_below and (closer is None or not self._is_ours(closer)):
                return False
        return True

    def _is_ours(self, closer: Token) -> bool:
        # A bracket that begins its line and stands further left than the cursor's line closes something else.
        line_start = self._tail.rfind("\n", 0, closer.start) + 1
        before = self._tail[line_start : closer.start]
        return line_start == 0 or bool(before.strip()) or width(before + closer.text) >= self._indent


def _without_half_comment(head: str) -> str:
    """A window that begins inside a comment of many lines, without that: its quotes would open strings."""
    end = head.find("*/")
    return head if end < 0 or 0 <= head.find("/*") <= end else head[end + 2 :]


def _has_end_mark(text: _Line) -> bool:
    """Does the last token, with all brackets closed, end a statement in any case?"""
    last = text.code[-1]
    if last.text == ":":
        last_line = text.own[text.own.rfind("\n") + 1 :]
        return last_line.strip().split(" ")[0].rstrip(":") in text.kinds.label_words
    if last.text == ",":
        return _ends_an_item(text)
    return last.text in (";", "}")


def _ends_unmarked(text: _Line) -> bool:
    """Is the text whole although its last token does not say so?"""
    last = text.code[-1]
    if last.kind == "open" or last.text in (",", ":") or _is_decoration(text.code):
        return False
    goes_on = last.kind == "other" and not text.own.rstrip().endswith(("++", "--", "?", "!", ">"))
    if goes_on:
        return False
    if not text.kinds.ends_at_newline and text.tail.lstrip().startswith((")", "]")):
        return True  # the last item of a list
    alone = _root(text.own + "\n", text.language)
    if text.kinds.ends_at_newline and not alone.has_error:
        return True
    whole = _root(text.head + text.own + text.tail, text.language)
    start_byte, end_byte = len(encode(text.head)), len(encode(text.head + text.own))
    if not has_error(whole, start_byte, end_byte):
        return not _reaches_beyond(whole, start_byte + len(encode(text.own[: text.num_typed])), end_byte)
    # Broken, but not for want of more: no later line can mend it.
    return text.kinds.ends_at_newline and last.kind != "other" and not _lacks_more(alone)


def _is_decoration(code: list[Token]) -> bool:
    """Nothing but decorators (`@a.b(c)`) or attributes (`#[a]`), whose definition is still to come?"""
    at = 0
    while at < len(code) and code[at].text in ("@", "#"):
        at += 1
        while at < len(code) and (code[at].kind == "word" or code[at].text == "."):
            at += 1
            if at < len(code) and code[at - 1].kind == code[at].kind:
                return False  # two words: the definition has begun
        if at < len(code) and code[at].kind == "open":
            at = _behind_brackets(code, at)
    return at == len(code)


def _behind_brackets(code: list[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(code)):
        depth += (code[index].kind == "open") - (code[index].kind == "close")
        if depth == 0:
            return index + 1
    return len(code)


def _ends_an_item(text: _Line) -> bool:
    """Does the comma at the end separate the items of a list that was begun above, or end an arm of a match?"""
    if text.own[text.own.rfind("\n") + 1 :].lstrip().startswith("}"):
        return True  # `},` behind a body: no declaration goes on so
    root = _root(text.head + text.own + text.tail, text.language)
    at = len(encode((text.head + text.own)[: text.code[-1].end]))
    comma = root.descendant_for_byte_range(at - 1, at)
    parent = comma.parent if comma is not None else None
    if parent is None or parent.start_byte < len(encode(text.head)):
        return True
    return parent.type in text.kinds.statements and parent.end_byte == at


def _reaches_beyond(root: tree_sitter.Node, start_byte: int, end_byte: int) -> bool:
    """Does a node that begins in the canvas take in text behind it? Then that text was another statement's."""
    node: tree_sitter.Node | None = root
    while node is not None:
        node = next((child for child in node.children if child.start_byte < end_byte < child.end_byte), None)
        if node is not None and node.start_byte >= start_byte:
            return True
    return False


def _lacks_more(root: tree_sitter.Node) -> bool:
    """Did the parser put a MISSING node at the end, as behind `if (x)`?"""
    node = root
    while node.child_count:
        node = node.children[-1]
    return node.is_missing


def _root(text: str, language: str) -> tree_sitter.Node:
    tree = parse(text, language)
    assert tree is not None
    return tree.root_node
