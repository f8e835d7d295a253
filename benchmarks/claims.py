"""What each benchmark claims, and what its last committed result says about the claim.

A result is a file in benchmarks/results: the header and table that a benchmark printed, and one JSON object as its last
line. Left out: the page and the pictures (plots.py), scores of the model (docs/evaluation.md, the model card).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


class Result(msgspec.Struct, frozen=True):
    """One committed result: what was run, on what, and what came out. `text` is everything before the JSON line."""

    command: str
    about: tuple[str, ...]
    text: str
    data: dict[str, Any]


class Verdict(msgspec.Struct, frozen=True):
    """What was measured, in words, and whether the bar is met (None: there is no bar)."""

    measured: str
    is_met: bool | None


class Claim(msgspec.Struct, frozen=True):
    """`judge` reads the JSON of a result."""

    name: str
    claim: str
    bar: str
    judge: Callable[[dict[str, Any]], Verdict]


def read_result(path: Path) -> Result:
    """Raises ValueError with a sentence for a file that no benchmark printed."""
    *lines, last = path.read_text("utf-8").rstrip("\n").split("\n")
    try:
        data = json.loads(last)
    except json.JSONDecodeError:
        raise ValueError(f"{path.name} does not end with a line of JSON") from None
    about = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    if not about or not isinstance(data, dict):
        raise ValueError(f"{path.name} does not begin with the command that printed it")
    return Result(about[0], tuple(about[1:]), "\n".join(lines), data)


def claims() -> tuple[Claim, ...]:
    """In the order of the page: what a user feels first, then the model's step, then the comparisons."""
    return (
        Claim(
            "startup",
            "The language server answers `initialize` about as fast as an empty pygls server, and without torch.",
            "at most 0.6 s, or 1.2 times the bare server where that is more; no torch",
            _startup,
        ),
        Claim(
            "keystroke",
            "A keystroke in a 2,000-line file is answered before the next one.",
            "p50 at most 60 ms, p95 at most 150 ms; the server's own share p50 at most 5 ms",
            _keystroke,
        ),
        Claim(
            "manners",
            "Ghost text comes where completion is easy and stays away where it would disturb.",
            "on the committed scenarios shown at 60 % or more of the places where it should be, quiet at 80 % or more",
            _manners,
        ),
        Claim(
            "gate",
            "What is shown is right much more often than all that the model proposes.",
            "exact lines at least 2 times as often, on projects that the threshold was not chosen on",
            _gate,
        ),
        Claim(
            "storm",
            "Ten thousand edits leave the language server small and quick.",
            "at most 150 MB; its own share p50 at most 5 ms",
            _storm,
        ),
        Claim(
            "prefix_cache",
            "Typing, moving and accepting re-run only the end of the prompt.",
            "at most 5 % of the prompt tokens run again",
            _prefix_cache,
        ),
        Claim(
            "memory",
            "Server and engine stay small.",
            "language server at most 150 MB, engine at most 800 MB resident",
            _memory,
        ),
        Claim(
            "step",
            "One denoising step costs little more than its arithmetic.",
            "compiled, 32 masks: at most 2 times the limit of this processor",
            _step,
        ),
        Claim(
            "agreement",
            "The shipped precision changes hardly any text.",
            "at least 99 % of the completions equal for each pair of ways that exact arithmetic makes equal",
            _agreement,
        ),
        Claim(
            "twin",
            "Blocks are written in fewer and cheaper passes than one token a forward, at equal score.",
            "at least 1.5 times as fast at equal score (exact match, lower end of the paired 95 % interval above "
            "−1 point); `speculate` no slower than one token a forward",
            _twin,
        ),
        Claim(
            "twin-blocks",
            "Long stretches take fewer and cheaper passes than one token a forward, at the same text.",
            "`speculate` at least 1.5 times as fast at equal score (similarity, lower end of the paired 95 % interval "
            "above −1 point)",
            _twin_blocks,
        ),
        Claim(
            "llamacpp",
            "A finished line takes no longer than in llama.cpp with the same weights, and much less where the last "
            "ghost text is a draft.",
            "at least 1 time as fast from masks, 2 times over the typing trace with drafts",
            _llamacpp,
        ),
        Claim(
            "drafts",
            "While one types, a line of the project that begins alike brings more right lines in fewer passes.",
            "exact lines above those of prompt lookup alone, forwards below (both 95 % intervals without 0)",
            _drafts,
        ),
        Claim(
            "load",
            "Sixteen people typing at once hardly notice one another.",
            "with 16 users p95 at most 3 times a lone user's, no error with any number of users",
            _load,
        ),
        Claim(
            "side_by_side",
            "Running the passes of several users as one changes hardly any text.",
            "at least 99 % of the lines as the lone path writes them",
            _side_by_side,
        ),
        Claim(
            "soak",
            "A long day leaves the engine's memory where it was.",
            "20,000 requests, all answered; resident memory flat within 5 %",
            _soak,
        ),
        Claim(
            "capacity",
            "How many people a machine serves can be computed before it is bought.",
            "the simulated p95 within 20 % of the measured one, with 4 and with 16 users on this CPU",
            _capacity,
        ),
        Claim(
            "upstreams",
            "The language server completes through llama.cpp's server, in its own protocol and in OpenAI's.",
            "no error in either protocol",
            _upstreams,
        ),
        Claim(
            "recall",
            "The model does not recite its training data.",
            "none; the share of recited documents is not above that of documents it never saw",
            _recall,
        ),
    )


