"""URIs: spellings of one document, the path it has for people, and the file it is on this machine."""

from pathlib import Path

import msgspec
import pytest

from lsp_server import uris
from lsp_server.uris import display_path, document_key, file_key, folder_of, local_path, uri_path, uri_scheme


@pytest.mark.parametrize(
    "spellings",
    [
        ("file:///c%3A/w/a%20b.py", "file:///C:/w/a b.py", "FILE:///c:/w/a%20b.py", "file:/C:/w/a b.py"),
        ("file://c:/w/a.py", "file:///c%3A/w/a.py"),
        ("file:///w/caf%C3%A9.py", "file:///w/café.py", "file://localhost/w/caf%c3%a9.py"),
        ("file://Server/share/a.py", "file://server/share/a.py"),
        ("vscode-remote://ssh-remote%2Bbox/w/a.py", "vscode-remote://ssh-remote+box/w/a.py"),
        ("vscode-notebook-cell:/w/n.ipynb#W0sZmlsZQ%3D%3D", "vscode-notebook-cell:/w/n.ipynb#W0sZmlsZQ=="),
    ],
)
def test_spellings_of_one_document(spellings):
    assert len({document_key(uri) for uri in spellings}) == 1


def test_different_documents_stay_apart():
    different = [
        "file:///w/a.py",
        "file:///w/A.py",
        "file:///W/a.py",
        "untitled:/w/a.py",
        "file://server/w/a.py",
        "file:///w/a.py#1",
        "file:///w/%FF.py",
        "file:///w/%FE.py",
        "file:///w/%2520.py",
        "file:///w/%20.py",
        "vscode-notebook-cell:/w/n.ipynb#W0s",
        "vscode-notebook-cell:/w/n.ipynb#W1s",
        "vscode-remote://wsl%2Bone/w/a.py",
        "vscode-remote://wsl%2Btwo/w/a.py",
    ]
    assert len({document_key(uri) for uri in different}) == len(different)


def test_paths_are_relative_to_the_innermost_folder():
    folders = ["file:///c%3A/project", "file:///c%3A/project/app/"]
    assert display_path("file:///c%3A/project/app/src/a%20b.py", folders) == "src/a b.py"
    assert display_path("file:///C:/project/lib/x.py", folders) == "lib/x.py"
    assert folder_of("file:///C:/project/app/x.py", folders) == folders[1]
    assert display_path("file:///elsewhere/x.py", folders) == "x.py"
    assert display_path("file:///c%3A/projects/x.py", folders) == "x.py"
    assert display_path("untitled:Untitled-1", folders) == "Untitled-1"
    assert display_path("vscode-notebook-cell:/c%3A/project/n/b.ipynb#W0s", folders) == "n/b.ipynb"


def test_a_folder_of_another_machine_holds_none_of_our_documents():
    remote = "vscode-remote://ssh-remote%2Bbox/w"
    assert folder_of("vscode-remote://ssh-remote%2Bbox/w/a.py", [remote]) == remote
    assert folder_of("vscode-remote://ssh-remote%2Bother/w/a.py", [remote]) is None
    assert folder_of("file:///w/a.py", [remote]) is None
    assert folder_of("file://server/w/a.py", ["file:///w"]) is None
    assert folder_of("file://server/w/a.py", ["file://SERVER/w"]) == "file://SERVER/w"


def test_the_root_holds_everything():
    assert display_path("file:///etc/x.py", ["file:///"]) == "etc/x.py"


def test_cells_of_one_notebook_are_one_file():
    cells = [f"vscode-notebook-cell:/{drive}/w/n.ipynb#{name}" for drive, name in (("C:", "a"), ("c%3A", "b%3D"))]
    assert len({file_key(cell) for cell in cells}) == 1
    assert file_key("vscode-notebook-cell:/w/m.ipynb#a") != file_key("vscode-notebook-cell:/w/n.ipynb#a")
    assert file_key("untitled:a?1") != file_key("untitled:a?2")


def test_schemes():
    assert uri_scheme("vscode-notebook-cell:/x#1") == "vscode-notebook-cell"
    assert uri_scheme("Untitled:x") == "untitled"
    assert uri_scheme("plain") == ""


def test_names_are_not_cut_where_a_client_forgot_to_encode_them():
    assert uri_path("file:///w/c#/.env") == "/w/c#/.env"
    assert uri_path("vscode-notebook-cell:/w/n.ipynb#.env") == "/w/n.ipynb"
    assert uri_path("file:///c%3A%5Cw%5C.env") == "/c:/w/.env"
    assert uri_path("file://server/share/.env") == "//server/share/.env"


def test_a_path_can_always_be_sent():
    msgspec.json.encode(uri_path("file:///w/%FF%ED%A0%80.py"))


def test_files_on_this_machine(monkeypatch):
    assert local_path("file:///w/a%20b.py") == Path("/w/a b.py")
    for elsewhere in (
        "file://server/share/a.py",
        "file:////server/share/a.py",
        "vscode-remote://ssh/w/a.py",
        "untitled:/w/a.py",
        "vscode-vfs://github/o/r/a.py",
        "file:///w/a%00.py",
    ):
        assert local_path(elsewhere) is None
    monkeypatch.setattr(uris.sys, "platform", "win32")
    assert local_path("file:///C%3A/w/a.py") == Path("c:/w/a.py")
