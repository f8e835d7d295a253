"""How probable each token of an answer was: the clean stream's log-probabilities, for clients that ask for them.

One pass over prompt and answer gives the exact next-token probability of every token, whatever way the answer was
written in: what other servers call logprobs. (A denoised block's own confidences depend on the step that a token was
read at.) This file imports torch. Left out: the end-of-text token, and the confidence of a whole answer, which is the
run's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.checkpoints.load import Checkpoint
from model.diffusion.healing import TakenBack
from model.engine import api
from model.engine.stopping import whole_characters
from model.network.kv_cache import KVCache
from model.network.many_passes import Pass, many_passes
from model.network.one_pass import Rows
from model.tokenizer import EOM, NUM_RESERVED

FLOOR = -9999.0
"""For what cannot be written there at all: JSON has no infinity (OpenAI's own value)."""


def token_scores(
    checkpoint: Checkpoint,
    cache: KVCache,
    prompt_ids: Sequence[int],
    ids: Sequence[int],
    *,
    text: str,
    taken_back: TakenBack | None,
    num_top: int,
) -> tuple[api.TokenScore, ...]:
    """The tokens of `ids`, whose text is `text`, and beside each the `num_top` likeliest at its place.

    The cache holds rows of the prompt and, perhaps, of the answer; the latter go.
    """
    if not ids:
        return ()
    num_cached = min(int(cache.lengths_B[0]), len(prompt_ids) - 1)
    cache.truncate(num_cached)
    pending = [*prompt_ids[num_cached:], *ids[:-1]]
    rows = Rows(torch.tensor([pending], device=cache.tokens_device))
    with torch.inference_mode():
        ((hidden_1CD, _),) = many_passes(checkpoint.network, [Pass(cache, rows, None, len(ids))])
        assert hidden_1CD is not None
        log_p_CV = _log_p(checkpoint.network.logits(hidden_1CD[0]).float(), ids[0], taken_back)
        chosen_C = log_p_CV[torch.arange(len(ids)), torch.tensor(ids, device=log_p_CV.device)].clamp_min(FLOOR).tolist()
        top = log_p_CV.topk(max(num_top, 1), dim=-1)
    # The cache's rows of the prompt stay useful: they are those that the pass has just written.
    cache.advance(len(prompt_ids) - num_cached)
    names = checkpoint.tokenizer.token_bytes
    skip = len(taken_back.typed) if taken_back is not None else 0
    return _as_text(
        [names[i] for i in ids],
        chosen_C,
        [
            {names[i].decode("utf-8", "replace"): p for i, p in zip(row_ids, row_p, strict=True) if p >= FLOOR}
            if num_top
            else {}
            for row_ids, row_p in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ],
        text=text,
        skip=skip,
    )


def _log_p(logits_CV: Tensor, first: int, taken_back: TakenBack | None) -> Tensor:
    """As the clean stream writes (speculate.py): no reserved label but the end, and a broken token is gone on with."""
    eom_C = logits_CV[:, EOM].clone()
    logits_CV[:, :NUM_RESERVED] = -torch.inf
    logits_CV[:, EOM] = eom_C
    if taken_back is not None and first in taken_back.allowed_ids:
        allowed = torch.from_numpy(taken_back.allowed_ids).to(logits_CV.device)
        kept = logits_CV[0, allowed]
        logits_CV[0] = -torch.inf
        logits_CV[0, allowed] = kept
    return logits_CV.log_softmax(dim=-1)


def _as_text(
    pieces: Sequence[bytes],
    log_ps: Sequence[float],
    tops: Sequence[dict[str, float]],
    *,
    text: str,
    skip: int,
) -> tuple[api.TokenScore, ...]:
    """Tokens that share a character count as one, and together they are exactly `text`."""
    scores: list[api.TokenScore] = []
    held, held_log_p = b"", 0.0
    num_chars = 0
    for index, (piece, log_p, top) in enumerate(zip(pieces, log_ps, tops, strict=True)):
        dropped = min(skip, len(piece))
        skip -= dropped
        is_alone = not held
        held, held_log_p = held + piece[dropped:], held_log_p + log_p
        is_last = index == len(pieces) - 1
        if whole_characters(held) < len(held) and not is_last:
            continue
        # The last token may hold more than the stop rule has kept, or a character that stays broken.
        end = len(text) if is_last else num_chars + len(held.decode("utf-8", "replace"))
        shown = text[num_chars:end]
        if shown:
            scores.append(api.TokenScore(text=shown, logprob=held_log_p, top=top if is_alone else {}))
        num_chars += len(shown)
        held, held_log_p = b"", 0.0
    return tuple(scores)
