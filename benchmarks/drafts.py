"""Draft starts: passes and score with every kind of draft, beside prompt lookup on the clean stream, paired by place.

A draft is a text that may follow the cursor: the last ghost text after typing has broken it, the line most alike in the
document or in the project, the old code. `speculate` checks it against the clean stream, token by token, in one pass
(with an epsilon: up to the first token that the clean stream finds doubtful); blocks take it as their first canvas. The
requests are those of a typing trace in held-out documents (draft_trace.py). Every way of a family is compared with the
family's first, prompt lookup or masks, line by line (the requests of a line are no independent trials); "equal": the
lower end of the 95 % interval of exact lines is above -1 point. The table of epsilons is what the preset's `doubt` is
chosen by: most exact lines at no more passes. Left out: time (keystroke.py), what is shown of it (gate.py).
`python -m benchmarks.drafts --shards DIR [--limit N]` prints tables, then one line of JSON. N: lines that are typed.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import EvalError, load_model, watched

if TYPE_CHECKING:
    from benchmarks.draft_trace import Asked

Source = Literal["ghost", "file_line", "project_line", "old"]

EPSILONS = (0.1, 0.01, 1e-4, 1e-6)
MARGIN = 0.01
NUM_SAMPLES = 2000
SPECULATED, BLOCKS = "speculate", "blocks"
LOOKUP, SHIPPED = "lookup", "as shipped"


class Way(msgspec.Struct, frozen=True):
    """A way of writing. sources: the first of these drafts that there is; num_drafts: tokens that are looked up ahead
    (None: the preset's); doubt: epsilon of the check ("preset": the preset's).
    """

    name: str
    family: str
    sources: tuple[Source, ...] = ()
    num_drafts: int | None = None
    doubt: float | Literal["preset"] | None = None

    def draft(self, asked: "Asked") -> str:
        return next((text for source in self.sources if (text := getattr(asked, source))), "")


class Written(msgspec.Struct, frozen=True):
    """One answer's scores; `has_draft`: whether this way had one there."""

    is_exact: bool
    similarity: float
    forwards: int
    has_draft: bool = False


def typed_ways() -> tuple[Way, ...]:
    """For requests while typing; the first of a family is what the others are compared with."""
    alone = ("ghost", "the file's line", "the project's line")
    sources: tuple[tuple[Source, ...], ...] = (("ghost",), ("file_line",), ("project_line",))
    both: tuple[Source, ...] = ("project_line", "ghost")
    return (
        Way(LOOKUP, SPECULATED),
        Way("one token a pass", SPECULATED, num_drafts=0),
        *(Way(name, SPECULATED, each, num_drafts=0) for name, each in zip(alone, sources, strict=True)),
        *(Way(f"lookup, {name}", SPECULATED, each) for name, each in zip(alone, sources, strict=True)),
        Way("lookup, project's line or ghost", SPECULATED, both),
        Way(SHIPPED, SPECULATED, both, doubt="preset"),
        *(Way(f"lookup, project's line, epsilon {e:g}", SPECULATED, sources[2], doubt=e) for e in EPSILONS),
        *(Way(f"lookup, ghost, epsilon {e:g}", SPECULATED, sources[0], doubt=e) for e in EPSILONS[::2]),
        Way("masks", BLOCKS),
        *(Way(name, BLOCKS, each) for name, each in zip(alone, sources, strict=True)),
    )


def old_ways() -> tuple[Way, ...]:
    """For lines that are written anew."""
    return (
        Way(LOOKUP, SPECULATED),
        Way("one token a pass", SPECULATED, num_drafts=0),
        Way("lookup, old code", SPECULATED, ("old",)),
        *(Way(f"lookup, old code, epsilon {e:g}", SPECULATED, ("old",), doubt=e) for e in EPSILONS[:3]),
        Way("masks", BLOCKS),
        Way("old code", BLOCKS, ("old",)),
    )


