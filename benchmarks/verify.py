"""Verify at commit (model/diffusion/verify.py): what epsilon doubts of true text, and what looking costs and brings.

First the calibration. Every token of stretches of held-out documents has one least epsilon at which the clean stream
doubts it; the share of tokens below an epsilon is how often right text would be refused, and the epsilon that doubts 1
in 100 is the one to use. Then BLOCK (known length, edit similarity) and LINE (begun lines, free length, exact) with and
without, at the preset's threshold and at a lower one, where there is more to correct: paired by place, 95 % intervals.
A look is worth it where it wins score at equal passes, or saves passes at equal score. Left out: time (a look costs
some rows of the head, no pass).
`python -m benchmarks.verify --shards DIR [--limit N]` prints two tables, then one line of JSON. N: places of BLOCK, and
of LINE.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.header import print_header
from benchmarks.options import line_arguments, rounded, run
from model.evaluation.options import EvalError, load_model, watched

if TYPE_CHECKING:
    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Place

EPSILONS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
SHARES = (0.01, 0.03, 0.1)
"""Of true tokens that an epsilon to try may doubt; the first is the calibrated one."""
LOW_TAU = 0.3
NUM_STRETCHES = 120
STRETCH_TOKENS = 256
NUM_READ_FIRST = 64
"""Tokens at a stretch's beginning that are read but not counted: nobody writes without any context."""
SEED = 0


class Way(msgspec.Struct, frozen=True):
    """One set written with one epsilon (None: nobody looks), place by place."""

    tau_mask: float
    epsilon: float | None
    scores: list[float]
    forwards: list[int]


def main() -> None:
    parser = line_arguments("verify", __doc__ or "")
    parser.set_defaults(limit=100)
    args = parser.parse_args()
    if args.shards is None:
        raise EvalError("this needs text that was never trained on: name its shards with --shards DIR")
    checkpoint = load_model(args)  # before anything imports torch
    from model.evaluation.block_set import LIST_FILE, find_places, read_list
    from model.evaluation.heldout_places import heldout_documents, line_places

    documents = list(heldout_documents(args.shards))
    print_header("verify")
    critical = critical_epsilons(checkpoint, stretches(documents, NUM_STRETCHES))
    tried = [quantile(critical, share) for share in SHARES]
    result: dict = {"epsilon": _text(tried[0]), "num_tokens": len(critical), "doubtful": print_shares(critical, tried)}
    blocks = find_places(read_list(LIST_FILE), documents, limit=args.limit).places
    lines = line_places(documents, kind="rest", num=args.limit, seed=SEED)
    for name, places in (("block", list(blocks)), ("line", lines)):
        result[name] = compare(name, checkpoint, places, tried)
    print(json.dumps(rounded(result)))


def stretches(documents: Sequence[tuple[str, str]], num: int) -> list[tuple[str, str]]:
    """(path, text) of stretches of held-out documents, spread over them by size, each beginning with a line."""
    rng = Random(SEED)
    starts = [(path, text, at) for path, text in sorted(documents) for at in _line_starts(text)]
    return [(path, text[at:]) for path, text, at in rng.sample(starts, min(num, len(starts)))]


def _line_starts(text: str) -> list[int]:
    return [0, *(index + 1 for index, char in enumerate(text[:-1]) if char == "\n")][::8]


def critical_epsilons(checkpoint: "Checkpoint", texts: Sequence[tuple[str, str]]) -> list[float]:
    """For each token of the texts the least epsilon above which it is doubtful: the greater of its probability p and
    (p e^H)², by the definition of the bound.
    """
    import torch

    from model.diffusion.verify import clean_log_p
    from model.engine.prompting import LineEncoder
    from model.evaluation.decode import Decoder
    from model.prompts import document_ids, path_ids

    decoder, encoder = Decoder(checkpoint), LineEncoder(checkpoint.tokenizer)
    found: list[float] = []
    for path, text in watched(texts, "calibration"):
        head = document_ids(path_ids(checkpoint.tokenizer, path))
        ids = encoder(text[: 16 * STRETCH_TOKENS])[:STRETCH_TOKENS]
        with torch.inference_mode():
            hidden_TD = decoder.clean_pass(decoder.fresh_cache(), [*head, *ids[:-1]])[len(head) - 1 :]
            log_p_NV = clean_log_p(checkpoint.network, hidden_TD[NUM_READ_FIRST:])
            p_NV = log_p_NV.exp()
            entropy_N = -(p_NV * log_p_NV.masked_fill(p_NV == 0, 0.0)).sum(-1)
            own_N = p_NV.gather(1, torch.tensor(ids[NUM_READ_FIRST:]).unsqueeze(1)).squeeze(1)
            found += torch.maximum(own_N, (own_N * entropy_N.exp()) ** 2).tolist()
    if not found:
        raise EvalError("these documents are too short to calibrate on")
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """The epsilon that doubts at most this share of the tokens."""
    return sorted(values)[int(share * len(values))]


