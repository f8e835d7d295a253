"""A resident model in the form and with the context that its machine has room for."""

import logging
from pathlib import Path

import pytest

from model.checkpoints import fitting
from model.checkpoints.error import CheckpointError
from model.checkpoints.fitting import Precision
from model.checkpoints.memory import SPARE, need
from model.checkpoints.precision import is_small
from model.checkpoints.presets import Preset
from model.engine import api
from model.engine.generation import ResidentModel, load_resident
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder


def loaded(folder: Path, precision: Precision = "auto") -> ResidentModel:
    return load_resident(
        folder, device="cpu", dtype_name="bfloat16", precision=precision, num_threads=1, report=lambda *_: None
    )


def tiny(folder: Path, family: str) -> Path:
    path = folder / FAMILIES[family].name
    write_tiny_folder(path, family)
    return path


@pytest.mark.parametrize("family", ["dreamon", "stable-diffcoder-base"])
def test_8_bit_weights_answer_requests(family: str, tmp_path: Path, job_for) -> None:
    resident = loaded(tiny(tmp_path, family), "int8")
    assert is_small(resident.network)
    request = api.DenoiseRequest(
        id="1", prompt=api.Prompt(path="a.py", prefix="import a\n", line="x = "), canvas=(api.Masked(max_tokens=4),)
    )
    last = list(resident.run(job_for(request)))[-1]
    assert isinstance(last, api.Done)
    assert last.forwards > 0


def test_a_small_machine_cuts_the_context_and_says_so(tmp_path: Path, monkeypatch, caplog) -> None:
    folder = tiny(tmp_path, "sdar")
    whole = loaded(folder)
    most = whole.capabilities.context_tokens
    config = whole.network.config
    free = int(need(config, most - 200, "full", 2).total / (1 - SPARE))
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: free)
    with caplog.at_level(logging.WARNING, "seedling.engine"):
        cut = loaded(folder)
    assert most - 400 < cut.capabilities.context_tokens <= most - 200
    assert any(record.getMessage().startswith("memory: ") for record in caplog.records)
    assert not is_small(cut.network)
    used = cut.prefix_cache.working_bytes
    assert used <= cut.limits.max_bytes < whole.limits.max_bytes
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: 1000)
    with pytest.raises(CheckpointError, match="This model needs"):
        loaded(folder)


def test_our_own_model_gets_what_it_always_got(checkpoint_folder: Path, preset: Preset) -> None:
    resident = load_resident(
        checkpoint_folder, device="cpu", dtype_name="float32", num_threads=1, report=lambda *_: None
    )
    assert resident.capabilities.context_tokens == preset.context_tokens
    assert resident.limits.max_bytes == max(64 * 2**20, 4 * resident.prefix_cache.working_bytes)
