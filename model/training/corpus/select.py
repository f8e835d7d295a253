"""Which of the packages' kept files enter the corpus: duplicates out, held-out likeness out, split by project.

Packages are taken in the order of a hash of their names, held-out projects first, so any size limit is a fair sample
and a second run takes the same. Only references are kept in memory, never texts.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b, sha256
from pathlib import Path

import msgspec

from model.training.corpus.duplicates import SeenFiles
from model.training.corpus.exclusions import EvaluationTexts, HeldOutLines, line_hashes
from model.training.corpus.packages import Record, Rules, kept_files, package_record
from model.training.corpus.sources import Source


class Document(msgspec.Struct, frozen=True):
    """Where one text lies: line `offset`..`offset + length` of the project's file. `key` orders the shard."""

    key: bytes
    project: str
    path: str
    offset: int
    length: int
    num_bytes: int


class Share(msgspec.Struct, frozen=True):
    """What one package gave. `split` is "train" or "heldout"; `dropped` counts files by reason."""

    record: Record
    split: str
    num_files: int
    num_bytes: int
    dropped: dict[str, int]


class Selection(msgspec.Struct, frozen=True):
    train: list[Document]
    heldout: list[Document]
    shares: list[Share]


def ordered(sources: Sequence[Source], rules: Rules) -> list[Source]:
    """Held-out projects first, then by the hash of the name."""
    return sorted(sources, key=lambda s: (s.project not in rules.held_out, sha256(s.project.encode()).digest()))


def select(
    sources: Sequence[Source],
    rules: Rules,
    evaluation: EvaluationTexts,
    work: Path,
    *,
    max_bytes: int | None,
    report: Callable[[int, int, int], None],
) -> Selection:
    """Builds or reuses the record of each package until `max_bytes` of training text are there.

    `report(number of packages done, number of packages, bytes kept)` is called after each package.
    """
    held_out_lines, seen = HeldOutLines(), SeenFiles()
    selection = Selection([], [], [])
    num_bytes = 0
    sources = ordered(sources, rules)
    for number, source in enumerate(sources):
        if max_bytes is not None and num_bytes >= max_bytes:
            break
        record = package_record(source, rules, evaluation, work)
        documents = selection.heldout if record.held_out else selection.train
        dropped = dict(record.dropped)
        num_files_before, bytes_before = len(documents), num_bytes
        share_bytes = 0
        for offset, length, kept in kept_files(source.project, work) if not record.reason else ():
            hashes = line_hashes(kept.text)
            if record.held_out:
                held_out_lines.add(hashes)
            if kept.compare_only:
                continue
            reason = seen.reason(kept.text, hashes)
            if not reason and not record.held_out:
                reason = held_out_lines.reason(hashes)
            if reason:
                dropped[reason] = dropped.get(reason, 0) + 1
                continue
            size = len(kept.text.encode())
            key = blake2b(f"{source.project}/{kept.path}".encode(), digest_size=8).digest()
            documents.append(Document(key, source.project, kept.path, offset, length, size))
            share_bytes += size
        if not record.held_out:
            num_bytes = bytes_before + share_bytes
        split = "heldout" if record.held_out else "train"
        selection.shares.append(Share(record, split, len(documents) - num_files_before, share_bytes, dropped))
        report(number + 1, len(sources), num_bytes)
    selection.train.sort(key=lambda document: document.key)
    selection.heldout.sort(key=lambda document: document.key)
    return selection
