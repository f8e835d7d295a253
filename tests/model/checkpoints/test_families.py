"""Each folder finds its family; what no family is says why."""

import json

import msgspec
import pytest

from model.checkpoints.error import CheckpointError
from model.checkpoints.families import all_families, family_named, family_of, family_preset
from model.checkpoints.load import load_preset
from model.checkpoints.presets import decode_preset, encode_preset
from model.tokenizer import EOM, MASK
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder


def folder_of(tmp_path, family: str, name: str | None = None):
    path = tmp_path / (name or FAMILIES[family].name)
    write_tiny_folder(path, family)
    return path


def change(path, **changes) -> None:
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def test_every_family_has_a_tiny_folder() -> None:
    assert {family.name for family in all_families()} == FAMILIES.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_finds_its_family_and_its_published_self(tmp_path, name) -> None:
    folder = folder_of(tmp_path, name)
    family = family_of(folder)
    assert family.name == name
    preset = load_preset(folder)
    assert (preset.family, preset.weights, preset.network.state_vectors) == (name, "huggingface", False)
    assert preset.repository.endswith("/" + FAMILIES[name].name)
    assert preset.licence
    assert (preset.network.attention, preset.network.shift) == (family.attention, family.shift)
    assert decode_preset(encode_preset(preset)) == preset


@pytest.mark.parametrize("family", all_families(), ids=lambda family: family.name)
def test_facts_have_their_sources(family) -> None:
    wanted = {"mask", "special", "attention", "sampling", "context_tokens", "licence"}
    wanted |= {"shift"} if family.shift else set()
    wanted |= {"prompt"} if family.prompt else set()
    wanted |= {"length"} if family.sampling.length != "grows" else set()
    assert wanted - family.sources.keys() == set()
    assert (family.cache_unit > 1) == (family.attention == "block-causal")
    assert family.prompt is not None
    assert bool(family.complete) == (family.prompt.hole is not None)
    assert (family.rewrite == "free") == family.fix == (family.prompt.chat is not None)
    assert family.prompt.special_names <= family.special.keys()
    assert (family.sampling.caching == "none") == (family.attention == "full")
    assert family.kind != "instruct" or family.special["eom"] != ("<|endoftext|>",)


def test_published_checkpoints_have_names_of_their_own() -> None:
    names = [known.name for family in all_families() for known in family.checkpoints]
    assert len(names) == len(set(names))
    assert all(known.licence for family in all_families() for known in family.checkpoints)


@pytest.mark.parametrize(
    ("written", "name", "found"),
    [
        ("stable-diffcoder-base", "mine", "stable-diffcoder-base"),  # no chat template
        ("stable-diffcoder-instruct", "mine", "stable-diffcoder-instruct"),
        ("stable-diffcoder-instruct", "some-base-model", "stable-diffcoder-base"),  # a name goes before a template
        ("llada-base", "my-llada-instruct", "llada-instruct"),
        ("dream-instruct", "mine", "dream-instruct"),
        ("dreamon", "mine", "dreamon"),  # by its token
        ("diffucoder-instruct", "mine", "diffucoder-instruct"),
        ("dream-coder-base", "mine", "dream-base"),  # the same files but for the name
        ("llada2.1", "LLaDA2.0-mini", "llada2"),
        ("llada2", "my-LLaDA2.1-tune", "llada2.1"),
    ],
)
def test_a_name_or_a_token_or_a_template_decides(tmp_path, written, name, found) -> None:
    assert family_of(folder_of(tmp_path, written, name)).name == found


def test_a_folder_in_the_cache_of_hugging_face_has_its_models_name(tmp_path) -> None:
    folder = folder_of(tmp_path, "dllm-bd3lm", "models--dllm-hub--Qwen3-0.6B-diffusion-bd3lm-v0.1/snapshots/0123abc")
    preset = load_preset(folder)
    assert (preset.family, preset.name) == ("dllm-bd3lm", "qwen3-0.6b-bd3lm")


def test_where_only_a_name_could_decide(tmp_path) -> None:
    folder = folder_of(tmp_path, "dllm-mdlm", "mine")
    with pytest.raises(CheckpointError, match="may be of the family dllm-bd3lm or dllm-mdlm: its folder's name must"):
        family_of(folder)
    preset = family_preset(folder, family_named("dllm-bd3lm"))
    (folder / "preset.json").write_bytes(encode_preset(preset))
    assert load_preset(folder).network.cache_unit == 32


def test_the_unit_of_a_folder(tmp_path) -> None:
    folder = folder_of(tmp_path, "sdar", "SDAR-8B-Chat-b16")
    assert family_preset(folder).network.cache_unit == 4  # config.json says it
    change(folder / "config.json", block_size=...)
    preset = family_preset(folder)
    assert (preset.network.cache_unit, preset.sampling.block, preset.sampling.first_block) == (16, 16, 16)
    assert family_preset(folder_of(tmp_path, "fast-dllm-v2")).sampling.block == 32


