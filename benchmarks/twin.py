"""Block decoding against the clean stream of the same weights, one token a forward: passes, time and score.

The bar: at equal score at least 1.5 times as fast on a CPU, and `speculate`, whose text is the clean stream's by
construction, no slower than it. All ways share network, cache, threads and numbers; the prompt's rows are in the cache
as after a keystroke, so the time is what a user waits for a line, without the tokenizer. "Equal score": the lower end
of the paired 95 % interval of exact match is above -1 point; of the thresholds at equal score the fastest is taken,
and if there is none, the one with the best lower end, which the JSON says (`equal_score`). With `--blocks` the places
are long (32 to 128 tokens), hardly ever exactly right, and the score is the edit similarity. Left out: the server's
share (keystroke.py), other programs (llamacpp.py), batches.
`python -m benchmarks.twin [--shards DIR [--blocks] | --data FILE] [--limit N]` prints a table, then one line of JSON.
"""

import functools
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import load_model

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.lines import Task
    from benchmarks.timing import Timed, Write
    from benchmarks.writers import OurWriter
    from model.evaluation.infill_data import InfillSet

TAUS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
MARGIN = 0.01
"""One point: how much a score may be lower and still count as equal."""
CLEAN, SPECULATE = "clean stream, one token a forward", "speculate"


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing against the clean stream. Scores are shares 0..1 with paired differences (mean, low, high).

    `ms`: median of a line; `forwards`: mean passes of a line, prefill of what a keystroke changed included.
    """

    name: str
    tau_mask: float | None
    exact_match: float
    similarity: float
    exact_difference: tuple[float, float, float]
    similarity_difference: tuple[float, float, float]
    forwards: float
    tokens_per_forward: float
    ms: float
    speedup: float
    speedup_total: float
    same_text: float
    by_similarity: bool = False

    @property
    def lower_end(self) -> float:
        """Of the paired interval of the score."""
        return (self.similarity_difference if self.by_similarity else self.exact_difference)[1]

    @property
    def is_equal(self) -> bool:
        return self.lower_end > -MARGIN


def main() -> None:
    parser = line_arguments("twin", __doc__ or "")
    parser.add_argument("--blocks", action="store_true", help="long places in place of lines")
    args = parser.parse_args()
    checkpoint = load_model(args)  # before anything imports torch
    from benchmarks.lines import Preparer, block_places, line_set
    from benchmarks.timing import write_all
    from benchmarks.writers import OurWriter, as_in_engine
    from model.checkpoints.load import default_checkpoint

    mode = as_in_engine(checkpoint, args.model or default_checkpoint(), compiled=args.compiled)
    data = block_places(args) if args.blocks else line_set(args)
    preparer = Preparer(checkpoint)
    if args.blocks:
        tasks = [preparer.block_task(row.place) for row in data.rows]
    else:
        tasks = [preparer.place_task(row.place, data.stop) for row in data.rows]
    writer = OurWriter(checkpoint)
    taus = sorted({*TAUS, checkpoint.preset.sampling.tau_mask})
    ways = ways_of(writer, taus)
    print_header("twin")
    print(f"# {checkpoint.preset.name}, {mode}, {_numbers(checkpoint.network.head_weight)}")
    print(f"# {len(tasks)} places: {data.what}; tokens run again on a keystroke: median {_changed(tasks)}")
    written = write_all(ways, tasks, writer.warm)
    compared = [compare(name, tau, written, data) for name, tau in _names(taus)]
    print_table(compared)
    result = result_of(compared, checkpoint.preset.sampling.tau_mask)
    print(json.dumps(rounded({"model": checkpoint.preset.name, "mode": mode, "places": len(tasks), **result})))


def ways_of(writer: "OurWriter", taus: Sequence[float]) -> dict[str, "Write"]:
    """All ways by name."""
    by_name: dict[str, Write] = {CLEAN: writer.one_by_one, SPECULATE: writer.speculate}
    return by_name | {_block(tau): functools.partial(writer.blocks, tau_mask=tau) for tau in taus}


def compare(name: str, tau: float | None, written: Mapping[str, "Timed"], data: "InfillSet") -> Way:
    """One way against the clean stream, place by place."""
    from benchmarks.timing import speedup, total_speedup
    from model.evaluation.metrics import paired_bootstrap

    ours, clean = written[name], written[CLEAN]
    exact, clean_exact = _exact(data, ours), _exact(data, clean)
    similarity, clean_similarity = _similarity(data, ours), _similarity(data, clean)
    pairs = list(zip(ours.lines, clean.lines, strict=True))
    return Way(
        name=name,
        tau_mask=tau,
        exact_match=statistics.fmean(exact),
        similarity=statistics.fmean(similarity),
        exact_difference=paired_bootstrap(exact, clean_exact),
        similarity_difference=paired_bootstrap(similarity, clean_similarity),
        forwards=ours.forwards,
        tokens_per_forward=sum(len(line.ids) for line in ours.lines) / sum(line.forwards for line in ours.lines),
        ms=ours.ms,
        speedup=speedup(clean, ours),
        speedup_total=total_speedup(clean, ours),
        same_text=statistics.fmean(a.text == b.text for a, b in pairs),
        by_similarity=data.stop == "eom",
    )


def chosen(blocks: Sequence[Way]) -> Way:
    """The fastest threshold at equal score; where there is none, the one whose score is closest to it."""
    equal = [way for way in blocks if way.is_equal]
    if equal:
        return max(equal, key=lambda way: way.speedup)
    return max(blocks, key=lambda way: way.lower_end)


def result_of(compared: Sequence[Way], preset_tau: float) -> dict:
    """The JSON of the last line."""
    by_name = {way.name: way for way in compared}
    clean, speculated = by_name[CLEAN], by_name[SPECULATE]
    best = chosen([way for way in compared if way.tau_mask is not None])
    return {
        "speedup": best.speedup,
        "speedup_total": best.speedup_total,
        "speedup_speculate": speculated.speedup,
        "speedup_speculate_total": speculated.speedup_total,
        "equal_score": best.is_equal,
        "tau_mask": best.tau_mask,
        "preset_tau_mask": preset_tau,
        "score_block": best.exact_match,
        "score_ar": clean.exact_match,
        "ci95": best.exact_difference[1:],
        "similarity_block": best.similarity,
        "similarity_ar": clean.similarity,
        "similarity_ci95": best.similarity_difference[1:],
        "forwards_block": best.forwards,
        "forwards_ar": clean.forwards,
        "forwards_speculate": speculated.forwards,
        "ms_block": best.ms,
        "ms_ar": clean.ms,
        "ms_speculate": speculated.ms,
        "same_text_speculate": speculated.same_text,
        "rows": [msgspec.to_builtins(way) for way in compared],
    }


def print_table(compared: Sequence[Way]) -> None:
    print(
        f"{'':35}{'exact':>7}{'similar':>9}{'forwards':>10}{'ms':>8}{'times as fast':>15}"
        f"  {'similarity' if compared[0].by_similarity else 'exact'} against clean (95 %)"
    )
    for way in compared:
        mean, low, high = way.similarity_difference if way.by_similarity else way.exact_difference
        equal = "equal" if way.is_equal else ""
        print(
            f"{way.name:35}{way.exact_match:7.1%}{way.similarity:9.3f}{way.forwards:10.2f}{way.ms:8.1f}"
            f"{way.speedup:15.2f}  {mean:+.3f} ({low:+.3f} to {high:+.3f}) {equal}"
        )


def _names(taus: Sequence[float]) -> list[tuple[str, float | None]]:
    return [(CLEAN, None), (SPECULATE, None), *((_block(tau), tau) for tau in taus)]


def _block(tau: float) -> str:
    return f"blocks, threshold {tau:g}"


def _exact(data: "InfillSet", written: "Timed") -> list[float]:
    return [float(row.is_exact(line.text)) for row, line in zip(data.rows, written.lines, strict=True)]


def _similarity(data: "InfillSet", written: "Timed") -> list[float]:
    return [row.similarity(line.text) for row, line in zip(data.rows, written.lines, strict=True)]


def _changed(tasks: "Sequence[Task]") -> float:
    return statistics.median(len(task.prepared.prompt_ids) - task.num_warm for task in tasks)


def _numbers(weight: "Tensor") -> str:
    import torch

    return f"{str(weight.dtype).removeprefix('torch.')} on {weight.device}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    sys.exit(run(main))
