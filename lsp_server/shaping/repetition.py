"""Filter: text that repeats itself, the way small models and diffusion samplers stutter.

Source: Copilot's anomalyDetection.ts and tabby-agent's removeRepetitive{Lines,Blocks}.ts. Repeated lines are cut after
their first occurrence; a line that ends in the same word over and over is refused. Rulers (`# ------`) are no stutter.
"""

import re

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings

MIN_REPEATS = 3
MAX_PERIOD_LINES = 4
_STUTTER = re.compile(r"(.{1,24}?)\1{3,}$", re.DOTALL)
MIN_STUTTER_CHARS = 12
# Enough to see a stutter; the search takes its time on long lines.
MAX_SEARCHED_CHARS = 400


def cut_repetition(draft: Draft, around: Surroundings) -> Draft | Reason:
    """The draft with repeated lines cut off, or `repetition` where a line stutters to its end."""
    lines = draft.text.split("\n")
    for index in range(len(lines)):
        for period in range(1, MAX_PERIOD_LINES + 1):
            if _repeats(lines, index, period):
                return Draft("\n".join(lines[: index + period]).rstrip("\n"), draft.num_replaced)
    stutter = _STUTTER.search(lines[-1][-MAX_SEARCHED_CHARS:])
    if stutter and len(stutter[0]) >= MIN_STUTTER_CHARS and re.search(r"[^\W\d_]", stutter[1]):
        return Reason.REPETITION
    return draft


def _repeats(lines: list[str], index: int, period: int) -> bool:
    unit = lines[index : index + period]
    if not any(any(map(str.isalnum, line)) for line in unit):
        return False  # blank lines and closing brackets repeat by nature
    return all(lines[index + n * period : index + (n + 1) * period] == unit for n in range(1, MIN_REPEATS))
