"""`seedling corpus build`: from package archives to shards, a tokenizer and a manifest.

Three phases: packages one by one (resumable), a tokenizer where none is given, the shards. The
result depends on the archives and the options alone, not on interruptions, machine or time. Left out: downloading
anything.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import msgspec

from model.tokenizer import Tokenizer
from model.training.corpus.exclusions import EvaluationTexts, read_evaluation_texts
from model.training.corpus.packages import rules_for
from model.training.corpus.select import Document, Selection, select
from model.training.corpus.shards import Meta, texts_of, write_split
from model.training.corpus.sources import CorpusError, find_sources
from model.training.tokenizer_train import check_vocab_size, sample_texts, train_tokenizer

# Measured on the held-out projects at 8192 tokens: 4.13 bytes a token with this limit, 4.05 without.
TOKENIZER_PROJECT_BYTES = 100_000


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`evals` None = no evaluation texts are removed. `max_bytes` limits the training text, None takes everything."""

    folders: Sequence[Path]
    out: Path
    tokenizer: Path | None = None
    evals: Path | None = None
    max_bytes: int | None = None
    max_project_bytes: int = 2_000_000
    held_out: tuple[str, ...] = ()
    vocab_size: int = 8192
    tokenizer_bytes: int = 40_000_000


def build_corpus(options: BuildOptions) -> Meta:
    """Writes the whole output folder. CorpusError or TokenizerError for whatever the user can mend."""
    tokenizer = Tokenizer.load(options.tokenizer) if options.tokenizer else None
    if tokenizer is None:
        check_vocab_size(options.vocab_size)
    evaluation = read_evaluation_texts(options.evals)
    sources = find_sources(options.folders)
    if not sources:
        places = ", ".join(str(folder) for folder in options.folders)
        raise CorpusError(f"no wheel, source distribution or project folder in {places}")
    try:
        return _build(options, sources, evaluation, tokenizer)
    except OSError as error:
        raise CorpusError(f"cannot write the corpus to {options.out}: {error.strerror or error}") from None


def _build(options: BuildOptions, sources, evaluation: EvaluationTexts, tokenizer: Tokenizer | None) -> Meta:
    out, work = options.out, options.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    rules = rules_for(options.max_project_bytes, options.held_out)
    selection = select(
        sources,
        rules,
        evaluation,
        work,
        max_bytes=options.max_bytes,
        report=lambda done, total, size: progress.count(f"{size / 1e6:.1f} MB kept, packages", done, total),
    )
    progress.end()
    if not selection.train:
        reasons = Counter(share.record.reason or "no file left" for share in selection.shares)
        raise CorpusError(
            f"no training file is left of {len(sources)} packages (most often: {reasons.most_common(1)[0][0]})"
        )
    if tokenizer is None:
        progress.show("training the tokenizer", True)
        sample = sample_texts(texts_of(fair_sample(selection.train), work), options.tokenizer_bytes)
        data = train_tokenizer(sample, vocab_size=options.vocab_size).encode()
        tokenizer = Tokenizer.from_bytes(data)
    else:
        data = Path(options.tokenizer).read_bytes() if options.tokenizer else b""
    (out / "meta.json").unlink(missing_ok=True)  # from here to the end the folder is not whole
    _write(out / "tokenizer.json", data)
    _write(
        out / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest(selection, evaluation, rules.held_out)))
    )
    splits = {}
    for split, documents in (("train", selection.train), ("heldout", selection.heldout)):
        texts = texts_of(documents, work)
        report = partial(progress.count, f"{split} shard, documents")
        splits[split] = write_split(out, split, documents, texts, tokenizer, report)
    progress.end()
    meta = Meta(vocab_size=tokenizer.vocab_size, tokenizer_sha256=tokenizer.sha256, **splits)
    _write(out / "meta.json", msgspec.json.format(msgspec.json.encode(meta)))
    return meta


def fair_sample(documents: Sequence[Document]) -> list[Document]:
    """The first documents of each project, TOKENIZER_PROJECT_BYTES of each: no project's jargon becomes tokens."""
    taken: Counter[str] = Counter()
    sample = []
    for document in documents:
        if taken[document.project] < TOKENIZER_PROJECT_BYTES:
            taken[document.project] += document.num_bytes
            sample.append(document)
    return sample


def manifest(selection: Selection, evaluation: EvaluationTexts, held_out: Sequence[str]) -> dict:
    """What a model card needs: used packages with licence and size, rejected ones with the reason, dropped files."""
    used = [share for share in selection.shares if share.num_files]
    unused = [share for share in selection.shares if not share.num_files]
    dropped: Counter[str] = Counter()
    for share in selection.shares:
        dropped.update(share.dropped)
    rejected = [
        {"name": s.record.project, "version": s.record.version, "reason": s.record.reason or "no file left"}
        for s in unused
    ]
    return {
        "packages": [
            {
                "name": share.record.project,
                "version": share.record.version,
                "archive": share.record.archive,
                "licence": share.record.licence,
                "split": share.split,
                "files": share.num_files,
                "bytes": share.num_bytes,
            }
            for share in sorted(used, key=lambda share: share.record.project)
        ],
        "held_out": list(held_out),
        "rejected_packages": sorted(rejected, key=lambda item: item["name"]),
        "rejected_package_counts": dict(Counter(item["reason"] for item in rejected).most_common()),
        "dropped_file_counts": dict(dropped.most_common()),
        "evaluation": {
            "prompts": evaluation.num_prompts,
            "solutions": evaluation.num_solutions,
            "digest": evaluation.digest,
        },
    }


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


class Progress:
    """One line on a terminal, rewritten at most five times a second; elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._interval_s = 0.2 if self._is_terminal else 10.0
        self._shown_at = float("-inf")

    def show(self, line: str, must: bool = False) -> None:
        now = monotonic()
        if must or now - self._shown_at >= self._interval_s:
            self._shown_at = now
            print(
                f"\r\x1b[K{line}" if self._is_terminal else line,
                end="" if self._is_terminal else "\n",
                file=sys.stderr,
                flush=True,
            )

    def count(self, what: str, done: int, total: int) -> None:
        self.show(f"{what} {done}/{total}", done == total)

    def end(self) -> None:
        if self._is_terminal:
            print(file=sys.stderr)