def _startup(data: dict[str, Any]) -> Verdict:
    limit_ms = max(600.0, 1.2 * data["bare_ms"])
    measured = f"{data['initialize_ms']:.0f} ms (bare server {data['bare_ms']:.0f} ms)"
    return Verdict(measured, data["initialize_ms"] <= limit_ms and not data["torch_loaded"])


def _keystroke(data: dict[str, Any]) -> Verdict:
    measured = f"p50 {data['p50_ms']:.0f} ms, p95 {data['p95_ms']:.0f} ms, own share {data['server_p50_ms']:.1f} ms"
    return Verdict(measured, data["p50_ms"] <= 60 and data["p95_ms"] <= 150 and data["server_p50_ms"] <= 5)


def _manners(data: dict[str, Any]) -> Verdict:
    measured = (
        f"shown {data['show_rate']:.0%} (the expected text {data['right_rate']:.0%}), quiet {data['quiet_rate']:.0%} "
        f"of {data['scenarios']} scenarios"
    )
    return Verdict(measured, data["show_rate"] >= 0.6 and data["quiet_rate"] >= 0.8)


def _gate(data: dict[str, Any]) -> Verdict:
    kinds = {"places": "whole and begun lines", "keystrokes": "every keystroke of a line"}
    found = {name: data[kind]["default"] for kind, name in kinds.items()}
    measured = "; ".join(
        f"{name}: {each['precision']:.0%} right of the {each['shown']:.0%} shown, {each['ratio']:.1f} times all"
        for name, each in found.items()
    )
    return Verdict(measured, min(each["ratio"] for each in found.values()) >= data["aim"])


def _storm(data: dict[str, Any]) -> Verdict:
    measured = f"{data['most_mb']:.0f} MB at most, own share p50 {data['own_p50_ms']:.1f} ms"
    return Verdict(measured, data["most_mb"] <= 150 and data["own_p50_ms"] <= 5)


def _prefix_cache(data: dict[str, Any]) -> Verdict:
    return Verdict(f"{data['reprefilled_share']:.1%}", data["reprefilled_share"] <= 0.05)


def _memory(data: dict[str, Any]) -> Verdict:
    measured = f"server {data['server_mb']:.0f} MB, engine {data['engine_mb']:.0f} MB"
    return Verdict(measured, data["server_mb"] <= 150 and data["engine_mb"] <= 800)


def _step(data: dict[str, Any]) -> Verdict:
    eager, compiled, limit = data["eager_ms"], data["compiled_ms"], data["limit_ms"]
    if compiled is None:
        return Verdict(f"eager {eager:.2f} ms, limit {limit:.2f} ms, not compiled", False)
    measured = f"compiled {compiled:.2f} ms, eager {eager:.2f} ms, limit {limit:.2f} ms ({compiled / limit:.1f} times)"
    return Verdict(measured, compiled <= 2 * limit)


