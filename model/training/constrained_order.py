"""The constrained-order stage: find good reveal orders of true texts, keep them, and fine-tune on their states.

First a share of the time goes into orders (M proposals of K steps for each block of a batch, the best kept, one byte a
token in `orders.msgpack`), the rest into steps on views along them; one step in three replays the edit stage.
Source: Seed Diffusion (arXiv 2508.02193, §3.1); equal steps and equal partition for all proposals, the policies, the
weights and the replay are this project's. Left out: the orders themselves (reveal_order.py), the views
(ordered_views.py).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec
from torch import Tensor

from model.network.transformer import Transformer
from model.training.block_runs import BlockRuns, draw_runs
from model.training.fine_tune import FineTuneOptions, FineTuner
from model.training.ordered_views import ordered_views
from model.training.reveal_order import POLICIES, Order, OrderFigures, best_orders, describe, name_ids, skeleton_ids
from model.training.shards import Shards, open_shards
from model.training.two_stream import Forward, two_stream_hidden

STEP_NUMBERS = (2, 4, 8)
FIND_SHARE = 0.4
REPLAY_EVERY = 3
NUM_FIGURE_BATCHES = 4


class FoundOrders(msgspec.Struct, frozen=True):
    """The orders of batch `number`, block by block, in `num_steps` steps."""

    number: int
    num_steps: int
    orders: tuple[Order, ...]


def constrain(
    options: FineTuneOptions, say: Callable[[str], None], forward: Forward = two_stream_hidden
) -> dict[str, OrderFigures]:
    """Runs the stage and writes the checkpoint to `options.out`; the figures of held-out orders, "before 2" to
    "after 8".

    Raises TrainError or ShardError with one sentence.
    """
    tuner = FineTuner(options, forward)
    figures = {f"before {k}": value for k, value in heldout_figures(tuner.network, options, tuner.allowed_KV).items()}
    found: list[FoundOrders] = []
    while tuner.share() < FIND_SHARE or not found:
        found.append(find(tuner.network, tuner.shards, options, tuner.allowed_KV, len(found)))
        if len(found) % 20 == 0:
            say(f"orders of {len(found)} batches, {100 * tuner.share():.0f} % of the time")
    _keep(found, options.out)
    _learn(tuner, found, say)
    figures |= {f"after {k}": value for k, value in heldout_figures(tuner.network, options, tuner.allowed_KV).items()}
    tuner.save({"stage": "constrained-order", "constrained_order_steps": tuner.num_steps})
    return figures


def find(
    network: Transformer, shards: Shards, options: FineTuneOptions, allowed_KV: Tensor, number: int
) -> FoundOrders:
    """The best orders of batch `number`; the number of steps goes round with it."""
    num_steps = STEP_NUMBERS[number % len(STEP_NUMBERS)]
    skeleton_V = skeleton_ids(shards.tokenizer)
    runs = _runs(shards, options, number)
    orders = best_orders(network, runs, num_steps, allowed_KV, skeleton_V, seed=number, bf16=options.bf16)
    return FoundOrders(number, num_steps, tuple(orders))


def _runs(shards: Shards, options: FineTuneOptions, number: int) -> BlockRuns:
    return draw_runs(
        shards,
        seed=options.seed,
        number=number,
        num_rows=options.num_rows,
        clean_tokens=options.clean_tokens,
        noisy_tokens=options.noisy_tokens,
        copies=len(POLICIES),
    )


def _learn(tuner: FineTuner, found: Sequence[FoundOrders], say: Callable[[str], None]) -> None:
    """Passes over the orders, each time in another sequence, until the time is over."""
    rng = Random(tuner.options.seed)
    waiting: list[FoundOrders] = []
    while tuner.num_steps == 0 or tuner.share() < 1.0:
        if tuner.num_steps % REPLAY_EVERY == REPLAY_EVERY - 1:
            kind, batch = "edit", tuner.replay(tuner.num_steps)
        else:
            waiting = waiting or rng.sample(list(found), len(found))
            next_up = waiting.pop()
            kind = f"order {next_up.num_steps}"
            batch = ordered_views(_runs(tuner.shards, tuner.options, next_up.number), next_up.orders, rng)
        noisy, clean = tuner.learn(batch)
        if tuner.num_steps % 20 == 0:
            say(f"step {tuner.num_steps}, {100 * tuner.share():.0f} %: {kind}: noisy {noisy:.3f}, clean {clean:.3f}")


def heldout_figures(network: Transformer, options: FineTuneOptions, allowed_KV: Tensor) -> dict[int, OrderFigures]:
    """What orders the network finds in held-out texts, and how likely they are, by number of steps."""
    shards = open_shards(options.shards, "heldout")
    skeleton_V, names_V = skeleton_ids(shards.tokenizer), name_ids(shards.tokenizer)
    figures: dict[int, OrderFigures] = {}
    for num_steps in STEP_NUMBERS:
        orders: list[Order] = []
        texts: list[tuple[int, ...]] = []
        for number in range(NUM_FIGURE_BATCHES):
            runs = _runs(shards, options, number)
            orders += best_orders(network, runs, num_steps, allowed_KV, skeleton_V, seed=number, bf16=options.bf16)
            texts += [run.clean for run in runs.runs[:: len(POLICIES)]]
        figures[num_steps] = describe(orders, texts, skeleton_V, names_V)
    return figures


def _keep(found: Sequence[FoundOrders], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orders.msgpack").write_bytes(msgspec.msgpack.encode(list(found)))


def read_orders(folder: Path) -> list[FoundOrders]:
    """The orders that a run kept. Raises OSError or msgspec.MsgspecError."""
    return msgspec.msgpack.decode((folder / "orders.msgpack").read_bytes(), type=list[FoundOrders])
