"""What a training run shows and writes down: a live line, losses.jsonl and losses.png.

On a terminal the line is redrawn (rich); in a pipe a plain line comes every 20 seconds. Left out: any service or
telemetry.
"""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from model.training.packing import Stage

LOSS_FILE, PLOT_FILE = "losses.jsonl", "losses.png"
PLAIN_EVERY_S = 20.0


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of losses.jsonl. Losses in nats; `data` = checksum of the step's tokens, equal when a run is
    repeated."""

    step: int
    stage: Stage
    spent_s: float
    num_tokens: int
    tokens_per_s: float
    clean: float
    noisy: float | None
    rate: float
    data: int


class EvalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A held-out look, also a line of losses.jsonl."""

    step: int
    spent_s: float
    twin_bits_per_byte: float
    masked_nats: float


class Silence:
    """What the processes of a run show that are not its first one: nothing."""

    def __enter__(self) -> "Silence":
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def step(self, record: StepRecord) -> None:
        pass

    def evaluation(self, record: EvalRecord) -> None:
        pass

    def say(self, sentence: str) -> None:
        pass


class Progress:
    """Owns the live line and the loss file. Use as a context manager."""

    def __init__(self, folder: Path, budget_s: float, resumed_step: int) -> None:
        self._path = folder / LOSS_FILE
        self._budget_s = budget_s
        self._console = Console(file=sys.stderr)
        self._live = Live(Text("starting"), console=self._console, refresh_per_second=4, transient=False)
        self._next_plain_s = 0.0
        _keep_until(self._path, resumed_step)
        self._file = self._path.open("a", encoding="utf-8")

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._console.is_terminal:
            self._live.__exit__(*exception)
        self._file.close()

    def step(self, record: StepRecord) -> None:
        self._write(record)
        line = _step_line(record, self._budget_s)
        if self._console.is_terminal:
            self._live.update(Text(line))
        elif time.monotonic() >= self._next_plain_s:
            self._next_plain_s = time.monotonic() + PLAIN_EVERY_S
            print(line, file=sys.stderr, flush=True)

    def evaluation(self, record: EvalRecord) -> None:
        self._write(record)
        self.say(
            f"step {record.step}: held-out {record.twin_bits_per_byte:.3f} bits per byte (twin), "
            f"{record.masked_nats:.3f} nats per canvas token (masked)"
        )

    def say(self, sentence: str) -> None:
        if self._console.is_terminal:
            self._console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=sys.stderr, flush=True)

    def _write(self, record: StepRecord | EvalRecord) -> None:
        self._file.write(msgspec.json.encode(record).decode() + "\n")
        self._file.flush()


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The lines of losses.jsonl; a last line cut by a kill is left out."""
    path = folder / LOSS_FILE
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def draw_losses(folder: Path) -> None:
    """Writes losses.png from losses.jsonl: smoothed training losses and held-out scores over the wall time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    records = read_records(folder)
    steps = [r for r in records if "stage" in r]
    evals = [r for r in records if "masked_nats" in r]
    if not steps:
        return
    figure, axes = pyplot.subplots(figsize=(9, 5))
    for name, label in (("clean", "next token (clean stream)"), ("noisy", "noisy blocks, weighted")):
        points = [(r["spent_s"] / 60, r[name]) for r in steps if r[name] is not None]
        if points:
            axes.plot([x for x, _ in points], _smooth([y for _, y in points]), label=label, linewidth=1.2)
    if evals:
        axes.plot(
            [r["spent_s"] / 60 for r in evals], [r["masked_nats"] for r in evals], "o", ms=3, label="held-out, masked"
        )
        bits = axes.twinx()
        bits.plot([r["spent_s"] / 60 for r in evals], [r["twin_bits_per_byte"] for r in evals], "s", ms=3, color="gray")
        bits.set_ylabel("held-out twin, bits per byte (squares)")
    for before, after in pairwise(steps):
        if before["stage"] != after["stage"]:
            axes.axvline(after["spent_s"] / 60, color="black", linewidth=0.6, linestyle=":")
    axes.set_xlabel("minutes")
    axes.set_ylabel("nats per token")
    axes.legend()
    figure.tight_layout()
    part = folder / (PLOT_FILE + ".part")
    figure.savefig(part, format="png", dpi=110)
    pyplot.close(figure)
    part.replace(folder / PLOT_FILE)


def _smooth(values: list[float], decay: float = 0.95) -> list[float]:
    smoothed, mean = [], values[0]
    for value in values:
        mean = decay * mean + (1 - decay) * value
        smoothed.append(mean)
    return smoothed


def _step_line(record: StepRecord, budget_s: float) -> str:
    left_s = max(0.0, budget_s - record.spent_s)
    noisy = "" if record.noisy is None else f" noisy {record.noisy:.3f}"
    return (
        f"{record.stage:7} step {record.step} {record.spent_s / 60:.1f}/{budget_s / 60:.0f} min, "
        f"{left_s / 60:.1f} left, {record.tokens_per_s:,.0f} tokens/s, {record.num_tokens / 1e6:.2f} M tokens, "
        f"clean {record.clean:.3f}{noisy}, rate {record.rate:.3f}"
    )


def _keep_until(path: Path, step: int) -> None:
    """Drops the lines of steps that a resumed run will make again."""
    if not path.exists():
        return
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
    part = path.with_name(path.name + ".part")
    part.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    part.replace(path)


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):
        return float("inf")
