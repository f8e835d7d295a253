"""Checkouts and unpacked projects: found with name, version and licence from whatever file says them, nothing run."""

from pathlib import Path

import pytest

from model.training.corpus.project_folders import find_projects, git_commit, project_metadata
from model.training.corpus.sources import find_sources

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MIT = "License :: OSI Approved :: MIT License"
PYPROJECT = f'[project]\nname = "Al.Pha"\nversion = "1.2"\nlicense = "MIT"\nclassifiers = ["{MIT}"]\n'
POETRY = f'[tool.poetry]\nname = "alpha"\nversion = "1.2"\nlicense = "MIT"\nclassifiers = ["{MIT}"]\n'
SETUP_CFG = f"[metadata]\nname = alpha\nversion = 1.2\nlicense = MIT\nclassifiers =\n    {MIT}\n    Topic :: Games\n"
SETUP_PY = (
    f'raise SystemExit\nimport setuptools\nsetuptools.setup(name="alpha", version=read(), classifiers=["{MIT}"])\n'
)


def metadata_of(**files: str):
    texts = {name.replace("_dot_", "."): text.encode() for name, text in files.items()}
    return project_metadata(texts.get)


@pytest.mark.parametrize("text", [PYPROJECT, POETRY])
def test_pyproject_says_everything(text: str):
    metadata = metadata_of(pyproject_dot_toml=text)
    assert metadata["Version"] == ["1.2"]
    assert metadata["License-Expression"] == ["MIT"]
    assert metadata["Classifier"] == [MIT]


def test_setup_cfg_says_everything():
    metadata = metadata_of(setup_dot_cfg=SETUP_CFG)
    assert metadata == {
        "Name": ["alpha"],
        "Version": ["1.2"],
        "License": ["MIT"],
        "Classifier": [MIT, "Topic :: Games"],
    }


def test_of_setup_py_only_constants_count_and_nothing_runs():
    assert metadata_of(setup_dot_py=SETUP_PY) == {"Name": ["alpha"], "Classifier": [MIT]}


def test_the_first_file_counts_but_every_classifier_is_seen():
    other = 'setup(name="other", license="MIT", classifiers=["License :: Other/Proprietary License"])\n'
    metadata = metadata_of(pyproject_dot_toml=PYPROJECT, setup_dot_py=other)
    assert metadata["Name"] == ["Al.Pha"]
    assert metadata["License"] == ["MIT"]
    assert metadata["Classifier"] == [MIT, "License :: Other/Proprietary License"]


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject_dot_toml": "[project\n"},
        {"pyproject_dot_toml": 'project = "a"\n'},
        {"pyproject_dot_toml": '[project]\nname = 3\nclassifiers = "MIT"\nlicense = {file = "LICENSE"}\n'},
        {"setup_dot_cfg": "name = alpha\n"},
        {"setup_dot_cfg": "[options]\nname = alpha\n"},
        {"setup_dot_py": "setup(name=\n"},
        {"setup_dot_py": "setup(**arguments)\nsetup(name=name())\n"},
    ],
)
def test_files_that_say_nothing_of_use(files: dict[str, str]):
    assert not any(metadata_of(**files).values())


def make_checkout(folder: Path, *, packed: bool = False) -> Path:
    git = folder / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    if packed:
        (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n{'f' * 40} refs/heads/other\n")
    else:
        (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_of_a_checkout(packed: bool, tmp_path: Path):
    assert git_commit(make_checkout(tmp_path / "a", packed=packed)) == COMMIT


def test_a_checkout_that_is_broken_has_no_commit(tmp_path: Path):
    for number, head in enumerate(("", "ref: refs/heads/gone", "ref: ../../../secret", "rubbish")):
        (tmp_path / str(number) / ".git").mkdir(parents=True)
        (tmp_path / str(number) / ".git" / "HEAD").write_text(head)
        assert git_commit(tmp_path / str(number)) == ""
    assert git_commit(tmp_path) == ""


def test_projects_are_found_up_to_two_folders_down(tmp_path: Path):
    for place, name in (("one", "one"), ("owner/two", "two"), ("a/b/three", "three"), (".hidden", "hidden")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "setup.cfg").write_text(f"[metadata]\nname = {name}\n")
    (tmp_path / "one" / "fixture").mkdir()
    (tmp_path / "one" / "fixture" / "setup.cfg").write_text("[metadata]\nname = fixture\n")
    make_checkout(tmp_path / "Nameless_Thing")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    found = sorted((name, version) for name, version, _ in find_projects(tmp_path))
    assert found == [("nameless-thing", f"0+g{COMMIT[:12]}"), ("one", "0"), ("two", "0")]


def test_a_wheel_stands_before_the_checkout_of_the_same_version(make_wheel, tmp_path: Path):
    make_wheel("alpha", "1.2")
    checkout = make_checkout(tmp_path / "index" / "alpha")
    (checkout / "pyproject.toml").write_text(PYPROJECT.replace("Al.Pha", "alpha"))
    assert [source.kind for source in find_sources([tmp_path / "index"])] == ["wheel"]
    (checkout / "pyproject.toml").write_text(PYPROJECT.replace("Al.Pha", "alpha").replace("1.2", "1.3"))
    (source,) = find_sources([tmp_path / "index"])
    assert (source.kind, source.version) == ("folder", f"1.3+g{COMMIT[:12]}")
