"""How many people one machine serves: the committed typing trace through the engine's scheduler, on a simulated clock.

A user is served while 95 requests in 100 are answered within 300 ms (benchmarks/load.py has the trace: one request in
4 s each, in bursts). What requests need (rows, keys, passes) is recorded here with the embedded model. How long a pass
takes is fitted to passes measured here for this CPU (with what it takes more in a running engine, which lone requests
tell), and for the cards ARITHMETIC from their data sheets (pass_model.py), under the assumption that another model
makes the same passes over the same number of tokens, with its weights in bf16. The memory column is how many users'
prompts stay warm beside the weights; where it is less than what the time allows, it is the number. The bar: simulated
p95 within 20 % of what `load` measured on this CPU, with 4 and with 16 users.
`python -m benchmarks.capacity [--measured FILE]` prints tables, then one line of JSON; best on a quiet machine. Left
out: rewrites and repairs, several cards, the network between the users and the box.
"""

import argparse
import json
import os
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.header import ROOT, print_header
from benchmarks.load import LEVELS, LIMIT_MS, Level, Timed, schedule, users_requests
from benchmarks.load_trace import load_trace
from benchmarks.options import rounded, run
from benchmarks.pass_model import Arithmetic, Card, Fitted, Scattered, arithmetic, fit
from benchmarks.queue_simulation import Arrival, Machine, Need, simulate
from model.engine.scheduler import Limits
from model.evaluation.options import EvalError

if TYPE_CHECKING:
    from model.network.config import NetworkConfig

MEASURED = ROOT / "benchmarks/results/load.txt"
BAR_SHARE = 0.2
BAR_LEVELS = (4, 16)
SIDE_BY_SIDE = (2, 4, 8)
NUM_TOGETHER = 64  # requests, for each number side by side
FREE_SHARE = 0.9  # of a card's memory; the rest is the driver's, buffers and fragments
NEAR_SHARE = 0.05
MAX_USERS = 1 << 14

