"""Bits per byte of whole documents: the clean stream's exact value, the diffusion stream's bound, and gzip's.

Documents stand in the training layout for documents, in windows of the context size that begin at line starts; every
byte counts once, and the first bytes of a window see nothing before it. Clean stream: -log2 p of each token given
those before it. Diffusion: blocks of fixed size, in each the order-agnostic bound for one token a step,
E over m ~ U{1..n} and places of n/m * sum of -log2 p of the m masked tokens (MDLM, arXiv 2406.07524; Hoogeboom et al.,
arXiv 2110.02037, for the one-token-a-step reading), estimated from a few seeded draws a block whose m are spread
evenly. The end of a text is not coded in either number. Left out: surplus masks and edit labels (a bound on text needs
neither), and overlapping windows.
"""

import gzip
import math
from collections.abc import Sequence
from random import Random

import msgspec
import numpy as np
import torch

from kernels.diffusion_loss.reference import diffusion_loss
from model.checkpoints.load import Checkpoint
from model.diffusion.corruption import IGNORE, NoisyBlock
from model.diffusion.objective import allowed_labels
from model.diffusion.states import CLEAN, DRAFT, MASKED
from model.evaluation.options import watched
from model.prompts import document_ids, path_ids
from model.tokenizer import MASK, Tokenizer
from model.training.packing import Batch, pack
from model.training.samples import MAX_PATH_TOKENS, Sample
from model.training.two_stream import rows_of, two_stream_hidden

_GOLDEN = (math.sqrt(5) - 1) / 2


class Bits(msgspec.Struct, frozen=True, kw_only=True):
    """`diffusion_error` = standard error of the bound's estimate over the blocks drawn; `floor` = gzip -9 of all texts
    one after the other; `block` = tokens of a block of the bound.
    """

    twin_bits_per_byte: float
    diffusion_bits_per_byte: float
    diffusion_error: float
    floor_bits_per_byte: float
    num_documents: int
    num_tokens: int
    num_bytes: int
    num_draws: int
    block: int


def sample_documents(
    documents: Sequence[tuple[str, str]], tokenizer: Tokenizer, *, max_tokens: int, num: int | None, seed: int
) -> list[tuple[str, list[int]]]:
    """(path, ids) of documents in a seeded order until `max_tokens` are reached or `num` documents; at least one."""
    order = sorted(documents)
    Random(f"documents/{seed}").shuffle(order)
    taken: list[tuple[str, list[int]]] = []
    num_tokens = 0
    for path, text in order[:num]:
        ids = tokenizer.encode(text)
        if not ids or (taken and num_tokens + len(ids) > max_tokens):
            continue
        taken.append((path, ids))
        num_tokens += len(ids)
    return taken


def measure(checkpoint: Checkpoint, documents: Sequence[tuple[str, list[int]]], *, num_draws: int, seed: int) -> Bits:
    """Both streams over (path, ids) of documents that are not all empty."""
    tokenizer = checkpoint.tokenizer
    twin_nats = 0.0
    block_nats: list[float] = []
    rng = Random(f"bits/{seed}")
    for path, ids in watched(documents, "bits per byte"):
        head = document_ids(path_ids(tokenizer, path)[-MAX_PATH_TOKENS:])
        for window in windows(ids, tokenizer, checkpoint.preset.context_tokens - len(head)):
            nats, blocks = _window_nats(checkpoint, head, window, num_draws, rng)
            twin_nats += nats
            block_nats += blocks
    data = b"".join(tokenizer.decode_bytes(ids) for _, ids in documents)
    per_byte = 1 / math.log(2) / len(data)
    return Bits(
        twin_bits_per_byte=twin_nats * per_byte,
        diffusion_bits_per_byte=sum(block_nats) / num_draws * per_byte,
        diffusion_error=float(np.std(block_nats)) * math.sqrt(len(block_nats)) / num_draws * per_byte,
        floor_bits_per_byte=8 * len(gzip.compress(data, 9, mtime=0)) / len(data),
        num_documents=len(documents),
        num_tokens=sum(len(ids) for _, ids in documents),
        num_bytes=len(data),
        num_draws=num_draws,
        block=checkpoint.preset.sampling.block,
    )


