"""Matrices in 8 bits: close to what they were, small, and refused where they cannot be had."""

from pathlib import Path

import msgspec
import pytest
import torch

from model.checkpoints import precision
from model.checkpoints.load import load_checkpoint
from model.checkpoints.memory import weight_bytes
from model.checkpoints.precision import PrecisionError, check_precision, is_matrix, is_small, shrinker, stored_bytes
from model.network.config import tiny_test
from model.network.transformer import Transformer
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder

CPU = torch.device("cpu")


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_answers_nearly_the_same(tied: bool, dtype: torch.dtype) -> None:
    """Against the same matrices rounded by hand: 8 bits a number, one scale a row."""
    torch.manual_seed(0)
    config = msgspec.structs.replace(tiny_test(), tied_head=tied, qkv_bias=True, state_vectors=False)
    network = Transformer(config).to(dtype).eval().requires_grad_(False)
    rounded = Transformer(config).to(dtype).eval().requires_grad_(False)
    rounded.load_state_dict(network.state_dict())
    for module in rounded.modules():
        if isinstance(module, torch.nn.Linear):
            scale = module.weight.float().abs().amax(1, keepdim=True) / 127.5
            module.weight.copy_((module.weight.float() / scale).round().clamp(-128, 127) * scale)
    tokens, positions = torch.randint(0, config.vocab_size, (1, 24)), torch.arange(24)[None]
    mask = torch.ones(1, 24, 24, dtype=torch.bool).tril()
    before = network.logits(network(tokens, positions, None, mask)).float()
    expected = rounded.logits(rounded(tokens, positions, None, mask)).float()
    size = stored_bytes(network)
    shrink = shrinker("int8")
    network.load_state_dict({name: shrink(name, w) for name, w in network.state_dict().items()}, assign=True)
    after = network.logits(network(tokens, positions, None, mask)).float()
    tolerance = 2e-3 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(after, expected, rtol=0, atol=tolerance * float(before.abs().max()))
    assert not torch.equal(after, before)
    assert float((after - before).norm() / before.norm()) < 0.03
    assert stored_bytes(network) < size


@pytest.mark.parametrize("family", ["stable-diffcoder-base", "dreamon", "dllm-mdlm", "llada-base"])
def test_a_foreign_model_is_made_small_while_it_is_loaded(family: str, tmp_path: Path) -> None:
    folder = tmp_path / FAMILIES[family].name
    write_tiny_folder(folder, family)
    large, small = load_checkpoint(folder), load_checkpoint(folder, shrink=shrinker("int8"))
    assert not is_small(large.network)
    assert stored_bytes(small.network) == weight_bytes(small.preset.network, "int8", 2)
    tokens, positions = torch.arange(64, 84)[None], torch.arange(20)[None]
    mask = torch.ones(1, 20, 20, dtype=torch.bool)
    before = large.network.logits(large.network(tokens, positions, None, mask)).float()
    after = small.network.logits(small.network(tokens, positions, None, mask)).float()
    assert float((after - before).norm() / before.norm()) < 0.05


def test_full_changes_nothing() -> None:
    shrink, weights = shrinker("full"), Transformer(tiny_test()).state_dict()
    assert all(shrink(name, weight) is weight for name, weight in weights.items())


def test_embedding_norms_and_states_stay() -> None:
    config = msgspec.structs.replace(tiny_test(), tied_head=False)
    changed = {name for name, weight in Transformer(config).state_dict().items() if is_matrix(name)}
    assert changed == {
        name for name in changed if name.split(".")[-2] in ("qkv", "attn_out", "gate_up", "mlp_out", "head")
    }
    assert len(changed) == 4 * config.num_layers + 1


def test_fp8_without_a_gpu_is_refused() -> None:
    with pytest.raises(PrecisionError, match="needs an NVIDIA GPU") as caught:
        check_precision("fp8", CPU)
    assert "int8" in caught.value.sentence


def test_fp8_on_an_old_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Card 1")
    with pytest.raises(PrecisionError, match="newer GPU than Card 1"):
        check_precision("fp8", torch.device("cuda"))
    check_precision("int8", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    check_precision("fp8", torch.device("cuda"))


def test_without_torchao_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "can_be_small", lambda: False)
    with pytest.raises(PrecisionError, match=r"torchao.*seedling-lsp\[models\]"):
        check_precision("int8", CPU)
    check_precision("full", CPU)