# Bandwidth, dense bf16 operations (fp32 sums), memory: NVIDIA's data sheets; H20 as in benchmarks/roofline.py.
CARDS = (
    Card("RTX 4090", 1.008e12, 165e12, 24e9),
    Card("H20", 4.0e12, 148e12, 96e9),
    Card("H200", 4.8e12, 989e12, 141e9),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--measured", type=Path, default=MEASURED, metavar="FILE", help="what benchmarks.load printed")
    args = parser.parse_args()
    measured = measured_levels(args.measured)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the engine, and only before torch is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import torch

    from benchmarks import pass_recorder
    from model.checkpoints.load import default_checkpoint, load_preset

    checkpoint = default_checkpoint()
    trace = load_trace()
    requests = users_requests(trace, load_preset(checkpoint))
    print_header("capacity")
    with torch.inference_mode():
        resident = pass_recorder.load(checkpoint)
        recorder = pass_recorder.Recorder(resident)
        every = [own[0].request for own in requests]
        for request in every:  # as in the load benchmark: every user's file has been completed in once
            recorder.need(request)
        recorder.timed.clear()
        needs: dict[int, list[Need]] = {}
        for users in LEVELS[:-1]:
            asks = schedule(requests, users)
            needs[users] = [recorder.need(ask.request, pass_recorder.IDLE_S) for ask in asks]
        timed = list(recorder.timed)
        needs[LEVELS[-1]] = [recorder.need(ask.request) for ask in schedule(requests, LEVELS[-1])]  # without pauses
        recorder.timed[:] = timed
        for number in SIDE_BY_SIDE:
            for low in range(0, NUM_TOGETHER, number):
                recorder.together(every[low : low + number])
        host = pass_recorder.host_ms(checkpoint, every[:32])
    fitted = fit(recorder.timed)
    lone = [ask.request for ask in schedule(requests, 1)]
    answered = pass_recorder.answered(checkpoint, every, lone)
    around = statistics.median(one.client_ms - one.engine_ms for one in answered)
    more = more_a_pass_ms([one.engine_ms for one in answered], needs[1], fitted, resident.limits)
    scattered = Scattered(fitted, recorder.timed, more)
    here = Machine(scattered.pass_ms, resident.limits, around, resident.sequence_bytes)
    print(
        f"# {len(recorder.timed)} passes measured: {fitted.one_pass:.2f} ms a pass, {fitted.sequence:.2f} a sequence, "
        f"{1000 * fitted.row:.1f} µs a row, {1e6 * fitted.row_key:.1f} ns a row and key; in an engine "
        f"{more:.2f} ms a pass more, and {around:.1f} a request around its clock; host alone {host[0]:.2f} ms a pass "
        f"and {host[1]:.2f} a sequence"
    )
    simulated = {users: simulate(arrivals_of(schedule(requests, users), needs[users]), here) for users in LEVELS}
    compared = compare(simulated, measured)
    by_user = needs_of_users(schedule(requests, len(requests)), needs[len(requests)])
    rows = [capacity_row("embedded", "this CPU", here, by_user, None)]
    cached = max(
        one.num_keys + one.num_ahead + one.num_rows for own in by_user for _, need in own for one in need.passes
    )
    for name, config in shapes(resident.network.config).items():
        for card in CARDS:
            rows.append(card_row(name, arithmetic(config, card, (host[0] + more, host[1])), by_user, around, cached))
    print_capacity(rows)
    facts = {"fitted": {name: getattr(fitted, name) for name in Fitted.__struct_fields__}, "around_ms": around}
    facts["more_a_pass_ms"] = more
    facts |= {"host_ms": list(host), "compared": compared, "rows": rows, "limit_ms": LIMIT_MS}
    print(json.dumps(rounded(facts)))


def more_a_pass_ms(engine_ms: Sequence[float], needs: Sequence[Need], fitted: Fitted, limits: Limits) -> float:
    """What a pass takes in a running engine beyond what was fitted in this process: the median of lone requests."""
    machine = Machine(fitted.pass_ms, limits, around_ms=0.0)
    beyond = [
        (took_ms - simulate([Arrival(0.0, "", need)], machine).p50_ms) / len(need.passes)
        for took_ms, need in zip(engine_ms, needs, strict=True)
    ]
    return max(0.0, statistics.median(beyond))


def measured_levels(path: Path) -> dict[int, float]:
    """p95 in ms by number of users, from the last line of a result of the load benchmark. EvalError for other files."""
    try:
        found = json.loads(path.read_text("utf-8").splitlines()[-1])
        return {users: float(found[str(users)]["p95_ms"]) for users in LEVELS}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise EvalError(f"{path} is no result of benchmarks.load ({error})") from None


def arrivals_of(asks: Sequence[Timed], needs: Sequence[Need]) -> list[Arrival]:
    """As on a local socket, where nobody says who asks."""
    return [Arrival(ask.at_s, "", need) for ask, need in zip(asks, needs, strict=True)]


def needs_of_users(asks: Sequence[Timed], needs: Sequence[Need]) -> list[list[tuple[float, Need]]]:
    """When each user asks for what."""
    own: dict[int, list[tuple[float, Need]]] = {}
    for ask, need in zip(asks, needs, strict=True):
        own.setdefault(ask.user, []).append((ask.at_s, need))
    return [own[user] for user in sorted(own)]


def crowd(by_user: Sequence[Sequence[tuple[float, Need]]], num_users: int, seconds: float = 60.0) -> list[Arrival]:
    """So many users with names: beyond those of the trace, the same ones at another time of the same minute."""
    rng = random.Random(f"crowd/{num_users}")
    arrivals: list[Arrival] = []
    for number in range(num_users):
        shift_s = 0.0 if number < len(by_user) else rng.uniform(0, seconds)
        own = by_user[number % len(by_user)]
        arrivals += [Arrival((at_s + shift_s) % seconds, str(number), need) for at_s, need in own]
    return sorted(arrivals, key=lambda arrival: arrival.at_s)


def most_users(level_of: Callable[[int], Level]) -> int:
    """The most users with p95 within the limit and no error, to a twentieth; 0 if not even one."""

    def is_served(users: int) -> bool:
        level = level_of(users)
        return not level.errors and level.p95_ms <= LIMIT_MS

    if not is_served(1):
        return 0
    low, high = 1, 2
    while high <= MAX_USERS and is_served(high):
        low, high = high, 2 * high
    while high - low > max(1, NEAR_SHARE * low):
        middle = (low + high) // 2
        low, high = (middle, high) if is_served(middle) else (low, middle)
    return low


def compare(simulated: dict[int, Level], measured: dict[int, float]) -> list[dict[str, float]]:
    """Prints how far the simulated percentiles are from the measured ones."""
    print(f"{'users':>8}{'measured p95':>15}{'simulated p95':>15}{'off by':>9}")
    rows = []
    for users, level in simulated.items():
        off = level.p95_ms / measured[users] - 1
        rows.append({"users": users, "measured_ms": measured[users], "simulated_ms": level.p95_ms, "off": off})
        print(f"{users:8}{measured[users]:15.1f}{level.p95_ms:15.1f}{off:+9.0%}")
    is_within = all(abs(row["off"]) <= BAR_SHARE for row in rows if row["users"] in BAR_LEVELS)
    print(f"with 4 and 16 users {'within' if is_within else 'NOT within'} {BAR_SHARE:.0%}")
    return rows


def shapes(embedded: "NetworkConfig") -> "dict[str, NetworkConfig]":
    """Networks by name: the embedded one, Qwen2.5-Coder's 0.5 B and 1.5 B (config.json; open-dcoder and others have
    them), and that of Stable-DiffCoder-8B.
    """
    from benchmarks.roofline import stable_diffcoder_8b
    from model.network.config import NetworkConfig

    half = NetworkConfig(
        vocab_size=151_936, num_layers=24, d_model=896, num_heads=14, num_kv_heads=2, d_head=64, d_ff=4864
    )
    one_and_a_half = NetworkConfig(
        vocab_size=151_936, num_layers=28, d_model=1536, num_heads=12, num_kv_heads=2, d_head=128, d_ff=8960
    )
    return {"embedded": embedded, "0.5 B": half, "1.5 B": one_and_a_half, "8 B": stable_diffcoder_8b()}


def card_row(
    name: str, model: Arithmetic, by_user: Sequence[Sequence[tuple[float, Need]]], around_ms: float, cached: int
) -> dict[str, object]:
    free = FREE_SHARE * model.card.memory_bytes - model.weight_bytes
    user_bytes = cached * model.key_bytes
    # What the engine takes on a GPU (model/engine/generation.py); half of what is free runs, half is kept warm.
    limits = Limits(max_sequences=32, max_ahead=1024, max_rows=2048, max_bytes=int(free / 2))
    machine = Machine(model.pass_ms, limits, around_ms, user_bytes)
    return capacity_row(name, model.card.name, machine, by_user, int(free / 2 / user_bytes))


def capacity_row(
    name: str, where: str, machine: Machine, by_user: Sequence[Sequence[tuple[float, Need]]], room: int | None
) -> dict[str, object]:
    """room: how many users' prompts stay warm; None = it is part of what was recorded."""
    found = most_users(lambda users: simulate(crowd(by_user, users), machine, max_errors=0))
    lone = simulate(crowd(by_user, 1), machine)
    return {"model": name, "where": where, "by_time": found, "by_memory": room, "lone_p95_ms": lone.p95_ms,
            "users": found if room is None else min(found, room), "arithmetic": room is not None}  # fmt: skip


def print_capacity(rows: Sequence[dict[str, object]]) -> None:
    print(f"users on one machine with p95 within {LIMIT_MS:.0f} ms (cards: arithmetic, not measured):")
    print(f"{'model':>10}{'on':>12}{'lone p95 ms':>13}{'by time':>10}{'by memory':>11}{'users':>8}")
    for row in rows:
        room = "-" if row["by_memory"] is None else f"{row['by_memory']}"
        print(
            f"{row['model']:>10}{row['where']:>12}{row['lone_p95_ms']:13.1f}{row['by_time']:>10}{room:>11}"
            f"{row['users']:>8}"
        )


if __name__ == "__main__":
    sys.exit(run(main))
