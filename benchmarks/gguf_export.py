"""A checkpoint's clean stream as a GGUF file, which llama.cpp runs like any model of the Qwen 3 shape.

The clean stream adds no state vectors, so it is a plain decoder: rotary pairs by halves, norms on queries and keys, one
matrix for embedding and head. Norms stay fp32, as llama.cpp wants them. The file holds no vocabulary unless one is
given: ids go in and logits come out. Source: the `gguf` package of llama.cpp, and its loader of the architecture
`qwen3`. Left out: the noisy stream, shapes without norms on queries and keys (those are `llama`, whose rotary pairs are
interleaved, and `qwen2`).

`python -m benchmarks.gguf_export --out FILE [--model DIR] [--type Q8_0]` writes one.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from benchmarks.gguf_vocabulary import add_vocabulary
from model.checkpoints.load import CheckpointError, default_checkpoint, load_checkpoint
from model.network.config import NetworkConfig
from model.network.transformer import Transformer
from model.tokenizer import EOM, NUM_RESERVED

TYPES = {kind.name: kind for kind in (gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.Q8_0)}


def export_gguf(
    network: Transformer,
    path: Path,
    *,
    name: str,
    context_tokens: int,
    matrices: str,
    tokenizer_file: Path | None = None,
) -> None:
    """Writes the clean stream to `path`; `matrices` is one of TYPES. ValueError for a shape that it cannot say.

    tokenizer_file: its vocabulary goes in too, for a server that is given text (gguf_vocabulary.py). Such a server has
    nobody who forbids a label, so the head is a matrix of its own, empty at the reserved ones.
    """
    config = network.config
    if not config.qk_norm or config.qkv_bias:
        raise ValueError("only networks with norms on queries and keys and without biases have a GGUF architecture")
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.QWEN3])
    writer.add_name(name)
    _add_shape(writer, config, context_tokens)
    if tokenizer_file is None:
        writer.add_tokenizer_model("none")
    else:
        add_vocabulary(writer, tokenizer_file)
    tensors = dict(clean_tensors(network))
    if tokenizer_file is not None:
        tensors["output.weight"] = without_reserved(network.head_weight)
    for tensor_name, weight in tensors.items():
        values = weight.detach().to("cpu", torch.float32).numpy()
        if values.ndim == 1:
            writer.add_tensor(tensor_name, values)
        else:
            data = gguf.quants.quantize(np.ascontiguousarray(values), TYPES[matrices])
            writer.add_tensor(tensor_name, data, raw_dtype=TYPES[matrices])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def clean_tensors(network: Transformer) -> Iterator[tuple[str, Tensor]]:
    """The clean stream's weights by their names in llama.cpp; fused projections are cut."""
    config = network.config
    heads = [config.num_heads * config.d_head, *[config.num_kv_heads * config.d_head] * 2]
    weights = network.state_dict()
    yield "token_embd.weight", weights["embed.weight"]
    for i in range(config.num_layers):
        ours, theirs = f"layers.{i}.", f"blk.{i}."
        yield f"{theirs}attn_norm.weight", weights[f"{ours}attn_norm.weight"]
        for letter, part in zip("qkv", weights[f"{ours}qkv.weight"].split(heads), strict=True):
            yield f"{theirs}attn_{letter}.weight", part
        yield f"{theirs}attn_q_norm.weight", weights[f"{ours}q_norm.weight"]
        yield f"{theirs}attn_k_norm.weight", weights[f"{ours}k_norm.weight"]
        yield f"{theirs}attn_output.weight", weights[f"{ours}attn_out.weight"]
        yield f"{theirs}ffn_norm.weight", weights[f"{ours}mlp_norm.weight"]
        gate, up = weights[f"{ours}gate_up.weight"].chunk(2)
        yield f"{theirs}ffn_gate.weight", gate
        yield f"{theirs}ffn_up.weight", up
        yield f"{theirs}ffn_down.weight", weights[f"{ours}mlp_out.weight"]
    yield "output_norm.weight", weights["final_norm.weight"]
    if not config.tied_head:
        yield "output.weight", weights["head.weight"]


def without_reserved(head_VD: Tensor) -> Tensor:
    """The head with a logit of 0 for every reserved label but the text's end: less than any that is likely."""
    head_VD = head_VD.detach().float().clone()
    end_D = head_VD[EOM].clone()
    head_VD[:NUM_RESERVED] = 0
    head_VD[EOM] = end_D
    return head_VD


def _add_shape(writer: gguf.GGUFWriter, config: NetworkConfig, context_tokens: int) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.d_head)
    writer.add_value_length(config.d_head)
    writer.add_rope_dimension_count(config.d_head)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gguf_export", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--model", type=Path, metavar="DIR", help="checkpoint folder (default: the embedded one)")
    parser.add_argument("--type", choices=TYPES, default="Q8_0", help="how matrices are stored (default: Q8_0)")
    args = parser.parse_args()
    try:
        checkpoint = load_checkpoint(args.model or default_checkpoint(), dtype=torch.float32)
        context_tokens = checkpoint.preset.context_tokens
        name = checkpoint.preset.name
        export_gguf(checkpoint.network, args.out, name=name, context_tokens=context_tokens, matrices=args.type)
    except (CheckpointError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"benchmarks: {args.out} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB, {args.type}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
