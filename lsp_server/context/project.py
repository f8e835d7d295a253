"""The files of the workspace folder that may help with a document: what it imports, and its neighbours.

Source: Tabby's declarations, Continue's import definitions, Copilot's neighbouring files; but of the imports only what
lies in the same workspace folder, and no index is kept. Left out: choosing lines (gather.py), rules of reading
(files.py).
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

import msgspec

from lsp_server.context.files import Allowance, FileText, ProjectFiles
from lsp_server.context.resolve import files_of
from model.syntax.imports import Import, imports
from model.syntax.languages import language_of_suffix

MAX_IMPORTED = 16
MAX_NEIGHBOURS = 8
_FAMILIES = (
    frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact"}),
    frozenset({"c", "cpp"}),
)


class ImportedFile(msgspec.Struct, frozen=True):
    """A file that a document imports, and the import that led to it."""

    file: FileText
    by: Import


def same_family(first: str, second: str) -> bool:
    """Whether code of one language may stand in a prompt for the other."""
    return first == second or any(first in family and second in family for family in _FAMILIES)


def imported_files(
    lines: tuple[str, ...], path: str, language: str, files: ProjectFiles, allowance: Allowance
) -> list[ImportedFile]:
    """What the text at `path` imports from its own workspace folder, each file once."""
    found: dict[str, ImportedFile] = {}
    for item in imports("".join(lines), language):
        for imported in _files_behind(item, path, language, files, allowance):
            found.setdefault(imported.file.path, imported)
        if len(found) >= MAX_IMPORTED or allowance.is_spent():
            break
    return list(found.values())


def _files_behind(
    item: Import, path: str, language: str, files: ProjectFiles, allowance: Allowance
) -> Iterator[ImportedFile]:
    """The first file that `item` may mean; of a package that only hands names on, also the modules they come from."""
    file = _first(files_of(item, path, language), files, allowance)
    if file is None:
        return
    yield ImportedFile(file, item)
    if not file.path.endswith("__init__.py") or not item.names:
        return
    wanted = {imported.name for imported in item.names}
    for handed_on in imports("".join(file.lines), language):
        names = tuple(name for name in handed_on.names if name.local in wanted)
        if names:
            inner = Import(handed_on.module, names)
            behind = _first(files_of(inner, file.path, language), files, allowance)
            if behind is not None:
                yield ImportedFile(behind, inner)


def _first(paths: list[str], files: ProjectFiles, allowance: Allowance) -> FileText | None:
    for path in paths:
        file = files.read(path, allowance)
        if file is not None:
            return file
    return None


def neighbours(path: str, language: str, files: ProjectFiles, allowance: Allowance) -> list[FileText]:
    """Files of the same folder in the same language: first those with a similar name, then those changed lately."""
    names = [
        name for name in files.siblings(path) if same_family(language_of_suffix(PurePosixPath(name).suffix), language)
    ]
    own = _words(path)
    names.sort(key=lambda name: -len(own & _words(name)))  # stable: among equals the newest stays first
    found = (files.read(name, allowance) for name in names[:MAX_NEIGHBOURS])
    return [file for file in found if file is not None]


def _words(path: str) -> frozenset[str]:
    stem = PurePosixPath(path).stem.lower().replace("-", "_").replace(".", "_")
    return frozenset(stem.split("_")) - {"", "test", "tests", "spec", "init"}
