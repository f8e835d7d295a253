"""What an unpacked project or a git checkout says of itself: name, version, licence, commit. Nothing is executed.

Source: `[project]` of pyproject.toml (PEP 621, PEP 639), Poetry's table, `[metadata]` of setup.cfg, and those arguments
of `setup()` in setup.py that are constants. Values are given as core metadata, which archives carry ready-made. Left
out: values that are computed, versions kept in another file (such a checkout is known by its commit).
"""

import ast
import configparser
import re
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

MAX_DEPTH = 2
METADATA_FILES = ("pyproject.toml", "setup.cfg", "setup.py")

Metadata = dict[str, list[str]]


def find_projects(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(normalised name, version, folder) of the projects in a folder: itself, or those up to MAX_DEPTH below it.

    A git checkout that does not say its name is known by its folder's.
    """
    yield from _projects(folder, MAX_DEPTH)


def _projects(folder: Path, depth: int) -> Iterator[tuple[str, str, Path]]:
    metadata = project_metadata(lambda name: _bytes_of(folder / name))
    name = next(iter(metadata.get("Name", [])), "")
    inside: list[tuple[str, str, Path]] = []
    if not name and depth:
        inside = [found for path in _folders_in(folder) for found in _projects(path, depth - 1)]
    if not name and not inside and (folder / ".git").exists():
        name = folder.resolve().name
    if name:
        yield canonicalize_name(name), _version(next(iter(metadata.get("Version", [])), "0"), folder), folder
    yield from inside


def _folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that are neither hidden nor links; none where it cannot be read."""
    try:
        return sorted(
            path for path in folder.iterdir() if path.name[0] != "." and path.is_dir() and not path.is_symlink()
        )
    except OSError:
        return []


def _version(text: str, folder: Path) -> str:
    """The version, with the commit of a git checkout as its local part."""
    try:
        version = Version(text)
    except InvalidVersion:
        version = Version("0")
    commit = git_commit(folder)
    return f"{version.public}+g{commit[:12]}" if commit else str(version)


def git_commit(folder: Path) -> str:
    """The commit that a checkout stands at, read from its .git folder; "" where there is none."""
    head = (_bytes_of(folder / ".git" / "HEAD") or b"").decode("utf-8", "replace").strip()
    if head.startswith("ref: "):
        reference = head.removeprefix("ref: ")
        packed = (_bytes_of(folder / ".git" / "packed-refs") or b"").decode("utf-8", "replace")
        listed = re.search(rf"^([0-9a-f]{{40}}) {re.escape(reference)}$", packed, re.MULTILINE)
        loose = None if ".." in reference else _bytes_of(folder / ".git" / reference)
        head = loose.decode("utf-8", "replace").strip() if loose else listed[1] if listed else ""
    return head if re.fullmatch(r"[0-9a-f]{40}", head) else ""


def project_metadata(read: Callable[[str], bytes | None]) -> Metadata:
    """Core metadata from a project's own files, which `read` gives by name. The first file that has a value counts;
    the classifiers of all of them do, so that a restriction in any file is seen."""
    merged: Metadata = {}
    for name, parse in (("pyproject.toml", _of_pyproject), ("setup.cfg", _of_setup_cfg), ("setup.py", _of_setup_py)):
        data = read(name)
        for key, values in parse(data.decode("utf-8", "replace")).items() if data else ():
            values = [value for value in values if value.strip()]
            if key == "Classifier":
                merged[key] = merged.get(key, []) + values
            elif values and key not in merged:
                merged[key] = values
    return merged


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _of_pyproject(text: str) -> Metadata:
    try:
        table = tomllib.loads(text)
    except ValueError:
        return {}
    project, poetry = _table(table, "project"), _table(table, "tool", "poetry")
    licence = project.get("license", poetry.get("license", ""))
    classifiers = [*_texts(project.get("classifiers")), *_texts(poetry.get("classifiers"))]
    return {
        "Name": _texts([project.get("name", poetry.get("name"))]),
        "Version": _texts([project.get("version", poetry.get("version"))]),
        "License-Expression": _texts([licence]),
        "License": _texts([licence.get("text")]) if isinstance(licence, dict) else [],
        "Classifier": classifiers,
    }


def _table(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        table = table.get(key, {})
        if not isinstance(table, dict):
            return {}
    return table


def _of_setup_cfg(text: str) -> Metadata:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    section = parser["metadata"] if parser.has_section("metadata") else {}
    return {
        "Name": [section.get("name", "")],
        "Version": [section.get("version", "")],
        "License": [section.get("license", "")],
        "Classifier": section.get("classifiers", section.get("classifier", "")).strip().split("\n"),
    }


def _of_setup_py(text: str) -> Metadata:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: Metadata = {}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and "setup" in (getattr(call.func, "id", ""), getattr(call.func, "attr", "")):
            constants = {keyword.arg: _constant(keyword.value) for keyword in call.keywords}
            found["Name"] = _texts([constants.get("name")])
            found["Version"] = _texts([constants.get("version")])
            found["License"] = _texts([constants.get("license")])
            found["Classifier"] = _texts(constants.get("classifiers"))
    return found


def _constant(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, (list, tuple)) else []