def _agreement(data: dict[str, Any]) -> Verdict:
    shares = {name: data[name] for name in ("cached", "packed", "compiled", "speculated")}
    return Verdict(", ".join(f"{name} {share:.1%}" for name, share in shares.items()), min(shares.values()) >= 0.99)


def _twin(data: dict[str, Any]) -> Verdict:
    equal = "equal score" if data["equal_score"] else "score not equal"
    measured = (
        f"blocks {data['speedup']:.2f} times ({equal}, threshold {data['tau_mask']:g}, "
        f"{data['forwards_block']:.1f} forwards against {data['forwards_ar']:.1f}); "
        f"`speculate` {data['speedup_speculate']:.2f} times ({data['forwards_speculate']:.1f} forwards)"
    )
    met = data["equal_score"] and data["speedup"] >= 1.5 and data["speedup_speculate"] >= 1
    return Verdict(measured, met)


def _twin_blocks(data: dict[str, Any]) -> Verdict:
    (speculated,) = (row for row in data["rows"] if row["name"] == "speculate")
    measured = (
        f"{speculated['speedup']:.1f} times ({speculated['forwards']:.0f} forwards against {data['forwards_ar']:.0f}), "
        f"similarity {speculated['similarity']:.3f} and {data['similarity_ar']:.3f}"
    )
    return Verdict(measured, speculated["speedup"] >= 1.5 and speculated["similarity_difference"][1] > -0.01)


def _llamacpp(data: dict[str, Any]) -> Verdict:
    measured = (
        f"from masks {data['speedup']:.2f} times ({data['way']}), over the trace {data['speedup_trace']:.2f} times"
    )
    return Verdict(measured, data["speedup"] >= 1 and data["speedup_trace"] >= 2)


def _drafts(data: dict[str, Any]) -> Verdict:
    shipped, lookup = data["typed"]["speculate: as shipped"], data["typed"]["speculate: lookup"]
    measured = (
        f"{shipped['exact']:.1%} of the lines right in {shipped['forwards']:.1f} forwards, without a draft "
        f"{lookup['exact']:.1%} in {lookup['forwards']:.1f}"
    )
    return Verdict(measured, shipped["exact_difference"][1] > 0 and shipped["forwards_difference"][2] < 0)


def _load(data: dict[str, Any]) -> Verdict:
    levels = {users: data[users] for users in ("1", "4", "16", "64")}
    times = ", ".join(f"{users} users {level['p95_ms']:.0f} ms" for users, level in levels.items())
    errors = sum(level["errors"] for level in levels.values())
    measured = f"p95: {times} (16: {data['ratio_16']:.2f} times), {errors} errors"
    return Verdict(measured, data["ratio_16"] <= 3 and errors == 0)


def _side_by_side(data: dict[str, Any]) -> Verdict:
    shares = {size: share for size, share in data["same_text"].items() if size != "1"}
    measured = ", ".join(f"{size} at once {share:.1%}" for size, share in shares.items())
    return Verdict(measured, min(shares.values()) >= 0.99)


def _soak(data: dict[str, Any]) -> Verdict:
    num, growth = data["num_requests"], data["growth_percent"]
    measured = f"{num:,} requests, {data['num_unanswered']} unanswered, {data['last_mb']:.0f} MB ({growth:+.1f} %)"
    return Verdict(measured, num >= 20_000 and data["num_unanswered"] == 0 and abs(growth) <= 5)


def _capacity(data: dict[str, Any]) -> Verdict:
    off = {level["users"]: level["off"] for level in data["compared"]}
    measured = ", ".join(f"{users} users {share:+.1%}" for users, share in off.items())
    return Verdict(measured, all(abs(off[users]) <= 0.2 for users in (4, 16)))


def _upstreams(data: dict[str, Any]) -> Verdict:
    servers = {name: data[name] for name in ("openai", "llama.cpp", "our engine")}
    measured = ", ".join(f"{name} p50 {of['p50_ms']:.0f} ms, {of['errors']} errors" for name, of in servers.items())
    return Verdict(measured, sum(of["errors"] for of in servers.values()) == 0)


def _recall(data: dict[str, Any]) -> Verdict:
    trained, unseen = data["train"]["recalled"], data["heldout"]["recalled"]
    return Verdict(f"{trained:.1%} of training documents, {unseen:.1%} of unseen ones", None)
