"""Packed layers against the plain ones: fp32 within rounding, every kind of pass, bf16 where the processor has it."""

import copy

import msgspec
import pytest
import torch

from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.packed import PackedLayer, can_pack, pack_weights
from model.network.transformer import Transformer

VARIANTS = {
    "grouped": {},
    "multi-head with bias": {"num_kv_heads": 4, "qk_norm": False, "qkv_bias": True},
    "one kv head, untied": {"num_kv_heads": 1, "tied_head": False},
}
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.05}


def packed_copy(network: Transformer) -> Transformer:
    if not can_pack(network):
        pytest.skip("this build of PyTorch or this processor cannot multiply packed weights")
    packed = copy.deepcopy(network)
    pack_weights(packed)
    return packed


def passes(network: Transformer) -> list[torch.Tensor]:
    """Logits of a fused pass of two padded canvases, of branches, of a single row; and all cached rows."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randint(64, 512, shape, generator=generator)

    dtype = network.embed.weight.dtype
    with torch.inference_mode():
        cache = KVCache(network.config, batch_size=2, dtype=dtype)
        one_pass(network, cache, Rows(draw(2, 40), None, torch.tensor([40, 33])), None, want_clean=0)
        cache.advance([40, 33])
        states = torch.randint(1, 4, (2, 16), generator=generator)
        noisy = Rows(draw(2, 16), states, torch.tensor([16, 9]))
        hidden = one_pass(network, cache, Rows(draw(2, 3)), noisy)
        cache.advance(3)
        alone = cache.pick([1])
        last = one_pass(network, alone, Rows(draw(1, 5)), Rows(draw(1, 4), states[:1, :4]), want_clean=4)
        single = one_pass(network, alone, Rows(draw(1, 1)), None)[0]
        assert single is not None
        assert hidden[0] is not None
        assert last[0] is not None
        assert last[1] is not None
        assert hidden[1] is not None
        rows = [hidden[0], hidden[1][0], hidden[1][1, :9], *last, single]
        return [*(network.logits(part) for part in rows), *cache.read(0, 0, 43), *cache.read(1, 0, 36)]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_packed_layers_give_the_same_rows(make_network, variant: str, dtype: torch.dtype) -> None:
    network = make_network(msgspec.structs.replace(tiny_test(), **VARIANTS[variant])).to(dtype)
    wanted, got = passes(network), passes(packed_copy(network))
    for one, other in zip(wanted, got, strict=True):
        assert one.shape == other.shape
        scale = max(1.0, float(one.abs().max()))
        assert float((one - other).abs().max()) <= TOLERANCE[dtype] * scale


def test_packing_replaces_the_plain_layers(tiny_network: Transformer) -> None:
    packed = packed_copy(tiny_network)
    assert all(isinstance(layer, PackedLayer) for layer in packed.layers)
    assert list(packed.layers.parameters()) == []
    assert not can_pack(packed)


def test_only_some_number_formats_can_be_packed(make_network) -> None:
    assert not can_pack(make_network(tiny_test()).double())
