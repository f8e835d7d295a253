"""Findings of other tools, read from JSON, and our own as SARIF.

Source: SARIF 2.1.0 (OASIS, 2020; GitHub's subset of it for code scanning) and ruff's `--output-format json`. Lines and
columns count from 1, columns in characters (`unicodeCodePoints`). Left out: everything a reader can do without (code
flows, snippets, base URIs, suppressions).
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from lsp_server.features.fix import Repair, sentence_of
from lsp_server.features.rewrite import position_of
from lsp_server.uris import local_path, uri_scheme

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class UnreadableFindings(Exception):
    """A file of findings that is none of the formats; the text says what is wrong."""


class Found(msgspec.Struct, frozen=True):
    """The repairs of one file. source: its text with "\\n" as line ends, without a byte order mark."""

    path: Path
    source: str
    repairs: Sequence[Repair]


def rows_named(text: str, path: Path) -> list[int]:
    """The rows (from 0) of a file that ruff's JSON or SARIF names, in order."""
    try:
        content = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise UnreadableFindings("it is not JSON") from None
    if isinstance(content, list):
        named = _of_ruff(content)
    elif isinstance(content, dict) and isinstance(content.get("runs"), list):
        named = _of_sarif(content["runs"])
    else:
        raise UnreadableFindings("it is neither SARIF nor what ruff check --output-format json prints")
    real = os.path.realpath(path)
    return sorted({line - 1 for name, line in named if line > 0 and os.path.realpath(name) == real})


def _of_ruff(content: list[Any]) -> Iterator[tuple[str, int]]:
    for one in content:
        name, line = _at(one, "filename"), _at(one, "location", "row")
        if isinstance(name, str) and isinstance(line, int) and _at(one, "cell") is None:
            yield name, line


def _of_sarif(runs: list[Any]) -> Iterator[tuple[str, int]]:
    for run in runs:
        for result in _list(_at(run, "results")):
            for location in _list(_at(result, "locations")):
                uri = _at(location, "physicalLocation", "artifactLocation", "uri")
                line = _at(location, "physicalLocation", "region", "startLine")
                if isinstance(uri, str) and isinstance(line, int):
                    path = local_path(uri) if uri_scheme(uri) == "file" else Path(unquote(uri))
                    if path is not None:
                        yield str(path), line


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_sarif(found: Sequence[Found], version: str) -> dict[str, Any]:
    """All findings as one SARIF log with one run; each carries its fix."""
    kinds = sorted({repair.kind for file in found for repair in file.repairs})
    driver = {
        "name": "Seedling",
        "version": version,
        "rules": [{"id": kind, "shortDescription": {"text": f"Perhaps a mistake: {kind}"}} for kind in kinds],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(file, repair, kinds) for file in found for repair in file.repairs],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(file: Found, repair: Repair, kinds: list[str]) -> dict[str, Any]:
    artifact = {"uri": _uri(file.path)}
    shown = _region(file.source, repair.left, repair.left + len(repair.shown[0]))
    replacement = {
        "deletedRegion": _region(file.source, repair.start, repair.end),
        "insertedContent": {"text": repair.text},
    }
    return {
        "ruleId": repair.kind,
        "ruleIndex": kinds.index(repair.kind),
        "level": "note",
        "message": {"text": f"Perhaps a mistake: {sentence_of(repair)}?"},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": shown}}],
        "fixes": [{"artifactChanges": [{"artifactLocation": artifact, "replacements": [replacement]}]}],
        "rank": round(100 * repair.confidence, 1),
    }


def _uri(path: Path) -> str:
    """Relative where it is: a reader resolves it against the repository's top."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _region(source: str, start: int, end: int) -> dict[str, int]:
    (row, column), (last_row, last_column) = position_of(source, start), position_of(source, end)
    return {
        "startLine": row + 1,
        "startColumn": column + 1,
        "endLine": last_row + 1,
        "endColumn": last_column + 1,
    }
