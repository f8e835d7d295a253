"""The arithmetic of the roofline against figures worked out by hand, and all of it on a tiny network."""

import json
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from benchmarks import roofline
from benchmarks.arithmetic import num_weights
from benchmarks.roofline import CHIPS, limit_ms, num_bytes, stable_diffcoder_8b
from model.evaluation.options import EvalError
from model.network.config import tiny_test

BF16 = torch.bfloat16


def test_the_bytes_of_the_8b_shape() -> None:
    config = stable_diffcoder_8b()
    assert num_weights(config) / 1e9 == pytest.approx(7.615, abs=1e-3)
    assert num_bytes(config, 0, 1, 0, BF16) / 1e9 == pytest.approx(15.23, abs=0.01)
    # 2 · 32 layers · 8 heads · 128 features · 2 bytes = 128 KiB a row.
    assert num_bytes(config, 0, 3, 1, BF16) - num_bytes(config, 0, 1, 0, BF16) == 3 * 131_072


@pytest.mark.parametrize(("chip", "rows", "wanted_ms"), [("H200", 32, 3.23), ("H20", 32, 3.87), ("H20", 64, 7.05)])
def test_the_limits_of_the_8b_shape(chip: str, rows: int, wanted_ms: float) -> None:
    sheet = next(each for each in CHIPS if each.name == chip)
    case = (rows, 2048 - rows, 1)
    got = limit_ms(stable_diffcoder_8b(), case, BF16, sheet.bytes_per_s, sheet.operations_per_s)
    assert got == pytest.approx(wanted_ms, rel=0.01)


def test_the_rehearsal_goes_through_all_of_it(monkeypatch, capsys, tmp_path: Path) -> None:
    plan = msgspec.structs.replace(roofline.REHEARSAL, widths=(1,), contexts=(16,), batches=(1, 2))
    monkeypatch.setattr(roofline, "REHEARSAL", plan)
    monkeypatch.setattr("benchmarks.device_timing.REHEARSED", 1)
    monkeypatch.setattr(roofline, "NUM_GENERATED", 3)
    monkeypatch.setattr(sys, "argv", ["roofline", "--rehearse", "--picture", str(tmp_path / "growth.png")])
    roofline.main()
    printed = capsys.readouterr().out
    facts = json.loads(printed.strip().rpartition("\n")[2])
    assert facts["rehearsal"] is True
    assert {(case["rows"], case["cached"], case["batch"]) for case in facts["cases"]} == set(plan.cases())
    assert facts["ratio"] == pytest.approx(facts["step_ms"] / facts["limit_ms"], rel=0.05)
    assert facts["kernels"]
    assert "H20, arithmetic" in printed
    assert (tmp_path / "growth.png").stat().st_size > 1000


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["roofline"])
    with pytest.raises(EvalError, match="needs a CUDA GPU; --rehearse"):
        roofline.main()


def test_transformers_llama_is_the_same_function() -> None:
    pytest.importorskip("transformers")
    from benchmarks.hf_llama import generate_per_s, llama_of

    config = msgspec.structs.replace(tiny_test(), qk_norm=False, state_vectors=False, tied_head=False)
    network = roofline.random_network(config, torch.device("cpu"), torch.float32)
    tokens = torch.randint(64, 512, (1, 9), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        hidden = network(tokens, torch.arange(9)[None], None, torch.ones(9, 9, dtype=torch.bool).tril()[None])
        torch.testing.assert_close(llama_of(network)(tokens).logits, network.logits(hidden), atol=1e-5, rtol=1e-5)
        assert generate_per_s(network, 5, 4) > 0