def test_the_window_is_the_smaller_of_two(tmp_path) -> None:
    folder = folder_of(tmp_path, "llada-base")
    assert family_preset(folder).context_tokens == 4096
    change(folder / "config.json", max_sequence_length=512)
    assert family_preset(folder).context_tokens == 512


def test_special_tokens_by_other_names(tmp_path) -> None:
    """SDAR's mask is whatever tokenizer_config.json calls so."""
    folder = folder_of(tmp_path, "sdar")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("<|MASK|>", "<|other|>"))
    preset = family_preset(folder)
    assert preset.special["mask"] == "<|other|>"


@pytest.mark.parametrize(
    ("family", "changes", "says"),
    [
        ("sdar", {"model_type": "wedlm", "architectures": ["WeDLMForCausalLM"]}, "cannot be used: WeDLM reads"),
        ("sdar", {"model_type": "nemotron_labs_diffusion"}, "scales its rotary positions"),
        ("llada-base", {"architectures": ["LLaDAMoEModelLM"]}, "mixture of experts"),
        ("llada2", {"expert_capacity": 48}, "says expert_capacity = 48, but only None is supported"),
        ("llada2.1", {"delete_token_id": 156930}, "says delete_token_id = 156930, but only None is supported"),
        ("sdar-moe", {"mlp_only_layers": [1]}, "has experts in some layers only"),
        ("llada2", {"topk_group": 5}, "does not describe a whole model"),
        ("sdar", {"model_type": "gpt2", "architectures": ["GPT2"]}, r"kind 'gpt2' \(GPT2\), which no known family is"),
        ("open-dcoder", {"model_type": "qwen3", "architectures": None}, "kind 'qwen3', which no known family is"),
        ("dream-base", {"architectures": ["DreamForCausalLM"]}, "which no known family is"),
        ("dream-base", {"rope_scaling": {"type": "yarn", "factor": 4}}, r"scales its rotary positions \(yarn\)"),
        ("dream-base", {"use_sliding_window": True}, "sliding window"),
        ("llada-base", {"alibi": True}, "says alibi = True, but only False is supported"),
        ("llada-base", {"activation_type": "gelu"}, "uses gelu instead of silu"),
        ("sdar", {"attention_bias": True}, "biases that our network has not"),
        ("sdar", {"num_hidden_layers": None}, "does not describe a whole model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_no_family_is_says_why(tmp_path, family, changes, says) -> None:
    folder = folder_of(tmp_path, family)
    change(folder / "config.json", **changes)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_preset(folder)
    assert str(folder) in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    assert "\n" not in caught.value.sentence


def test_an_ordinary_qwen_is_no_diffusion_model(tmp_path) -> None:
    folder = folder_of(tmp_path, "open-dcoder", "Qwen2.5-Coder-0.5B")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("<M>", "<N>"))
    with pytest.raises(CheckpointError, match="may be of the family open-dcoder"):
        load_preset(folder)


def test_a_token_that_a_family_needs_and_a_folder_lacks(tmp_path) -> None:
    folder = folder_of(tmp_path, "dllm-mdlm")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text((folder / name).read_text().replace("<|im_end|>", "<|other|>"))
    with pytest.raises(CheckpointError, match=r"no token <\|im_end\|>, which the family dllm-mdlm needs as eom"):
        load_preset(folder)


def test_names_of_families() -> None:
    assert family_named("sdar").name == "sdar"
    with pytest.raises(CheckpointError, match="There is no family 'x'; there are coda-base, "):
        family_named("x")


def test_reserved_names_stand_on_their_ids(tmp_path) -> None:
    from model.checkpoints.load import load_tokenizer

    folder = folder_of(tmp_path, "dreamon")
    tokenizer = load_tokenizer(folder, load_preset(folder))
    assert (tokenizer.special_id("mask"), tokenizer.special_id("eom")) == (MASK, EOM)


def test_presets_of_before_still_load() -> None:
    old = b'{"name": "a", "network": {"vocab_size": 1, "num_layers": 1, "d_model": 2, "num_heads": 1, '
    old += b'"num_kv_heads": 1, "d_head": 2, "d_ff": 2}}'
    preset = decode_preset(old)
    assert (preset.network.attention, preset.network.cache_unit, preset.family) == ("causal", 1, "")
    with pytest.raises(msgspec.ValidationError, match="cache_unit"):
        decode_preset(old.replace(b'"d_ff": 2', b'"d_ff": 2, "cache_unit": 4'))
