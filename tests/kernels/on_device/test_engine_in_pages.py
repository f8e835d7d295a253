"""The engine's answers with Triton's kernels over pages, on a GPU from graphs, against those with caches side by side.

In fp32, and on a GPU without TF32, so that the texts are the same.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kernels.ops import Ops, ops_for
from model.checkpoints.load import Checkpoint, load_checkpoint, save_checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.engine import api
from model.engine.generation import ResidentModel
from model.engine.job import Job
from model.network.config import NetworkConfig
from model.network.paged_cache import PagedCache
from model.tokenizer import Tokenizer, tokenizer_json
from tests.kernels.on_device.conftest import IS_INTERPRETED
from tests.model.conftest import seeded_network


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    tokenizer_file = tmp_path / "bytes.json"
    tokenizer_file.write_text(tokenizer_json([("r", "e"), ("re", "t"), ("o", "o")]), "utf-8")
    network = NetworkConfig(
        vocab_size=Tokenizer.load(tokenizer_file).vocab_size,
        num_layers=2,
        d_model=48,
        num_heads=4,
        num_kv_heads=2,
        d_head=16,  # the kernels serve powers of two
        d_ff=96,
        qk_norm=True,
    )
    preset = Preset(
        name="tiny",
        network=network,
        sampling=Sampling(tau_mask=0.05, edits="insert-delete", first_block=6, block=6),
        rewrite="free",
        fix=True,
        context_tokens=192,
    )
    save_checkpoint(tmp_path / "tiny", seeded_network(network), preset, tokenizer_file, dtype=None)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield tmp_path / "tiny"
    torch.set_float32_matmul_precision(before)


def requests() -> list[api.DenoiseRequest]:
    prompt = api.Prompt(path="a.py", prefix="import a\n", line="x = re", tail="\n", suffix="")
    asked = [api.DenoiseRequest(id="1", prompt=prompt, canvas=(api.Masked(max_tokens=3),), stop="eom")]
    if not IS_INTERPRETED:  # there a pass takes a second
        long = api.Prompt(path="a.py", prefix="value = 1\n" * 12, line="y = ", tail="\n", suffix="")
        text = (api.Locked("a = "), api.Draft("bb"), api.Masked(max_tokens=4), api.Locked("\n"))
        hole = (api.Masked(max_tokens=8),)
        asked += [
            api.DenoiseRequest(id="2", prompt=prompt, canvas=hole, stop="eom", n=2, temperature=1.0, seed=3),
            api.DenoiseRequest(id="3", prompt=long, canvas=text, stop="eom"),
            api.DenoiseRequest(id="4", prompt=long, canvas=(api.Masked(max_tokens=40),), stop="eom", n=6, seed=5),
            api.DenoiseRequest(id="5", prompt=long, canvas=(api.Masked(max_tokens=9, guess="1, 2"),), stop="eom"),
        ]
    return asked


def answers(checkpoint: Checkpoint, device: torch.device, pages: Any) -> list[tuple[str, str, int]]:
    """What is answered, twice: the second time the prompt is known."""
    resident = ResidentModel(checkpoint, device, torch.float32, pages=pages)
    assert (resident._pages is None) == (pages == "none")
    loop = asyncio.new_event_loop()
    events = [event for asked in requests() * 2 for event in resident.run(Job(asked, loop))]
    loop.close()
    if resident._pages is not None:
        pool, idle = resident._pages.pool, resident.prefix_cache._idle
        assert idle is not None
        assert isinstance(idle[2], PagedCache)
        assert pool.num_free + len(idle[2].pages) == pool.k_LPGWK.shape[1]
    return [(event.text, event.reason, event.forwards) for event in events if isinstance(event, api.Done)]


def test_texts_are_those_of_caches_side_by_side(folder, device) -> None:
    checkpoint = load_checkpoint(folder, device, torch.float32)
    every: list[Ops | str] = [ops_for(device, "triton")]
    if not IS_INTERPRETED:
        every += ["auto", ops_for(device, "torch")]  # the last one without graphs
    wanted = answers(checkpoint, device, "none")
    assert IS_INTERPRETED or len({text for text, _, _ in wanted}) > 4
    for pages in every:
        assert answers(checkpoint, device, pages) == wanted
