"""The layout of a prompt: one order of parts for training and for the engine.

<bos> <file> path { <file> snippet } <suf> suffix <pre> prefix <tail> tail <cur> line [<old> code <ask> instruction]
canvas <eom>. What may change on a keystroke stands last, so that a prefix cache keeps the rest. `line` is the cursor's
line up to the cursor with some lines above it (from an upper anchor on): the text that the canvas goes on from stands
directly before it, which a small model needs (docs/log.md, 2026-11-21). Source: the project's design (suffix before
prefix as in FIM's SPM, Bavarian et al., arXiv 2207.14255). Left out: choosing windows and anchors (lsp_server/context,
model/engine/prompting.py) and broken tokens at the cursor.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from model.tokenizer import ASK, BOS, CUR, FILE, OLD, PRE, SUF, TAIL, Tokenizer

MAX_NEAR_TOKENS = 144
"""Most tokens of the lines above the cursor's that stand with it, behind the tail."""


class Snippet(Protocol):
    """Code of another place; the engine's border has such a struct, training draws tuples of its own."""

    @property
    def path(self) -> str: ...
    @property
    def text(self) -> str: ...


def path_ids(tokenizer: Tokenizer, path: str) -> list[int]:
    """The ids of a path line, as it stands behind <file>."""
    return tokenizer.encode(path + "\n")


def prompt_ids(
    tokenizer: Tokenizer,
    *,
    path: str,
    snippets: Iterable[Snippet] = (),
    suffix: str,
    prefix: str,
    tail: str,
    line: str,
    old: str | None = None,
    instruction: str | None = None,
) -> list[int]:
    """Ids of a prompt around a hole; the canvas follows. The document reads prefix + line + CANVAS + tail + suffix.

    `old` and `instruction` (both or neither, else ValueError) make it the prompt of a rewrite.
    """
    if (old is None) != (instruction is None):
        raise ValueError("a rewrite needs both the old code and an instruction")
    encode = tokenizer.encode
    rewrite = None if old is None or instruction is None else (encode(old), encode(instruction))
    return layout_ids(
        path=path_ids(tokenizer, path),
        snippets=[encode(f"{snippet.path}\n{snippet.text}") for snippet in snippets],
        suffix=encode(suffix),
        prefix=encode(prefix),
        tail=encode(tail),
        line=encode(line),
        rewrite=rewrite,
    )


def layout_ids(
    *,
    path: Sequence[int],
    snippets: Iterable[Sequence[int]] = (),
    suffix: Sequence[int],
    prefix: Sequence[int],
    tail: Sequence[int],
    line: Sequence[int],
    rewrite: tuple[Sequence[int], Sequence[int]] | None = None,
) -> list[int]:
    """The same layout from parts that are ids already (training cuts them from stored tokens)."""
    ids = [BOS, FILE, *path]
    for snippet in snippets:
        ids += (FILE, *snippet)
    ids += (SUF, *suffix, PRE, *prefix, TAIL, *tail, CUR, *line)
    if rewrite is not None:
        old, instruction = rewrite
        ids += (OLD, *old, ASK, *instruction)
    return ids


def document_ids(path: Sequence[int]) -> list[int]:
    """The head of a document sample: the whole text behind it is canvas."""
    return [BOS, FILE, *path, CUR]
