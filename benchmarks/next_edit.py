"""Next edits: of the follow-ups that are proposed, how many are right; how often there are any; how long it takes.

Scripted changes in held-out files (next_edit_tasks.py): renames, changed signatures, repetitions, and changes that
nothing follows from. After each change the nearest proposal is accepted until there is none. Right = it brings the text
nearer to the one wanted, which Python's own symbol tables and trees know; whole = that text is reached. Rules alone: no
model, no engine.
`python -m benchmarks.next_edit --shards DIR [--limit N]` prints a table, then one line of JSON.

Left out: what users change in fact and accept; holes that a model fills; what the editors and the pause cost.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from benchmarks.header import print_header
from benchmarks.next_edit_tasks import Task, distance, tasks_of
from benchmarks.options import rounded, run
from lsp_server.features.next_edit.history import History, Lines
from lsp_server.features.next_edit.places import Place, applied
from lsp_server.features.next_edit.propose import Look, look
from lsp_server.positions import Position, split_lines
from model.evaluation.heldout_places import heldout_documents
from model.syntax.incremental import Parsed

SEED = 0
MAX_ACCEPTED = 200


class Tried(msgspec.Struct, frozen=True):
    """One task: how many proposals came, how many of them were right, whether the wanted text was reached."""

    kind: str
    num_proposed: int
    num_right: int
    is_whole: bool
    first_ms: float


def attempt(task: Task) -> Tried:
    """Makes the task's changes and accepts whatever is proposed."""
    lines, history, known = split_lines(task.texts[0]), History(), None
    cursor = Position(0, 0)
    for text in task.texts[1:]:
        new = split_lines(text)
        history = history.after(lines, new)
        rows = (row for row, pair in enumerate(zip(lines, new, strict=False)) if pair[0] != pair[1])
        cursor = Position(next(rows, 0), 0)
        lines = new
    num_proposed, num_right, times_ms = 0, 0, list[float]()
    while num_proposed < MAX_ACCEPTED:
        place, known, elapsed_ms = _next(lines, history, cursor, known)
        times_ms.append(elapsed_ms)
        if place is None:
            break
        after = _accepted(place, lines)
        num_proposed += 1
        if task.wanted is not None:
            num_right += distance("".join(after), task.wanted) < distance("".join(lines), task.wanted)
        history, lines, cursor = history.followed(lines, after), after, place.start
    reached = task.wanted is not None and "".join(lines) == task.wanted
    return Tried(task.kind, num_proposed, num_right, reached, times_ms[0])


def _next(lines: Lines, history: History, cursor: Position, known: Parsed | None):
    started_s = time.perf_counter()
    found = look(Look(lines=lines, language="python", history=history, cursor=cursor, known=known))
    place = None if found.proposal is None else found.proposal.place
    return place, found.parsed, (time.perf_counter() - started_s) * 1000


def _accepted(place: Place, lines: Lines) -> Lines:
    _, new = applied(place, lines)
    return (*lines[: place.start.line], *new, *lines[place.end.line + 1 :])


class Row(msgspec.Struct, frozen=True):
    """The figures of one kind of change; shares 0..1, None where nothing is to be divided."""

    kind: str
    num_tasks: int
    shown: float
    num_proposed: int
    right: float | None
    whole: float | None


def rows_of(tries: Sequence[Tried]) -> list[Row]:
    """One row a kind, in the order of the tries, then all of those that ask for something."""
    kinds = list(dict.fromkeys(tried.kind for tried in tries))
    rows = [_row(kind, [tried for tried in tries if tried.kind == kind]) for kind in kinds]
    asked = [tried for tried in tries if not tried.kind.startswith("nothing")]
    return [*rows, _row("all but nothing", asked), _row("all nothing", [one for one in tries if one not in asked])]


def _row(kind: str, tries: Sequence[Tried]) -> Row:
    num_proposed = sum(tried.num_proposed for tried in tries)
    is_quiet = "nothing" in kind and kind != "all but nothing"
    return Row(
        kind=kind,
        num_tasks=len(tries),
        shown=sum(tried.num_proposed > 0 for tried in tries) / max(1, len(tries)),
        num_proposed=num_proposed,
        right=None if is_quiet else sum(tried.num_right for tried in tries) / max(1, num_proposed),
        whole=None if is_quiet else sum(tried.is_whole for tried in tries) / max(1, len(tries)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.next_edit", description=__doc__)
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR", help="held-out files")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="files")
    args = parser.parse_args()
    print_header("next_edit")
    rng = Random(SEED)
    documents = sorted(heldout_documents(args.shards))
    picked = rng.sample(documents, min(args.limit, len(documents)))
    tries = [attempt(task) for _, text in picked for task in tasks_of(text, rng)]
    rows = rows_of(tries)
    print(f"{'change':<28}{'tasks':>7}{'shown':>8}{'edits':>7}{'right':>8}{'whole':>8}")
    for row in rows:
        shares = (f"{'–':>8}" if share is None else f"{share:>8.1%}" for share in (row.right, row.whole))
        print(f"{row.kind:<28}{row.num_tasks:>7}{row.shown:>8.1%}{row.num_proposed:>7}{''.join(shares)}")
    times_ms = sorted(tried.first_ms for tried in tries)
    median, slow = statistics.median(times_ms), times_ms[int(len(times_ms) * 0.95)]
    print(f"first look at a file, parsed from nothing: {median:.1f} ms median, {slow:.1f} ms 95 %")
    data = {"rows": msgspec.to_builtins(rows), "num_files": len(picked), "median_ms": median, "p95_ms": slow}
    print(json.dumps(rounded(data)))


if __name__ == "__main__":
    sys.exit(run(main))
