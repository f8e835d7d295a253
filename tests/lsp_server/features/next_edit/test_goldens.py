"""Goldens of next edits: a document, its changes one after the other, and what it is once all follow-ups are accepted.

`follows` says what it becomes, `quiet` the reason why nothing follows. In brackets: the language, if not Python.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from edit_desk import EditDesk

FOLDER = Path(__file__).parent / "goldens"
_HEAD = re.compile(r"=== (?P<kind>follows|quiet): (?P<title>[^\n(]+?)(?: \((?P<language>\w+)\))?\n")
_MARK = re.compile(r"^--- (then|all|nothing (\w+))\n", re.MULTILINE)


class Golden(NamedTuple):
    kind: str
    title: str
    language: str
    texts: list[str]
    expected: str


def read(path: Path) -> list[Golden]:
    """The cases of one file. Fails where a case cannot be read."""
    _, *parts = re.split(r"^(?==== )", path.read_text("utf-8"), flags=re.MULTILINE)
    found = []
    for part in parts:
        head = _HEAD.match(part)
        assert head is not None, part
        pieces = _MARK.split(part[head.end() :].rstrip("\n") + "\n")
        texts, kinds, slugs, last = pieces[0::3][:-1], pieces[1::3], pieces[2::3], pieces[-1]
        assert set(kinds[:-1]) == {"then"}, part
        assert (kinds[-1] == "all") == (head["kind"] == "follows"), part
        found.append(
            Golden(head["kind"], head["title"], head["language"] or "python", texts, slugs[-1] or last.rstrip("\n"))
        )
    return found


GOLDENS = [
    pytest.param(golden, id=f"{path.stem}: {golden.title}")
    for path in sorted(FOLDER.glob("*.txt"))
    for golden in read(path)
]


def test_there_are_goldens_of_every_rule():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {"rename", "repeat", "signature"}
    assert len(GOLDENS) > 30


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("golden", GOLDENS)
def test_golden(golden: Golden, newline: str):
    first, *later = (text.replace("\n", newline) for text in golden.texts)
    desk = EditDesk(first, golden.language)
    for text in later:
        desk.write(text)
    found = desk.look()
    if golden.kind == "quiet":
        assert found.proposal is None, found.proposal
        assert found.reason is not None
        assert found.reason.slug == golden.expected
        return
    assert found.proposal is not None, found.reason
    desk.accept_all()
    assert desk.text.rstrip("\r\n") == golden.expected.replace("\n", newline)
