"""The families of foreign weights: what each is, as data in families/*.json, and which one a folder belongs to.

A folder of the Hugging Face layout says its shape in config.json; what it does not say (how rows see each other, which
token is the mask, how it was meant to be sampled and asked) stands in its family's file, with its source. Left out:
fetching (pull.py), the shape (foreign_shape.py), the weights (foreign_weights.py).
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from model.checkpoints.error import CheckpointError
from model.checkpoints.foreign_shape import Body, WeightNames, read_json, shape_of
from model.checkpoints.foreign_tokenizer_files import tokenizer_spec
from model.checkpoints.presets import Preset, Sampling
from model.checkpoints.prompt_form import PromptForm
from model.checkpoints.weight_files import WeightFiles
from model.foreign_tokenizer import ForeignTokenizer, plain_spec, vocabulary_of
from model.tokenizer import TokenizerError

FOLDER = Path(__file__).parent / "families"
UNSERVED_FILE = "unserved.json"
CONFIG_FILE = "config.json"


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint that its makers publish. `published`: scores as they report them; nobody here measured them."""

    name: str
    repository: str
    parameters_billion: float
    revision: str = ""
    licence: str = ""
    published: dict[str, str | float] = {}


class Marks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a family is told from others of the same kind: one of these tokens, or one of these words in its name."""

    tokens: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """bodies: the model types of config.json, with the shape that each has. architectures: empty = any. kind: which of
    two families of equal shape, when a name or a chat template decides. config_keys: its keys for those of Llama;
    config_must: what config.json must say where it says anything. cache_unit_key, cache_unit_word: where the folder
    itself says the unit (a key of config.json, an expression for the name). special: our name → candidates: the text of
    a token, "#5" for the token of an id, "@mask_token" for what tokenizer_config.json calls so; the first that exists
    is taken, and a name without any is left out if the prompts do not use it. sources: where each fact comes from.
    """

    name: str
    title: str
    bodies: dict[str, Body]
    special: dict[str, tuple[str, ...]]
    sources: dict[str, str]
    architectures: tuple[str, ...] = ()
    marks: Marks | None = None
    kind: Literal["base", "instruct"] | None = None
    weights: WeightNames = WeightNames()
    config_keys: dict[str, str] = {}
    config_must: dict[str, Any] = {}
    attention: Literal["causal", "block-causal", "full"]
    cache_unit: int = 1
    cache_unit_key: str | None = None
    cache_unit_word: str | None = None
    shift: bool = False
    sampling: Sampling
    prompt: PromptForm | None = None
    languages: tuple[str, ...]
    complete: tuple[Literal["line", "block"], ...] = ()
    rewrite: Literal["none", "listed", "free"] = "none"
    fix: bool = False
    context_tokens: int
    checkpoints: tuple[Known, ...] = ()


@cache
def all_families() -> tuple[Family, ...]:
    """Every family, by name."""
    paths = sorted(path for path in FOLDER.glob("*.json") if path.name != UNSERVED_FILE)
    return tuple(msgspec.json.decode(path.read_bytes(), type=Family) for path in paths)


def family_named(name: str) -> Family:
    """Raises CheckpointError for a name that no family has."""
    for family in all_families():
        if family.name == name:
            return family
    known = ", ".join(family.name for family in all_families())
    raise CheckpointError(f"There is no family {name!r}; there are {known}.")


def is_foreign_folder(folder: Path) -> bool:
    """Whether a folder has the layout of Hugging Face and no preset of ours."""
    return (folder / CONFIG_FILE).is_file() and not (folder / "preset.json").is_file()


def family_of(folder: Path) -> Family:
    """The family of a folder that has a config.json. Raises CheckpointError with the reason why there is none."""
    config = read_json(folder / CONFIG_FILE)
    kind = str(config.get("model_type"))
    architectures = config.get("architectures") or []
    unserved: dict[str, str] = json.loads((FOLDER / UNSERVED_FILE).read_bytes())
    for key in (*architectures, kind):
        if key in unserved:
            raise CheckpointError(f"The model in {folder} cannot be used: {unserved[key]}.")
    found = [family for family in all_families() if _of_kind(family, kind, architectures)]
    if not found:
        shown = f"{kind!r}" + (f" ({', '.join(map(str, architectures))})" if architectures else "")
        raise CheckpointError(f"{folder} holds a model of the kind {shown}, which no known family is.")
    marked = [family for family in found if family.marks is not None and _has_mark(folder, config, family.marks)]
    found = marked or [family for family in found if family.marks is None]
    if len({family.kind for family in found}) > 1:
        wanted = "instruct" if _is_instruct(folder, config) else "base"
        found = [family for family in found if family.kind == wanted]
    if len(found) == 1:
        return found[0]
    named = [family.name for family in found or all_families() if _of_kind(family, kind, architectures)]
    raise CheckpointError(
        f"The model in {folder} may be of the family {' or '.join(named)}: its folder's name must say which."
    )


def family_preset(folder: Path, family: Family | None = None) -> Preset:
    """The preset of a foreign folder: its family's facts with its own shape. Raises CheckpointError."""
    folder = Path(folder)
    family = family or family_of(folder)
    path = folder / CONFIG_FILE
    config = read_json(path)
    for key, value in family.config_must.items():
        if key in config and config[key] != value:
            raise CheckpointError(f"{path} says {key} = {config[key]}, but only {value} is supported.")
    spec = tokenizer_spec(folder)
    special = special_of(folder, family, config, spec)
    unit = _cache_unit(folder, family, config)
    shape = shape_of(
        config,
        family.bodies[str(config["model_type"])],
        path=path,
        vocab_size=_num_ids(folder, spec, special),
        tied_head=f"{family.weights.head}.weight" not in WeightFiles(folder),  # config.json may leave it to its class
        keys=family.config_keys,
    )
    network = msgspec.structs.replace(
        shape, attention=family.attention, cache_unit=unit, shift=family.shift, state_vectors=False
    )
    sampling = family.sampling
    if unit > 1:
        sampling = msgspec.structs.replace(sampling, first_block=unit, block=unit)
    longest = config.get(family.config_keys.get("max_position_embeddings", "max_position_embeddings"))
    known = known_checkpoint(family, folder, config)
    return Preset(
        name=known.name if known else _name(folder),
        network=network,
        weights="huggingface",
        sampling=sampling,
        languages=family.languages,
        complete=family.complete,
        rewrite=family.rewrite,
        fix=family.fix,
        context_tokens=min(family.context_tokens, longest or family.context_tokens),
        family=family.name,
        prompt=family.prompt,
        special=special,
        licence=known.licence if known else "",
        repository=known.repository if known else "",
        revision=known.revision if known else "",
        published=known.published if known else {},
    )


