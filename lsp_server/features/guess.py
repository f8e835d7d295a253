"""The rest of the last ghost text after typing has broken it: a first guess for the next answer, checked in one pass.

Source: "draft starts" (a visible text that mostly stands needs checking, not writing). The typed characters are aligned
with the old text by edit distance; what stands behind the character that the last typed one was matched with is the
guess. Left out: text that still fits (type_along.py), and checking (the engine).
"""

MAX_TYPED_CHARS = 40
MAX_OLD_CHARS = 100


def guess_after(typed: str, old: str) -> str:
    """What may follow `typed`, if the old text was right apart from it; empty where they have too little in common.

    Most of the typed characters must stand in the old text, the last one among them: behind a character that the
    old text does not hold, and inside a word, its rest is no guess.
    """
    if not typed or "\n" in typed or old.startswith(typed):
        return ""
    num_same = _num_common(typed, old)
    wrong, line = typed[num_same:], old[num_same:].partition("\n")[0]
    if len(wrong) > MAX_TYPED_CHARS or len(line) > MAX_OLD_CHARS:
        return ""
    end, num_matched = _aligned_end(wrong, line)
    if end == 0 or 2 * (num_same + num_matched) <= len(typed):
        return ""
    rest = old[num_same + end :]
    if _is_in_word(typed[-1]) and _is_in_word(rest[:1]):
        return ""  # the new word only shares a letter with the old one
    return rest if rest.strip() else ""


def _is_in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _num_common(first: str, second: str) -> int:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))


def _aligned_end(typed: str, old: str) -> tuple[int, int]:
    """Where in `old` the last character of `typed` is matched in the cheapest alignment, and how many are; or (0, 0).

    Costs: one for a character left out, put in or replaced; among equals the alignment with more matches wins, then
    the one with the smaller shift.
    """
    # Each cell: (cost, minus matches) of the best alignment of typed[:row] with old[:column].
    above = [(column, 0) for column in range(len(old) + 1)]
    matched: list[tuple[int, int] | None] = []
    for row, character in enumerate(typed, 1):
        cells = [(row, 0)]
        matched = [None]
        for column, other in enumerate(old, 1):
            cost, minus_matches = above[column - 1]
            same = (cost, minus_matches - 1) if character == other else None
            diagonal = same or (cost + 1, minus_matches)
            left_out, put_in = cells[column - 1], above[column]
            cells.append(min(diagonal, (left_out[0] + 1, left_out[1]), (put_in[0] + 1, put_in[1])))
            matched.append(same)
        above = cells
    ends = [(cell, abs(column - len(typed)), column) for column, cell in enumerate(matched) if cell is not None]
    if not ends:
        return 0, 0
    (_, minus_matches), _, end = min(ends)
    return end, -minus_matches
