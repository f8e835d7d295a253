"""`seedling eval speed`: score against the network passes a completion takes, as a picture and a table.

Every place is written with each of some unmasking thresholds, with one token a forward, and by the clean stream (the
autoregressive twin of the same weights), one way right after the other, so that whatever slows the machine slows all.
Free length, greedy. Places: the rows of an infilling benchmark, or the rest of begun lines of held-out documents, the
same as in `seedling eval heldout`. Floor: an empty answer. Source: quality over number of function evaluations, as
diffusion papers draw it. Left out: batches, the engine's prompt cache (every answer pays its whole prefill), pass@1.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from model.evaluation.options import EvalError, add_common, data_file, load_model, report, watched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Answer
    from model.evaluation.infill_data import InfillSet

DATA = "santacoder-fim/santacoder-fim-python.jsonl.gz"
TAUS = (0.2, 0.3, 0.5, 0.7, 0.9)
ONE_BY_ONE = 2.0
"""No probability is greater: one token a forward."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing. Scores are shares 0..1; `forwards` = mean passes of a completion, prefill included; `tpf` =
    text tokens per forward over all places; `ms` = median time of a completion, tokenizing included.

    `exact_difference` = mean, low and high end (95 %, paired bootstrap) of exact match less that of one token a
    forward. `tau_mask` is None for the clean stream.
    """

    tau_mask: float | None
    exact_match: float
    edit_similarity: float
    forwards: float
    tpf: float
    ms: float
    exact_difference: tuple[float, float, float]


class Written(msgspec.Struct, frozen=True):
    """Answers of one way, and the time each took."""

    answers: list["Answer"]
    times_ms: list[float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what_data = f"rows of SantaCoder-FIM or HumanEval-Infilling (default: {DATA} in the folder SEEDLING_EVALS)"
    add_common(parser, what_data=what_data)
    parser.add_argument("--shards", type=Path, metavar="DIR", help="held-out lines of this folder instead of --data")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the picture, a .png file")


def run(args: argparse.Namespace) -> int:
    """Writes the picture, prints the table; 0 = done. Raises EvalError with a sentence."""
    _check_arguments(args)
    path = None if args.shards else data_file(args, DATA)
    checkpoint = load_model(args)
    data = _heldout_lines(args) if path is None else _benchmark_rows(path, args.limit)
    written = write_all(checkpoint, data)
    points = {tau: point_of(data, written, tau) for tau in written}
    result = {
        "command": "speed",
        "data": args.shards.name if path is None else path.name,
        "what": data.what,
        "model": checkpoint.preset.name,
        "rows": len(data.rows),
        "length": "free",
        "preset_tau_mask": checkpoint.preset.sampling.tau_mask,
        "points": [msgspec.to_builtins(point) for tau, point in points.items() if tau is not None],
        "clean": msgspec.to_builtins(points[None]),
        "floor": _floor(data),
    }
    try:
        draw(result, args.out)
    except OSError as error:
        report(table_of(result), result, args)  # the scores took long
        raise EvalError(f"{args.out} cannot be written: {error.strerror}") from None
    return report(table_of(result), result, args)


def write_all(checkpoint: "Checkpoint", data: "InfillSet") -> dict[float | None, Written]:
    """All answers by threshold, ascending; then ONE_BY_ONE; then None = the clean stream."""
    from model.evaluation.decode import Decoder

    taus = sorted({*TAUS, checkpoint.preset.sampling.tau_mask})
    # A decoder each: what one has tokenized must not be a head start for the next.
    decoders = {tau: Decoder(checkpoint, tau_mask=tau) for tau in (*taus, ONE_BY_ONE, None)}
    written = {tau: Written([], []) for tau in decoders}

    def write(tau: float | None, index: int) -> "Answer":
        decoder, place = decoders[tau], data.rows[index].place
        if tau is None:
            return decoder.complete_clean(place, stop=data.stop)
        return decoder.complete(place, stop=data.stop)

    for tau in decoders:
        write(tau, 0)  # the first call of anything is slower
    for index in watched(range(len(data.rows)), "places"):
        for tau, done in written.items():
            begun_s = time.perf_counter()
            done.answers.append(write(tau, index))
            done.times_ms.append((time.perf_counter() - begun_s) * 1000)
    return written


def point_of(data: "InfillSet", written: dict[float | None, Written], tau: float | None) -> Point:
    """The scores of one way."""
    from model.evaluation.infill_scores import costs_of
    from model.evaluation.metrics import paired_bootstrap

    answers = written[tau].answers
    costs = costs_of(answers)
    exact = _exact(data, answers)
    similarity = [row.similarity(answer.text) for row, answer in zip(data.rows, answers, strict=True)]
    return Point(
        tau_mask=tau,
        exact_match=statistics.fmean(exact),
        edit_similarity=statistics.fmean(similarity),
        forwards=costs["forwards"],
        tpf=costs["tpf"],
        ms=statistics.median(written[tau].times_ms),
        exact_difference=paired_bootstrap(exact, _exact(data, written[ONE_BY_ONE].answers)),
    )


def table_of(result: dict) -> list[tuple[str, str]]:
    """The result as labels and values for people."""
    ways = [(_name(point["tau_mask"], result["preset_tau_mask"]), point) for point in result["points"]]
    ways.append(("clean stream", result["clean"]))
    floor = result["floor"]
    return [
        ("data", f"{result['rows']} rows of {result['data']}: {result['what']}"),
        ("decoding", f"{result['length']} length, greedy; ms: median of a completion, with its whole prefill"),
        ("", "  exact  similarity  forwards  tokens/forward      ms  exact against one a forward (95 %)"),
        *((name, _row(point)) for name, point in ways),
        ("floor, empty answer", f"{floor['exact_match']:7.1%}  {floor['edit_similarity']:10.3f}"),
    ]


def draw(result: dict, out: Path) -> None:
    """Exact match above edit similarity; against forwards per completion, and against tokens per forward."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, 2, figsize=(10, 7.5), sharex="col", sharey="row", layout="constrained")
    scores = (("exact_match", "exact match"), ("edit_similarity", "edit similarity"))
    costs = (("forwards", "forwards per completion"), ("tpf", "tokens per forward"))
    for row, (score, score_label) in enumerate(scores):
        for column, (cost, cost_label) in enumerate(costs):
            axes = grid[row][column]
            _panel(axes, result, score, cost)
            if row == 1:
                axes.set_xlabel(cost_label)
            if column == 0:
                axes.set_ylabel(score_label)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{result['model']}: {result['rows']} rows of {result['data']}, free length")
    part = out.with_name(out.name + ".part")
    try:
        figure.savefig(part, format="png", dpi=110)
        part.replace(out)
    finally:
        pyplot.close(figure)
        part.unlink(missing_ok=True)


