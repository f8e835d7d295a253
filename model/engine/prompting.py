"""From a request's text to what the sampler takes: prompt ids within the context, a healed token, a canvas, a policy.

Source: the layout of model/prompts.py and the project's notes on windows: edges lie on line ends and move in jumps of
up to 16 lines, so that most keystrokes keep the cached prefix. The server sends windows that fit; trimming here is for
clients that do not know the checkpoint's context. Left out: choosing windows and anchors (lsp_server/context).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain

import msgspec

from model.checkpoints.presets import Preset
from model.diffusion.canvas import HOLE_MASKS, Canvas, masked_canvas, mixed_canvas
from model.diffusion.healing import TakenBack, heal
from model.diffusion.policy import Policy
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.engine import api
from model.engine.job import BadRequest
from model.lines import lines_of
from model.prompts import MAX_NEAR_TOKENS, layout_ids
from model.tokenizer import MASK, Tokenizer, TokenizerError

TAIL_LINES = 4
JUMP_STEPS = (16, 8, 4, 2, 1)
JUMP_COST = 4
"""A jump drops at most one part in so many of what fits."""
NEAR_STEPS = (8, 4, 2)
EDIT_STEPS = 8
CARRIED = 0.4
"""An edit that was asked for carries along what stands beside it, from this share of its threshold on."""
DEFAULT_MAX_TOKENS = {"line": 64, "node": 128, "eom": 256}
MAX_CACHED_LINES = 20_000

Encode = Callable[[str], list[int]]


class Prepared(msgspec.Struct, frozen=True):
    """Everything the sampler needs. `prefix_text` and `suffix_text` surround the canvas (for the stop rule)."""

    prompt_ids: list[int]
    taken_back: TakenBack | None
    canvas: Canvas
    policy: Policy
    prefix_text: str
    suffix_text: str


class LineEncoder:
    """`tokenizer.encode` with a memory of lines: exact, as no merge crosses a newline; a keystroke changes one line."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}

    def __call__(self, text: str) -> list[int]:
        return [i for line in lines_of(text) for i in self.line(line)]

    def line(self, line: str) -> list[int]:
        """Ids of one line with its newline. The list is shared: do not change it."""
        ids = self._known.get(line)
        if ids is None:
            if len(self._known) >= MAX_CACHED_LINES:
                self._known.clear()
            ids = self._known[line] = self._tokenizer.encode(line)
        return ids


def prompt_around(path: str, before: str, after: str) -> api.Prompt:
    """The whole document around a cursor: the tail ends TAIL_LINES lines below it, and `prepare` trims the rest."""
    above, below = lines_of(before), lines_of(after)
    line = above.pop() if above and not above[-1].endswith("\n") else ""
    tail, suffix = below[: 1 + TAIL_LINES], below[1 + TAIL_LINES :]
    return api.Prompt(path=path, prefix="".join(above), line=line, tail="".join(tail), suffix="".join(suffix))


def prepare(request: api.DenoiseRequest, preset: Preset, tokenizer: Tokenizer, encoder: LineEncoder) -> Prepared:
    """Raises BadRequest with a sentence when the checkpoint cannot do what is asked, or when it does not fit."""
    _check_abilities(request, preset)
    try:
        canvas = _canvas(request, preset, tokenizer, encoder)
        ids = _prompt_ids(request, canvas, preset, encoder)
    except TokenizerError as error:
        raise BadRequest("bad_request", f"The request cannot be tokenized: {error}.") from None
    taken_back = None
    if isinstance(request.canvas[0], api.Masked):
        ids, taken_back = heal(tokenizer, ids)
    sampling = preset.sampling
    has_edits = any(not isinstance(piece, api.Masked) for piece in request.canvas)
    policy = Policy(
        tau_mask=sampling.tau_mask,
        tau_edit=sampling.tau_edit,
        tau_remask=sampling.tau_remask,
        edits=sampling.edits,
        first_block=sampling.first_block,
        block=sampling.block,
        blank_ids=tokenizer.blank_ids,
        num_drafts=sampling.num_drafts,
        doubt=sampling.doubt,
        verify=sampling.verify,
        extra_edit_steps=EDIT_STEPS if has_edits else 0,
        max_steps=request.max_steps,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
    )
    prompt = request.prompt
    if prompt.instruction is not None:
        policy = for_rewrite(policy, sampling.tau_rewrite[0])
    return Prepared(ids, taken_back, canvas, policy, prompt.prefix + prompt.line, prompt.tail + prompt.suffix)


