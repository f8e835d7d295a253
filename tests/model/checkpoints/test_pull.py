"""Fetching a model from a hub on loopback: whole, right, gone on with, and each failure in one sentence."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.checkpoints.hub import Hub, HubError
from model.checkpoints.pull import missing_bytes, pull, wanted_files
from tests.model.checkpoints.fake_hub import COMMIT, FakeHub, serve_hub

NAME = "somebody/a-model"
BIG = random.Random(0).randbytes(300_000)
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model-00001-of-00002.safetensors": BIG,
    "model-00002-of-00002.safetensors": BIG[::-1],
    "merges.txt": b"#version: 0.2\n",
    "modeling_a.py": b"raise SystemExit\n",
    "pytorch_model.bin": b"\x80\x04.",
    "original/config.json": b"{}",
    "README.md": b"# A model\n",
}
FETCHED = {name for name in FILES if name.endswith((".safetensors", ".json", ".txt")) and "/" not in name}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)  # what is lost with a connection
    with serve_hub({NAME: dict(FILES)}) as hub:
        yield hub


def pulled(hub: FakeHub, folder: Path, check=lambda _folder: None) -> int:
    """Pulls; gives the sum of the bytes that were reported."""
    ours = Hub(hub.url)
    repository = ours.look(NAME, None)
    counted = []
    pull(ours, repository, wanted_files(repository), folder, check=check, on_bytes=counted.append)
    return sum(counted)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_it_says_what_a_repository_holds(hub: FakeHub) -> None:
    repository = Hub(hub.url).look(NAME, "main")
    assert (repository.commit, repository.licence) == (COMMIT, "mit")
    assert {file.name for file in repository.files} == FETCHED
    assert "modeling_a.py" in repository.others
    wanted = wanted_files(repository)
    assert wanted.size_bytes == sum(len(FILES[name]) for name in FETCHED)
    assert {file.name for file in wanted.weights} == {name for name in FETCHED if name.startswith("model-")}


@pytest.mark.parametrize("name", ["../config.json", "..\\config.json", "C:config.json", ".hidden.json", "a/b.txt"])
def test_a_name_that_leads_elsewhere_is_never_asked_for(hub: FakeHub, name: str) -> None:
    files = next(iter(hub.repositories.values()))
    files[name] = b"{}"
    repository = Hub(hub.url).look(next(iter(hub.repositories)), None)
    assert name in repository.others
    assert all(file.name != name for file in repository.files)


def test_a_model_comes_whole_and_nothing_else_is_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "a"
    assert pulled(hub, folder) == sum(len(FILES[name]) for name in FETCHED)
    assert names(folder) == FETCHED
    assert all((folder / name).read_bytes() == FILES[name] for name in FETCHED)
    paths = {path for path, _ in hub.asked}
    assert paths == {f"/api/models/{NAME}", *(f"/{NAME}/resolve/{COMMIT}/{name}" for name in FETCHED)}
    assert all("seedling-lsp" in agent and "torch" not in agent for agent in hub.agents)


def test_the_small_files_come_first_and_may_end_it(hub: FakeHub, tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        assert names(folder) == {"config.json", "merges.txt"}
        raise HubError("Not of a known family.")

    with pytest.raises(HubError, match="known family"):
        pulled(hub, tmp_path / "a", refuse)
    assert not any("safetensors" in path for path, _ in hub.asked)


def test_a_second_pull_asks_for_no_file(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path / "a")
    hub.asked.clear()
    assert pulled(hub, tmp_path / "a") == sum(len(FILES[name]) for name in FETCHED)
    assert [path for path, _ in hub.asked] == [f"/api/models/{NAME}"]


def test_a_broken_connection_is_gone_on_with_at_once(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 100_000
    assert pulled(hub, tmp_path / "a") == sum(len(FILES[name]) for name in FETCHED)
    assert (tmp_path / "a" / "model-00001-of-00002.safetensors").read_bytes() == BIG
    assert "bytes=100000-" in {wanted for _, wanted in hub.asked}


def test_an_interrupted_pull_is_gone_on_with_later(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    hub.cut_after, hub.then_fails_with = 100_000, 503
    with pytest.raises(HubError, match=r"answered 503.*is kept"):
        pulled(hub, folder)
    assert names(folder) == {"config.json", "merges.txt", "model-00001-of-00002.safetensors.part"}
    assert missing_bytes(wanted_files(_looked(hub)), folder) == 2 * len(BIG) - 100_000
    hub.asked.clear()
    assert pulled(hub, folder) == sum(len(FILES[name]) for name in FETCHED)
    assert names(folder) == FETCHED
    assert (folder / "model-00001-of-00002.safetensors").read_bytes() == BIG
    ranges = {wanted for path, wanted in hub.asked if path.endswith("00001-of-00002.safetensors")}
    assert ranges == {"bytes=100000-"}


def _looked(hub: FakeHub):
    hub.fails_with = None
    return Hub(hub.url).look(NAME, None)


def test_a_hub_without_ranges_starts_the_file_anew(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "model-00001-of-00002.safetensors.part").write_bytes(BIG[:5_000])
    hub.has_range = False
    pulled(hub, folder)
    assert (folder / "model-00001-of-00002.safetensors").read_bytes() == BIG


@pytest.mark.parametrize("name", ["model-00002-of-00002.safetensors", "config.json"])
def test_another_content_than_listed_is_removed(hub: FakeHub, tmp_path: Path, name: str) -> None:
    hub.damaged = name
    with pytest.raises(HubError, match=f"{name} is not what .* lists"):
        pulled(hub, tmp_path / "a")
    assert not any(found.startswith(name) for found in names(tmp_path / "a"))


def test_a_file_that_changed_on_the_disk_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    pulled(hub, tmp_path / "a")
    path = tmp_path / "a" / "model-00002-of-00002.safetensors"
    path.write_bytes(b"\0" * path.stat().st_size)
    pulled(hub, tmp_path / "a")
    assert path.read_bytes() == BIG[::-1]


def test_without_space_nothing_is_fetched(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=100_500_000))
    with pytest.raises(HubError, match=r"still to come, but the disk of .* has 0\.1 GB left"):
        pulled(hub, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_weights_as_pickles_alone_are_refused(hub: FakeHub) -> None:
    hub.repositories[NAME] = {"config.json": b"{}", "pytorch_model.bin": b"\x80"}
    with pytest.raises(HubError, match="pickles"):
        wanted_files(Hub(hub.url).look(NAME, None))
    hub.repositories[NAME] = {"model.safetensors": b""}
    with pytest.raises(HubError, match=r"no config\.json"):
        wanted_files(Hub(hub.url).look(NAME, None))


@pytest.mark.parametrize(
    ("name", "revision", "sentence"),
    [
        ("somebody/else", None, "There is no repository somebody/else at"),
        (NAME, "v9", "has no revision v9"),
        ("not a name", None, "'not a name' is not the name of a repository"),
    ],
)
def test_what_is_not_there_is_said(hub: FakeHub, name: str, revision: str | None, sentence: str) -> None:
    with pytest.raises(HubError, match=sentence) as caught:
        Hub(hub.url).look(name, revision)
    assert caught.value.sentence.count("\n") == 0


def test_terms_to_accept_are_said_with_the_place(hub: FakeHub) -> None:
    hub.gated = True
    with pytest.raises(HubError, match=f"accepted its terms: do so at {hub.url}/{NAME}"):
        Hub(hub.url).look(NAME, None)


def test_a_broken_hub_is_said(hub: FakeHub) -> None:
    hub.fails_with = 500
    with pytest.raises(HubError, match="answered 500: try later"):
        Hub(hub.url).look(NAME, None)


def test_a_hub_that_cannot_be_reached_is_said() -> None:
    with pytest.raises(HubError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        Hub("http://127.0.0.1:9").look(NAME, None)


def test_offline_mode_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        Hub("http://127.0.0.1:9").look(NAME, None)
