"""The texts that snippets may be cut from: the own document, what is open and recent, files of the workspace folder.

Source: docs/privacy.md: nothing crosses workspace folders, without workspace folders only open
documents are looked at, and exclusions hold for what is quoted as for what is completed. Bounded: gathering must stay a
matter of milliseconds. Left out: which lines are taken (gather.py), reading files (files.py, project.py).
"""

import os
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from lsp_server.context.exclude import SCHEMES, SECRETS, matching_pattern
from lsp_server.context.files import Allowance, ProjectFiles
from lsp_server.context.project import imported_files, neighbours, same_family
from lsp_server.context.scene import Scene
from lsp_server.snapshot import Snapshot
from lsp_server.uris import display_path, folder_of, local_path, uri_path, uri_scheme
from model.syntax.imports import Import
from model.syntax.languages import language_of_suffix

MAX_DOCUMENTS = 8
MAX_TEXT_CHARS = 250_000
MAX_ALL_CHARS = 600_000  # 0.1 s of work at worst

Origin = Literal["own", "recent", "open", "imported", "neighbour"]


class Text(msgspec.Struct, frozen=True):
    """A text that snippets may be cut from. `stamp` changes with the text; `by` is the import that led here."""

    origin: Origin
    path: str
    language: str
    lines: tuple[str, ...]
    stamp: str
    by: Import | None = None


def texts_of(scene: Scene, files: ProjectFiles | None) -> list[Text]:
    """The texts of a scene: its own document, what is open and recent in its workspace folder, files of that folder."""
    own = scene.snapshot.document
    texts = [Text("own", scene.snapshot.path, own.language, own.lines, f"{own.uri}@{own.version}")]
    home = folder_of(own.uri, scene.folders)
    for document in scene.documents:
        if document.uri != own.uri and _is_usable(document.uri, document.language, scene, home, files):
            path = display_path(document.uri, scene.folders)
            stamp = f"{document.uri}@{document.version}"
            texts.append(Text("open", path, document.language, document.lines, stamp))
        if len(texts) > MAX_DOCUMENTS:
            break
    for chunk in scene.ring:
        if chunk.uri != own.uri and _is_usable(chunk.uri, chunk.language, scene, home, files):
            path = display_path(chunk.uri, scene.folders)
            texts.append(Text("recent", path, chunk.language, chunk.lines, f"{chunk.uri}#{hash(chunk.lines)}"))
    if files is not None and scene.settings.context == "project":
        texts += _project_texts(scene.snapshot, files, {text.path for text in texts if text.origin != "recent"})
    return _bounded(texts)


def _is_usable(uri: str, language: str, scene: Scene, home: str | None, files: ProjectFiles | None) -> bool:
    """Whether an open document may be quoted in the prompt of another one."""
    if not same_family(language, scene.snapshot.document.language) or uri_scheme(uri) not in SCHEMES:
        return False
    if folder_of(uri, scene.folders) != home or matching_pattern(uri_path(uri), SECRETS) is not None:
        return False
    file = local_path(uri)
    if file is not None and matching_pattern(os.path.realpath(file).replace(os.sep, "/"), SECRETS) is not None:
        return False  # a link to a secret
    path = display_path(uri, scene.folders)
    if matching_pattern(path, scene.settings.exclude) is not None or language in scene.settings.languages_off:
        return False
    return files is None or home is None or uri_scheme(uri) != "file" or not files.is_unwanted(path)


def _project_texts(snapshot: Snapshot, files: ProjectFiles, known: set[str]) -> list[Text]:
    allowance = Allowance()
    document, path = snapshot.document, snapshot.path
    found = [
        Text("imported", item.file.path, document.language, item.file.lines, item.file.stamp, item.by)
        for item in imported_files(document.lines, path, document.language, files, allowance)
    ]
    found += [
        Text("neighbour", file.path, language_of_suffix(PurePosixPath(file.path).suffix), file.lines, file.stamp)
        for file in neighbours(path, document.language, files, allowance)
    ]
    # What is open is taken as it stands in the editor, not as it was saved.
    first = {text.path: text for text in reversed(found) if text.path not in known}
    return [text for text in found if first.get(text.path) is text]


def _bounded(texts: list[Text]) -> list[Text]:
    """The texts without what is huge, up to so many characters in all: gathering must stay a matter of milliseconds."""
    kept, left = [], MAX_ALL_CHARS
    for text in texts:
        num_chars = sum(map(len, text.lines))
        if text.origin == "own" or (num_chars <= MAX_TEXT_CHARS and num_chars <= left):
            kept.append(text)
            left -= num_chars
    return kept
