"""Parts of a prompt cut to a budget of tokens: whole lines, with edges that move in jumps.

Source: the project's notes on windows: an edge that moves with every keystroke would cost the cached prefix. Left out:
which parts get how much (prompting.py, foreign_prompts.py), windows of text (lsp_server/context).
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from model.engine.encoder import LineEncoder
from model.lines import lines_of
from model.prompts import MAX_NEAR_TOKENS

JUMP_STEPS = (16, 8, 4, 2, 1)
JUMP_COST = 4
"""A jump drops at most one part in so many of what fits."""
NEAR_STEPS = (8, 4, 2)
CHARS_PER_TOKEN = 2
"""Of an overlong line, where it is cut: code has three or more, so that what is kept mostly fits."""


def prefix_start(lines: list[str], budget: int, encoder: LineEncoder) -> int:
    """Where the last lines that fit begin, moved down to the next edge.

    Edges cut the text into blocks of 16 lines; a block that may cost too much of the budget (all but its first line,
    which did not fit) is halved, and so on. Edges are the text's own: typing below moves the start from one to
    the next.
    """
    start, used = len(lines), 0
    while start > 0 and used + len(encoder.line(lines[start - 1])) <= budget:
        start -= 1
        used += len(encoder.line(lines[start]))
    for step in JUMP_STEPS:
        edge = round_up(start, step)
        cost = sum(len(encoder.line(line)) for line in lines[edge - step + 1 : edge])
        if edge < len(lines) and cost <= budget // JUMP_COST:
            return edge
    return start


def near_start(lines: list[str], encoder: LineEncoder) -> int:
    """The upper anchor: the first of the lines that stand with the cursor's line, behind the tail (model/prompts.py).

    A multiple of 8 from the window's first line, 4 to 11 lines above the cursor; where those lines are too long for
    what training showed, a multiple of 4 or 2.
    """
    for step in NEAR_STEPS:
        start = max(0, (len(lines) - step // 2) // step * step)
        if sum(len(encoder.line(line)) for line in lines[start:]) <= MAX_NEAR_TOKENS:
            return start
    return len(lines)


def jumping_suffix(lines: Iterable[list[int]], budget: int) -> list[int]:
    """The first lines that fit; when some do not, a multiple of as many as cost little is kept.

    Of a first line that is too long, its beginning.
    """
    kept: list[list[int]] = []
    left = budget
    for line in lines:
        if len(line) > left:
            cuts = [len(kept) // step * step for step in JUMP_STEPS]
            cheap = [cut for cut in cuts if cut and sum(map(len, kept[cut:])) <= budget // JUMP_COST]
            kept = kept[: cheap[0]] if cheap else [line[:budget]]
            break
        kept.append(line)
        left -= len(line)
    return [i for line in kept for i in line]


def cut_tail(text: str, budget: int, encoder: LineEncoder) -> tuple[list[int], Iterator[list[int]]]:
    """Whole lines from the beginning (of a first line that is too long, its beginning), and the lines that are left."""
    ids: list[int] = []
    lines = map(encoder.line, lines_of(text))
    for line in lines:
        if len(ids) + len(line) > budget:
            return (ids, chain([line], lines)) if ids else (line[:budget], chain([line[budget:]], lines))
        ids += line
    return ids, lines


def last_ids(ids: list[int], budget: int) -> list[int]:
    """The end of an overlong line, cut in jumps as well."""
    if len(ids) <= budget:
        return ids
    return ids[round_up(len(ids) - budget, budget // 2) :]


def that_fit(snippets: list[list[int]], budget: int) -> list[list[int]]:
    kept: list[list[int]] = []
    for ids in snippets:
        budget -= len(ids) + 1
        if budget < 0:
            break
        kept.append(ids)
    return kept


def round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def last_lines(text: str, budget: int, encoder: LineEncoder) -> str:
    """The end of a text: its last lines that fit, from an edge on, or the end of an overlong last one."""
    lines = lines_of(text)
    last = lines.pop() if lines and not lines[-1].endswith("\n") else ""
    num_last = len(encoder.line(last))
    if num_last > budget // 2:
        return last[-budget * CHARS_PER_TOKEN // 2 :]
    return "".join(lines[prefix_start(lines, budget - num_last, encoder) :]) + last


def first_lines(text: str, budget: int, encoder: LineEncoder) -> str:
    """The beginning of a text: its first lines that fit, to an edge; of an overlong first one its beginning."""
    lines = lines_of(text)
    costs: list[int] = []
    left = budget
    for line in lines:
        cost = len(encoder.line(line))
        left -= cost
        if left < 0:
            break
        costs.append(cost)
    else:
        return text
    fitting = len(costs)
    if not fitting:
        return lines[0][: budget * CHARS_PER_TOKEN]
    for step in JUMP_STEPS:
        edge = fitting // step * step
        if edge and sum(costs[edge:]) <= budget // JUMP_COST:
            return "".join(lines[:edge])
    return "".join(lines[:fitting])
