"""`seedling models list|pull|check|use` as a user types them, against a hub on loopback and tiny folders."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lsp_server import cli
from lsp_server.engine_client.paths import default_model
from model.checkpoints import fitting, pull_command
from model.checkpoints.families import all_families
from model.checkpoints.hub import Hub
from model.checkpoints.load import load_checkpoint, load_preset
from model.checkpoints.on_disk import offered
from tests.model.checkpoints.fake_hub import COMMIT, FakeHub, serve_hub
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder

NAME, FAMILY, REPOSITORY = "dreamon-7b", "dreamon", "Dream-org/DreamOn-v0-7B"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("config", "data", "cache", "state"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("SEEDLING_MODEL", "SEEDLING_ENGINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    write_tiny_folder(home / "remote", FAMILY)
    files = {path.name: path.read_bytes() for path in (home / "remote").iterdir()}
    with serve_hub({REPOSITORY: files, "somebody/unknown": {**files, "config.json": b'{"model_type": "gpt2"}'}}) as hub:
        monkeypatch.setattr(pull_command, "Hub", lambda: Hub(hub.url))
        yield hub


def seedling(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["models", *words])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def tiny(folder: Path, family: str) -> Path:
    path = folder / FAMILIES[family].name
    write_tiny_folder(path, family)
    return path


def test_from_the_hub_into_the_settings_and_back(hub: FakeHub, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "data" / "seedling" / "models" / NAME
    code, out, err = seedling(capsys, "pull", NAME)  # nobody can be asked here
    assert (code, err.count("\n")) == (2, 1)
    assert "--yes" in err
    assert not folder.exists()
    for fact in (REPOSITORY, COMMIT[:12], "licence   mit (when this program was made: Apache-2.0)", str(folder)):
        assert fact in out

    assert seedling(capsys, "pull", NAME, "--yes")[0] == 0
    assert not list(folder.glob("*.py"))
    preset = load_preset(folder)
    assert (preset.name, preset.family, preset.licence) == (NAME, FAMILY, "mit")
    assert (preset.repository, preset.revision) == (REPOSITORY, COMMIT)
    assert preset.published
    assert "here" in next(line for line in seedling(capsys, "list")[1].splitlines() if line.startswith(NAME))
    assert seedling(capsys, "pull", NAME)[0] == 0  # all of it is here: nothing to ask

    code, out, _ = seedling(capsys, "check", NAME)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["layout", "weights", "tokens", "memory", "pass", "It"]

    assert seedling(capsys, "use", NAME)[0] == 0
    assert default_model() == folder.resolve()
    assert "in use" in next(line for line in seedling(capsys, "list")[1].splitlines() if line.startswith(NAME))
    assert seedling(capsys, "use", "embedded")[0] == 0
    assert default_model().name == "embedded"


def test_an_interrupted_pull_is_shown_and_gone_on_with(hub: FakeHub, home: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000)
    hub.cut_after, hub.then_fails_with = 10_000, 503
    code, _, err = seedling(capsys, "pull", NAME, "--yes")
    assert code == 2
    assert "the same command goes on with it" in err
    assert "not whole yet" in next(line for line in seedling(capsys, "list")[1].splitlines() if line.startswith(NAME))
    assert "pull goes on" in seedling(capsys, "use", NAME)[2]
    hub.fails_with = None
    code, out, _ = seedling(capsys, "pull", NAME, "--yes")
    assert (code, "of which" in out) == (0, True)
    assert load_checkpoint(home / "data" / "seedling" / "models" / NAME).preset.name == NAME


def test_ctrl_c_says_that_it_goes_on(hub: FakeHub, home: Path, capsys, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pull_command.Progress, "add", interrupt)
    code, _, err = seedling(capsys, "pull", NAME, "--yes")
    assert code == 130
    assert "goes on where it was" in err


def test_a_repository_of_no_known_family_costs_no_weights(hub: FakeHub, capsys) -> None:
    code, _, err = seedling(capsys, "pull", "somebody/unknown", "--yes")
    assert code == 2
    assert "'gpt2'" in err
    assert not any("safetensors" in path and "index" not in path for path, _ in hub.asked)


@pytest.mark.parametrize("words", [["pull", "no-such-model"], ["check", "no-such-model"], ["use", "no-such-model"]])
def test_an_unknown_name_is_one_sentence(words: list[str], home: Path, capsys) -> None:
    code, out, err = seedling(capsys, *words)
    assert code in (1, 2)
    assert out == ""
    assert "seedling models list" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_check_accepts_the_real_layout_of_every_family(family: str, home: Path, capsys) -> None:
    code, out, err = seedling(capsys, "check", str(tiny(home, family)))
    assert (code, err) == (0, "")
    assert f"family {family}" in out
    assert "finite" in out


def test_use_makes_a_folder_a_checkpoint_and_check_does_not(home: Path, capsys) -> None:
    folder = tiny(home, "sdar")
    assert seedling(capsys, "check", str(folder), "--without-pass")[0] == 0
    assert not (folder / "preset.json").exists()
    assert seedling(capsys, "use", str(folder))[0] == 0
    assert load_preset(folder).family == "sdar"
    assert default_model() == folder
    assert "a folder of your own" in seedling(capsys, "list")[1]


def _without(folder: Path, name: str) -> None:
    for path in folder.glob("*.safetensors"):
        weights = {key: weight for key, weight in load_file(path).items() if key != name}
        save_file(weights, path)


def _with_keys(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def _damage(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        save_file({key: torch.full_like(weight, torch.nan) for key, weight in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: _without(f, "model.layers.1.mlp.up_proj.weight"), "lacks the weight model.layers.1.mlp.up_proj"),
        (lambda f: _with_keys(f, intermediate_size=72), "do not fit its config.json"),
        (lambda f: _with_keys(f, model_type="gpt2", architectures=["GPT2LMHeadModel"]), "'gpt2'"),
        (lambda f: _with_keys(f, rope_scaling={"type": "yarn", "factor": 4.0}), "rotary positions"),
        (lambda f: next(f.glob("*.safetensors")).write_bytes(b"\x10"), "safetensors"),
        (lambda f: (f / "model-00002-of-00002.safetensors").unlink(), "not whole"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
        (lambda f: (f / "config.json").write_text("{"), "not JSON"),
        (_damage, "not finite"),
    ],
)
def test_check_refuses_a_wrong_folder_with_the_reason(change, sentence: str, home: Path, capsys) -> None:
    folder = tiny(home, "sdar")
    change(folder)
    code, _, err = seedling(capsys, "check", str(folder))
    assert code == 2
    assert err.count("\n") == 1
    assert sentence in err


def test_check_says_that_memory_is_short_before_it_reads(home: Path, capsys, monkeypatch) -> None:
    folder = tiny(home, "sdar")
    monkeypatch.setattr(fitting, "free_bytes", lambda *_: 100_000)
    monkeypatch.setattr("model.checkpoints.check.load_checkpoint", lambda *_, **__: pytest.fail("it was read"))
    code, _, err = seedling(capsys, "check", str(folder))
    assert code == 2
    assert "This model needs" in err


@pytest.mark.parametrize(("words", "named"), [(["--device", "warp"], "warp"), (["--precision", "fp8"], "NVIDIA GPU")])
def test_check_refuses_what_this_machine_has_not(words: list[str], named: str, home: Path, capsys) -> None:
    code, _, err = seedling(capsys, "check", str(tiny(home, "sdar")), "--without-pass", *words)
    assert (code, named in err, err.count("\n")) == (2, True, 1)


def test_check_tries_integers(home: Path, capsys) -> None:
    code, out, _ = seedling(capsys, "check", str(tiny(home, "dreamon")), "--precision", "int8")
    assert code == 0
    assert "int8" in out


def test_every_offered_model_has_a_name_of_its_own() -> None:
    offers = offered()
    assert len({offer.known.name for offer in offers}) == len(offers)
    assert len({offer.known.repository for offer in offers}) == len(offers)
    assert {offer.family.name for offer in offers} == {family.name for family in all_families() if family.checkpoints}
    for offer in offers:
        assert "/" not in offer.known.name
        assert offer.known.licence, offer.known.name


def test_list_names_them_all_and_marks_scores_as_published(home: Path, capsys) -> None:
    code, out, _ = seedling(capsys, "list")
    assert code == 0
    for offer in offered():
        assert any(line.startswith(offer.known.name) for line in out.splitlines())
    assert "published by its makers: HumanEval" in out
    assert next(line for line in out.splitlines() if line.startswith("embedded")).endswith("in use")