def for_rewrite(policy: Policy, tau: float) -> Policy:
    """The policy for an edit that was asked for in words, from probability `tau` on."""
    return msgspec.structs.replace(policy, tau_edit=tau, own_max=1.0, tau_carry=CARRIED * tau)


def _check_abilities(request: api.DenoiseRequest, preset: Preset) -> None:
    if request.model is not None and request.model != preset.name:
        raise BadRequest("wrong_model", f"The engine has loaded {preset.name}, not {request.model}.")
    has_draft = any(isinstance(piece, api.Draft) for piece in request.canvas)
    if has_draft and preset.sampling.edits == "none":
        raise BadRequest("unsupported", f"The model {preset.name} was not trained to correct drafts.")
    if request.prompt.instruction is not None and preset.rewrite == "none":
        raise BadRequest("unsupported", f"The model {preset.name} was not trained to rewrite code.")
    if request.boundaries and not has_draft:
        raise BadRequest("bad_request", "boundaries need draft text in the canvas.")


def _canvas(request: api.DenoiseRequest, preset: Preset, tokenizer: Tokenizer, encode: Encode) -> Canvas:
    pieces = request.canvas
    for piece in pieces:
        if isinstance(piece, api.Masked) and piece.max_tokens is not None and piece.max_tokens < 1:
            raise BadRequest("bad_request", f"max_tokens must be at least 1, not {piece.max_tokens}.")
    limit = preset.context_tokens // 2
    if len(pieces) == 1 and isinstance(pieces[0], api.Masked):
        return masked_canvas(min(pieces[0].max_tokens or DEFAULT_MAX_TOKENS[request.stop], limit))
    parts: list[tuple[int, Sequence[int]]] = []
    draft_text = "".join(piece.text for piece in pieces if isinstance(piece, api.Draft))
    if any(not 0 <= b <= len(draft_text) for b in request.boundaries):
        raise BadRequest("bad_request", "A boundary lies outside the draft text.")
    offsets_bytes = [len(draft_text[:b].encode()) for b in request.boundaries]
    boundaries: list[int] = []
    start_bytes = num_ids = 0
    for index, piece in enumerate(pieces):
        if isinstance(piece, api.Masked):
            is_last = index == len(pieces) - 1
            wanted = piece.max_tokens or (DEFAULT_MAX_TOKENS[request.stop] if is_last else HOLE_MASKS)
            parts.append((MASKED, (MASK,) * min(wanted, limit)))
            num_ids += 0 if is_last else min(wanted, HOLE_MASKS, limit)
            continue
        ids = encode(piece.text)
        parts.append((DRAFT if isinstance(piece, api.Draft) else LOCKED, ids))
        if isinstance(piece, api.Draft):
            # The first token that starts at or behind an offset; offsets in bytes, since tokens may cut characters.
            starts = [start_bytes, *accumulate((len(tokenizer.token_bytes[i]) for i in ids), initial=start_bytes)][1:]
            for offset in offsets_bytes:
                if start_bytes <= offset < starts[-1]:
                    boundaries.append(num_ids + next(k for k, start in enumerate(starts) if start >= offset))
            start_bytes = starts[-1]
        num_ids += len(ids)
    if num_ids > limit:
        raise BadRequest("too_long", f"The canvas has {num_ids} tokens; this model takes at most {limit}.")
    return mixed_canvas(parts, boundaries=sorted(set(boundaries)))


