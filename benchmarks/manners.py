"""Is completion there when it is easy, and silent when it should be? Scenarios, replayed: show rate and quiet rate.

Bars: show rate >= 0.6 and quiet rate >= 0.8 over benchmarks/scenarios (README.md there). The show rate is the share of
the `show_` scenarios in which ghost text is there where some is expected, the right rate of those in which it also says
what is expected; the quiet rate is that of the `quiet_` scenarios that pass. The real language server is
driven over its protocol with a clock that jumps; the engine's answers come from benchmarks/data/engine_replies.json,
which `--record` makes anew with the default engine. `--baseline` writes down which scenarios pass now; one that has
passed may not fail again, and the exit status tells. Names after the options choose scenarios.
Left out: how long anything takes (keystroke.py).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.header import ROOT, print_header
from benchmarks.replay_scenario import Result, replay
from benchmarks.scenario import ScenarioError, read_scenarios
from benchmarks.scenario_engine import read_cassette, write_cassette
from lsp_server.log import quiet_libraries

SCENARIOS = ROOT / "benchmarks/scenarios"
CASSETTE = ROOT / "benchmarks/data/engine_replies.json"
BASELINE = ROOT / "benchmarks/data/manners_baseline.json"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.manners", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only scenarios whose name contains one of these")
    parser.add_argument("--record", action="store_true", help="ask the default engine first and keep its answers")
    parser.add_argument("--baseline", action="store_true", help="write down which scenarios pass now")
    args = parser.parse_args()
    if args.names and (args.record or args.baseline):
        parser.error("a recording and a baseline are about all scenarios.")
    try:
        scenarios = read_scenarios(SCENARIOS)
    except ScenarioError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    quiet_libraries()
    if args.record:
        from benchmarks.scenario_recorder import record  # the engine's client costs 0.1 s

        write_cassette(record(scenarios, lambda line: print(line, file=sys.stderr)), CASSETTE)
    cassette = read_cassette(CASSETTE)
    chosen = [one for one in scenarios if not args.names or any(name in one.name for name in args.names)]
    results = [replay(scenario, cassette) for scenario in chosen]
    if args.baseline:
        write_baseline(results, BASELINE)
    print_header("manners")
    lost = lost_since(read_baseline(BASELINE), results)
    print(report(results, lost))
    return 1 if lost else 0


def report(results: Sequence[Result], lost: Sequence[str]) -> str:
    """The table, what failed and why, and one line of JSON."""
    width = max((len(result.name) for result in results), default=8)
    lines = [f"{'scenario':<{width}}  {'':6}  {'':6}  {'last answer':<22} confidence"]
    for result in results:
        confidence = "" if result.confidence is None else f"{result.confidence:.2f}"
        passed = "passes" if result.passed else "FAILS"
        shown = "" if result.kind != "show" else "shown" if result.shown else "silent"
        lines.append(f"{result.name:<{width}}  {passed:6}  {shown:6}  {result.answer:<22} {confidence}".rstrip())
    lines += ["", *(f"{result.name}: {result.failure}" for result in results if not result.passed)]
    lines += [f"passed at the baseline: {name}" for name in lost]
    figures = rates(results)
    show, quiet = figures["show_rate"], figures["quiet_rate"]
    score = None if show is None or quiet is None else harmonic_mean(show, quiet)
    for name, value in [*figures.items(), ("harmonic mean of show and quiet", score)]:
        lines.append(f"{name.replace('_', ' ')}: {'no scenarios' if value is None else f'{value:.3f}'}")
    return "\n".join([*lines, json.dumps({**figures, "score": score, "scenarios": len(results), "lost": list(lost)})])


def rates(results: Sequence[Result]) -> dict[str, float | None]:
    """The rates by name; None where there is no scenario of the kind."""
    return {
        "show_rate": _share([result.shown for result in results if result.kind == "show"]),
        "right_rate": _share([result.passed for result in results if result.kind == "show"]),
        "quiet_rate": _share([result.passed for result in results if result.kind == "quiet"]),
        "behave_rate": _share([result.passed for result in results if result.kind == "behave"]),
    }


def _share(holds: Sequence[bool]) -> float | None:
    return round(sum(holds) / len(holds), 4) if holds else None


def harmonic_mean(show: float, quiet: float) -> float:
    """High only where both are: all shown and nothing shown are both worth nothing."""
    return round(2 * show * quiet / (show + quiet), 4) if show + quiet else 0.0


def read_baseline(path: Path) -> frozenset[str]:
    """The names of the scenarios that have passed."""
    return frozenset(json.loads(path.read_text("utf-8"))["pass"])


def write_baseline(results: Sequence[Result], path: Path) -> None:
    """Keeps the names of those that pass, and beside them of those that do not yet."""
    names = {"pass": sorted(result.name for result in results if result.passed)}
    names["fail"] = sorted(result.name for result in results if not result.passed)
    path.write_text(json.dumps(names, indent=1) + "\n", "utf-8")


def lost_since(passed_before: frozenset[str], results: Sequence[Result]) -> list[str]:
    """The scenarios that passed at the baseline and fail now."""
    return [result.name for result in results if result.name in passed_before and not result.passed]


if __name__ == "__main__":
    sys.exit(main())
