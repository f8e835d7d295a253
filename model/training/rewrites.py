"""Rewrite samples: old code and an instruction before the canvas, the code as it stands in the document as the canvas.

`… <cur> line <old> code <ask> instruction` CANVAS: the old code comes from rewrite_edits.py, spans are at most 160
tokens, and the old code is the first draft of the canvas, as in the engine. The clean stream learns neither the old
code nor the instruction. Source: this project's layout (model/prompts.py). Left out: rewrites by other models.
"""

from random import Random

from model.lines import lines_of
from model.prompts import MAX_NEAR_TOKENS, layout_ids
from model.tokenizer import EOM
from model.training.rewrite_edits import Rewrite, draw_kind, find_rewrite, may_have
from model.training.samples import (
    MAX_NEAR_LINES,
    MAX_TAIL_LINES,
    MAX_TAIL_TOKENS,
    Sample,
    draw_head,
    draw_place,
    draw_window,
    drop_lines,
)
from model.training.shards import Shards

MAX_SPAN_TOKENS = 160
MIN_ROOM = 160
FALLBACK = "fix"  # nearly every text has a place for it
MAX_WINDOWS = 40  # some kinds are rare, but most windows without a place are known by a glance
MAX_PARSED = 6
LAYOUT_ROOM = 32  # layout tokens, the instruction, what cut lines cost more


def draw_rewrite(shards: Shards, rng: Random, max_tokens: int) -> Sample | None:
    """A random rewrite of at most `max_tokens` ids; None if there is too little room, or no code that fits."""
    if max_tokens < MIN_ROOM:
        return None
    for kind in (draw_kind(rng), draw_kind(rng), FALLBACK):
        sample = _rewrite(shards, kind, rng, max_tokens)
        if sample is not None:
            return sample
    return None


def _rewrite(shards: Shards, kind: str, rng: Random, max_tokens: int) -> Sample | None:
    """A rewrite of a kind from one of several random windows."""
    limit = min(MAX_SPAN_TOKENS, max_tokens // 3)
    num_parsed = 0
    for _ in range(MAX_WINDOWS):
        index, place = draw_place(shards, rng)
        head = draw_head(shards, index, rng)
        document = shards.document(index)
        low, high = draw_window(shards, document, place, max_tokens - len(head) - limit - LAYOUT_ROOM, rng)
        if high - low < 16:
            continue
        text = shards.tokenizer.decode(document[low:high].tolist())
        if not may_have(kind, text):
            continue
        rewrite = find_rewrite(kind, text, limit * len(text) // (high - low), rng)
        sample = None if rewrite is None else _sample(shards, rewrite, text, head, rng, max_tokens)
        num_parsed += 1
        if sample is not None or num_parsed == MAX_PARSED:
            return sample
    return None


def _sample(
    shards: Shards, rewrite: Rewrite, text: str, head: list[int], rng: Random, max_tokens: int
) -> Sample | None:
    encode = shards.tokenizer.encode
    before, new, after = text[: rewrite.start], text[rewrite.start : rewrite.end], text[rewrite.end :]
    canvas, old, instruction = encode(new), encode(rewrite.old), encode(rewrite.instruction)
    if max(len(canvas), len(old)) > MAX_SPAN_TOKENS or old == canvas:
        return None
    above = lines_of(before)
    rest_of_line = "" if before.endswith("\n") or not above else above.pop()
    num_near = min(len(above), rng.randint(0, MAX_NEAR_LINES))
    near = encode("".join(above[len(above) - num_near :]))
    while len(near) > MAX_NEAR_TOKENS:
        num_near -= 1
        near = encode("".join(above[len(above) - num_near :])) if num_near else []
    below = lines_of(after)
    own = 0 if new.endswith("\n") or not below else 1
    num_tail = min(len(below), own + rng.randint(0, MAX_TAIL_LINES))
    while num_tail > own and len(encode("".join(below[own:num_tail]))) > MAX_TAIL_TOKENS:
        num_tail -= 1
    tail, suffix = encode("".join(below[:num_tail])), encode("".join(below[num_tail:]))
    line = near + encode(rest_of_line)
    prefix = encode("".join(above[: len(above) - num_near]))
    parts = len(head) + len(tail) + len(line) + len(old) + len(instruction) + len(canvas)
    excess = parts + len(prefix) + len(suffix) + 9 - max_tokens  # 9: the layout's tokens and <eom>
    if excess > 0:
        prefix, excess = drop_lines(shards, prefix, excess)
        if excess > len(suffix):
            return None
        suffix = suffix[: len(suffix) - max(0, excess)]
    prompt = layout_ids(path=head, suffix=suffix, prefix=prefix, tail=tail, line=line, rewrite=(old, instruction))
    silent = (len(prompt) - len(old) - len(instruction) - 2, len(prompt))
    return Sample(
        [*prompt, *canvas, EOM],
        len(prompt),
        2 + len(head),
        f"rewrite-{rewrite.kind}",
        line_start=not rest_of_line,
        old=tuple(old),
        silent=silent,
    )
