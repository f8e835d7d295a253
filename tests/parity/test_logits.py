"""Our network against the stock classes of transformers, weights and mask being the same: logits within 1e-5, fp32.

The mask is ours to give (4-D, additive): all rows visible, or blocks that see one another and what lies before. Dream
is Qwen2 with such a mask, LLaDA Llama, SDAR Qwen3, LLaDA 2 Glm4Moe (stock_experts.py); so every family's tiny folder
has an oracle that nobody here wrote.
"""

import re
from itertools import pairwise

import pytest
import torch
from torch import Tensor

transformers = pytest.importorskip("transformers", reason="the extra `parity` is not installed")

from model.checkpoints.families import family_of  # noqa: E402
from model.checkpoints.foreign_shape import read_json  # noqa: E402
from model.checkpoints.load import Checkpoint, load_checkpoint  # noqa: E402
from model.network.kv_cache import KVCache  # noqa: E402
from model.network.one_pass import Rows, one_pass  # noqa: E402
from model.tokenizer import MASK  # noqa: E402
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder  # noqa: E402
from tests.parity import stock_experts  # noqa: E402

ATOL = 1e-5
TEXT = "def add(a, b):\n    return a + b\n\nclass Point:\n    def __init__(self, x):\n        self.x = x\n"
NUM_ROWS = 75  # neither a multiple of 4 nor of 32
CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    **stock_experts.CLASSES,
}
LLADA_NAMES = (
    (r"^model\.transformer\.wte", "model.embed_tokens"),
    (r"^model\.transformer\.ln_f", "model.norm"),
    (r"^model\.transformer\.ff_out", "lm_head"),
    (r"^model\.transformer\.blocks\.(\d+)\.", r"model.layers.\1."),
    (r"\.([qkv])_proj", r".self_attn.\1_proj"),
    (r"\.attn_out", ".self_attn.o_proj"),
    (r"\.ff_proj", ".mlp.gate_proj"),
    (r"\.up_proj", ".mlp.up_proj"),
    (r"\.ff_out", ".mlp.down_proj"),
    (r"\.attn_norm", ".input_layernorm"),
    (r"\.ff_norm", ".post_attention_layernorm"),
)
"""LLaDA's names as Llama's, written here a second time: the families' file is what is tested."""


class Pair:
    """A family's tiny folder in our network and in the stock class."""

    def __init__(self, folder, family: str) -> None:
        weights = {name: weight.float() for name, weight in write_tiny_folder(folder, family).items()}
        self.ours: Checkpoint = load_checkpoint(folder, dtype=torch.float32)
        self.theirs = _stock_model(folder, family, weights)
        ids = self.ours.tokenizer.vocabulary.foreign_ids
        self.known = torch.tensor([id for id, foreign in enumerate(ids) if foreign is not None])
        self.foreign = torch.tensor([-1 if foreign is None else foreign for foreign in ids])

    def tokens(self, num_rows: int = NUM_ROWS, masked: slice = slice(0)) -> Tensor:
        ids = torch.tensor(self.ours.tokenizer.encode(TEXT * 5)[:num_rows])
        assert len(ids) == num_rows
        ids[masked] = MASK
        return ids

    def logits(self, hidden: Tensor) -> Tensor:
        return self.ours.network.logits(hidden)[..., self.known]

    @torch.no_grad()
    def wanted(self, ids: Tensor, visible_TT: Tensor) -> Tensor:
        """The stock class's logits of our ids, in our order."""
        mask = torch.zeros(visible_TT.shape).masked_fill(~visible_TT, torch.finfo(torch.float32).min)
        out = self.theirs(input_ids=self.foreign[ids][None], attention_mask=mask[None, None], use_cache=False)
        return out.logits[0][:, self.foreign[self.known]]


def _stock_model(folder, family: str, weights: dict[str, Tensor]):
    spec = read_json(folder / "config.json")
    described = family_of(folder)
    body = described.bodies[spec["model_type"]]
    kind = getattr(transformers, CLASSES[body])
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    shape = {key: spec[described.config_keys.get(key, key)] for key in keys}
    more = {key: spec[key] for key in ("head_dim", "vocab_size", "rms_norm_eps") if key in spec}
    rope: dict[str, object] = {"rope_parameters": {"rope_type": "default", "rope_theta": spec["rope_theta"]}}
    if body in stock_experts.CLASSES:
        rope |= stock_experts.experts_config(spec, body)
        weights = stock_experts.stock_weights(weights, spec, body)
    config = kind.config_class(
        **shape,
        **more,
        **rope,
        max_position_embeddings=512,
        tie_word_embeddings="lm_head.weight" not in weights and "model.transformer.ff_out.weight" not in weights,
        attn_implementation="eager",
    )
    model = kind(config).eval()
    if FAMILIES[family].llada:
        weights = {_llama_name(name): weight for name, weight in weights.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    return model


def _llama_name(name: str) -> str:
    for pattern, replacement in LLADA_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def block_causal(num_rows: int, unit: int) -> Tensor:
    """Row i sees row j if j's unit is not behind i's; the tests' own words for it."""
    units = torch.arange(num_rows) // unit
    return units[:, None] >= units[None, :]


def visible(pair: Pair, num_rows: int) -> Tensor:
    config = pair.ours.preset.network
    if config.attention == "full":
        return torch.ones(num_rows, num_rows, dtype=torch.bool)
    return block_causal(num_rows, config.cache_unit)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, tmp_path_factory) -> Pair:
    torch.set_num_threads(1)
    return Pair(tmp_path_factory.mktemp("tiny") / FAMILIES[request.param].name, request.param)