def print_shares(critical: Sequence[float], tried: Sequence[float]) -> list[tuple[str | None, float]]:
    """Prints and gives (epsilon, share of true tokens that it doubts)."""
    rows = [(epsilon, sum(value < epsilon for value in critical) / len(critical)) for epsilon in (*EPSILONS, *tried)]
    rows.sort(reverse=True)
    print(f"{'epsilon':>10}{'true tokens doubted':>22}")
    for epsilon, share in rows:
        print(f"{epsilon:10.5f}{share:22.2%}")
    return [(_text(epsilon), share) for epsilon, share in rows]


def _text(epsilon: float | None) -> str | None:
    """For JSON, where four digits behind the point would make nothing of it."""
    return None if epsilon is None else f"{epsilon:.2g}"


def compare(
    name: str, checkpoint: "Checkpoint", places: Sequence["Place"], epsilons: Sequence[float]
) -> list[dict[str, Any]]:
    """Prints and gives every threshold with and without, against the same threshold without."""
    from model.evaluation.metrics import paired_bootstrap

    print(f"{name}: {len(places)} places")
    print(f"  {'':26}{'score':>8}{'more than without (95 %)':>30}{'forwards':>10}{'more (95 %)':>26}")
    rows: list[dict[str, Any]] = []
    for tau in sorted({LOW_TAU, checkpoint.preset.sampling.tau_mask}):
        plain: Way | None = None
        for epsilon in (None, *epsilons):
            way = write(name, checkpoint, places, tau, epsilon)
            plain = plain or way
            score, forwards = paired_bootstrap(way.scores, plain.scores), paired_bootstrap(way.forwards, plain.forwards)
            label = f"tau {tau:g}, " + ("without" if epsilon is None else f"epsilon {epsilon:.5f}")
            points, passes = (
                "{:+.3f} ({:+.3f} to {:+.3f})".format(*score),
                "{:+.2f} ({:+.2f} to {:+.2f})".format(*forwards),
            )
            means = statistics.fmean(way.scores), statistics.fmean(way.forwards)
            print(f"  {label:26}{means[0]:8.3f}{points:>30}{means[1]:10.2f}{passes:>26}")
            row = {"tau_mask": tau, "epsilon": _text(epsilon), "score": means[0], "forwards": means[1]}
            rows.append(row | {"score_difference": score, "forwards_difference": forwards})
    return rows


def write(name: str, checkpoint: "Checkpoint", places: Sequence["Place"], tau: float, epsilon: float | None) -> Way:
    """The places of BLOCK or LINE with one threshold and one epsilon."""
    from model.checkpoints.load import Checkpoint
    from model.evaluation.decode import Decoder
    from model.evaluation.metrics import edit_similarity, line_exact

    preset = checkpoint.preset
    sampling = msgspec.structs.replace(preset.sampling, tau_mask=tau, verify=epsilon)
    preset = msgspec.structs.replace(preset, sampling=sampling)
    decoder = Decoder(Checkpoint(checkpoint.network, checkpoint.tokenizer, preset))
    scores, forwards = [], []
    for place in watched(places, f"{name}, tau {tau:g}, epsilon {epsilon}"):
        if name == "block":
            answer = decoder.complete(place, stop="eom", length="oracle")
            scores.append(edit_similarity(answer.text, place.gold))
        else:
            answer = decoder.complete(place, stop="line")
            scores.append(float(line_exact(answer.text, place.gold)))
        forwards.append(answer.forwards)
    return Way(tau, epsilon, scores, forwards)


if __name__ == "__main__":
    sys.exit(run(main))
