"""From a request's text to what the sampler takes: prompt ids within the context, a healed token, a canvas, a policy.

Source: the layout of model/prompts.py and the project's notes on windows: edges lie on line ends and move in jumps of
up to 16 lines, so that most keystrokes keep the cached prefix. The server sends windows that fit; trimming here is for
clients that do not know the checkpoint's context. Left out: choosing windows and anchors (lsp_server/context).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, chain

import msgspec

from model.checkpoints.presets import Preset
from model.diffusion.canvas import HOLE_MASKS, Canvas, masked_canvas, mixed_canvas
from model.diffusion.healing import TakenBack, heal
from model.diffusion.policy import Policy
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.engine import api
from model.engine.abilities import capabilities_of
from model.engine.answers import Answer
from model.engine.chats import chat_prompt
from model.engine.encoder import LineEncoder
from model.engine.foreign_prompts import hole_prompt
from model.engine.job import BadRequest
from model.engine.trimming import (
    cut_tail,
    jumping_suffix,
    last_ids,
    near_start,
    prefix_start,
    round_up,
    that_fit,
)
from model.foreign_tokenizer import ForeignTokenizer
from model.lines import lines_of
from model.prompts import layout_ids
from model.tokenizer import MASK, Tokenizer, TokenizerError

TAIL_LINES = 4
EDIT_STEPS = 8
CARRIED = 0.4
"""An edit that was asked for carries along what stands beside it, from this share of its threshold on."""
DEFAULT_MAX_TOKENS = {"line": 64, "node": 128, "eom": 256}

Encode = Callable[[str], list[int]]


class Prepared(msgspec.Struct, frozen=True):
    """Everything the sampler needs. `prefix_text` and `suffix_text` surround the canvas (for the stop rule).

    after_ids: what stands behind the canvas, for networks that see it. answer: how a chat's answer becomes text, None =
    the canvas's text is the answer.
    """

    prompt_ids: list[int]
    taken_back: TakenBack | None
    canvas: Canvas
    policy: Policy
    prefix_text: str
    suffix_text: str
    after_ids: tuple[int, ...] = ()
    answer: Answer | None = None


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
        if preset.prompt is not None:
            return _prepare_foreign(request, preset, tokenizer, encoder)
        canvas = _canvas(request, preset, tokenizer, encoder)
        ids = _prompt_ids(request, canvas, preset, encoder)
    except TokenizerError as error:
        raise BadRequest("bad_request", f"The request cannot be tokenized: {error}.") from None
    taken_back = None
    if isinstance(request.canvas[0], api.Masked):
        ids, taken_back = heal(tokenizer, ids)
    policy = _policy(request, preset, tokenizer)
    prompt = request.prompt
    if prompt.instruction is not None:
        policy = for_rewrite(policy, preset.sampling.tau_rewrite[0])
    return Prepared(ids, taken_back, canvas, policy, prompt.prefix + prompt.line, prompt.tail + prompt.suffix)


def _prepare_foreign(
    request: api.DenoiseRequest, preset: Preset, tokenizer: Tokenizer, encoder: LineEncoder
) -> Prepared:
    """As `prepare`, for weights that are asked as their family says."""
    prompt, form = request.prompt, preset.prompt
    assert form is not None
    assert isinstance(tokenizer, ForeignTokenizer), "a form of prompts is for foreign weights"
    policy = _policy(request, preset, tokenizer)
    around = prompt.prefix + prompt.line, prompt.tail + prompt.suffix
    if prompt.instruction is not None:
        assert form.chat is not None, "abilities are checked"
        chat = chat_prompt(request, form.chat, tokenizer, encoder, preset.context_tokens)
        ids, after_ids, _ = chat.filled
        answer = Answer(chat.change, chat.opening)
        return Prepared(ids, None, masked_canvas(chat.max_tokens), policy, *around, tuple(after_ids), answer)
    assert form.hole is not None, "abilities are checked"
    canvas = _canvas(request, preset, tokenizer, encoder)
    room = preset.context_tokens - canvas.max_tokens
    ids, after_ids, taken_back = hole_prompt(request, form.hole, tokenizer, encoder, room)
    return Prepared(ids, taken_back, canvas, policy, *around, tuple(after_ids))


def _policy(request: api.DenoiseRequest, preset: Preset, tokenizer: Tokenizer) -> Policy:
    sampling = preset.sampling
    has_edits = any(not isinstance(piece, api.Masked) for piece in request.canvas)
    return Policy(
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
        # Of foreign weights only those that correct what they wrote go on when no mask is left (LLaDA 2.1).
        extra_edit_steps=EDIT_STEPS if has_edits and (preset.prompt is None or sampling.edits == "substitute") else 0,
        max_steps=request.max_steps,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
        order=sampling.order,
        steps_per_block=sampling.steps_per_block,
        remask=sampling.remask,
        caching=sampling.caching,
        length=sampling.length,
    )


def for_rewrite(policy: Policy, tau: float) -> Policy:
    """The policy for an edit that was asked for in words, from probability `tau` on."""
    return msgspec.structs.replace(policy, tau_edit=tau, own_max=1.0, tau_carry=CARRIED * tau)


def _check_abilities(request: api.DenoiseRequest, preset: Preset) -> None:
    if request.model is not None and request.model != preset.name:
        raise BadRequest("wrong_model", f"The engine has loaded {preset.name}, not {request.model}.")
    if preset.prompt is not None:
        _check_foreign(request, preset)
        return
    has_draft = any(isinstance(piece, api.Draft) for piece in request.canvas)
    if has_draft and preset.sampling.edits == "none":
        raise BadRequest("unsupported", f"The model {preset.name} was not trained to correct drafts.")
    if request.prompt.instruction is not None and preset.rewrite == "none":
        raise BadRequest("unsupported", f"The model {preset.name} was not trained to rewrite code.")
    if request.boundaries and not has_draft:
        raise BadRequest("bad_request", "boundaries need draft text in the canvas.")


def _check_foreign(request: api.DenoiseRequest, preset: Preset) -> None:
    """What such weights are asked: a hole, or an edit in words."""
    abilities = capabilities_of(preset, "")
    is_hole = len(request.canvas) == 1 and isinstance(request.canvas[0], api.Masked)
    if request.logprobs is not None:
        raise BadRequest("unsupported", f"The model {preset.name} gives no log-probabilities: it writes in any order.")
    if request.prompt.instruction is not None:
        if abilities.rewrite == "none":
            raise BadRequest("unsupported", f"The model {preset.name} was not trained to rewrite code.")
    elif not is_hole:
        raise BadRequest("unsupported", f"The model {preset.name} fills one hole at a time and corrects no drafts.")
    elif not abilities.complete:
        raise BadRequest(
            "unsupported", f"The model {preset.name} was not trained to write in the middle of code: it only rewrites."
        )


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
    line = last_ids(encoder(prompt.line), room // 4)
    tail, below = cut_tail(prompt.tail, room // 8, encoder)
    snippets = [encoder(f"{snippet.path}\n{snippet.text}") for snippet in prompt.snippets]
    snippets = that_fit(snippets, room // 3)  # the server sends less (lsp_server/context/budget.py)
    suffix = jumping_suffix(chain(below, map(encoder.line, lines_of(prompt.suffix))), room // 4)
    # Rounded up, so that the prefix's edge does not move with every token of the cursor's line.
    used = len(path) + len(suffix) + sum(len(s) + 1 for s in snippets) + round_up(len(tail) + len(line), 32)
    above = lines_of(prompt.prefix)
    start = prefix_start(above, room - used, encoder)
    near = max(start, near_start(above, encoder))
    return layout_ids(
        path=path,
        snippets=snippets,
        suffix=suffix,
        prefix=[i for text in above[start:near] for i in encoder.line(text)],
        tail=tail,
        line=[i for text in above[near:] for i in encoder.line(text)] + line,
        rewrite=rewrite,
    )
