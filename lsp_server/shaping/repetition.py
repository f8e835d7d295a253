"""Filter: text that repeats itself, the way small models and diffusion samplers stutter.

Source: Copilot's anomalyDetection.ts and tabby-agent's removeRepetitive{Lines,Blocks}.ts. Repeated lines are cut after
their first occurrence; a line that ends in the same word over and over is refused. Rulers (`# ------`) are no stutter.
"""

from lsp_server.outcome import Reason
from lsp_server.shaping.draft import Draft, Surroundings

MIN_REPEATS = 3
MAX_PERIOD_LINES = 4
MIN_STUTTERS = 4
MIN_STUTTER_CHARS = 12
MAX_STUTTER_PERIOD = 80


def cut_repetition(draft: Draft, around: Surroundings) -> Draft | Reason:
    """The draft with repeated lines cut off, or `repetition` where a line stutters to its end."""
    lines = draft.text.split("\n")
    for index in range(len(lines)):
        for period in range(1, MAX_PERIOD_LINES + 1):
            if _repeats(lines, index, period):
                return Draft("\n".join(lines[: index + period]).rstrip("\n"), draft.num_replaced)
    return Reason.REPETITION if _stutters(lines[-1]) else draft


def _stutters(line: str) -> bool:
    """Whether the line ends in the same characters, letters among them, several times over."""
    for period in range(1, min(MAX_STUTTER_PERIOD, len(line) // MIN_STUTTERS) + 1):
        length = max(MIN_STUTTERS * period, -(-MIN_STUTTER_CHARS // period) * period)
        end = line[-length:]
        if len(end) == length and end[period:] == end[:-period]:
            return any(map(str.isalpha, end[:period]))
    return False


def _repeats(lines: list[str], index: int, period: int) -> bool:
    unit = lines[index : index + period]
    if not any(any(map(str.isalnum, line)) for line in unit):
        return False  # blank lines and closing brackets repeat by nature
    return all(lines[index + n * period : index + (n + 1) * period] == unit for n in range(1, MIN_REPEATS))