def test_forward(pair) -> None:
    ids = pair.tokens(masked=slice(50, 60))
    seen = visible(pair, NUM_ROWS)
    hidden = pair.ours.network(ids[None], torch.arange(NUM_ROWS)[None], None, seen[None])
    torch.testing.assert_close(pair.logits(hidden[0]), pair.wanted(ids, seen), atol=ATOL, rtol=0)


def test_attention_matters(pair) -> None:
    """Under another mask the logits are others, so the comparison can fail."""
    ids = pair.tokens()
    causal = torch.ones(NUM_ROWS, NUM_ROWS, dtype=torch.bool).tril()
    other = pair.wanted(ids, causal)
    assert (pair.wanted(ids, visible(pair, NUM_ROWS)) - other).abs().max() > 0.05


def test_one_pass_over_noisy_rows(pair) -> None:
    """All rows in one pass: how full attention runs, and the first block of the others."""
    config = pair.ours.preset.network
    num_rows = NUM_ROWS if config.attention == "full" else config.cache_unit
    ids = pair.tokens(num_rows, masked=slice(num_rows // 2, None))
    _, hidden = one_pass(pair.ours.network, KVCache(config), None, Rows(ids[None]))
    assert hidden is not None
    torch.testing.assert_close(pair.logits(hidden[0]), pair.wanted(ids, visible(pair, num_rows)), atol=ATOL, rtol=0)


BLOCK_CAUSAL = [name for name in FAMILIES if name.startswith(("stable", "sdar", "dllm-bd3lm", "fast", "llada2"))]


@pytest.mark.parametrize("pair", BLOCK_CAUSAL, indirect=True)
def test_blocks_over_a_cache(pair) -> None:
    """Prefill of whole units, a masked block, its commit with the next one: as without a cache, in one whole pass."""
    config = pair.ours.preset.network
    unit = config.cache_unit
    text = pair.tokens(4 * unit)
    first, second = text.clone(), text.clone()
    first[2 * unit + unit // 2 : 3 * unit] = MASK
    second[3 * unit + 1 :] = MASK
    cache = KVCache(config)
    _, noisy = one_pass(pair.ours.network, cache, Rows(text[None, : 2 * unit]), Rows(first[None, 2 * unit : 3 * unit]))
    assert noisy is not None
    wanted = pair.wanted(first[: 3 * unit], block_causal(3 * unit, unit))[-unit:]
    torch.testing.assert_close(pair.logits(noisy[0]), wanted, atol=ATOL, rtol=0)
    cache.advance(2 * unit)
    clean, noisy = one_pass(
        pair.ours.network, cache, Rows(text[None, 2 * unit : 3 * unit]), Rows(second[None, 3 * unit :])
    )
    assert clean is not None
    assert noisy is not None
    wanted = pair.wanted(second, block_causal(4 * unit, unit))[2 * unit :]
    torch.testing.assert_close(pair.logits(torch.cat((clean[0], noisy[0]))), wanted, atol=ATOL, rtol=0)


@pytest.mark.parametrize("pair", BLOCK_CAUSAL, indirect=True)
def test_cached_is_uncached(pair) -> None:
    """Every split of the prompt into units gives the last block the same logits."""
    config = pair.ours.preset.network
    unit = config.cache_unit
    ids = pair.tokens(4 * unit, masked=slice(3 * unit, None))
    found = []
    for cuts in ((), (1,), (2,), (1, 2)):
        cache = KVCache(config)
        edges = [0, *(cut * unit for cut in cuts)]
        for start, end in pairwise(edges):
            one_pass(pair.ours.network, cache, Rows(ids[None, start:end]), None)
            cache.advance(end - start)
        _, noisy = one_pass(
            pair.ours.network, cache, Rows(ids[None, edges[-1] : 3 * unit]), Rows(ids[None, 3 * unit :])
        )
        assert noisy is not None
        found.append(pair.logits(noisy[0]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=ATOL, rtol=0)
