"""A tiny checkpoint on disk with a byte tokenizer, and the engine's parts over it."""

import asyncio
import json
import time

import pytest

from model.checkpoints.load import save_checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.engine import api
from model.engine.encoder import LineEncoder
from model.engine.job import Job
from model.foreign_tokenizer import ForeignTokenizer
from model.network.config import tiny_test
from model.tokenizer import NUM_BASE, Tokenizer, tokenizer_json
from tests.model.checkpoints.tiny_folders import FAMILIES, tiny_tokenizer

SPECIAL = {
    "bos": "<|beginoftext|>",
    "eom": "<|im_end|>",
    "mask": "<|mask|>",
    "im_start": "<|im_start|>",
    "fim_prefix": "<|fim_prefix|>",
    "fim_middle": "<|fim_middle|>",
    "fim_suffix": "<|fim_suffix|>",
}


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(tokenizer_json([("r", "e"), ("re", "t"), ("ret", "u"), ("Ġ", "="), ("o", "o")]), "utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file) -> Tokenizer:
    return Tokenizer.load(tokenizer_file)


@pytest.fixture(scope="session")
def preset(tokenizer) -> Preset:
    """One token a step (a threshold above 1), so that runs are long and countable."""
    return Preset(
        name="tiny",
        network=tiny_test(tokenizer.vocab_size),
        sampling=Sampling(tau_mask=2.0, edits="insert-delete"),
        rewrite="free",
        fix=True,
        context_tokens=512,
    )


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory, make_network, tokenizer_file, preset):
    assert preset.network.vocab_size == NUM_BASE + 5
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(folder, make_network(preset.network), preset, tokenizer_file, dtype=None)
    return folder


@pytest.fixture(scope="session")
def loaded(checkpoint_folder):
    """(resident model, what it reported while loading). fp32 and one thread: texts are exact."""
    from model.engine.generation import load_resident

    reports: list[tuple[float, str]] = []
    resident = load_resident(
        checkpoint_folder,
        device="cpu",
        dtype_name="float32",
        num_threads=1,
        report=lambda progress, sentence: reports.append((progress, sentence)),
    )
    return resident, reports


@pytest.fixture
def resident(loaded):
    return loaded[0]


@pytest.fixture
def ask():
    """Builds a request from the text around the cursor and any field of the request."""

    def build(line: str = "x = ", *, prefix: str = "import a\n", suffix: str = "", **fields) -> api.DenoiseRequest:
        tail = fields.pop("tail", "\n")
        instruction = fields.pop("instruction", None)
        prompt = api.Prompt(path="a.py", prefix=prefix, line=line, tail=tail, suffix=suffix, instruction=instruction)
        return api.DenoiseRequest(**{"id": "1", "prompt": prompt, "stop": "eom", **fields})

    return build


@pytest.fixture
def job_for():
    """A job outside any event loop, for driving the resident by hand."""
    loop = asyncio.new_event_loop()
    yield lambda request: Job(request, loop)
    loop.close()


@pytest.fixture
def until():
    """until(condition): polls a condition, fails after a minute."""

    async def wait(condition) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "the condition never held"
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def foreign() -> ForeignTokenizer:
    spec = json.loads(tiny_tokenizer(FAMILIES["dreamon"]).to_str())
    return ForeignTokenizer.from_spec(spec, SPECIAL, name="tokenizer.json")


@pytest.fixture(scope="session")
def encoder(foreign) -> LineEncoder:
    return LineEncoder(foreign)


@pytest.fixture(scope="session")
def read(foreign):
    """Ids as text, special tokens by name in angle brackets."""
    names = {id: f"⟨{name}⟩" for name, id in foreign.vocabulary.special_ids.items()}
    return lambda ids: "".join(names.get(id) or foreign.decode([id]) for id in ids)
