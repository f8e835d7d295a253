"""The exported file says the network's shape and holds its clean stream, tensor by tensor."""

from pathlib import Path

import gguf
import msgspec
import numpy as np
import pytest
import torch

from benchmarks.gguf_export import clean_tensors, export_gguf
from model.network.config import NetworkConfig
from model.network.transformer import Transformer
from model.tokenizer import BOS, CUR, EOM, NUM_BASE, NUM_RESERVED, PRE, SUF, tokenizer_json

SHAPE = NetworkConfig(
    vocab_size=96, num_layers=2, d_model=64, num_heads=3, num_kv_heads=1, d_head=32, d_ff=128, qk_norm=True
)


def network_of(config: NetworkConfig) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Transformer(config).eval()


def exported(tmp_path: Path, network: Transformer, matrices: str) -> gguf.GGUFReader:
    path = tmp_path / "clean.gguf"
    export_gguf(network, path, name="toy", context_tokens=77, matrices=matrices)
    return gguf.GGUFReader(path)


def field(reader: gguf.GGUFReader, name: str) -> object:
    found = reader.get_field(name)
    assert found is not None, name
    return found.contents()


def test_the_shape_is_said(tmp_path: Path) -> None:
    reader = exported(tmp_path, network_of(SHAPE), "F16")
    assert field(reader, "general.architecture") == "qwen3"
    wanted = {
        "vocab_size": 96,
        "context_length": 77,
        "embedding_length": 64,
        "block_count": 2,
        "feed_forward_length": 128,
        "attention.head_count": 3,
        "attention.head_count_kv": 1,
        "attention.key_length": 32,
        "attention.value_length": 32,
        "rope.dimension_count": 32,
        "rope.freq_base": 10_000.0,
    }
    assert {name: field(reader, f"qwen3.{name}") for name in wanted} == wanted
    assert field(reader, "qwen3.attention.layer_norm_rms_epsilon") == pytest.approx(SHAPE.norm_eps)
    assert field(reader, "tokenizer.ggml.model") == "none"


@pytest.mark.parametrize(("matrices", "tolerance"), [("F16", 1e-3), ("Q8_0", 1 / 127)])
def test_every_tensor_comes_back(tmp_path: Path, matrices: str, tolerance: float) -> None:
    network = network_of(SHAPE)
    tensors = {tensor.name: tensor for tensor in exported(tmp_path, network, matrices).tensors}
    wanted = dict(clean_tensors(network))
    assert tensors.keys() == wanted.keys()
    for name, weight in wanted.items():
        values = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        assert values.shape == tuple(weight.shape), name
        assert np.abs(values - weight.numpy()).max() <= tolerance * float(weight.abs().max()), name
        assert tensors[name].tensor_type.name == ("F32" if weight.ndim == 1 else matrices)


def test_fused_projections_are_cut_where_the_network_cuts_them() -> None:
    network = network_of(SHAPE)
    tensors = dict(clean_tensors(network))
    x_BTD = torch.randn(1, 4, SHAPE.d_model)
    layer = network.layers[1]
    normed_BTD = layer.attn_norm(x_BTD)  # type: ignore[operator]
    q, k, v = layer.project(x_BTD)  # type: ignore[operator]
    queries = (normed_BTD @ tensors["blk.1.attn_q.weight"].T).unflatten(-1, (3, 32))
    torch.testing.assert_close(layer.q_norm(queries), q)  # type: ignore[operator]
    keys = (normed_BTD @ tensors["blk.1.attn_k.weight"].T).unflatten(-1, (1, 32))
    torch.testing.assert_close(layer.k_norm(keys), k)  # type: ignore[operator]
    torch.testing.assert_close((normed_BTD @ tensors["blk.1.attn_v.weight"].T).unflatten(-1, (1, 32)), v)


def test_an_untied_head_is_written_and_the_state_table_is_not() -> None:
    names = [name for name, _ in clean_tensors(network_of(SHAPE))]
    assert "output.weight" not in names
    untied = NetworkConfig(
        vocab_size=96,
        num_layers=1,
        d_model=64,
        num_heads=2,
        num_kv_heads=2,
        d_head=32,
        d_ff=64,
        qk_norm=True,
        tied_head=False,
    )
    assert [name for name, _ in clean_tensors(network_of(untied))][-1] == "output.weight"
    assert not any("state" in name for name in names)


def test_another_shape_is_refused(tmp_path: Path) -> None:
    config = NetworkConfig(vocab_size=96, num_layers=1, d_model=64, num_heads=2, num_kv_heads=1, d_head=32, d_ff=64)
    with pytest.raises(ValueError, match="norms on queries"):
        export_gguf(network_of(config), tmp_path / "x.gguf", name="toy", context_tokens=64, matrices="F16")
    assert not (tmp_path / "x.gguf").exists()


def test_a_server_that_is_given_text_finds_a_vocabulary_and_no_reserved_label(tmp_path: Path) -> None:
    """No label of the layout, nor a mask, may ever be its likeliest: it has nobody who forbids them."""
    merges = [("r", "e"), ("re", "t"), ("Ġ", "=")]
    tokenizer_file = tmp_path / "tokenizer.json"
    tokenizer_file.write_text(tokenizer_json(merges), "utf-8")
    num = NUM_BASE + len(merges)
    network = network_of(NetworkConfig(**{**msgspec.structs.asdict(SHAPE), "vocab_size": num}))
    path = tmp_path / "text.gguf"
    export_gguf(network, path, name="toy", context_tokens=77, matrices="F16", tokenizer_file=tokenizer_file)
    reader = gguf.GGUFReader(path)
    tokens, kinds = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.token_type")
    assert isinstance(tokens, list)
    assert isinstance(kinds, list)
    assert tokens[-3:] == ["re", "ret", "Ġ="]
    assert field(reader, "tokenizer.ggml.merges") == ["r e", "re t", "Ġ ="]
    assert {kinds[i] for i in range(NUM_RESERVED)} == {gguf.TokenType.CONTROL}
    assert {kinds[i] for i in range(NUM_RESERVED, num)} == {gguf.TokenType.NORMAL}
    ids = [field(reader, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "fim_pre", "fim_suf", "fim_mid")]
    assert ids == [BOS, EOM, PRE, SUF, CUR]
    (head,) = [np.array(tensor.data) for tensor in reader.tensors if tensor.name == "output.weight"]
    assert [row for row in range(NUM_RESERVED) if head[row].any()] == [EOM]
    assert head[NUM_RESERVED:].any(axis=1).all()
