"""The user's own file: every key, two more than the editor may send, and what wins over what."""

from pathlib import Path

import pytest

from lsp_server.settings import Settings, parse_settings
from lsp_server.user_settings import EngineChoice, chosen_engine, chosen_model, read_user_settings, user_settings_path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("SEEDLING_MODEL", "SEEDLING_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "seedling" / "settings.toml"
    path.parent.mkdir()
    return path


def settings(path: Path, *editor: object) -> Settings:
    return parse_settings(*editor, user=read_user_settings(path).values).settings


def test_where_it_is(path: Path) -> None:
    assert user_settings_path() == path
    assert read_user_settings().sentences == ()  # there is none yet


@pytest.mark.parametrize(
    "body",
    [
        "manual_only = true\nlanguages = ['python']\nconfidence = 1",
        "manualOnly = true\nlanguages = ['python']\nconfidence = 1.0",
        "[seedling]\nmanual_only = true\nlanguages = ['python']\nconfidence = 1",
    ],
)
def test_both_spellings_flat_or_in_a_table(path: Path, body: str) -> None:
    path.write_text(body)
    assert read_user_settings(path).sentences == ()
    assert settings(path) == Settings(manual_only=True, languages=("python",), confidence=1.0)


def test_it_may_name_an_engine_and_a_model_and_the_environment_wins(path: Path, monkeypatch) -> None:
    path.write_text("engine = 'unix:/run/e.sock'\nmodel = '/models/one'\nenabled = false\n")
    read = read_user_settings(path)
    assert (read.engine.url, read.model, read.sentences) == ("unix:/run/e.sock", "/models/one", ())
    assert settings(path) == Settings(enabled=False)
    assert (chosen_engine().url, chosen_model()) == ("unix:/run/e.sock", "/models/one")
    monkeypatch.setenv("SEEDLING_MODEL", "/models/two")
    assert (chosen_engine().url, chosen_model()) == (None, "/models/two")  # another model is another engine
    monkeypatch.setenv("SEEDLING_ENGINE", "unix:/run/f.sock")
    assert chosen_engine().url == "unix:/run/f.sock"


@pytest.mark.parametrize(
    "body",
    [
        "[engine]\nurl = 'https://box:8443'\nfallback = 'local'\nca = '/ca.pem'\ntoken_file = '/token'",
        "engine.url = 'https://box:8443'\nengine.fallback = 'local'\nengine.ca='/ca.pem'\nengine.tokenFile = '/token'",
        "[seedling.engine]\nurl = 'https://box:8443'\nfallback = 'local'\nca = '/ca.pem'\ntokenFile = '/token'",
    ],
)
def test_an_engine_on_another_machine_is_a_table(path: Path, monkeypatch, body: str) -> None:
    path.write_text(body)
    assert read_user_settings(path).sentences == ()
    chosen = EngineChoice(url="https://box:8443", fallback="local", ca="/ca.pem", token_file="/token")
    assert chosen_engine() == chosen
    monkeypatch.setenv("SEEDLING_ENGINE_CA", "/other.pem")
    monkeypatch.setenv("SEEDLING_ENGINE_FALLBACK", "none")
    assert chosen_engine() == EngineChoice(url="https://box:8443", ca="/other.pem", token_file="/token")
    monkeypatch.setenv("SEEDLING_ENGINE", "https://elsewhere:8443")
    assert chosen_engine().token_file is None, "a token is for its own engine alone"
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN_FILE", "/tokens/elsewhere")
    assert chosen_engine().token_file == "/tokens/elsewhere"


def test_wrong_values_of_an_engine_are_named(path: Path) -> None:
    path.write_text("[engine]\nurl = 'https://box:8443'\nfallback = 'remote'\ntoken = 'x'\n")
    read = read_user_settings(path)
    assert read.engine == EngineChoice(url="https://box:8443")
    assert len(read.sentences) == 2
    assert any("engine.token_file" in sentence for sentence in read.sentences)


def test_the_engines_paths_follow_it(path: Path, monkeypatch) -> None:
    from lsp_server.engine_client.endpoint import endpoint_from_environment
    from lsp_server.engine_client.paths import default_model

    path.write_text(f"model = '{path.parent}'")
    assert default_model() == path.parent
    assert endpoint_from_environment() is None
    path.write_text("engine = 'unix:/run/e.sock'")
    endpoint = endpoint_from_environment()
    assert endpoint is not None
    assert endpoint.socket == "/run/e.sock"


def test_unknown_forbidden_and_wrong_keys_are_named_once_each(path: Path) -> None:
    path.write_text("manual_onyl = true\ntoken = 'x'\nconfidence = 'high'\ncontext = 'all'\nmodel = 3\nenabled = false")
    read = read_user_settings(path)
    assert dict(read.values) == {"enabled": False}
    assert read.model is None
    assert len(read.sentences) == 5
    assert all(str(path) in sentence and sentence.endswith(".") for sentence in read.sentences)
    assert any("manual_only" in sentence for sentence in read.sentences)


def test_a_broken_file_is_one_sentence(path: Path) -> None:
    path.write_text("enabled = false\nenabled = true")
    assert len(read_user_settings(path).sentences) == 1
    assert settings(path) == Settings()


def test_a_file_that_others_may_write_names_no_engine(path: Path) -> None:
    path.write_text("engine = 'unix:/run/e.sock'\nmanual_only = true")
    path.chmod(0o666)
    read = read_user_settings(path)
    assert (read.engine, len(read.sentences)) == (EngineChoice(), 1)
    assert "chmod" in read.sentences[0]
    assert dict(read.values) == {"manual_only": True}


def test_it_wins_over_what_the_editor_sends(path: Path) -> None:
    # VS Code sends every setting with its default.
    editor = {"confidence": 0.4, "comments": False, "multiLine": True, "maxFileBytes": 1_000_000}
    path.write_text("confidence = 0.1\ncomments = true\nmulti_line = false\nmax_file_bytes = 5")
    assert settings(path, editor) == Settings(confidence=0.1, comments=True, multi_line=False, max_file_bytes=5)


@pytest.mark.parametrize(
    ("body", "editor", "expected"),
    [
        ("enabled = true", {"enabled": False}, Settings(enabled=False)),
        ("enabled = false", {"enabled": True}, Settings(enabled=False)),
        ("manual_only = true", {"manualOnly": False}, Settings(manual_only=True)),
        ("manual_only = false", {"manualOnly": True}, Settings(manual_only=True)),
        ("context = 'project'", {"context": "none"}, Settings(context="none")),
        ("context = 'open'", {"context": "project"}, Settings(context="open")),
        ("exclude = ['a', 'b']", {"exclude": ["c", "a"]}, Settings(exclude=("c", "a", "b"))),
        ("languages_off = ['go']", {"languagesOff": ["rust"]}, Settings(languages_off=("rust", "go"))),
    ],
)
def test_what_is_off_in_either_is_off(path: Path, body: str, editor: dict, expected: Settings) -> None:
    path.write_text(body)
    assert settings(path, editor) == expected


def test_another_server_in_the_engines_place(path: Path, monkeypatch) -> None:
    path.write_text(
        "[engine]\nurl = 'http://127.0.0.1:8012'\nupstream = 'openai'\n"
        "upstreamModel = 'q'\nfim = 'qwen'\nmetered = true\n"
    )
    assert read_user_settings(path).sentences == ()
    named = EngineChoice(url="http://127.0.0.1:8012", upstream="openai", upstream_model="q", fim="qwen", metered=True)
    assert chosen_engine() == named
    monkeypatch.setenv("SEEDLING_ENGINE_METERED", "no")
    monkeypatch.setenv("SEEDLING_ENGINE_UPSTREAM", "llama.cpp")
    choice = chosen_engine()
    assert (choice.upstream, choice.metered) == ("llama.cpp", False)
    monkeypatch.delenv("SEEDLING_ENGINE_UPSTREAM")
    monkeypatch.setenv("SEEDLING_ENGINE", "unix:/run/e.sock")
    assert chosen_engine() == EngineChoice(url="unix:/run/e.sock")  # what the file says is of the file's server