def main() -> None:
    parser = line_arguments("drafts", __doc__ or "")
    parser.set_defaults(limit=100)
    args = parser.parse_args()
    if args.shards is None:
        raise EvalError("this needs projects that were never trained on: name their shards with --shards DIR")
    checkpoint = load_model(args)  # before anything imports torch
    from benchmarks.draft_trace import OLD, TYPED, Trace
    from benchmarks.draft_writer import DraftWriter
    from benchmarks.gathered import Projects
    from model.checkpoints.load import default_checkpoint
    from model.engine.abilities import capabilities_of
    from model.evaluation.heldout_places import heldout_documents

    documents = list(heldout_documents(args.shards))
    writer = DraftWriter(checkpoint, args.model or default_checkpoint())
    capabilities = capabilities_of(checkpoint.preset, "cpu")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        trace = Trace(Projects(documents, Path(folder), capabilities), capabilities)
        typed = list(trace.typed(documents, args.limit, writer.offer))
        old = list(trace.old(documents, args.limit))
    print_header("drafts")
    print(f"# {checkpoint.preset.name}, {args.limit} typed lines")
    result: dict[str, Any] = {"model": checkpoint.preset.name}
    for kind, asked, ways in ((TYPED, typed, typed_ways()), (OLD, old, old_ways())):
        if not asked:
            raise EvalError(f"these shards lead to no request of the kind {kind!r}")
        written = write_all(asked, ways, writer.write)
        result[kind] = report(kind, asked, ways, written)
    print(json.dumps(rounded(result)))


def write_all(
    asked: Sequence["Asked"], ways: Sequence[Way], write: Callable[["Asked", Way, str], Written]
) -> dict[str, list[Written]]:
    """Every way at every request. Where two ways ask for the same, it is written once."""
    written: dict[str, list[Written]] = {f"{way.family}: {way.name}": [] for way in ways}
    for one in watched(asked, "requests"):
        known: dict[tuple[object, ...], Written] = {}
        for way in ways:
            draft = way.draft(one)
            key = way.family, way.num_drafts, draft, way.doubt if draft else None
            if key not in known:
                known[key] = write(one, way, draft)
            answer = msgspec.structs.replace(known[key], has_draft=bool(draft))
            written[f"{way.family}: {way.name}"].append(answer)
    return written


def by_line(values: Sequence[float], lines: Sequence[int]) -> tuple[float, float, float]:
    """The mean of the values and the ends of its 95 % percentile interval, resampling lines."""
    sums: dict[int, np.ndarray] = {}
    for value, line in zip(values, lines, strict=True):
        sums[line] = sums.get(line, np.zeros(2)) + np.array([value, 1.0])
    rows_L2 = np.array(list(sums.values()))
    picks_SL = np.random.default_rng(0).integers(len(rows_L2), size=(NUM_SAMPLES, len(rows_L2)))
    total_S, count_S = rows_L2[picks_SL].sum(1).T
    low, high = np.percentile(total_S / count_S, (2.5, 97.5))
    return float(np.mean(values)), float(low), float(high)


def report(
    kind: str, asked: Sequence["Asked"], ways: Sequence[Way], written: dict[str, list[Written]]
) -> dict[str, dict[str, Any]]:
    """Prints a kind's table; gives what stands in it."""
    lines = [one.line for one in asked]
    print(f"{kind}: {len(asked)} requests in {len(set(lines))} lines")
    columns = f"{'at':>6}{'exact':>8}{'more (95 %)':>26}{'similar':>9}{'forwards':>10}{'more (95 %)':>25}"
    print(f"  {'':42}{columns}")
    first: dict[str, str] = {}
    result: dict[str, dict[str, Any]] = {}
    for way in ways:
        name = f"{way.family}: {way.name}"
        here, there = written[name], written[first.setdefault(way.family, name)]
        pairs = list(zip(here, there, strict=True))
        exact = by_line([float(a.is_exact) - float(b.is_exact) for a, b in pairs], lines)
        similarity = by_line([a.similarity - b.similarity for a, b in pairs], lines)
        forwards = by_line([float(a.forwards - b.forwards) for a, b in pairs], lines)
        figures: dict[str, Any] = {
            "share": statistics.fmean(one.has_draft for one in here),
            "exact": statistics.fmean(one.is_exact for one in here),
            "exact_difference": exact,
            "similarity": statistics.fmean(one.similarity for one in here),
            "similarity_difference": similarity,
            "forwards": statistics.fmean(one.forwards for one in here),
            "forwards_difference": forwards,
            "equal": exact[1] > -MARGIN,
        }
        result[name] = figures
        points = "{:+.1%} ({:+.1%} to {:+.1%})".format(*exact)
        passes = "{:+.2f} ({:+.2f} to {:+.2f})".format(*forwards)
        print(
            f"  {name:42}{figures['share']:6.0%}{figures['exact']:8.1%}{points:>26}{figures['similarity']:9.3f}"
            f"{figures['forwards']:10.2f}{passes:>25} {'equal' if figures['equal'] else ''}"
        )
    return result


if __name__ == "__main__":
    sys.exit(run(main))
