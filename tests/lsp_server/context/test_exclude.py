"""Documents that are never sent anywhere."""

import pytest

from lsp_server.context.exclude import exclusion, matching_pattern
from lsp_server.outcome import Reason
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot, open_document
from lsp_server.uris import display_path


def refused(uri: str, text: str = "x = 1\n", **settings) -> Reason | None:
    document = open_document(uri, "python", 1, text)
    snapshot = Snapshot(document=document, cursor=Position(0, 0), path=display_path(uri, ["file:///w"]))
    outcome = exclusion(snapshot, Settings(**settings))
    return None if outcome is None else outcome.reason


SECRET_URIS = """
file:///w/.env file:///w/.env.local file:///w/prod.env file:///w/keys/server.PEM file:///h/.ssh/config
file:///h/.aws/x.py file:///w/id_rsa untitled:.env file:///w/secrets.py file:///c%3A/u/.netrc
file:///w/c#/.env file://server/share/.env vscode-remote://ssh-remote%2Bbox/w/.env file:///c%3A%5Cw%5C.env file:///w/%2Eenv
"""


@pytest.mark.parametrize("uri", SECRET_URIS.split())
def test_secrets_are_excluded(uri):
    assert refused(uri) is Reason.EXCLUDED


@pytest.mark.parametrize(
    "uri", ["file:///w/a.py", "file:///w/environment.py", "untitled:Untitled-1", "vscode-notebook-cell:/w/n.ipynb#x"]
)
def test_code_is_not(uri):
    assert refused(uri) is None


@pytest.mark.parametrize("uri", ["git:/w/a.py", "output:x", "vscode-scm:git/input", "comment://x", "a.py", ""])
def test_an_editors_own_boxes_are_not_completed(uri):
    assert refused(uri) is Reason.FOREIGN_SCHEME


def test_the_users_patterns_match_names_folders_and_paths_below_the_workspace():
    for pattern in ("*.gen.py", "gen", "gen/", "src/gen", "src/gen/*", "**/GEN", "src/**"):
        assert refused("file:///w/src/gen/a.gen.py", exclude=(pattern,)) is Reason.EXCLUDED
    assert refused("file:///w/src/gen/a.py", exclude=("w", "ge", "a", "gen/a.pyc")) is None
    for pattern in ("/src", "/src/", "/src/gen/a.gen.py", "/src/*", "/S*"):
        assert refused("file:///w/src/gen/a.gen.py", exclude=(pattern,)) is Reason.EXCLUDED
    assert refused("file:///w/src/gen/a.py", exclude=("/gen", "/a.py", "/gen/a.py", "*/src", "/")) is None
    assert matching_pattern("a/b.py", ()) is None
    assert matching_pattern("a/b.py", ("*.x", "[", "*b*.p?", "a/**", "b.py")) == "*b*.p?"  # the first that matches


def test_sizes_are_measured_in_bytes():
    assert refused("file:///w/a.py", "é" * 60, max_file_bytes=100) is Reason.HUGE_FILE
    assert refused("file:///w/a.py", "e" * 60, max_file_bytes=100) is None
    assert refused("file:///w/a.py", "e" * 101, max_file_bytes=100) is Reason.HUGE_FILE


def test_minified_lines():
    assert refused("file:///w/a.py", "x = 1\n" + "x" * 5_000) is None
    assert refused("file:///w/a.py", f"{'x' * 200}\n" * 100) is Reason.MINIFIED
    assert refused("file:///w/a.py", f"{'x' * 200}\n" * 10) is None  # a small table
    assert refused("file:///w/a.py", "x = 1\n" * 2_000) is None


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("x = '\0'\n", True),
        ("x\0=\0 \0" * 50, True),  # UTF-16 read as bytes
        ("\ufffd" * 30 + "x" * 60, True),  # an encoding that is not UTF-8
        ("# caf\ufffd\n" + "x = 1\n" * 20, False),
        ("\x1b[31m" * 100, True),
        ("\ufeffx = 1\n", False),
        ("x = 1\n\x0c\ny = '\u2028\x85'\n", False),  # form feed, line separator, NEL: old sources hold them
        ("x = 1\ry = 2\r", False),
        ("é𝒳" * 100, False),
        ("", False),
    ],
)
def test_what_is_no_text_is_left_alone(text, is_refused):
    assert (refused("file:///w/a.py", text) is Reason.BINARY) is is_refused
