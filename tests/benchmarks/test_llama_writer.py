"""llama.cpp runs the exported file as the same network, and guessing changes no text. Needs the extra `bench`."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gguf_export import export_gguf
from benchmarks.lines import Preparer
from benchmarks.writers import OurWriter
from model.checkpoints.load import Checkpoint
from model.checkpoints.presets import Preset
from model.evaluation.decode import Decoder, Place
from model.network.config import NetworkConfig
from model.network.transformer import Transformer

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (the extra bench)")


@pytest.fixture(scope="module")
def wide(checkpoint: Checkpoint) -> Checkpoint:
    """A toy whose heads have a size that llama.cpp knows."""
    config = NetworkConfig(
        vocab_size=checkpoint.tokenizer.vocab_size,
        num_layers=2,
        d_model=64,
        num_heads=2,
        num_kv_heads=1,
        d_head=32,
        d_ff=128,
        qk_norm=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Transformer(config).eval()
        for parameter in network.parameters():
            parameter.data.mul_(2.0)
    preset = Preset(name="wide", network=config, context_tokens=256)
    return Checkpoint(network.requires_grad_(False), checkpoint.tokenizer, preset)


def test_logits_and_lines(wide: Checkpoint, places: list[Place], tmp_path: Path) -> None:
    from benchmarks.llama_writer import LlamaWriter

    path = tmp_path / "wide.gguf"
    export_gguf(wide.network, path, name="wide", context_tokens=256, matrices="F16")
    theirs = LlamaWriter(path, context_tokens=384, num_threads=1, token_bytes=wide.tokenizer.token_bytes)
    decoder, ours, preparer = Decoder(wide), OurWriter(wide), Preparer(wide)
    for place in places:
        task = preparer.place_task(place, "eom")
        ids = task.prepared.prompt_ids
        with torch.inference_mode():
            expected = wide.network.logits(decoder.clean_pass(decoder.fresh_cache(), ids)).numpy()
        np.testing.assert_allclose(theirs.logits(ids), expected, atol=0.02 * np.abs(expected).max())
        ours.warm(task)
        line = ours.one_by_one(task)
        theirs.warm(task)
        lone = theirs.write(task)
        theirs.warm(task)
        guessed = theirs.write_guessing(task)
        assert guessed.ids == lone.ids
        assert guessed.forwards <= lone.forwards
        assert lone.ids[:8] == line.ids[:8]  # the toy is never sure, so rounding may tell later
    theirs.close()
