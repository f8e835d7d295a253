"""Filter: the answer and the rest of the cursor's line become one line without doubled text.

Source: Copilot's checkSuffix; VS Code shows an item only if the text that it replaces is a subsequence of the new text
(isInlineSuggestion.ts, `isSubword`), which holds for what is replaced here. Three cases, tried in order:

1. Brackets and quotes that the editor closed by itself: the answer closes them too, so it replaces them
   (`f(|)` + `x):` becomes `f(x):`). Only closers that the answer did not open itself count (`f(|)` + `g(x)`).
2. The answer ends with the whole rest of the line: the repetition is dropped (`a = | + y` + `x + y`), or replaced where
   it is only punctuation (`if a|:` + ` == b:`), so that the cursor ends behind it.
3. The answer is the beginning of what follows: nothing is new.
"""

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings

_CLOSERS = {")": "(", "]": "[", "}": "{"}
_QUOTES = "\"'`"


def merge_suffix(draft: Draft, around: Surroundings) -> Draft | Reason:
    """The draft with its overlap replaced or dropped, or `same_as_suffix`."""
    rest = around.line_after.rstrip()
    if not rest or not draft.text:
        return draft
    first, newline, _ = draft.text.partition("\n")
    if not newline and rest.startswith(first):
        return Reason.SAME_AS_SUFFIX
    num_replaced = _replaced_closers(first, rest, around.line_before)
    if num_replaced:
        return Draft(draft.text, num_replaced)
    if first.endswith(rest):
        if any(map(str.isalnum, rest)):
            return Draft(draft.text, len(rest)) if newline else Draft(first[: -len(rest)])
        if not any(character in _CLOSERS or character in _QUOTES for character in rest):
            return Draft(draft.text, len(rest))
    return draft


def _replaced_closers(text: str, rest: str, line_before: str) -> int:
    num_closed = end = 0
    for index, closer in _foreign_closers(text, line_before):
        if num_closed >= len(rest) or rest[num_closed] != closer:
            break
        num_closed += 1
        end = index + 1
    if not num_closed:
        return 0
    # `def f(|):` + `a, b):`: what follows the closers in both is the same and is replaced with them.
    more = text[end:]
    return num_closed + (len(more) if rest[num_closed:].startswith(more) else 0)


def _foreign_closers(text: str, line_before: str) -> list[tuple[int, str]]:
    """Index and character of each closer in `text` whose opener is not in `text`."""
    quote, opened_before = _open_quote(line_before), True
    open_brackets: list[str] = []
    found: list[tuple[int, str]] = []
    skip = False
    for index, character in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            if character == quote:
                if opened_before:
                    found.append((index, character))
                quote = ""
        elif character in _QUOTES:
            quote, opened_before = character, False
        elif character in _CLOSERS.values():
            open_brackets.append(character)
        elif character in _CLOSERS:
            if open_brackets:
                open_brackets.pop()
            else:
                found.append((index, character))
    return found


def _open_quote(line: str) -> str:
    quote, skip = "", False
    for character in line:
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
    return quote
