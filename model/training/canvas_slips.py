"""Slips from the parse tree, as tokens of a canvas: what syntax_slips.py finds in the text around and in it.

The text is parsed once for a sample, when the first block asks. A slip is made in its line and the line is tokenized
again, as an editor's text would be; what differs is the slip in tokens. Source: syntax_slips.py. Left out: slips that
reach across the border of a block, and canvases that begin or end inside a character.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from model.diffusion.corruption import BlockSlip
from model.tokenizer import CUR, EOM, OLD, TAIL, Tokenizer
from model.training.samples import Sample
from model.training.syntax_slips import SLIP_KINDS, Slip, syntax_slips


class CanvasSlips:
    """The slips of one sample's canvas."""

    def __init__(self, sample: Sample, tokenizer: Tokenizer) -> None:
        self._sample, self._tokenizer = sample, tokenizer
        self._canvas = [token for token in sample.ids[sample.canvas_start :] if token != EOM]
        self._starts: list[int] = []
        self._found: list[tuple[int, int, Slip]] | None = None

    def draw(self, start: int, size: int, rng: Random) -> BlockSlip | None:
        """A slip inside canvas tokens [start, start + size), rows counted from `start`; each kind that is there has the
        same chance. None if there is none."""
        if self._found is None:
            self._found = self._find(rng)
        low = bisect_left(self._found, start, key=lambda found: found[0])
        high = bisect_left(self._found, start + size, key=lambda found: found[0])
        inside = [(first, slip) for first, last, slip in self._found[low:high] if last < start + size]
        if not inside:
            return None
        present = {slip.kind for _, slip in inside}
        kind = rng.choice([kind for kind in SLIP_KINDS if kind in present])
        first, slip = rng.choice([found for found in inside if found[1].kind == kind])
        return self._as_tokens(first, slip, start, size)

    def _find(self, rng: Random) -> list[tuple[int, int, Slip]]:
        """(first token, last token, slip in bytes of the canvas), by first token."""
        tokenizer = self._tokenizer
        try:
            before, canvas, after = (
                tokenizer.decode_bytes(ids).decode() for ids in (_line(self._sample), self._canvas, _tail(self._sample))
            )
        except UnicodeDecodeError:
            return []
        text = before + canvas + after
        self._starts = [0, *accumulate(len(tokenizer.token_bytes[token]) for token in self._canvas)]
        low, high = len(before), len(before) + len(canvas)
        found = []
        for slip in syntax_slips(text, rng):
            if low <= slip.start and slip.end <= high:
                start = len(text[low : slip.start].encode())
                end = start + len(text[slip.start : slip.end].encode())
                first, last = bisect_right(self._starts, start) - 1, bisect_left(self._starts, end) - 1
                found.append((first, last, slip._replace(start=start, end=end)))
        return found

    def _as_tokens(self, first: int, slip: Slip, start: int, size: int) -> BlockSlip | None:
        """The slip as rows of the block at `start`: its line tokenized again, or else only the tokens it touches."""
        token_bytes = self._tokenizer.token_bytes
        last = bisect_left(self._starts, slip.end) - 1
        low, high = first, last + 1
        while low > 0 and not token_bytes[self._canvas[low - 1]].endswith(b"\n"):
            low -= 1
        while high < len(self._canvas) and not token_bytes[self._canvas[high - 1]].endswith(b"\n"):
            high += 1
        for a, b in ((low, high), (first, last + 1)):
            ids = self._encoded(a, b, slip)
            if ids is None:
                continue
            old = self._canvas[a:b]
            same = _common_start(old, ids)
            a += same
            b -= _common_start(old[same:][::-1], ids[same:][::-1])
            tokens = ids[same : len(ids) - (len(old) - (b - a) - same)]
            if start <= a <= b <= start + size and (a < start + size or a < b):
                return BlockSlip(a - start, b - start, tuple(tokens))
        return None

    def _encoded(self, low: int, high: int, slip: Slip) -> list[int] | None:
        """Ids of canvas tokens low..high with the slip; None where they would be another reading of the same text."""
        text = self._tokenizer.decode_bytes(self._canvas[low:high])
        offset = self._starts[low]
        try:
            changed = text[: slip.start - offset].decode() + slip.replacement + text[slip.end - offset :].decode()
            is_canonical = self._tokenizer.encode(text.decode()) == self._canvas[low:high]
        except UnicodeDecodeError:
            return None
        return self._tokenizer.encode(changed) if is_canonical else None


def _common_start(a: Sequence[int], b: Sequence[int]) -> int:
    length = 0
    while length < len(a) and length < len(b) and a[length] == b[length]:
        length += 1
    return length


def _line(sample: Sample) -> list[int]:
    """The lines that stand directly before the canvas."""
    prompt = sample.ids[: sample.canvas_start]
    end = prompt.index(OLD) if OLD in prompt else len(prompt)
    return prompt[prompt.index(CUR) + 1 : end]


def _tail(sample: Sample) -> list[int]:
    prompt = sample.ids[: sample.canvas_start]
    return prompt[prompt.index(TAIL) + 1 : prompt.index(CUR)] if TAIL in prompt else []
