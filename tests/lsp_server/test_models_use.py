"""The user's settings after `seedling models use`: the model is chosen, and all else is as it was."""

import stat
from pathlib import Path

import pytest

from lsp_server import cli
from lsp_server.engine_client.paths import default_model
from lsp_server.models_use import ChoiceError, choose, folder_of
from lsp_server.user_settings import read_user_settings


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("config", "data"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    for name in ("SEEDLING_MODEL", "SEEDLING_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "config" / "seedling" / "settings.toml"


@pytest.fixture
def model(path: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "seedling" / "models" / "a-model"
    folder.mkdir(parents=True)
    return folder


def test_a_model_is_known_by_its_name_or_its_folder(model: Path, tmp_path: Path, monkeypatch) -> None:
    assert folder_of("a-model") == model.resolve()
    assert folder_of(str(model)) == model.resolve()
    assert folder_of("embedded") is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert folder_of("here") == tmp_path / "here"
    for named in ("no-model", "../models", ""):
        with pytest.raises(ChoiceError, match="seedling models list") if named != "" else pytest.raises(ChoiceError):
            folder_of(named or "no/such")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "# mine\nenabled = false # off\n",
        "model = '/old' # old\nenabled = false\n",
        "enabled = false\n\n[engine]\nfallback = 'local'\n",
        "[seedling]\nenabled = false\nmodel = '/old'\n",
        "[seedling]\nenabled = false\n\n[other]\nx = 1\n",
        "seedling.enabled = false\n",
    ],
)
def test_it_is_chosen_and_the_rest_stays(body: str, path: Path, model: Path, capsys) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(body)
    before = read_user_settings(path)
    assert choose(model) == 0
    after = read_user_settings(path)
    assert after.model == str(model)
    assert (after.values, after.engine) == (before.values, before.engine)
    assert default_model() == model.resolve()
    kept = [line for line in body.splitlines() if "model" not in line]
    assert [line for line in path.read_text().splitlines() if line in kept and line] == [line for line in kept if line]
    assert str(path) in capsys.readouterr().out

    assert choose(None) == 0
    assert read_user_settings(path).model is None
    assert read_user_settings(path).values == before.values
    assert default_model().name == "embedded"
    assert "embedded" in capsys.readouterr().out


def test_a_new_file_is_the_users_alone(path: Path, model: Path) -> None:
    choose(model)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    choose(None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [found.name for found in path.parent.iterdir()] == ["settings.toml"]


def test_a_link_stays_one(path: Path, model: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("enabled = true\n")
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    choose(model)
    assert path.is_symlink()
    assert "a-model" in real.read_text()


@pytest.mark.parametrize("body", [b"model = \n", b"\xff\xfe", b"[a]\n[a]\n"])
def test_a_broken_file_is_left_as_it_is(body: bytes, path: Path, model: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    with pytest.raises(ChoiceError, match="left as it is"):
        choose(model)
    assert path.read_bytes() == body


def test_a_file_that_is_not_heeded_is_no_success(path: Path, model: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("")
    path.chmod(0o666)
    with pytest.raises(ChoiceError, match="other users may write"):
        choose(model)


def test_what_wins_over_it_is_said(path: Path, model: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SEEDLING_MODEL", "/else")
    monkeypatch.setenv("SEEDLING_ENGINE", "unix:/x")
    choose(model)
    said = capsys.readouterr().out
    assert "SEEDLING_MODEL is set" in said
    assert "another engine is named" in said


def test_the_command_asks_the_models_side_first(path: Path, model: Path, monkeypatch) -> None:
    asked: list[list[str]] = []
    answers = [2, 0]
    monkeypatch.setattr("model.cli.main", lambda words: asked.append(words) or answers.pop(0))
    assert cli.main(["models", "use", "a-model"]) == 2
    assert not path.exists()
    assert cli.main(["models", "use", "a-model"]) == 0
    assert asked == [["models", "use", str(model.resolve())]] * 2
    assert read_user_settings(path).model == str(model.resolve())
    assert cli.main(["models", "use", "embedded"]) == 0
    assert len(asked) == 2
    assert read_user_settings(path).model is None


def test_a_name_that_nothing_has_is_one_sentence(path: Path, capsys) -> None:
    assert cli.main(["models", "use", "no-model"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not path.exists()


def test_list_is_told_what_is_in_use(path: Path, model: Path, monkeypatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("model.cli.main", lambda words: asked.append(words) or 0)
    choose(model)
    assert cli.main(["models", "list"]) == 0
    assert cli.main(["models", "check", "x"]) == 0
    assert asked == [["models", "list", "--in-use", str(model.resolve())], ["models", "check", "x"]]