def windows(ids: Sequence[int], tokenizer: Tokenizer, size: int) -> list[list[int]]:
    """The ids cut behind newlines into pieces of at most `size`; inside a line only where it alone is longer."""
    cut: list[list[int]] = []
    start = 0
    while start < len(ids):
        end = min(start + size, len(ids))
        if end < len(ids):
            breaks = (i for i in range(end, start, -1) if tokenizer.token_bytes[ids[i - 1]].endswith(b"\n"))
            end = next(breaks, end)
        cut.append(list(ids[start:end]))
        start = end
    return cut


def draw_block(clean: Sequence[int], *, start: int, level: float, rng: Random) -> NoisyBlock:
    """A block with m = 1 + floor(level * n) tokens masked at uniform places, each with weight n/m; the others are
    drafts, as the sampler's own tokens are.
    """
    n = len(clean)
    m = min(n, 1 + int(level * n))
    masked = set(rng.sample(range(n), m))
    return NoisyBlock(
        start,
        list(clean),
        [MASK if i in masked else token for i, token in enumerate(clean)],
        [MASKED if i in masked else DRAFT for i in range(n)],
        [token if i in masked else IGNORE for i, token in enumerate(clean)],
        [n / m if i in masked else 0.0 for i in range(n)],
    )


def _window_nats(
    checkpoint: Checkpoint, head: list[int], window: list[int], num_draws: int, rng: Random
) -> tuple[float, list[float]]:
    """Nats of the window in the clean stream, and the weighted nats of each drawn block."""
    size = checkpoint.preset.sampling.block
    starts = range(0, len(window), size)
    blocks: list[NoisyBlock] = []
    phase = rng.random()
    for draw in range(num_draws):
        for number, start in enumerate(starts):
            # Any run of the golden ratio's multiples is spread evenly, over the blocks and over the draws of a block.
            level = (phase + (number * num_draws + draw) * _GOLDEN) % 1.0
            blocks.append(draw_block(window[start : start + size], start=start, level=level, rng=rng))
    sample = Sample([*head, *window], len(head), len(head), "document")
    batch = pack(
        [([sample], [(0, block) for block in blocks])],
        clean_tokens=len(sample.ids),
        noisy_tokens=sum(len(block.tokens) for block in blocks),
    )
    clean, noisy = _row_nats(checkpoint, batch)
    weighted = noisy * batch.noisy_weights[0]
    block_nats = np.bincount(batch.noisy_block[0], weights=weighted, minlength=len(blocks))
    return float(clean.sum()), block_nats.tolist()


@torch.inference_mode()
def _row_nats(checkpoint: Checkpoint, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """-ln p of each clean and noisy row's label, 0 where there is none; one row a batch."""
    head_VD = checkpoint.network.head_weight
    device = head_VD.device
    rows = rows_of(batch, device)
    hidden_BTD = two_stream_hidden(
        checkpoint.network,
        rows.tokens_BT,
        rows.positions_BT,
        rows.states_BT,
        rows.clean_mask_BCC,
        rows.noisy_mask_BNT,
        head_VD.dtype,
    )
    labels = np.concatenate((batch.clean_labels[0], batch.noisy_labels[0]))
    states = np.concatenate((np.full_like(batch.clean_labels[0], CLEAN), batch.noisy_states[0]))
    (asked,) = np.nonzero(labels >= 0)
    _, losses_R = diffusion_loss(
        hidden_BTD[0, torch.from_numpy(asked).to(device)],
        head_VD,
        torch.from_numpy(labels[asked]).to(device),
        torch.ones(len(asked), device=device),
        allowed_labels(head_VD.shape[0]).to(device),
        torch.from_numpy(states[asked]).to(device),
    )
    nats = np.zeros(len(labels))
    nats[asked] = losses_R.double().cpu().numpy()
    num_clean = batch.clean_tokens.shape[1]
    return nats[:num_clean], nats[num_clean:]