def _panel(axes: "Axes", result: dict, score: str, cost: str) -> None:
    points, clean = result["points"], result["clean"]
    blue: dict[str, Any] = {"color": "tab:blue"}
    line = [p[cost] for p in points], [p[score] for p in points]
    axes.plot(*line, "o-", ms=5, linewidth=1.2, label="blocks, threshold beside each", **blue)
    for index, point in enumerate(points[:-1]):
        above = index % 2 == 0  # neighbours often lie close together
        axes.annotate(
            f"{point['tau_mask']:g}",
            (point[cost], point[score]),
            xytext=(0, 9 if above else -9),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=8,
        )
    chosen = next(p for p in points if p["tau_mask"] == result["preset_tau_mask"])
    axes.plot(chosen[cost], chosen[score], "o", ms=11, markerfacecolor="none", label="the preset's", **blue)
    axes.plot(points[-1][cost], points[-1][score], "D", ms=7, label="one token a forward", **blue)
    axes.plot(clean[cost], clean[score], "s", ms=6, color="tab:orange", label="clean stream")
    floor = result["floor"][score]
    axes.axhline(floor, color="black", linestyle=":", label="floor: empty answer")
    highest = max(floor, *(point[score] for point in (*points, clean)))
    room = (highest or 1.0) / 6  # for labels above, and so that a floor of 0 is seen
    axes.set_ylim(-room / 2, highest + room)
    axes.margins(x=0.08)
    axes.grid(alpha=0.25)


def _check_arguments(args: argparse.Namespace) -> None:
    """What would be a pity to find out after the work."""
    if args.shards is not None and args.data is not None:
        raise EvalError("--data and --shards name different places: give one of them")
    if args.out.suffix.lower() != ".png":
        raise EvalError(f"--out is a picture and must end in .png, unlike {args.out}")
    if args.out.is_dir() or not args.out.parent.is_dir():
        raise EvalError(f"{args.out} cannot be written: {args.out.parent} must be a folder, and the file no folder")
    import matplotlib  # noqa: F401


def _benchmark_rows(path: Path, limit: int | None) -> "InfillSet":
    from model.evaluation.infill_data import read_infill

    return read_infill(path, limit)


def _heldout_lines(args: argparse.Namespace) -> "InfillSet":
    from model.evaluation.heldout import NUM_PLACES, SEED
    from model.evaluation.heldout_places import heldout_documents, line_places
    from model.evaluation.infill_data import Infill, InfillSet

    documents = list(heldout_documents(args.shards))
    places = line_places(documents, kind="rest", num=args.limit or NUM_PLACES, seed=SEED)
    if not places:
        raise EvalError(f"the held-out text of {args.shards} has no line of code to test on")
    rows = tuple(Infill(place, is_line=True, tests="") for place in places)
    return InfillSet("rest of held-out lines", rows, "line", False)


def _exact(data: "InfillSet", answers: Sequence["Answer"]) -> list[float]:
    return [float(row.is_exact(answer.text)) for row, answer in zip(data.rows, answers, strict=True)]


def _floor(data: "InfillSet") -> dict[str, float]:
    return {
        "exact_match": statistics.fmean(row.is_exact("") for row in data.rows),
        "edit_similarity": statistics.fmean(row.similarity("") for row in data.rows),
    }


def _name(tau: float, preset_tau: float) -> str:
    if tau == ONE_BY_ONE:
        return "one token a forward"
    return f"blocks, tau {tau:g}{' (preset)' if tau == preset_tau else ''}"


def _row(point: dict) -> str:
    difference, low, high = point["exact_difference"]
    return (
        f"{point['exact_match']:7.1%}  {point['edit_similarity']:10.3f}  {point['forwards']:8.2f}  "
        f"{point['tpf']:14.2f}  {point['ms']:6.1f}  {difference:+.3f} ({low:+.3f} to {high:+.3f})"
    )
