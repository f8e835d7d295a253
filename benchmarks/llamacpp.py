"""The same weights in llama.cpp: how long a finished line takes there and here, from masks and over a typing trace.

The clean stream is exported as GGUF with 8-bit matrices (gguf_export.py) and decoded greedily, one token a pass, which
is how llama.cpp serves a completion; our side runs as it is shipped. Same CPU, same number of threads, same prompts and
prompt tokens, same healing, stop rule and limit; on both sides the cache holds what the keystroke before has left, so
that only the tokens it changed run again. Counted: everything from the prompt's ids to the finished text. Not counted,
on either side: tokenizing, cutting the window, servers and transport, loading. First the two are shown to compute the
same thing (logits against our fp32 stream), else nothing is timed. llama.cpp is best built with its own threads
(GGML_OPENMP=OFF): those of OpenMP obey the engine's wish to wait passively, which costs llama.cpp more than us.

Bars: from masks at least as fast as llama.cpp, over the trace with drafts (the last ghost text as the guess) at least
twice as fast; where a bar is missed, the shares of our time say where it goes. `speedup` is that of our better way from
masks, over the lines where it wrote the same text as llama.cpp. In the trace every keystroke is asked about, also those
that go on with the ghost text, which the language server answers by itself: `along` counts those apart. A row of its
own gives llama.cpp our guesses from the text (model/diffusion/lookup.py), so that the method can be told from the
program; no shipped mode of llama.cpp is meant by it.
`python -m benchmarks.llamacpp [--shards DIR | --data FILE] [--limit N]` prints tables, then one line of JSON.
"""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.header import ROOT, print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import EvalError, load_model

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.lines import Preparer, Task
    from benchmarks.llama_writer import LlamaWriter
    from benchmarks.replay import Stroke
    from benchmarks.timing import Timed, Write
    from benchmarks.writers import OurWriter
    from model.checkpoints.load import Checkpoint

LLAMA, LLAMA_GUESSES = "llama.cpp", "llama.cpp with our guesses from the text"
BLOCKS, SPECULATE, DRAFTS = "blocks", "speculate", "speculate, last ghost text as guess"
ALONG, BROKEN, NO_GUESS = "along", "broken", "none"
"""Whether a keystroke goes on with the last ghost text, breaks it but leaves a guess, or leaves nothing."""
BAR, TRACE_BAR = 1.0, 2.0
MIN_AGREEMENT = 0.97
"""Share of rows whose best token must be the same as our fp32 stream's; below it llama.cpp runs another network."""
NUM_AGREEMENT_PROMPTS = 8
NUM_PROFILED = 60
HOW_TO_GET = "in this checkout, CMAKE_ARGS=-DGGML_OPENMP=OFF pip install -e '.[bench]' builds it"


class Agreement(msgspec.Struct, frozen=True):
    """llama.cpp's logits against ours in fp32, over all rows of some prompts. `kl`: mean divergence in nats."""

    matrices: str
    same_best: float
    kl: float
    num_rows: int


class Sides(msgspec.Struct, frozen=True):
    """Our writer and theirs."""

    ours: "OurWriter"
    theirs: "LlamaWriter"

    def warm(self, task: "Task") -> None:
        self.ours.warm(task)
        self.theirs.warm(task)


