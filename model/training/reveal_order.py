"""In which order a sampler may reveal a text: orders of the true tokens, scored, and described in words of code.

An order gives each row of a block the step at which it appears, in K steps of equal size. Its score is the exact
log-likelihood of the sampler that reveals so: S = sum over steps of the sum over the rows of that step of
log p(x_i | x visible before the step). Of several orders of one block, with equal K and equal partition, the best is
kept. Source: constrained-order training of Seed Diffusion (arXiv 2508.02193, §3.1); the policies that propose orders
are this project's and look at nothing but what the network reads from the visible tokens. Left out: learning from the
orders (constrained_order.py).

Shapes: V vocabulary.
"""

import keyword
from collections.abc import Sequence

import msgspec
import numpy as np
from torch import Tensor

from model.network.transformer import Transformer
from model.tokenizer import NUM_RESERVED, Tokenizer
from model.training.block_runs import BlockRuns, Reading, Run

POLICIES = ("confidence", "entropy", "left", "skeleton")
NOISE = 0.5  # scale of the Gumbel noise, in nats
LEFT_PULL = 2.0  # nats a row further left is worth to "left"
SKELETON_BONUS = 3.0  # nats
HIDDEN = 255  # not revealed yet


class Order(msgspec.Struct, frozen=True):
    """`steps` = one byte a true token: the step that reveals it. `score` = S in nats; `policy` = who proposed it."""

    steps: bytes
    score: float
    policy: str


def skeleton_ids(tokenizer: Tokenizer) -> np.ndarray:
    """bool (V): tokens that are structure: brackets, punctuation, keywords, newlines and indentation."""
    found = np.zeros(tokenizer.vocab_size, bool)
    for token in range(NUM_RESERVED, tokenizer.vocab_size):
        text = tokenizer.token_bytes[token].decode("utf-8", "replace").strip()
        words = "".join(c if c.isalnum() or c in "_\ufffd" else " " for c in text).split()
        found[token] = all(keyword.iskeyword(word) for word in words)
    return found


def best_orders(
    network: Transformer,
    runs: BlockRuns,
    num_steps: int,
    allowed_KV: Tensor,
    skeleton_V: np.ndarray,
    *,
    seed: int,
    bf16: bool,
) -> list[Order]:
    """One order for each group of runs: the one with the highest score among its copies. The runs are used up.

    Copy number c follows POLICIES[c % 4].
    """
    steps = [np.full(len(run.clean), HIDDEN, np.uint8) for run in runs.runs]
    scores = np.zeros(len(runs.runs))
    rng = np.random.default_rng(seed)
    runs.start_reading(network, bf16=bf16)
    for step in range(num_steps):
        reading = runs.read(network, allowed_KV, bf16=bf16)
        for number, run in enumerate(runs.runs):
            rows = rows_at(run, step, num_steps, steps[number], reading, skeleton_V, policy_of(runs, number), rng)
            if len(rows):
                steps[number][rows] = step
                scores[number] += float(reading.true_log_p[run.place][rows].sum(dtype=np.float64))
                _reveal(runs, run, rows)
    orders: dict[int, Order] = {}
    for number, run in enumerate(runs.runs):
        order = Order(steps[number].tobytes(), float(scores[number]), policy_of(runs, number))
        if run.group not in orders or order.score > orders[run.group].score:
            orders[run.group] = order
    return [orders[group] for group in sorted(orders)]


def policy_of(runs: BlockRuns, number: int) -> str:
    """The policy of run `number`: copies stand together, so its place among those of its group says it."""
    first = number
    while first and runs.runs[first - 1].group == runs.runs[number].group:
        first -= 1
    return POLICIES[(number - first) % len(POLICIES)]


def num_revealed(num_rows: int, step: int, num_steps: int) -> int:
    """How many of `num_rows` rows step `step` reveals: equal parts, as far as whole rows allow."""
    return (step + 1) * num_rows // num_steps - step * num_rows // num_steps


