"""What another tool wants written as requests of the border.

These tools stop at the end of text or at strings of theirs; an editor's user wants the line finished, or the block
where one is empty, which the engine's own stop rules do (as for our language server: features/one_or_many_lines.py).
Left out: reading a prompt (hole.py), and any protocol.
"""

import secrets

import msgspec

from model.engine import api
from model.engine.protocols.hole import Hole

# As our language server draws alternatives: other first tokens, but no wild ones.
ALTERNATIVE_TEMPERATURE = 0.8
ALTERNATIVE_TOP_P = 0.9
MAX_ALTERNATIVES = 8
PLAIN_MAX_TOKENS = 16  # OpenAI's own, where a text is gone on with: nothing but its length ends a small model's


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request of any protocol comes to. temperature None: the likeliest text, and beside it others; seed None:
    another one each time (which only shows where something is drawn). logprobs: as in DenoiseRequest."""

    num: int = 1
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float = 1.0
    seed: int | None = None
    deadline_ms: float | None = None
    logprobs: int | None = None


def requests_for(hole: Hole, wanted: Wanted, request_id: str) -> tuple[api.DenoiseRequest, ...]:
    """The requests whose alternatives, in this order, are the answer: one, or the likeliest text and then others."""
    # Here, because it brings the tokenizer in: before /health is answered nobody needs it.
    from model.engine.prompting import prompt_around

    prompt = msgspec.structs.replace(
        prompt_around(hole.path, hole.before, hole.after), language=hole.language, snippets=hole.snippets
    )
    seed = secrets.randbelow(2**31) if wanted.seed is None else wanted.seed % 2**31
    limit = wanted.max_tokens if hole.is_infill or wanted.max_tokens is not None else PLAIN_MAX_TOKENS
    # A top_p of 0 leaves the likeliest token, which is what a temperature of 0 means.
    is_greedy = wanted.temperature is None or wanted.temperature == 0 or wanted.top_p == 0
    first = api.DenoiseRequest(
        id=request_id,
        prompt=prompt,
        canvas=(api.Masked(max_tokens=limit),),
        stop=stop_rule(hole),
        n=wanted.num,
        seed=seed,
        temperature=0.0 if is_greedy else wanted.temperature or 0.0,
        top_p=wanted.top_p or 1.0,
        deadline_ms=wanted.deadline_ms,
        logprobs=wanted.logprobs,
    )
    if wanted.num == 1 or wanted.temperature is not None:
        return (first,)
    others = msgspec.structs.replace(
        first, n=wanted.num - 1, seed=seed + 1, temperature=ALTERNATIVE_TEMPERATURE, top_p=ALTERNATIVE_TOP_P
    )
    return msgspec.structs.replace(first, n=1), others


def stop_rule(hole: Hole) -> api.StopRule:
    """Where to end: a text to be gone on with ends where the model ends it."""
    if not hole.is_infill:
        return "eom"
    return "node" if _is_empty_block(hole) else "line"


def _is_empty_block(hole: Hole) -> bool:
    """Whether the cursor stands on a blank line below an opener, and nothing below is indented deeper than that."""
    *above, line = hole.before[-20_000:].split("\n")
    rest, *below = hole.after[:20_000].split("\n")
    if line.strip() or rest.strip():
        return False
    opener = next((text for text in reversed(above) if text.strip()), "")
    if not opener.rstrip().endswith((":", "{")):
        return False
    first_below = next((text for text in below if text.strip()), "")
    return _indentation(first_below) <= _indentation(opener)


def _indentation(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())
