"""Filter: the answer and the rest of the cursor's line become one line without doubled text.

Source: Copilot's checkSuffix; Continue's BracketMatchingService (who opened a bracket decides who closes it); VS Code
shows an item only if the text that it replaces is a subsequence of the new text (isInlineSuggestion.ts, `isSubword`),
which holds for what is replaced here. Four cases, tried in order:

1. The answer is the beginning of what follows: nothing is new.
2. Brackets and quotes that the editor closed by itself: the answer closes them too, so it replaces them
   (`f(|)` + `x):` becomes `f(x):`). Only closers that the answer did not open itself count (`f(|)` + `g(x)`).
3. The answer ends with the whole rest of the line: the repetition is dropped (`a = | + y` + `x + y`), or replaced where
   it is only punctuation (`if a|:` + ` == b:`), so that the cursor ends behind it.
4. The answer closes what the rest of the line closes as well, further on: it ends before that (`f(|, b)` + `a, c)`).

Left out: languages. A quote behind a word (`don't`) opens nothing; a lifetime (`&'a`) seems to, which is why a closer
that does not fit is passed over instead of ending the search.
"""

import re
from typing import NamedTuple

from lsp_server.outcome import Reason
from lsp_server.shaping.brackets import CLOSERS, QUOTES, Closer, foreign_closers
from lsp_server.shaping.draft import Draft, Surroundings

_SPACE = re.compile(r"[ \t]*")


def merge_suffix(draft: Draft, around: Surroundings) -> Draft | Reason:
    """The draft with its overlap replaced or dropped, or `same_as_suffix`."""
    rest, text = around.line_after.rstrip(), draft.text
    if not rest or not text:
        return draft
    first, newline, _ = text.partition("\n")
    if not newline and _begins_like(first, rest, around.line_before):
        return Reason.SAME_AS_SUFFIX
    closers = foreign_closers(text, around.line_before)
    replaced = _over_closers(text, rest, closers)
    if replaced is not None:
        return replaced
    if first.endswith(rest):
        if any(map(str.isalnum, rest)):
            return Draft(text, len(rest)) if newline else Draft(first[: -len(rest)])
        if not any(character in CLOSERS or character in QUOTES for character in rest):
            return Draft(text, len(rest))
    return Draft(_before_second_closer(text, rest, closers, around.line_before))


def _begins_like(first: str, rest: str, line_before: str) -> bool:
    if rest.startswith(first):
        return True
    makes_a_word = _is_in_word(line_before[-1:]) and _is_in_word(first[:1])
    return bool(first.strip()) and not makes_a_word and rest.lstrip().startswith(first.strip())


class _Eaten(NamedTuple):
    """`text` up to `end` says again what the first `num` characters behind the cursor say."""

    text: str
    end: int
    num: int


def _over_closers(text: str, rest: str, closers: list[Closer]) -> Draft | None:
    """The draft over the closers behind the cursor, and over what follows them in both; None where it closes none."""
    eaten = _Eaten(text, 0, 0)
    num_inserted = 0
    for closer in closers:
        index = closer.at + num_inserted
        spaces = _spaces_at(rest, eaten.num)
        if rest[eaten.num + len(spaces) : eaten.num + len(spaces) + 1] != closer.character:
            continue
        text = eaten.text
        if not text[eaten.end : index].endswith(spaces):  # `{ | }`: the document's spacing stays
            text = text[:index] + spaces + text[index:]
            num_inserted += len(spaces)
            index += len(spaces)
        eaten = _Eaten(text, index + 1, eaten.num + len(spaces) + 1)
    if not eaten.num:
        return None
    eaten = _over_the_same(eaten, rest)
    return Draft(eaten.text, eaten.num)


def _over_the_same(eaten: _Eaten, rest: str) -> _Eaten:
    """`def f(|):` + `a, b):` and `if (|) {` + `x) {`: what follows the closers in both is replaced with them."""
    more, remaining = eaten.text[eaten.end :].partition("\n")[0], rest[eaten.num :]
    if not more.strip() or not remaining.strip():
        return eaten
    spaces = _spaces_at(remaining, 0)
    respaced = spaces + more.lstrip(" \t")
    is_cut_word = _is_in_word(remaining[-1]) and _is_in_word(respaced[len(remaining) : len(remaining) + 1])
    if not remaining.startswith(respaced) and (is_cut_word or not respaced.startswith(remaining)):
        return eaten
    text = eaten.text[: eaten.end] + respaced + eaten.text[eaten.end + len(more) :]
    return _Eaten(text, eaten.end, eaten.num + min(len(respaced), len(remaining)))


def _before_second_closer(text: str, rest: str, closers: list[Closer], line_before: str) -> str:
    ours = [closer for closer in closers if not closer.in_string]
    theirs = [closer for closer in foreign_closers(rest, line_before) if not closer.in_string]
    if not ours or not theirs or ours[0].character != theirs[0].character:
        return text
    kept = text[: ours[0].at]
    return kept if _is_in_word(rest[:1]) else kept.rstrip()


def _spaces_at(text: str, start: int) -> str:
    match = _SPACE.match(text, start)
    assert match is not None
    return match[0]


def _is_in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