def main() -> None:
    args = line_arguments("llamacpp", __doc__ or "").parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # both sides run on the CPU
    try:
        import llama_cpp  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise EvalError(f"llama-cpp-python is not installed: {HOW_TO_GET}") from None
    except (OSError, RuntimeError) as error:  # its library is missing or made for another machine
        raise EvalError(f"llama-cpp-python cannot be used ({error}): {HOW_TO_GET}") from None
    checkpoint = load_model(args)  # before anything imports torch
    import torch

    from benchmarks.lines import Preparer, line_set
    from benchmarks.llama_writer import version
    from benchmarks.timing import write_all
    from benchmarks.writers import OurWriter, as_in_engine
    from model.checkpoints.load import default_checkpoint

    mode = as_in_engine(checkpoint, args.model or default_checkpoint(), compiled=args.compiled)
    data = line_set(args)
    preparer = Preparer(checkpoint)
    tasks = [preparer.place_task(row.place, data.stop) for row in data.rows]
    print_header("llamacpp")
    dtype = str(checkpoint.network.head_weight.dtype).removeprefix("torch.")
    print(f"# {checkpoint.preset.name}, {mode}, {dtype} here, Q8_0 there, {torch.get_num_threads()} threads each")
    print(f"# {version()}")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        agreements = [_agreement(args.model, checkpoint, tasks, Path(folder), name) for name in ("F16", "Q8_0")]
        sides = Sides(OurWriter(checkpoint), _load(Path(folder) / "Q8_0.gguf", checkpoint))
        print(f"# {len(tasks)} places: {data.what}")
        lines = write_all(_ways(sides), tasks, sides.warm)
        from_masks = print_lines(lines)
        trace = _trace(sides, preparer, checkpoint)
        over_trace = print_trace(trace)
        profile = _profile(sides, checkpoint, tasks, from_masks, over_trace)
        sides.theirs.close()
    result = {
        **from_masks,
        **over_trace,
        "agreement": [msgspec.to_builtins(agreement) for agreement in agreements],
        "model": checkpoint.preset.name,
        "mode": mode,
        "threads": torch.get_num_threads(),
        "places": len(tasks),
        "profile": profile,
    }
    print(json.dumps(rounded(result)))


def _ways(sides: Sides) -> "dict[str, Write]":
    return {
        LLAMA: sides.theirs.write,
        LLAMA_GUESSES: sides.theirs.write_guessing,
        BLOCKS: sides.ours.blocks,
        SPECULATE: sides.ours.speculate,
    }


def _load(path: Path, checkpoint: "Checkpoint") -> "LlamaWriter":
    import torch

    from benchmarks.llama_writer import LlamaWriter

    return LlamaWriter(
        path,
        context_tokens=checkpoint.preset.context_tokens + 128,
        num_threads=torch.get_num_threads(),
        token_bytes=checkpoint.tokenizer.token_bytes,
    )


