"""What keeping rows of a network of full attention changes: its texts, its beliefs, and the rows that a pass runs.

Nothing of such a network can be kept exactly (model/diffusion/whole.py). Each canvas is written with nothing kept, with
the rows before the stretch that is being written ("prefix"), and with all rows but the stretch's ("dual"); then it is
counted how many texts are equal, how much of each is (edit similarity), and in how many of the rows that were read the
best text token is the one that a pass over everything gives in that very state. All canvases have one length and are
written in stretches: kept rows are made anew where a stretch begins, so that long stretches save most and err most.
With weights that were never trained the figures say that the program runs, and nothing about any model.
`python -m benchmarks.whole_cache --model DIR [--limit N] [--tokens N] [--stretch N]` prints a table, then one line of
JSON. Left out: scores (twin.py, `seedling eval`), times (they belong to the device).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from benchmarks.header import print_header
from benchmarks.options import at_least_one, line_arguments, rounded, run
from model.evaluation.options import EvalError, load_model, watched

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.lines import Task
    from model.checkpoints.load import Checkpoint
    from model.diffusion.frames import Frame
    from model.diffusion.whole import WholeSteps
    from model.network.transformer import Transformer

Caching = Literal["none", "prefix", "dual"]
CACHINGS: tuple[Caching, ...] = ("none", "prefix", "dual")


class Written(msgspec.Struct, frozen=True):
    """One canvas. num_read: rows whose best token was looked at; num_same: those where a pass over everything has the
    same. num_rows: rows of all passes."""

    ids: tuple[int, ...]
    num_read: int
    num_same: int
    num_rows: int
    num_passes: int


class Fidelity(msgspec.Struct, frozen=True):
    """Of one way against keeping nothing. equal_texts, similarity, same_best: shares; rows: of a pass, on average."""

    equal_texts: float
    similarity: float
    same_best: float
    rows: float
    passes: float


def main() -> None:
    parser = line_arguments("whole_cache", __doc__ or "")
    parser.set_defaults(limit=40)
    parser.add_argument("--tokens", type=at_least_one, default=48, metavar="N", help="tokens of each canvas")
    parser.add_argument(
        "--stretch", type=at_least_one, default=16, metavar="N", help="rows that are written before those behind"
    )
    args = parser.parse_args()
    checkpoint = load_model(args)  # before anything imports torch
    if checkpoint.preset.network.attention != "full":
        raise EvalError(f"{checkpoint.preset.name} does not see the whole canvas: what is kept of it is exact")
    found = measured(checkpoint, args)
    print_header("whole_cache")
    print(f"# {checkpoint.preset.name}: {args.tokens} tokens in stretches of {args.stretch}, places: {found[0]}")
    print(f"{'kept':8}{'equal texts':>13}{'similarity':>12}{'same best':>11}{'rows a pass':>13}{'passes':>8}")
    for name, each in found[1].items():
        shares = f"{each.equal_texts:13.1%}{each.similarity:12.3f}{each.same_best:11.1%}"
        print(f"{name:8}{shares}{each.rows:13.1f}{each.passes:8.1f}")
    result = {name: msgspec.to_builtins(each) for name, each in found[1].items()}
    print(json.dumps(rounded({"places": found[0], "model": checkpoint.preset.name, **result})))


def measured(checkpoint: "Checkpoint", args: argparse.Namespace) -> tuple[int, dict[Caching, Fidelity]]:
    from benchmarks.lines import Preparer, line_set

    data = line_set(args)
    preparer = Preparer(checkpoint)
    tasks = [preparer.place_task(row.place, "eom") for row in data.rows]
    written = {
        caching: [write(checkpoint, task, caching, args.tokens, args.stretch) for task in watched(tasks, caching)]
        for caching in CACHINGS
    }
    return len(tasks), {caching: fidelity(written["none"], written[caching]) for caching in CACHINGS}


def fidelity(exact: Sequence[Written], kept: Sequence[Written]) -> Fidelity:
    from rapidfuzz.distance import Levenshtein

    pairs = list(zip(exact, kept, strict=True))
    return Fidelity(
        equal_texts=sum(a.ids == b.ids for a, b in pairs) / len(pairs),
        similarity=sum(Levenshtein.normalized_similarity(a.ids, b.ids) for a, b in pairs) / len(pairs),
        same_best=sum(each.num_same for each in kept) / sum(each.num_read for each in kept),
        rows=sum(each.num_rows for each in kept) / sum(each.num_passes for each in kept),
        passes=sum(each.num_passes for each in kept) / len(kept),
    )


def write(checkpoint: "Checkpoint", task: "Task", caching: Caching, num_tokens: int, stretch: int) -> Written:
    """Writes one canvas, and before each pass runs one over everything in the same state."""
    from torch import Tensor

    from model.diffusion.canvas import masked_canvas
    from model.diffusion.steps import run_passes
    from model.diffusion.whole import WholeSteps
    from model.network.kv_cache import KVCache

    class Watched(WholeSteps):
        best: Sequence[int] = ()

        def absorb(self, logits_MV: Tensor | None) -> "Frame":
            assert logits_MV is not None
            self.best = best_texts(logits_MV)
            return super().absorb(logits_MV)

    network, prepared = checkpoint.network, task.prepared
    weight = network.embed.weight
    steps = Watched(
        KVCache(network.config, device=weight.device, dtype=weight.dtype),
        prepared.prompt_ids,
        masked_canvas(num_tokens),
        prepared.after_ids,
        msgspec.structs.replace(prepared.policy, caching=caching, block=stretch),
        num_masks=num_tokens,
    )
    num_read = num_same = num_rows = num_passes = 0
    while steps.run.result is None:
        num_rows, num_passes = num_rows + steps.pass_rows().num_rows, num_passes + 1
        wanted = best_over_everything(network, steps, len(prepared.prompt_ids))
        run_passes(network, [(steps, 0)])
        num_read += len(wanted)
        num_same += sum(a == b for a, b in zip(steps.best, wanted, strict=True))
    return Written(steps.run.result.ids, num_read, num_same, num_rows, num_passes)


def best_over_everything(network: "Transformer", steps: "WholeSteps", num_before: int) -> list[int]:
    """The best text tokens of the rows that the next pass reads, from one forward that keeps nothing."""
    import torch

    tokens = torch.tensor([steps.ids()], device=network.embed.weight.device)
    num = tokens.shape[1]
    places = [max(0, num_before + ask.index - network.config.shift) for ask in steps.run.request().asks]
    with torch.inference_mode():
        mask_1TT = torch.ones(1, num, num, dtype=torch.bool, device=tokens.device)
        hidden_TD = network(tokens, torch.arange(num, device=tokens.device)[None], None, mask_1TT)[0]
        return best_texts(network.logits(hidden_TD[torch.tensor(places, device=tokens.device)]).float())


def best_texts(logits_MV: "Tensor") -> list[int]:
    from model.tokenizer import NUM_RESERVED

    return (logits_MV[:, NUM_RESERVED:].argmax(-1) + NUM_RESERVED).tolist()


if __name__ == "__main__":
    sys.exit(run(main))
