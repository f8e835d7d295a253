"""transformers' Llama on the very weights of one of our networks, and how fast its `generate` is.

Nothing is copied: its parameters are views of ours (q, k, v and gate, up are rows of one matrix here). Source: the
parameter names of transformers' LlamaForCausalLM. Left out: shapes that are no Llama (norms of queries and keys, QKV
bias); batches.
"""

import time
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from model.network.transformer import DenseLayer, Transformer
from model.tokenizer import NUM_RESERVED


def llama_of(network: Transformer) -> Any:
    """A LlamaForCausalLM."""
    config, weight = network.config, network.embed.weight
    shape = LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        intermediate_size=config.d_ff,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=config.d_head,
        rms_norm_eps=config.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        max_position_embeddings=1 << 17,
        tie_word_embeddings=False,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.device("meta"):
        llama: Any = LlamaForCausalLM(shape)
        llama.to(weight.dtype)
    llama.load_state_dict(_parameters(network), assign=True)
    llama.model.rotary_emb = type(llama.model.rotary_emb)(shape).to(weight.device)  # made on no device above
    return llama.eval()


def _parameters(network: Transformer) -> dict[str, torch.Tensor]:
    config = network.config
    widths = [num * config.d_head for num in (config.num_heads, config.num_kv_heads, config.num_kv_heads)]
    found = {
        "model.embed_tokens.weight": network.embed.weight,
        "model.norm.weight": network.final_norm.weight,
        "lm_head.weight": network.head_weight,
    }
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, DenseLayer)
        name = f"model.layers.{i}"
        for part, matrix in zip("qkv", layer.qkv.weight.split(widths), strict=True):
            found[f"{name}.self_attn.{part}_proj.weight"] = matrix
        found[f"{name}.self_attn.o_proj.weight"] = layer.attn_out.weight
        gate, up = layer.gate_up.weight.chunk(2)
        found |= {f"{name}.mlp.gate_proj.weight": gate, f"{name}.mlp.up_proj.weight": up}
        found[f"{name}.mlp.down_proj.weight"] = layer.mlp_out.weight
        found[f"{name}.input_layernorm.weight"] = layer.attn_norm.weight
        found[f"{name}.post_attention_layernorm.weight"] = layer.mlp_norm.weight
    return {name: tensor.detach() for name, tensor in found.items()}


def generate_per_s(network: Transformer, num_prompt: int, num_tokens: int) -> float:
    """Tokens a second behind a prompt of `num_prompt` tokens, its prefill taken away: greedy, one token a forward."""
    llama, device = llama_of(network), network.embed.weight.device
    prompt = torch.arange(num_prompt, device=device)[None] % (network.config.vocab_size - NUM_RESERVED) + NUM_RESERVED

    def seconds(num: int) -> float:
        begun_s = time.perf_counter()
        llama.generate(prompt, max_new_tokens=num, min_new_tokens=num, do_sample=False, use_cache=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - begun_s

    seconds(2)
    return (num_tokens - 1) / max(seconds(num_tokens) - seconds(1), 1e-9)
