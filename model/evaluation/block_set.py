"""The BLOCK set: a fixed list of stretches of the held-out documents, 32 to 128 tokens long, that are to be written.

Half of them are syntax nodes (statements and blocks), half runs of whole lines. The list holds no code: a document's
path, the SHA-256 of its text, and for each place its first character and its length. It is committed
(block_set.json), so that scores compare; `choose_places` made it and can make one for other documents. Source: this
project's own protocol. Left out: decoding and scoring (block.py).
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random

import msgspec

from model.evaluation.decode import Place
from model.evaluation.heldout_places import prose_rows
from model.evaluation.options import EvalError
from model.syntax.spans import node_spans
from model.tokenizer import Tokenizer

FORMAT = 1
NUM_PLACES = 1_024
MIN_TOKENS, MAX_TOKENS = 32, 128
MAX_CHARS = 16 * MAX_TOKENS
LIST_FILE = Path(__file__).with_name("block_set.json")

Stretch = tuple[int, int]
"""First character and number of characters."""


class ListedDocument(msgspec.Struct, frozen=True):
    """Where places lie in one document; `sha256` is that of its text in UTF-8."""

    path: str
    sha256: str
    places: tuple[Stretch, ...]


class BlockSet(msgspec.Struct, frozen=True, kw_only=True):
    """`packages` = name and version of the packages whose documents these are; `seed` = that of `choose_places`."""

    format: int
    what: str
    packages: tuple[str, ...]
    seed: int
    documents: tuple[ListedDocument, ...]

    @property
    def num_places(self) -> int:
        return sum(len(document.places) for document in self.documents)


class Found(msgspec.Struct, frozen=True):
    """Places of the listed documents that are here, and how many of the list's documents and places there are."""

    places: list[Place]
    num_places: int
    missing: list[str]


class _Package(msgspec.Struct, frozen=True):
    name: str
    version: str
    split: str


class _Manifest(msgspec.Struct, frozen=True):
    packages: tuple[_Package, ...]