def load_foreign_tokenizer(folder: Path, special: Mapping[str, str]) -> ForeignTokenizer:
    """Raises CheckpointError."""
    try:
        return ForeignTokenizer.from_spec(tokenizer_spec(folder), special, name=f"The tokenizer of {folder}")
    except TokenizerError as error:
        raise CheckpointError(f"{error.sentence}.") from None


def _num_ids(folder: Path, spec: dict[str, Any], special: Mapping[str, str]) -> int:
    name = f"The tokenizer of {folder}"
    try:
        vocabulary, _ = vocabulary_of(plain_spec(spec, name=name), special, name=name)
    except TokenizerError as error:
        raise CheckpointError(f"{error.sentence}.") from None
    return len(vocabulary.foreign_ids)


def special_of(folder: Path, family: Family, config: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, str]:
    """`Preset.special` of a folder: each name with its first candidate that is there. Raises CheckpointError."""
    known = {token["content"] for token in spec["added_tokens"]}
    described = folder / "tokenizer_config.json"
    texts = read_json(described) if described.is_file() else {}
    num_rows = int(config.get("vocab_size") or 0)
    needed = {"mask", "eom"} | (family.prompt.special_names if family.prompt else frozenset())
    special = {}
    for name, candidates in family.special.items():
        for candidate in candidates:
            text = _text_of(texts.get(candidate[1:])) if candidate.startswith("@") else candidate
            if text in known or (candidate.startswith("#") and int(candidate[1:]) < num_rows):
                special[name] = str(text)
                break
        else:
            if name in needed:
                raise CheckpointError(
                    f"The tokenizer of {folder} has no token {' or '.join(candidates)}, which the family "
                    f"{family.name} needs as {name}."
                )
    return special


def known_checkpoint(family: Family, folder: Path, config: Mapping[str, Any]) -> Known | None:
    """Which of a family's published checkpoints a folder's name names, if any."""
    name = _name_of(folder, config)
    named = [known for known in family.checkpoints if known.repository.split("/")[-1].lower() in name]
    return max(named, key=lambda known: len(known.repository), default=None)


def _of_kind(family: Family, kind: str, architectures: list[str]) -> bool:
    fits = not family.architectures or not architectures or set(family.architectures) & set(architectures)
    return kind in family.bodies and bool(fits)


def _has_mark(folder: Path, config: Mapping[str, Any], marks: Marks) -> bool:
    name = _name_of(folder, config)
    if any(word in name for word in marks.words):
        return True
    return bool(marks.tokens) and bool({t["content"] for t in tokenizer_spec(folder)["added_tokens"]} & {*marks.tokens})


def _is_instruct(folder: Path, config: Mapping[str, Any]) -> bool:
    """The folder's name says it; else whether there is a chat template."""
    name = _name_of(folder, config)
    if re.search(r"\bbase\b", name):
        return False
    if re.search(r"instruct|chat|cpgrpo", name):
        return True
    described = folder / "tokenizer_config.json"
    template = described.is_file() and read_json(described).get("chat_template")
    return bool(template) or (folder / "chat_template.jinja").is_file()


def _cache_unit(folder: Path, family: Family, config: Mapping[str, Any]) -> int:
    said = config.get(family.cache_unit_key) if family.cache_unit_key else None
    if isinstance(said, int) and said > 0:
        return said
    found = re.search(family.cache_unit_word, _name_of(folder, config)) if family.cache_unit_word else None
    return int(found[1]) if found else family.cache_unit


def _name(folder: Path) -> str:
    """The folder's name; of one in Hugging Face's own cache (models--OWNER--NAME/snapshots/HASH) the model's."""
    folder = folder.resolve()
    if folder.parent.name == "snapshots":
        return folder.parents[1].name.rpartition("--")[2].lower()
    return folder.name.lower()


def _name_of(folder: Path, config: Mapping[str, Any]) -> str:
    return f"{_name(folder)} {str(config.get('_name_or_path') or '').lower()}"


def _text_of(token: Any) -> str | None:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def weight_names(preset: Preset) -> WeightNames:
    """What the files of a preset's folder call the weights. Raises CheckpointError."""
    return family_named(preset.family).weights
