"""A project's file: it restricts, it never loosens, and it governs its own folder alone."""

from pathlib import Path

import pytest

from lsp_server.project_settings import Projects, loosening, read_project_settings, restricted
from lsp_server.settings import STRICTER, Settings


def write(folder: Path, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / ".seedling.toml").write_text(body)
    return folder


def test_everything_it_may_say(tmp_path: Path) -> None:
    body = """
    enabled = false
    manualOnly = true
    exclude = ["*.gen.py"]
    languages_off = ["markdown"]
    comments = false
    context = "open"
    confidence = 0.9
    """
    project = read_project_settings(write(tmp_path, body))
    assert project.sentences == ()
    users = Settings(comments=True, exclude=("x",), languages_off=("go",))
    assert restricted(users, project) == Settings(
        enabled=False,
        manual_only=True,
        exclude=("x", "*.gen.py"),
        languages_off=("go", "markdown"),
        comments=False,
        context="open",
        confidence=0.9,
    )
    assert loosening(users, project) == []


@pytest.mark.parametrize(
    ("body", "users"),
    [
        ("enabled = true", Settings(enabled=False)),
        ("manual_only = false", Settings(manual_only=True)),
        ("comments = true", Settings()),
        ("context = 'project'", Settings(context="none")),
        ("context = 'open'", Settings(context="none")),
        ("confidence = 0.1", Settings(confidence=0.5)),
    ],
)
def test_what_would_loosen_is_named_and_ignored(tmp_path: Path, body: str, users: Settings) -> None:
    project = read_project_settings(write(tmp_path, body))
    assert restricted(users, project) == users
    (sentence,) = loosening(users, project)
    assert body.split()[0] in sentence
    assert str(project.path) in sentence


def test_what_is_the_users_already_is_not_worth_a_word(tmp_path: Path) -> None:
    project = read_project_settings(write(tmp_path, "enabled = true\nconfidence = 0.4\ncontext = 'project'"))
    assert loosening(Settings(confidence=0.4), project) == []


@pytest.mark.parametrize(
    "body",
    [
        "engine = 'http://evil'",
        "model = '/m'",
        "token = 'x'",
        "languages = ['python']",
        "max_file_bytes = 99999999",
        "automaticDeadlineMs = 60000",
        "multi_line = true",
        "exclud = ['x']",
        "enabled = 'no'",
        "exclude = 'x'",
        "confidence = 7",
        "enabled = ",
    ],
)
def test_forbidden_unknown_wrong_and_broken_are_one_sentence(tmp_path: Path, body: str) -> None:
    project = read_project_settings(write(tmp_path, body))
    assert restricted(Settings(), project) == Settings()
    (sentence,) = project.sentences
    assert str(project.path) in sentence


def test_no_value_at_all_loosens(tmp_path: Path) -> None:
    values = {
        "enabled": (True, False),
        "manual_only": (True, False),
        "comments": (True, False),
        "context": ("project", "open", "none"),
        "confidence": (0.0, 0.5, 1.0),
        "exclude": ((), ("a",)),
        "languages_off": ((), ("a",)),
        "fix_enable": (True, False),
        "mend_enable": (True, False),
        "rewrite_enable": (True, False),
        "next_edit_enable": (True, False),
    }
    assert values.keys() == STRICTER.keys()
    for name, choices in values.items():
        for one in choices:
            for other in choices:
                stricter = STRICTER[name](one, other)
                assert STRICTER[name](stricter, one) == stricter == STRICTER[name](stricter, other)


def test_each_folder_governs_its_own_documents(tmp_path: Path) -> None:
    outer, inner = write(tmp_path / "outer", "enabled = false"), tmp_path / "outer" / "inner"
    write(inner, "manual_only = true")
    folders = [folder.as_uri() for folder in (outer, inner)]
    projects = Projects()
    assert projects.look([*folders, "file://server/share", "vscode-remote://box/w"])
    assert not projects.look([*folders, "file://server/share", "vscode-remote://box/w"])

    def settings(path: Path) -> Settings:
        return projects.restrict(Settings(), path.as_uri())

    assert settings(outer / "a.py") == Settings(enabled=False)
    assert settings(inner / "a.py") == Settings(manual_only=True)
    assert settings(tmp_path / "a.py") == Settings()
    notebook = f"vscode-notebook-cell:{(outer / 'n.ipynb').as_posix()}#W0"
    assert projects.restrict(Settings(), notebook) == Settings(enabled=False)


def test_it_is_read_again_when_it_changes_and_forgotten_with_its_folder(tmp_path: Path) -> None:
    write(tmp_path, "enabled = false")
    projects, uri = Projects(), (tmp_path / "a.py").as_uri()
    projects.look([tmp_path.as_uri()])
    write(tmp_path, "manual_only = true")
    assert projects.look([tmp_path.as_uri()])
    assert projects.restrict(Settings(), uri) == Settings(manual_only=True)
    write(tmp_path, "nonsense = 1")
    projects.look([tmp_path.as_uri()])
    assert len(projects.sentences(Settings())) == 1
    assert projects.look([])
    assert projects.restrict(Settings(), uri) == Settings()
    assert projects.sentences(Settings()) == []
