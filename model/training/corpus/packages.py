"""One package's share of the corpus: judged, read, filtered, and stored so that an interrupted build goes on.

A package leaves two files in the work folder: `NAME.jsonl`, one kept file a line, and `NAME.json`, its record,
written last. A record whose fingerprint (archive, rules, evaluation texts) is the same is not built again. Left out:
everything that needs other packages (duplicates, held-out likeness, the total size), which select.py does.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from model.training.corpus import source_files
from model.training.corpus.exclusions import EvaluationTexts
from model.training.corpus.licences import judge
from model.training.corpus.sources import (
    Reader,
    Source,
    UnreadableSource,
    folder_files,
    licence_statement,
    open_source,
)

RULES_VERSION = 2

# Project -> folders under which other packages keep copies of it; names in distribution form.
HELD_OUT = {
    "requests": ("requests",),
    "flask": ("flask",),
    "click": ("click",),
    "rich": ("rich",),
    "httpx": ("httpx", "httpx2"),
    "jinja2": ("jinja2",),
    "attrs": ("attr", "attrs"),
}
# Forks and renames of held-out projects: never trained on, and not scored on either.
HELD_OUT_FORKS = frozenset({"httpx2", "typer", "types-requests", "types-attrs", "rich-click", "asyncclick", "quart"})


class Rules(msgspec.Struct, frozen=True):
    """What the record of a package depends on, beside its archive and the evaluation texts."""

    max_project_bytes: int
    held_out: tuple[str, ...]
    held_out_folders: frozenset[str]


class KeptFile(msgspec.Struct, frozen=True):
    """A file that passed the rules for single files. `path` is as imported or as in the source distribution.

    Files of held-out projects that did not pass stay with `compare_only`: copies of them must be found all the same.
    """

    path: str
    text: str
    compare_only: bool = False


class Record(msgspec.Struct, frozen=True):
    """What became of one package. `reason` is "" unless the whole package was rejected."""

    fingerprint: str
    project: str
    version: str
    archive: str
    licence: str
    reason: str
    held_out: bool
    num_files: int
    num_bytes: int
    dropped: dict[str, int]


def rules_for(max_project_bytes: int, more_held_out: tuple[str, ...]) -> Rules:
    """Rules with the held-out projects and some more (distribution names)."""
    folders = {folder for names in HELD_OUT.values() for folder in names}
    folders |= {name.replace("-", "_") for name in more_held_out}
    return Rules(max_project_bytes, tuple(sorted({*HELD_OUT, *more_held_out})), frozenset(folders))


def package_record(source: Source, rules: Rules, evaluation: EvaluationTexts, work: Path) -> Record:
    """The stored record of a package, or a fresh one. OSError if the work folder cannot be written."""
    fingerprint = _fingerprint(source, rules, evaluation)
    record_path, files_path = work / f"{source.project}.json", work / f"{source.project}.jsonl"
    try:
        record = msgspec.json.decode(record_path.read_bytes(), type=Record)
        if record.fingerprint == fingerprint and files_path.exists():
            return record
    except (OSError, msgspec.DecodeError):
        pass
    record_path.unlink(missing_ok=True)
    with open(files_path, "wb") as file:
        record = _build(source, rules, evaluation, fingerprint, file)
    part = record_path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(record))
    os.replace(part, record_path)
    return record


def kept_files(project: str, work: Path) -> Iterator[tuple[int, int, KeptFile]]:
    """(offset, length, file) of each kept file, in stored order; offset and length are of its line in NAME.jsonl."""
    decode = msgspec.json.Decoder(KeptFile).decode
    offset = 0
    with open(work / f"{project}.jsonl", "rb") as file:
        for line in file:
            yield offset, len(line), decode(line)
            offset += len(line)


def _build(source: Source, rules: Rules, evaluation: EvaluationTexts, fingerprint: str, file) -> Record:
    dropped: dict[str, int] = {}
    num_files = num_bytes = 0
    held_out = source.project in rules.held_out
    licence = reason = ""
    if source.project in HELD_OUT_FORKS:
        reason = "fork or near relative of a held-out project"
    else:
        try:
            with open_source(source) as reader:
                verdict = judge(licence_statement(source, reader))
                licence, reason = verdict.licence, verdict.reason
                if verdict.permissive:
                    for kept in _files(source, reader, rules, evaluation, dropped, held_out):
                        file.write(msgspec.json.encode(kept) + b"\n")
                        if kept.compare_only:
                            continue
                        num_files += 1
                        num_bytes += len(kept.text.encode())
        except UnreadableSource as error:
            reason = str(error)
            file.seek(0)
            file.truncate()
            num_files = num_bytes = 0
    if not reason and not num_files:
        reason = "no file left"
    return Record(
        fingerprint=fingerprint,
        project=source.project,
        version=source.version,
        archive=source.path.name,
        licence=licence,
        reason=reason,
        held_out=held_out,
        num_files=num_files,
        num_bytes=num_bytes,
        dropped=dict(sorted(dropped.items())),
    )


def _files(
    source: Source, reader: Reader, rules: Rules, evaluation: EvaluationTexts, dropped: dict[str, int], held_out: bool
) -> Iterator[KeptFile]:
    """Files within the project's share. The order is a hash of the path, tests last: a fair sample of a giant."""
    num_bytes = 0

    def drop(reason: str, count: int = 1) -> None:
        dropped[reason] = dropped.get(reason, 0) + count

    names = [name for name in reader.names if name.endswith(".py")]
    names.sort(key=lambda name: (source_files.is_test(name), blake2b(name.encode("utf-8", "replace")).digest()))
    for number, name in enumerate(names):
        if num_bytes >= rules.max_project_bytes and not held_out:
            drop("beyond the project's share", len(names) - number)
            return
        reason = source_files.path_reason(name)
        if not reason and not held_out and source_files.held_out_folder(name, rules.held_out_folders):
            reason = "copied from a held-out project"
        text = ""
        data = reader.read(name) if held_out or not reason else b""
        if not reason:
            reason, text = source_files.text_reason(data)
        if not reason and not held_out:
            reason = evaluation.reason(text)
        if reason:
            drop(reason)
            if held_out and (whole := source_files.text_of(data)):
                yield KeptFile(name, whole, compare_only=True)
            continue
        num_bytes += len(text.encode())
        yield KeptFile(name, text)


def _fingerprint(source: Source, rules: Rules, evaluation: EvaluationTexts) -> str:
    if source.kind == "folder":
        paths = [source.path / name for name in folder_files(source.path)]
        state: object = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
    else:
        state = source.path.stat().st_size
    parts = [RULES_VERSION, source.project, source.version, source.path.name, state, rules.max_project_bytes]
    parts += [rules.held_out, sorted(rules.held_out_folders), evaluation.digest]
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()
