"""Rows of a text that are worth a close look although nobody named them.

The text runs through the network as a plain document, window by window: its clean rows, and the same tokens again as
draft blocks, of which the edit head says what it would rather have. A row's doubt is the largest margin of its words
of code. Rows where the parser stumbles and rows with names that nothing binds come first. Source: this project's own
rules. Left out: what stands after a window, and how to repair (study.py).

A pass a window and one for every few blocks: about 2.3 rows a token, less where there is no code.
"""

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
import torch

from model.diffusion.objective import allowed_labels
from model.diffusion.states import DRAFT
from model.mending.forks import Branch
from model.mending.reader import Reader
from model.mending.text_view import TextView
from model.prompts import document_ids, path_ids
from model.syntax.trees import captures, encode, parse
from model.tokenizer import EOM

BLOCK = 64
KEPT_SHARE = 1 / 4
"""Of a window, what is context for the rest."""
AROUND_ERROR = 1


def doubts(reader: Reader, view: TextView, inside: range) -> dict[int, float]:
    """The doubt of each row of code inside, in nats."""
    ids, rows, judged = _tokens(reader, view)
    first, last = bisect_left(rows, inside.start), bisect_left(rows, inside.stop)
    found: dict[int, float] = {}
    for start, margins in _margins(reader, view, ids, judged, first, last):
        for index, margin in enumerate(margins, start):
            if judged[index] and index < last:
                row = rows[index]
                found[row] = max(margin, found.get(row, margin))
    return found


def broken_rows(view: TextView) -> list[int]:
    """Rows where the parser stumbles, and their neighbours; none in sound text."""
    if view.is_sound:
        return []
    rows: set[int] = set()
    named = view.error_row
    if named is not None:
        rows.update(range(named - AROUND_ERROR, named + 1))
    tree = parse(view.text, "python")
    assert tree is not None
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if not node.has_error:
            continue
        if node.is_error or node.is_missing:
            rows.update((node.start_point.row, node.end_point.row))
        waiting.extend(node.children)
    return sorted(row for row in rows if 0 <= row < len(view.lines) and view.has_code(row))


def rows_of_unknown_names(view: TextView) -> list[int]:
    """Rows that use a name which nothing binds; none in broken text, where bindings get lost."""
    if not view.is_sound:
        return []
    unknown = view.scopes.unknown(0, len(view.text))
    rows = {int(np.searchsorted(view.starts, start, side="right")) - 1 for start, _, _ in unknown}
    return sorted(row for row in rows if view.has_code(row))


def _tokens(reader: Reader, view: TextView) -> tuple[list[int], list[int], list[bool]]:
    """The text's tokens, the row of each, and whether it is code (not blank, no comment, no inside of a string)."""
    quiet = _quiet_bytes(view.text)
    ids: list[int] = []
    rows: list[int] = []
    judged: list[bool] = []
    place = 0
    for row, line in enumerate(view.lines):
        has_code = view.has_code(row)
        for token in reader.encode(line):
            data = reader.tokenizer.token_bytes[token]
            ids.append(token)
            rows.append(row)
            judged.append(has_code and bool(data.strip()) and not quiet[place : place + len(data)].any())
            place += len(data)
    return ids, rows, judged


def _margins(
    reader: Reader, view: TextView, ids: list[int], judged: list[bool], start: int, end: int
) -> Iterator[tuple[int, list[float]]]:
    """(first token, margins) of stretches of the text that hold tokens start..end."""
    preset = reader.checkpoint.preset
    head = document_ids(path_ids(reader.tokenizer, view.path))[-preset.context_tokens // 4 :]
    window = preset.context_tokens - len(head)
    num_kept = int(window * KEPT_SHARE)
    banned_V = ~allowed_labels(reader.network.head_weight.shape[0])[DRAFT].to(reader.network.head_weight.device)
    banned_V[EOM] = True
    while start < end:
        first = max(0, start - num_kept)
        part = ids[first : min(first + window, end)]
        reader.read([*head, *part], 0)
        begins = range(start - first, len(part), BLOCK)
        begins = [begin for begin in begins if any(judged[first + begin : first + begin + BLOCK])]
        branches = [
            Branch(len(head) + begin, part[begin : begin + BLOCK], [DRAFT] * len(part[begin : begin + BLOCK]))
            for begin in begins
        ]
        for begin, branch, hidden_TD in zip(begins, branches, reader.run(branches), strict=True):
            logits_TV = reader.network.logits(hidden_TD).float()
            logits_TV[:, banned_V] = -torch.inf
            index_T1 = torch.tensor(branch.ids, device=logits_TV.device).unsqueeze(1)
            own_T = logits_TV.gather(1, index_T1).squeeze(1)
            best_T = logits_TV.scatter_(1, index_T1, -torch.inf).amax(dim=1)
            yield first + begin, (best_T - own_T).tolist()
        start = first + len(part)


def _quiet_bytes(text: str) -> np.ndarray:
    """bool a byte: inside a comment or the text of a string."""
    tree = parse(text, "python")
    assert tree is not None
    quiet = np.zeros(len(encode(text)) + 1, bool)
    for node in captures(tree, "[(comment) (string_content)] @quiet").get("quiet", []):
        quiet[node.start_byte : node.end_byte] = True
    return quiet
