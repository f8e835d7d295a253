"""docs/benchmarks.md and its pictures, made from the committed results and from nothing else.

`python -m benchmarks.plots` reads benchmarks/results/*.txt and writes the page and a picture for each benchmark that
has a curve. A test compares the page with the results, so that neither can change alone. Left out: running benchmarks,
and the sentences of other pages.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.claims import Result, Verdict, claims, read_result
from benchmarks.header import ROOT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"

HEAD = """# Benchmarks

One file in `benchmarks/` for each claim. `./dev bench NAME` runs one: it prints what was run, on which machine and
commit, then a table, then one JSON object on the last line. The committed outputs lie in
[benchmarks/results](../benchmarks/results); this page is made of them by `python -m benchmarks.plots`, and a test
fails when the two differ. What the model knows is measured by `seedling eval` ([evaluation](evaluation.md)) and stands
in the [model card](../model/embedded/MODEL_CARD.md).

How to read them: a ratio compares two things that ran side by side, taking turns, in one run; a time of one machine
says little about another. Times are medians unless a line says otherwise. Benchmarks are no tests: none can fail a
build.
"""

ALT = {
    "twin": "Two scores against milliseconds a line: each threshold, speculation and the clean stream",
    "llamacpp": "Milliseconds to a finished line in llama.cpp and here, from masks and over the typing trace",
    "step": "Milliseconds of a step against its width: eager, compiled, and the limit of the processor",
}


def page_of(results: dict[str, Result]) -> str:
    """The text of docs/benchmarks.md; what has no result yet is named as such."""
    rows = ["| benchmark | the bar | measured | met |", "|---|---|---|---|"]
    sections = []
    for claim in claims():
        result = results.get(claim.name)
        verdict = Verdict("not yet", None) if result is None else claim.judge(result.data)
        met = {True: "yes", False: "**no**", None: "–"}[verdict.is_met]
        name = claim.name if result is None else f"[{claim.name}](#{claim.name})"
        rows.append(f"| {name} | {claim.bar} | {verdict.measured} | {met} |")
        if result is not None:
            picture = f"![{ALT[claim.name]}]({claim.name}.png)\n\n" if claim.name in ALT else ""
            sections.append(f"## {claim.name}\n{claim.claim}\n\n{picture}```\n{result.text}\n```\n")
    return "\n".join([HEAD, *rows, "", *sections])


def read_results(folder: Path) -> dict[str, Result]:
    """The results of all claims that have one."""
    paths = {claim.name: folder / f"{claim.name}.txt" for claim in claims()}
    return {name: read_result(path) for name, path in paths.items() if path.exists()}


def draw_twin(data: dict[str, Any]) -> "Figure":
    """Two scores against the time of a line."""
    figure, axes = _panels(2)
    blocks = [row for row in data["rows"] if row["tau_mask"] is not None]
    others = [row for row in data["rows"] if row["tau_mask"] is None]
    scores = (("exact_match", "exact match"), ("similarity", "edit similarity"))
    for panel, (score, label) in zip(axes, scores, strict=True):
        panel.plot([row["ms"] for row in blocks], [row[score] for row in blocks], "o-", label="blocks, by threshold")
        for row in blocks:
            place = (row["ms"], row[score])
            panel.annotate(f"{row['tau_mask']:g}", place, xytext=(0, 7), textcoords="offset points", ha="center")
        for row, mark in zip(others, "sD", strict=True):
            panel.plot(row["ms"], row[score], mark, label=row["name"])
        panel.set_xlabel("ms a line (median)")
        panel.set_ylabel(label)
        panel.set_xlim(left=0)
        panel.margins(y=0.15)
    axes[0].legend(frameon=False, loc="upper left")
    return figure


def draw_llamacpp(data: dict[str, Any]) -> "Figure":
    """Median times, from masks and over the trace."""
    figure, axes = _panels(2)
    bars = {
        "from masks": {
            "llama.cpp": data["ms_llamacpp"],
            "blocks": data["ms_blocks"],
            "speculate": data["ms_speculate"],
        },
        "typing trace": {"llama.cpp": data["ms_trace_llamacpp"], "speculate,\nlast ghost text": data["ms_trace"]},
    }
    for panel, (title, times_ms) in zip(axes, bars.items(), strict=True):
        drawn = panel.bar(list(times_ms), list(times_ms.values()), color=["tab:gray", "tab:blue", "tab:cyan"])
        panel.bar_label(drawn, fmt="%.1f")
        panel.set_title(title)
        panel.margins(y=0.15)
    axes[0].set_ylabel("ms to a finished line (median)")
    return figure


def draw_step(data: dict[str, Any]) -> "Figure":
    """Times against the width of a step."""
    figure, (panel,) = _panels(1)
    for key, label, style in (
        ("eager_ms", "eager", "o-"),
        ("compiled_ms", "compiled", "s-"),
        ("limit_ms", "limit", "k:"),
    ):
        points = [(row["block"], row[key]) for row in data["rows"] if row.get(key) is not None]
        if points:
            panel.plot(*zip(*points, strict=True), style, label=label)
    panel.set_xlabel("rows of the step")
    panel.set_ylabel("ms")
    panel.set_ylim(bottom=0)
    panel.legend(frameon=False)
    return figure


def pictures() -> dict[str, Callable[[dict[str, Any]], "Figure"]]:
    return {"twin": draw_twin, "llamacpp": draw_llamacpp, "step": draw_step}


def write_page(results: dict[str, Result], folder: Path) -> list[Path]:
    """Writes the page and the pictures; what was written."""
    from matplotlib import pyplot

    written = [folder / "benchmarks.md"]
    written[0].write_text(page_of(results), "utf-8")
    for name, draw in pictures().items():
        if name in results:
            figure = draw(results[name].data)
            written.append(folder / f"{name}.png")
            figure.savefig(written[-1], dpi=110, metadata={"Software": None})
            pyplot.close(figure)
    return written


def _panels(num: int) -> tuple["Figure", list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(1, num, figsize=(5.2 * num, 3.8), squeeze=False, layout="constrained")
    for panel in grid[0]:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(grid[0])


def main() -> int:
    try:
        results = read_results(RESULTS)
    except ValueError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    for path in write_page(results, DOCS):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
