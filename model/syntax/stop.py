"""The stop rule: at which character of a half-written canvas is the answer complete?

Source: the request's `stop` field. `line` ends at the first newline, always: one line is what was asked for, and an
open bracket at its end is a truth the user can type on from. `node` answers the first finished statement, by
indentation (stop_by_indentation.py) or by braces (stop_by_braces.py), whichever the language has; text without a
grammar by its brackets and indentation. `eom` never stops early.
Left out: asking only after a newline appeared (model/engine/stopping.py), and shortening an answer for display (the
server's shaping).
"""

from typing import Literal

from model.syntax import stop_by_braces, stop_by_indentation
from model.syntax.trees import grammar
from model.syntax.windows import window

StopRule = Literal["eom", "line", "node"]


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
    head, line, tail = window(prefix_text, suffix_text)
    if kinds is None:
        return stop_by_braces.end_in_plain_text(line, canvas_text, tail)
    rule = stop_by_indentation if kinds.body == "indentation" else stop_by_braces
    return rule.end_of_statement(head, line, canvas_text, tail, language, kinds)