def choose_places(documents: Sequence[tuple[str, str]], tokenizer: Tokenizer, *, num: int, seed: int) -> BlockSet:
    """About `num` places that do not overlap, spread over the documents by size; fewer where they do not fit."""
    ordered = sorted(documents)
    bounds = [0, *accumulate(len(text) for _, text in ordered)]
    listed: list[ListedDocument] = []
    for (path, text), low, high in zip(ordered, bounds[:-1], bounds[1:], strict=True):
        # Rounding the running total, not each share, keeps the sum at `num`.
        quota = num * high // bounds[-1] - num * low // bounds[-1]
        rng = Random(f"block/{seed}/{path}")
        places = _choose(node_stretches(text, tokenizer), (quota + 1) // 2, [], rng)
        places = _choose(line_stretches(text, tokenizer, rng), quota, places, rng)
        if places:
            listed.append(ListedDocument(path, sha256_of(text), tuple(sorted(places))))
    what = "Stretches of held-out documents to be written: first character and number of characters. No code."
    return BlockSet(format=FORMAT, what=what, packages=(), seed=seed, documents=tuple(listed))


def node_stretches(text: str, tokenizer: Tokenizer) -> list[Stretch]:
    """Statements and blocks of 32 to 128 tokens that are mostly code."""
    is_code = _code_test(text)
    spans = [span for span in node_spans(text, "python") if span.kind in ("statement", "block")]
    stretches = sorted({(span.start, span.end - span.start) for span in spans})
    return [
        (start, length)
        for start, length in stretches
        if _fits(text[start : start + length], tokenizer) and is_code(start, start + length)
    ]


def line_stretches(text: str, tokenizer: Tokenizer, rng: Random) -> list[Stretch]:
    """From each line of code one run of lines of a random size, 32 to 128 tokens, without its last newline.

    A run begins with its first line's indentation, ends with a line that is not blank, and is mostly code.
    """
    is_code = _code_test(text)
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    sizes = [len(ids) for ids in tokenizer.encode_batch([line + "\n" for line in lines])]
    stretches: list[Stretch] = []
    for first, line in enumerate(lines):
        wanted = rng.randint(MIN_TOKENS, MAX_TOKENS)
        last, size = first, 0
        while line.strip() and last < len(lines) and size + sizes[last] <= wanted:
            size += sizes[last]
            last += 1
        while last > first and not lines[last - 1].strip():
            last -= 1
        start, end = starts[first], starts[last] - 1
        if last > first and _fits(text[start:end], tokenizer) and is_code(start, end):
            stretches.append((start, end - start))
    return stretches


def heldout_packages(shards: Path) -> tuple[str, ...]:
    """ "NAME VERSION" of the held-out packages in the manifest of a shard folder; empty without a readable one."""
    try:
        manifest = msgspec.json.decode((shards / "manifest.json").read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return ()
    return tuple(f"{package.name} {package.version}" for package in manifest.packages if package.split == "heldout")


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write_list(path: Path, block_set: BlockSet) -> None:
    """One document a line: small, and a change is a change of lines."""
    head, _, _ = msgspec.json.encode(msgspec.structs.replace(block_set, documents=())).rpartition(b"[]}")
    rows = b",\n".join(msgspec.json.encode(document) for document in block_set.documents)
    try:
        path.write_bytes(head + b"[\n" + rows + b"\n]}\n")
    except OSError as error:
        raise EvalError(f"{path} cannot be written ({error.strerror})") from None


def read_list(path: Path) -> BlockSet:
    """EvalError if the file is missing or foreign."""
    try:
        block_set = msgspec.json.decode(path.read_bytes(), type=BlockSet)
    except OSError as error:
        raise EvalError(f"the list {path} cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvalError(f"{path} is not a list of places ({error})") from None
    if block_set.format != FORMAT:
        raise EvalError(f"{path} has format {block_set.format}, but this version reads format {FORMAT}")
    return block_set


def find_places(block_set: BlockSet, documents: Sequence[tuple[str, str]], *, limit: int | None) -> Found:
    """The places whose documents are here with the same text; at most `limit` of them, evenly from the whole list.

    EvalError if more than half of the list's documents are missing.
    """
    texts = {(path, sha256_of(text)): text for path, text in documents}
    places: list[Place] = []
    missing: list[str] = []
    for document in block_set.documents:
        text = texts.get((document.path, document.sha256))
        if text is None:
            missing.append(document.path)
            continue
        for start, length in document.places:
            end = start + length
            places.append(Place(path=document.path, before=text[:start], after=text[end:], gold=text[start:end]))
    num_listed = len(block_set.documents)
    if 2 * len(missing) > num_listed:
        raise EvalError(
            f"{len(missing)} of the list's {num_listed} documents are not in these shards with the same text; "
            f"build shards from {', '.join(block_set.packages) or 'the packages of the list'}, "
            f"or replace {LIST_FILE.name} by a list of your own (--write-list)"
        )
    if limit is not None and limit < len(places):
        places = [places[i * len(places) // limit] for i in range(limit)]
    return Found(places, block_set.num_places, missing)


def _code_test(text: str) -> Callable[[int, int], bool]:
    """Does a stretch begin and end on code, and is at most a quarter of its lines prose (comments, docstrings)?

    What a docstring says is not to be guessed from the code around it, so a score on prose would say little.
    """
    prose = prose_rows(text)
    starts = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))

    def is_code(start: int, end: int) -> bool:
        rows = range(bisect_right(starts, start) - 1, bisect_right(starts, end - 1))
        num_prose = sum(row in prose for row in rows)
        return rows[0] not in prose and rows[-1] not in prose and 4 * num_prose <= len(rows)

    return is_code


def _fits(text: str, tokenizer: Tokenizer) -> bool:
    # Most stretches that are too short or too long need not be encoded.
    return MIN_TOKENS <= len(text) <= MAX_CHARS and MIN_TOKENS <= len(tokenizer.encode(text)) <= MAX_TOKENS


def _choose(candidates: list[Stretch], num: int, taken: list[Stretch], rng: Random) -> list[Stretch]:
    """`taken` and random candidates that overlap nothing taken, up to `num` in all."""
    chosen = list(taken)
    for start, length in rng.sample(candidates, len(candidates)):
        if len(chosen) >= num:
            break
        if all(start + length <= other or start >= other + size for other, size in chosen):
            chosen.append((start, length))
    return chosen
