"""What must not be trained on: evaluation texts, and files too like those of the held-out projects.

A file is dropped when it shares 10 consecutive words of an evaluation prompt, or 3 consecutive
non-trivial lines of a solution; or when `MAX_HELD_OUT_SHARE` of its non-trivial lines also stand in held-out files.
Windows that say nothing are not counted: fewer than `MIN_DISTINCT_WORDS` different words, or mostly single characters
and numbers (`x, y = 0, 0`, a run of list items). Left out: paraphrases and renamed identifiers.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

import numpy as np

from model.training.corpus.sources import CorpusError

WINDOW_WORDS = 10
WINDOW_LINES = 3
MIN_DISTINCT_WORDS = 6
MIN_LONG_WORDS = 5
MIN_LINE_CHARS = 12
MAX_HELD_OUT_SHARE = 0.3
MIN_HELD_OUT_LINES = 5

_WORD = re.compile(r"\w+")
_PROMPT_FIELDS = {"prompt", "instruction", "instruction_descriptive", "instruction_lazy", "text", "description",
                  "docstring", "question", "context", "input", "before", "suffix", "content", "examples"}  # fmt: skip
_CODE_FIELDS = {"prompt", "canonical_solution", "solution", "output", "after", "before", "input", "code", "oracle_code",
                "buggy_code", "buggy_solution", "buggy_program", "suffix", "reference"}  # fmt: skip


class EvaluationTexts:
    """Hashes of the word windows of all prompts and the line windows of all solutions."""

    def __init__(self, prompts: Iterable[str], solutions: Iterable[str]) -> None:
        self.num_prompts = self.num_solutions = 0
        words: set[int] = set()
        for prompt in prompts:
            self.num_prompts += 1
            words.update(_word_windows(prompt))
        lines: set[int] = set()
        for solution in solutions:
            self.num_solutions += 1
            lines.update(_line_windows(solution))
        self._words = np.array(sorted(words), dtype=np.uint64)
        self._lines = np.array(sorted(lines), dtype=np.uint64)
        digest = blake2b(self._words.tobytes() + self._lines.tobytes(), digest_size=16)
        self.digest = digest.hexdigest()

    def reason(self, text: str) -> str:
        """Why a file is dropped; "" keeps it."""
        if _any_in(_word_hashes(text), self._words):
            return "shares 10 words with an evaluation prompt"
        if _any_in(np.array(list(_line_windows(text)), dtype=np.uint64), self._lines):
            return "shares 3 lines with an evaluation solution"
        return ""


def read_evaluation_texts(folder: Path | None) -> EvaluationTexts:
    """All .json, .jsonl and .jsonl.gz below a folder (None: no evaluation texts). CorpusError if one is unreadable."""
    prompts: list[str] = []
    solutions: list[str] = []
    if folder is not None:
        if not folder.is_dir():
            raise CorpusError(f"the evaluation folder {folder} does not exist")
        names = sorted(path for path in folder.rglob("*") if re.search(r"\.json(l|l\.gz)?$", path.name))
        for path in names:
            for row in _rows(path):
                prompts += [text for key, text in _texts(row) if key in _PROMPT_FIELDS]
                solutions += [text for key, text in _texts(row) if key in _CODE_FIELDS]
        if not prompts and not solutions:
            raise CorpusError(f"the evaluation folder {folder} holds no prompts or solutions")
    return EvaluationTexts(prompts, solutions)


def _rows(path: Path) -> Iterator[dict]:
    try:
        opener = gzip.open if path.name.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8") as file:
            rows = (
                json.load(file) if path.name.endswith(".json") else [json.loads(line) for line in file if line.strip()]
            )
    except (OSError, EOFError, ValueError) as error:
        raise CorpusError(f"the evaluation file {path} cannot be read ({error})") from None
    yield from (row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict))


def _texts(row: dict) -> Iterator[tuple[str, str]]:
    for key, value in row.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                yield key, text


class HeldOutLines:
    """The non-trivial lines of the held-out projects."""

    def __init__(self) -> None:
        self._lines: set[int] = set()

    def add(self, hashes: Iterable[int]) -> None:
        """Adds a held-out file by its `line_hashes`."""
        self._lines.update(hashes)

    def reason(self, hashes: Iterable[int]) -> str:
        """Why a file is dropped, given its `line_hashes`; "" keeps it."""
        lines = set(hashes)
        shared = len(lines & self._lines)
        alike = shared >= MIN_HELD_OUT_LINES and shared >= MAX_HELD_OUT_SHARE * len(lines)
        return "like a file of a held-out project" if alike else ""


def line_hashes(text: str) -> list[int]:
    """64-bit hashes of the non-trivial lines, in order: blanks normalised, comments and short lines left out."""
    hashes = []
    for line in text.split("\n"):
        line = " ".join(line.split())
        if len(line) >= MIN_LINE_CHARS and not line.startswith(("#", "import ", "from ", "@")) and _WORD.search(line):
            hashes.append(int.from_bytes(blake2b(line.encode("utf-8", "replace"), digest_size=8).digest(), "little"))
    return hashes


def _line_windows(text: str) -> Iterator[int]:
    hashes = line_hashes(text)
    for window in zip(*(hashes[start:] for start in range(WINDOW_LINES)), strict=False):
        if len(set(window)) == WINDOW_LINES:
            yield hash(window) & 0xFFFFFFFFFFFFFFFF  # hashes of ints do not depend on the process


def _word_windows(text: str) -> Iterator[int]:
    yield from _word_hashes(text).tolist()


def _word_hashes(text: str) -> np.ndarray:
    """One uint64 per window of ten words that says something."""
    words = _WORD.findall(text.lower())
    if len(words) < WINDOW_WORDS:
        return np.empty(0, dtype=np.uint64)
    ids = np.array([crc32(word.encode("utf-8", "replace")) for word in words], dtype=np.uint64)
    is_long = np.array([len(word) > 2 and not word.isdigit() for word in words])
    num_windows = len(words) - WINDOW_WORDS + 1
    windows = np.lib.stride_tricks.sliding_window_view(ids, WINDOW_WORDS)
    hashes = np.zeros(num_windows, dtype=np.uint64)
    for offset in range(WINDOW_WORDS):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + ids[offset : offset + num_windows] + np.uint64(1)
        hashes ^= hashes >> np.uint64(29)
    long_words = np.lib.stride_tricks.sliding_window_view(is_long, WINDOW_WORDS).sum(axis=1)
    ordered = np.sort(windows, axis=1)
    distinct = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    return hashes[(distinct >= MIN_DISTINCT_WORDS) & (long_words >= MIN_LONG_WORDS)]


def _any_in(values: np.ndarray, sorted_values: np.ndarray) -> bool:
    if not len(values) or not len(sorted_values):
        return False
    places = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    return bool((sorted_values[places] == values).any())
