"""Form and context of a checkpoint on this machine, with the memory that a test gives it."""

import pytest
import torch

from model.checkpoints import fitting
from model.checkpoints.error import CheckpointError
from model.checkpoints.fitting import PRECISIONS, Shares, fitted, shares
from model.checkpoints.memory import SPARE, need, weight_bytes
from model.checkpoints.presets import Preset
from model.network.config import base_30m

CPU = torch.device("cpu")
PRESET = Preset(name="a", network=base_30m(), context_tokens=4096)


def test_everything_fits_here() -> None:
    got = fitted(PRESET, CPU, torch.bfloat16)
    assert (got.weights, got.context_tokens, got.sentence) == ("full", 4096, "")


def test_with_less_memory_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    wants = int(need(PRESET.network, 3000, "full", 4).total / (1 - SPARE))  # a tenth stays free
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: wants)
    got = fitted(PRESET, CPU, torch.float32)
    assert got.weights == "full"
    assert 2900 < got.context_tokens <= 3000
    assert got.reason == "memory"
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: weight_bytes(PRESET.network, "full", 4))
    assert fitted(PRESET, CPU, torch.float32).weights == "int8"
    monkeypatch.setattr(fitting, "can_be_small", lambda: False)
    with pytest.raises(CheckpointError, match="This model needs"):
        fitted(PRESET, CPU, torch.float32)
    monkeypatch.setattr(fitting, "can_be_small", lambda: True)
    with pytest.raises(CheckpointError, match="This model needs"):
        fitted(PRESET, torch.device("mps"), torch.float32)  # not known to work there


def test_a_form_that_is_asked_for_is_taken_or_refused() -> None:
    assert fitted(PRESET, CPU, torch.float32, "int8").weights == "int8"
    with pytest.raises(CheckpointError, match="fp8 needs"):
        fitted(PRESET, CPU, torch.float32, "fp8")
    assert set(PRECISIONS) == {"auto", "full", "int8", "fp8"}


def test_requests_that_run_and_prompts_that_are_kept_share_the_rest() -> None:
    wish = Shares(running=400, kept=400)
    assert shares(10_000, wish, 100) == wish
    assert shares(500, wish, 100) == Shares(250, 250)
    assert shares(700, Shares(400, 200), 100) == Shares(400, 200)
    assert shares(120, wish, 100) == Shares(100, 20)
    assert shares(90, wish, 100) == Shares(100, 0)