def _prompt_ids(request: api.DenoiseRequest, canvas: Canvas, preset: Preset, encoder: LineEncoder) -> list[int]:
    """The layout's ids, trimmed to what the context leaves beside the canvas."""
    prompt = request.prompt
    context = preset.context_tokens
    rewrite: tuple[list[int], list[int]] | None = None
    if prompt.instruction is not None:
        old = "".join(piece.text for piece in request.canvas if not isinstance(piece, api.Masked))
        rewrite = encoder(old), encoder(prompt.instruction)[: context // 8]
    room = context - min(canvas.max_tokens, context // 2) - 8  # 8: the layout's own tokens
    room -= sum(len(ids) for ids in rewrite) if rewrite else 0
    if room < context // 4:
        raise BadRequest("too_long", f"The canvas leaves no room for a prompt in a context of {context} tokens.")
    path = encoder(prompt.path + "\n")[-context // 16 :]
    line = _last_ids(encoder(prompt.line), room // 4)
    tail, below = _cut_tail(prompt.tail, room // 8, encoder)
    snippets = [encoder(f"{snippet.path}\n{snippet.text}") for snippet in prompt.snippets]
    snippets = _that_fit(snippets, room // 3)  # the server sends less (lsp_server/context/budget.py)
    suffix = _jumping_suffix(chain(below, map(encoder.line, lines_of(prompt.suffix))), room // 4)
    # Rounded up, so that the prefix's edge does not move with every token of the cursor's line.
    used = len(path) + len(suffix) + sum(len(s) + 1 for s in snippets) + _round_up(len(tail) + len(line), 32)
    above = lines_of(prompt.prefix)
    start = _prefix_start(above, room - used, encoder)
    near = max(start, _near_start(above, encoder))
    return layout_ids(
        path=path,
        snippets=snippets,
        suffix=suffix,
        prefix=[i for text in above[start:near] for i in encoder.line(text)],
        tail=tail,
        line=[i for text in above[near:] for i in encoder.line(text)] + line,
        rewrite=rewrite,
    )


def _prefix_start(lines: list[str], budget: int, encoder: LineEncoder) -> int:
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
        edge = _round_up(start, step)
        cost = sum(len(encoder.line(line)) for line in lines[edge - step + 1 : edge])
        if edge < len(lines) and cost <= budget // JUMP_COST:
            return edge
    return start


def _near_start(lines: list[str], encoder: LineEncoder) -> int:
    """The upper anchor: the first of the lines that stand with the cursor's line, behind the tail (model/prompts.py).

    A multiple of 8 from the window's first line, 4 to 11 lines above the cursor; where those lines are too long for
    what training showed, a multiple of 4 or 2.
    """
    for step in NEAR_STEPS:
        start = max(0, (len(lines) - step // 2) // step * step)
        if sum(len(encoder.line(line)) for line in lines[start:]) <= MAX_NEAR_TOKENS:
            return start
    return len(lines)


def _jumping_suffix(lines: Iterable[list[int]], budget: int) -> list[int]:
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


def _cut_tail(text: str, budget: int, encoder: LineEncoder) -> tuple[list[int], Iterator[list[int]]]:
    """Whole lines from the beginning (of a first line that is too long, its beginning), and the lines that are left."""
    ids: list[int] = []
    lines = map(encoder.line, lines_of(text))
    for line in lines:
        if len(ids) + len(line) > budget:
            return (ids, chain([line], lines)) if ids else (line[:budget], chain([line[budget:]], lines))
        ids += line
    return ids, lines


def _last_ids(ids: list[int], budget: int) -> list[int]:
    """The end of an overlong line, cut in jumps as well."""
    if len(ids) <= budget:
        return ids
    return ids[_round_up(len(ids) - budget, budget // 2) :]


def _that_fit(snippets: list[list[int]], budget: int) -> list[list[int]]:
    kept: list[list[int]] = []
    for ids in snippets:
        budget -= len(ids) + 1
        if budget < 0:
            break
        kept.append(ids)
    return kept


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
