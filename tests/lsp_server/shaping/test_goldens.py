"""Goldens of the shaping filters: a document with a cursor, the engine's text, and the result drawn in place.

`goldens/FILTER.txt` is about lsp_server/shaping/FILTER.py alone, `pipeline.txt` about all of them in order. Marks:
`‸` the cursor, `├…┤` what the item puts there (what it replaces is gone), `⇥` a tab, `␍` a carriage return, `␣` a space
where an editor would strip it, `\\u{…}` what nobody could see. "acts" must change or refuse the engine's text, "leaves"
must not touch it. In brackets: `several lines` were asked for, the document has `crlf`.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from lsp_server.features.complete import surroundings
from lsp_server.outcome import Reason
from lsp_server.positions import Position, split_lines
from lsp_server.shaping.draft import Draft
from lsp_server.shaping.pipeline import FILTERS, shape
from lsp_server.snapshot import Snapshot, detect_indent, open_document

FOLDER = Path(__file__).parent / "goldens"
CURSOR = "‸"
_CASE = re.compile(
    r"=== (?P<kind>acts|leaves): (?P<title>[^\n(]+?)(?: \((?P<options>[^)\n]+)\))?\n(?P<document>.*?)\n"
    r"--- engine\n(?P<engine>.*?)\n--- (?:shown\n(?P<drawn>.*)|refused (?P<slug>\w+)(?: by (?P<filter>\w+))?)\n*",
    re.DOTALL,
)
BY_FILE = {filter.__module__.rpartition(".")[2]: filter for filter in FILTERS}


class Golden(NamedTuple):
    file: str
    kind: str
    title: str
    options: set[str]
    document: str
    engine: str
    drawn: str | None
    refused: tuple[str, str | None]


def read_goldens(path: Path) -> list[Golden]:
    """The cases of one file. Fails where a case cannot be read."""
    _, *parts = re.split(r"^(?==== )", path.read_text("utf-8"), flags=re.MULTILINE)
    found = []
    for part in parts:
        match = _CASE.fullmatch(part)
        assert match is not None, f"{path.name} has a case of another form:\n{part}"
        options = set((match["options"] or "").split(", ")) - {""}
        assert options <= {"several lines", "crlf"}, options
        drawn = None if match["drawn"] is None else match["drawn"].rstrip("\n")
        found.append(
            Golden(
                path.stem, match["kind"], match["title"], options, plain(match["document"]), plain(match["engine"]),
                drawn, (match["slug"] or "", match["filter"]),
            )
        )  # fmt: skip
    return found


def plain(text: str) -> str:
    """`text` without the marks for what cannot be seen."""
    text = text.replace("⇥", "\t").replace("␍", "\r").replace("␣", " ")
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda match: chr(int(match[1], 16)), text)


GOLDENS = [golden for path in sorted(FOLDER.glob("*.txt")) for golden in read_goldens(path)]


@pytest.mark.parametrize("golden", GOLDENS, ids=[f"{golden.file}: {golden.title}" for golden in GOLDENS])
def test_golden(golden):
    snapshot = snapshot_of(golden)
    around = surroundings(snapshot, single_line="several lines" not in golden.options)
    if golden.file == "pipeline":
        result = shape(golden.engine, around)
        reason, refusing = result if isinstance(result, tuple) else (result, None)
    else:
        reason, refusing = BY_FILE[golden.file](Draft(golden.engine), around), golden.refused[1]
    if isinstance(reason, Reason):
        assert (reason.slug, refusing) == golden.refused
        assert golden.kind == "acts"
        return
    assert golden.drawn is not None, f"not refused but {reason!r}"
    assert drawing(snapshot, reason) == plain(golden.drawn)
    assert (reason == Draft(golden.engine)) == (golden.kind == "leaves")
    # What editors want: VS Code shows an item only if what it replaces is a subsequence of its text.
    characters = iter(reason.text)
    assert all(character in characters for character in snapshot.line_after[: reason.num_replaced])


def snapshot_of(golden: Golden) -> Snapshot:
    before, mark, after = golden.document.partition(CURSOR)
    assert mark, "the document has no cursor"
    text = before + after
    cursor = Position(before.count("\n"), len(before.rpartition("\n")[2]))
    if "crlf" in golden.options:
        text = text.replace("\n", "\r\n")
    document = open_document("file:///a.py", "python", 1, text)
    indent = detect_indent(split_lines(text), near=cursor.line)
    return Snapshot(document=document, cursor=cursor, path="a.py", indent=indent)


def drawing(snapshot: Snapshot, draft: Draft) -> str:
    """The document with the item in place, whatever its line ends."""
    lines, row = snapshot.document.lines, snapshot.cursor.line
    line = f"{snapshot.line_before}├{draft.text}┤{snapshot.line_after[draft.num_replaced :]}"
    above, below = "".join(lines[:row]), "".join(lines[row + 1 :])
    end = "\n" if below or lines[row].endswith(("\n", "\r")) else ""
    return (above + line + end + below).replace("\r\n", "\n")


def test_every_filter_has_its_own_file_and_goldens_of_both_kinds():
    assert len(BY_FILE) == len(FILTERS)
    kinds = {name: {golden.kind for golden in GOLDENS if golden.file == name} for name in [*BY_FILE, "pipeline"]}
    assert [name for name, found in kinds.items() if found != {"acts", "leaves"}] == []
    assert {golden.file for golden in GOLDENS} == kinds.keys()


def test_titles_are_told_apart():
    titles = [(golden.file, golden.title) for golden in GOLDENS]
    assert len(set(titles)) == len(titles)