def rows_at(
    run: Run,
    step: int,
    num_steps: int,
    steps: np.ndarray,
    reading: Reading,
    skeleton_V: np.ndarray,
    policy: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """The true rows that a policy reveals in this step, by what was read. Surplus masks are never revealed."""
    wanted = num_revealed(len(run.clean), step, num_steps)
    hidden = np.flatnonzero(steps == HIDDEN)
    scores = _scores(run, reading, skeleton_V, policy)[hidden] + rng.gumbel(scale=NOISE, size=len(hidden))
    return np.sort(hidden[np.argsort(-scores, kind="stable")[:wanted]])


def _scores(run: Run, reading: Reading, skeleton_V: np.ndarray, policy: str) -> np.ndarray:
    row, place = run.place
    confidence = reading.best_log_p[row, place][: len(run.clean)]
    if policy == "entropy":
        return -reading.entropy[row, place][: len(run.clean)]
    if policy == "left":
        return -LEFT_PULL * np.arange(len(run.clean))
    if policy == "skeleton":
        return confidence + SKELETON_BONUS * skeleton_V[reading.best[row, place][: len(run.clean)]]
    return confidence


def _reveal(runs: BlockRuns, run: Run, rows: np.ndarray) -> None:
    runs.write(run, rows.tolist(), [run.clean[i] for i in rows])


class OrderFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of many orders: nats a token; and among pairs of rows revealed in different steps the share in which the left
    neighbour came first, the first use of a name came before a later one, and structure before its neighbour.
    """

    nats_per_token: float
    left_to_right: float
    declared_first: float
    structure_first: float
    policies: dict[str, float]


def describe(
    orders: Sequence[Order], texts: Sequence[Sequence[int]], skeleton_V: np.ndarray, names_V: np.ndarray
) -> OrderFigures:
    """Figures of orders and the true tokens of their blocks. `names_V`: bool (V), tokens that hold an identifier."""
    wins = np.zeros((3, 2))
    num_tokens = 0
    for order, text in zip(orders, texts, strict=True):
        steps = np.frombuffer(order.steps, np.uint8).astype(int)
        tokens = np.asarray(text)
        num_tokens += len(tokens)
        _count(wins[0], steps[:-1], steps[1:])
        for token in {int(t) for t in tokens if names_V[t]}:
            uses = np.flatnonzero(tokens == token)
            _count(wins[1], np.repeat(steps[uses[0]], len(uses) - 1), steps[uses[1:]])
        is_left = skeleton_V[tokens[:-1]] & ~skeleton_V[tokens[1:]]
        is_right = ~skeleton_V[tokens[:-1]] & skeleton_V[tokens[1:]]
        _count(wins[2], steps[:-1][is_left], steps[1:][is_left])
        _count(wins[2], steps[1:][is_right], steps[:-1][is_right])
    shares = wins[:, 0] / np.maximum(1, wins.sum(1))
    return OrderFigures(
        nats_per_token=-sum(order.score for order in orders) / max(1, num_tokens),
        left_to_right=float(shares[0]),
        declared_first=float(shares[1]),
        structure_first=float(shares[2]),
        policies={name: sum(o.policy == name for o in orders) / max(1, len(orders)) for name in POLICIES},
    )


def _count(wins: np.ndarray, early: np.ndarray, late: np.ndarray) -> None:
    """Adds how often `early` was revealed before `late`, and how often after it; the same step counts for neither."""
    wins += (early < late).sum(), (early > late).sum()


def name_ids(tokenizer: Tokenizer) -> np.ndarray:
    """bool (V): tokens whose text is one identifier (perhaps behind a space) and no keyword."""
    texts = [token.decode("utf-8", "replace").strip() for token in tokenizer.token_bytes]
    return np.array([text.isidentifier() and not keyword.iskeyword(text) and len(text) > 1 for text in texts])
