"""A private place for the engines of a test, with a tiny checkpoint; every engine started is killed at the end."""

import contextlib
import os
import re
import signal
import tempfile
import time
from pathlib import Path

import pytest

from lsp_server.engine_client.paths import EnginePaths, engine_paths


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory) -> Path:
    import torch

    from model.checkpoints.load import save_checkpoint
    from model.checkpoints.presets import Preset
    from model.network.config import tiny_test
    from model.network.transformer import Transformer
    from model.tokenizer import NUM_BASE, tokenizer_json

    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer_file = folder.with_name("tokenizer.json")
    tokenizer_file.write_text(tokenizer_json([]), "utf-8")
    config = tiny_test(NUM_BASE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Transformer(config)
    save_checkpoint(folder, network, Preset(name="tiny", network=config, context_tokens=256), tokenizer_file)
    return folder


@pytest.fixture
def place(checkpoint_folder, monkeypatch) -> EnginePaths:
    """The paths of this test's engine; nothing of the user's is touched."""
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        monkeypatch.setenv("SEEDLING_RUNTIME_DIR", folder)
        monkeypatch.setenv("XDG_STATE_HOME", f"{folder}/state")
        monkeypatch.setenv("SEEDLING_MODEL", str(checkpoint_folder))
        monkeypatch.delenv("SEEDLING_ENGINE", raising=False)
        paths = engine_paths()
        yield paths
        for pid in engine_pids(paths):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while any(is_running(pid) for pid in engine_pids(paths)) and time.monotonic() < end:
            time.sleep(0.01)


@pytest.fixture
def pids(place):
    """pids() → the process of every engine that ever listened in this test, in order."""
    return lambda: engine_pids(place)


def engine_pids(paths: EnginePaths) -> list[int]:
    try:
        log = paths.log.read_text("utf-8")
    except FileNotFoundError:
        return []
    return [int(pid) for pid in re.findall(r"listening, process (\d+)", log)]


def is_running(pid: int) -> bool:
    """A zombie has ended; its parent, a client of the test, has not asked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
