"""Verbatim recall: how often the model continues a training document word for word, beside documents it never saw.

A document's first 96 tokens are given and 32 tokens are written greedily (document layout, fixed length); recalled =
all 32 equal. Held-out documents are the control: what agrees there is common code, not memory. Needs the token shards
that the checkpoint was trained on (`seedling corpus build`). Left out: near matches and longer searches.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.header import print_header
from model.checkpoints.load import Checkpoint, default_checkpoint, load_checkpoint
from model.diffusion.canvas import known_length_canvas
from model.diffusion.policy import Policy
from model.diffusion.sampler import denoise_to_end
from model.network.kv_cache import KVCache
from model.prompts import document_ids, path_ids
from model.training.shards import Shards, open_shards

NUM_GIVEN, NUM_WRITTEN = 96, 32


def recall(checkpoint: Checkpoint, shards: Shards, num_documents: int, seed: int) -> tuple[float, float]:
    """(share of documents recalled word for word, share of single tokens that agree), each 0..1."""
    long_enough = np.flatnonzero(np.diff(shards.offsets) >= NUM_GIVEN + NUM_WRITTEN)
    chosen = np.random.default_rng(seed).permutation(long_enough)[:num_documents]
    policy = Policy(tau_mask=checkpoint.preset.sampling.tau_mask)
    num_whole = num_tokens = 0
    for index in chosen:
        document = shards.document(int(index))
        head = document_ids(path_ids(shards.tokenizer, shards.paths[int(index)])[:48])
        prompt = [*head, *document[:NUM_GIVEN].tolist()]
        cache = KVCache(checkpoint.preset.network, dtype=checkpoint.network.head_weight.dtype)
        result = denoise_to_end(checkpoint.network, cache, prompt, known_length_canvas(NUM_WRITTEN), policy)
        truth = document[NUM_GIVEN : NUM_GIVEN + NUM_WRITTEN].tolist()
        same = [a == b for a, b in zip(result.ids, truth, strict=False)]
        num_whole += len(same) == NUM_WRITTEN and all(same)
        num_tokens += sum(same)
    return num_whole / len(chosen), num_tokens / (len(chosen) * NUM_WRITTEN)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shards", type=Path, required=True, help="folder of the token shards")
    parser.add_argument("--model", type=Path, default=None, help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--limit", type=int, default=200, help="documents of each split")
    args = parser.parse_args()
    checkpoint = load_checkpoint(args.model or default_checkpoint(), dtype=torch.bfloat16)
    print_header("recall")
    print(f"# {checkpoint.preset.name}: {NUM_GIVEN} tokens given, {NUM_WRITTEN} written greedily")
    figures = {}
    print(f"{'split':>8} {'documents':>10} {'recalled':>9} {'tokens':>8}")
    for split in ("train", "heldout"):
        shards = open_shards(args.shards, split)
        num = min(args.limit, shards.num_documents)
        whole, tokens = recall(checkpoint, shards, num, seed=0)
        print(f"{split:>8} {num:>10} {whole:>9.1%} {tokens:>8.1%}", flush=True)
        figures[split] = {"recalled": whole, "tokens": tokens, "documents": num}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
