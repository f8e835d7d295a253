"""A project's settings: `.seedling.toml` in a workspace folder's root. It may restrict and nothing else.

Whoever sends a project may have written it, so the stricter of the user's and the project's value counts, a key that
would loosen something is named and ignored, and the file must be a small regular one inside its folder. A document is
governed by the file of the innermost workspace folder that it lies in. Left out: folders on other machines.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lsp_server.settings import STRICTER, Settings, field_name, is_forbidden, read_values, section_of
from lsp_server.toml_file import Stamp, read_toml, stamp_of
from lsp_server.uris import folder_of, local_path

FILE_NAME = ".seedling.toml"

_MAY_ONLY = f"is ignored: a project may only restrict ({', '.join(STRICTER)})."


class ProjectSettings(msgspec.Struct, frozen=True):
    """One project's file. `values` are by field name; `sentences` say what was ignored."""

    path: Path
    stamp: Stamp | None = None
    values: Mapping[str, Any] = {}
    sentences: tuple[str, ...] = ()


def read_project_settings(folder: Path) -> ProjectSettings:
    """The file of the project in `folder` as it is now. Never raises."""
    file = read_toml(folder / FILE_NAME, inside=folder)
    read = read_values(section_of(file.table), f"The setting {{key}} in {file.path}", refuse=_refuse)
    sentences = (*([file.sentence] if file.sentence else []), *read.remarks.values())
    return ProjectSettings(file.path, file.stamp, read.values, sentences)


def _refuse(key: str) -> str | None:
    name = field_name(key)
    return _MAY_ONLY if is_forbidden(key) or (name is not None and name not in STRICTER) else None


def restricted(settings: Settings, project: ProjectSettings) -> Settings:
    """`settings` with what the project restricts."""
    stricter = {name: STRICTER[name](getattr(settings, name), value) for name, value in project.values.items()}
    return msgspec.structs.replace(settings, **stricter)


def loosening(settings: Settings, project: ProjectSettings) -> list[str]:
    """A sentence for each key that would loosen `settings`."""
    now = restricted(settings, project)
    return [
        f"The setting {name} in {project.path} is ignored: a project may only restrict, and yours is stricter."
        for name, value in project.values.items()
        if not isinstance(value, tuple) and getattr(now, name) != value
    ]


class Projects:
    """The files of all workspace folders, read again when they have changed."""

    def __init__(self) -> None:
        self._by_folder: dict[str, ProjectSettings] = {}

    def look(self, folder_uris: Iterable[str]) -> bool:
        """Reads what is new; whether anything changed."""
        before = self._by_folder
        folders = {uri: path for uri in folder_uris if (path := local_path(uri)) is not None}
        self._by_folder = {uri: self._current(uri, path) for uri, path in folders.items()}
        return self._by_folder != before

    def _current(self, uri: str, folder: Path) -> ProjectSettings:
        known = self._by_folder.get(uri)
        if known is not None and known.stamp == stamp_of(known.path):
            return known
        return read_project_settings(folder)

    def restrict(self, settings: Settings, uri: str) -> Settings:
        """The settings for the document `uri`."""
        folder = folder_of(uri, self._by_folder)
        return settings if folder is None else restricted(settings, self._by_folder[folder])

    def sentences(self, settings: Settings) -> list[str]:
        """What was ignored in these files, beside `settings`."""
        return [
            sentence
            for project in self._by_folder.values()
            for sentence in (*project.sentences, *loosening(settings, project))
        ]