def _agreement(
    model: Path | None, checkpoint: "Checkpoint", tasks: "Sequence[Task]", folder: Path, matrices: str
) -> Agreement:
    """Writes the GGUF file and compares its logits with ours. EvalError if it is another network."""
    import torch

    from benchmarks.gguf_export import export_gguf
    from model.checkpoints.load import default_checkpoint, load_checkpoint
    from model.evaluation.decode import Decoder

    exact = load_checkpoint(model or default_checkpoint(), dtype=torch.float32)
    path = folder / f"{matrices}.gguf"
    preset = exact.preset
    export_gguf(exact.network, path, name=preset.name, context_tokens=preset.context_tokens, matrices=matrices)
    theirs, decoder = _load(path, checkpoint), Decoder(exact)
    same: list[float] = []
    kls: list[float] = []
    for task in tasks[:: max(1, len(tasks) // NUM_AGREEMENT_PROMPTS)][:NUM_AGREEMENT_PROMPTS]:
        ids = task.prepared.prompt_ids
        with torch.inference_mode():
            ours_TV = exact.network.logits(decoder.clean_pass(decoder.fresh_cache(), ids)).numpy()
        row_same, row_kls = compare_logits(ours_TV, theirs.logits(ids))
        same += row_same
        kls += row_kls
    theirs.close()
    agreement = Agreement(matrices, statistics.fmean(same), statistics.fmean(kls), len(same))
    print(
        f"# logits, {matrices} against our fp32: best token the same in {agreement.same_best:.2%} of {len(same)} rows, "
        f"mean divergence {agreement.kl:.1e} nats"
    )
    if agreement.same_best < MIN_AGREEMENT:
        raise EvalError(f"llama.cpp computes another network ({agreement.same_best:.1%} of the best tokens agree)")
    return agreement


def compare_logits(ours_TV: "np.ndarray", theirs_TV: "np.ndarray") -> tuple[list[float], list[float]]:
    """Per row: whether the best label is the same, and KL(ours || theirs) in nats."""
    import numpy as np

    def log_p(logits_TV: "np.ndarray") -> "np.ndarray":
        shifted_TV = logits_TV.astype(np.float64) - logits_TV.max(axis=1, keepdims=True)
        return shifted_TV - np.log(np.exp(shifted_TV).sum(axis=1, keepdims=True))

    ours, theirs = log_p(ours_TV), log_p(theirs_TV)
    same = (ours_TV.argmax(axis=1) == theirs_TV.argmax(axis=1)).astype(float).tolist()
    return same, (np.exp(ours) * (ours - theirs)).sum(axis=1).tolist()


def print_lines(lines: "dict[str, Timed]") -> dict[str, Any]:
    """The table of lines from masks, and its part of the JSON."""
    print(f"{'lines from masks':42}forwards    ms  same text  ms of those  llama.cpp's  times as fast")
    theirs = lines[LLAMA]
    speedups: dict[str, float] = {}
    result: dict[str, Any] = {"ms_llamacpp": theirs.ms, "forwards_llamacpp": theirs.forwards}
    result["ms_llamacpp_guesses"] = lines[LLAMA_GUESSES].ms
    for name, ours in lines.items():
        same = [i for i, (a, b) in enumerate(zip(ours.lines, theirs.lines, strict=True)) if a.text == b.text]
        ms, their_ms = (ours.of(same).ms, theirs.of(same).ms) if same else (ours.ms, theirs.ms)
        share, ratio = len(same) / len(ours.lines), their_ms / ms
        print(f"{name:42}{ours.forwards:8.2f}{ours.ms:6.1f}{share:11.1%}{ms:13.1f}{their_ms:13.1f}{ratio:15.2f}")
        if name in (BLOCKS, SPECULATE):
            speedups[name] = ratio
            result |= {f"ms_{name}": ours.ms, f"forwards_{name}": ours.forwards, f"same_text_{name}": share}
            result |= {f"speedup_{name}": ratio, f"speedup_{name}_all": theirs.ms / ours.ms}
    way = max(speedups, key=lambda name: speedups[name])
    return {"speedup": speedups[way], "way": way, **result}


def _trace(sides: Sides, preparer: "Preparer", checkpoint: "Checkpoint") -> "tuple[dict[str, Timed], list[str]]":
    """Both sides at every request of the typing trace, and what each keystroke left of the ghost text before it."""
    from benchmarks.lines import Task, num_common
    from benchmarks.replay import replay, request_of
    from benchmarks.timing import Timed, timed, turned
    from model.engine.guess import guess_ids

    ways = _ways(sides) | {DRAFTS: sides.ours.speculate}
    done = {name: Timed([], []) for name in ways}
    kinds: list[str] = []
    before: list[int] = []
    ghost = ""
    for index, stroke in enumerate(replay(json.loads((ROOT / "benchmarks/data/typing_trace.json").read_text()))):
        request = request_of(stroke, checkpoint.preset)
        kind, ghost = left_of(ghost, stroke)
        if request is None:
            continue
        prepared = preparer.prepare(request)
        task = Task(request, prepared, num_common(before, prepared.prompt_ids))
        before = prepared.prompt_ids
        guess = guess_ids(request.prompt.line, ghost, prepared.taken_back, preparer.encoder)
        drafted = msgspec.structs.replace(task, guess_ids=tuple(guess))
        for name in turned(list(ways), index):
            sides.warm(task)
            line, time_ms = timed(ways[name], drafted if name == DRAFTS else task)
            if name == DRAFTS:
                ghost = line.text
            if stroke.what != "open":  # the whole prompt is new there: a start, no keystroke
                done[name].lines.append(line)
                done[name].times_ms.append(time_ms)
        if stroke.what != "open":
            kinds.append(kind if guess else NO_GUESS)
    return done, kinds


def left_of(ghost: str, stroke: "Stroke") -> tuple[str, str]:
    """What a keystroke makes of the last ghost text, and what is left of it as a guess."""
    from benchmarks.replay import rest_of
    from lsp_server.features.guess import guess_after

    rest = rest_of(ghost, stroke)
    if rest:
        return ALONG, rest
    rest = guess_after(stroke.typed or "", ghost)
    return (BROKEN, rest) if rest else (NO_GUESS, "")


def print_trace(trace: "tuple[dict[str, Timed], list[str]]") -> dict[str, Any]:
    """The table of the trace and its part of the JSON."""
    done, kinds = trace
    groups = {"all": list(range(len(kinds)))}
    groups |= {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in (ALONG, BROKEN, NO_GUESS)}
    theirs, ours = done[LLAMA], done[DRAFTS]
    counts = ", ".join(f"{len(indices)} {kind}" for kind, indices in groups.items() if kind != "all")
    print(f"typing trace, {len(kinds)} requests; the ghost text before them: {counts}")
    print(f"{'ms (times as fast as llama.cpp)':42}forwards" + "".join(f"{name:>16}" for name in groups))
    for name, timed in done.items():
        cells = [_cell(timed, theirs, indices) for indices in groups.values()]
        print(f"{name:42}{timed.forwards:8.2f}" + "".join(f"{cell:>16}" for cell in cells))
    same = statistics.fmean(a.text == b.text for a, b in zip(ours.lines, theirs.lines, strict=True))
    print(f"same text as llama.cpp with drafts: {same:.1%}")
    result = {"trace_requests": len(kinds), "trace_kinds": {kind: len(indices) for kind, indices in groups.items()}}
    result |= {"speedup_trace": theirs.ms / ours.ms, "speedup_trace_total": sum(theirs.times_ms) / sum(ours.times_ms)}
    for kind in (ALONG, BROKEN, NO_GUESS):
        if groups[kind]:
            result[f"speedup_trace_{kind}"] = theirs.of(groups[kind]).ms / ours.of(groups[kind]).ms
    result |= {"ms_trace": ours.ms, "ms_trace_llamacpp": theirs.ms, "same_text_trace": same}
    result |= {"forwards_trace": ours.forwards, "forwards_trace_llamacpp": theirs.forwards}
    return result


def _cell(timed: "Timed", theirs: "Timed", indices: list[int]) -> str:
    if not indices:
        return "–"
    chosen, their_chosen = timed.of(indices), theirs.of(indices)
    return f"{chosen.ms:.1f} ({their_chosen.ms / chosen.ms:.2f})"


def _profile(
    sides: Sides, checkpoint: "Checkpoint", tasks: "Sequence[Task]", from_masks: dict, over_trace: dict
) -> dict[str, dict[str, float]]:
    """Where our time goes, by way, if a bar is missed; else nothing."""
    from benchmarks.shares import time_shares

    if from_masks["speedup"] >= BAR and over_trace["speedup_trace"] >= TRACE_BAR:
        return {}
    ways = {BLOCKS: sides.ours.blocks, SPECULATE: sides.ours.speculate}
    profile = {
        name: time_shares(checkpoint.network, write, tasks[:NUM_PROFILED], sides.warm) for name, write in ways.items()
    }
    print("shares of our time" + " " * 20 + "  prefill    steps     head   python")
    for name, shares in profile.items():
        print(f"{name:38}" + "".join(f"{share:9.1%}" for share in shares.values()))
    return profile


if __name__ == "__main__":
    sys.exit(run(main))
