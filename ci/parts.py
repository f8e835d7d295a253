"""Runs the parts of `./dev test` and closes with a table: part, passed, skipped and why, seconds.

Called by ./dev with .venv's Python once setup is done; standard library only. A part that cannot run on this machine
is skipped and named in the table. The environment variable SEEDLING_REQUIRE (a list of part names) turns such a skip
into a failure: CI sets it, so that nothing is left out silently. apt is called only with --install-system.
Left out: setting up Python (./dev) and fetching editors (editors/tools).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
EXTENSION = ROOT / "dist" / "seedling.vsix"  # where the VS Code tests leave what they packaged
PART_NAMES = ("lint", "types", "python", "slow", "wheel", "neovim", "vscode")
ORDINARY = "not slow and not wheel and not editors"


@dataclass
class Tally:
    """What one part did. `skipped` holds one reason per skipped check, `failed` one name per failed check."""

    passed: int = 0
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.passed + other.passed, self.skipped + other.skipped, self.failed + other.failed)


@dataclass(frozen=True)
class Part:
    name: str
    what: str
    run: Callable[[], Tally]


def command(words: list[str], *, env: dict[str, str] | None = None) -> int:
    """Runs a command with its output shown; returns its exit code. No engine that a test starts compiles its layers."""
    print(f"\n$ {' '.join(words)}", flush=True)
    environment = os.environ | {"SEEDLING_EAGER": "1"} | (env or {})
    return subprocess.run(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


def checked(*commands: list[str]) -> Tally:
    """One check per command."""
    tally = Tally()
    for words in commands:
        if command(words) == 0:
            tally.passed += 1
        else:
            tally.failed.append(" ".join(words[-3:]))
    return tally


def pytest(*arguments: str, env: dict[str, str] | None = None) -> Tally:
    """One pytest run, counted from its JUnit report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        exit_code = command(words, env=env)
        tally = read_report(report) if report.exists() else Tally()
    if exit_code not in (0, 1, 5) or (exit_code == 1 and not tally.failed):
        tally.failed.append(f"pytest ended with code {exit_code}")
    if exit_code == 5 or not (tally.passed or tally.skipped or tally.failed):
        tally.skipped.append("no test was selected")
    return tally


def read_report(report: Path) -> Tally:
    """The tally in a JUnit report."""
    tally = Tally()
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(f"{case.get('classname')}.{case.get('name')}")
        elif skipped is not None:
            tally.skipped.append(skipped.get("message") or "no reason given")
        else:
            tally.passed += 1
    return tally


def skipped(reason: str) -> Tally:
    return Tally(skipped=[reason])


def first_line(words: list[str]) -> str:
    """The first line a command prints, or nothing where it cannot run."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""


def system_packages(may_install: bool, package_of: dict[str, str]) -> str | None:
    """Makes sure that commands exist, through apt if that is allowed; otherwise says what is missing.

    `package_of` maps a command to the Debian package that brings it.
    """
    missing = {name: package for name, package in package_of.items() if not shutil.which(name)}
    if missing and may_install and shutil.which("apt-get"):
        become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        noninteractive = {"DEBIAN_FRONTEND": "noninteractive"}
        command([*become_root, "apt-get", "-qq", "update"])
        install = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing.values()]
        command([*become_root, *install], env=noninteractive)
        missing = {name: package for name, package in missing.items() if not shutil.which(name)}
    if missing:
        return f"missing here: {', '.join(missing)} (./dev test --install-system gets it where there is apt)"
    return None


def lint() -> Tally:
    return checked(
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
    )


def types() -> Tally:
    if not first_line([sys.executable, "-m", "pyright", "--version"]):
        return skipped("pyright needs Node.js, which is not here and could not be fetched")
    return checked([sys.executable, "-m", "pyright"])


def neovim(may_install: bool, strict: dict[str, str]) -> Tally:
    needed = {"tmux": "tmux"} if "SEEDLING_NVIM" in os.environ else {"tmux": "tmux", "patchelf": "patchelf"}
    missing = system_packages(may_install, needed)
    if missing:
        return skipped(missing)
    fetch = ["bash", "editors/tools/get-nvim.sh", str(TOOLS / "nvim")]
    if "SEEDLING_NVIM" not in os.environ and command(fetch) != 0:
        return skipped("Neovim 0.12 could not be fetched (reason above); SEEDLING_NVIM may name one")
    oldest = ["bash", "editors/tools/get-nvim-0.11.sh", str(TOOLS / "nvim-0.11"), sys.executable]
    if "SEEDLING_NVIM_011" not in os.environ:
        command(oldest)  # where it cannot be had, its tests are skipped and named
    return pytest("tests/editors/neovim", env=strict)


def vscode(may_install: bool, strict: dict[str, str]) -> Tally:
    missing = system_packages(may_install, {"chromium": "chromium", "npm": "npm"})
    if missing:
        return skipped(missing)
    if command(["bash", "editors/tools/get-code-server.sh", str(TOOLS / "code-server")]) != 0:
        return skipped("code-server could not be fetched (reason above)")
    tally = pytest("tests/editors/test_vscode.py", env=strict)
    if EXTENSION.exists():
        print(f"the extension: {EXTENSION.relative_to(ROOT)}", flush=True)
    return tally


def parts(slow: bool, may_install: bool, required: set[str], pytest_arguments: list[str]) -> list[Part]:
    if pytest_arguments:
        return [Part("python", "the tests asked for", lambda: pytest(*pytest_arguments))]

    def strict(name: str) -> dict[str, str]:
        return {"SEEDLING_REQUIRE_EDITORS": "1"} if name in required else {}

    def slow_tests() -> Tally:
        return pytest("-m", "slow and not wheel and not editors") if slow else skipped("asked for by --slow")

    return [
        Part("lint", "ruff check and ruff format", lint),
        Part("types", "pyright", types),
        Part("python", "Python tests", lambda: pytest("-m", ORDINARY)),
        Part("slow", "slow Python tests", slow_tests),
        Part("wheel", "the built wheel in a fresh environment", lambda: pytest("-m", "wheel")),
        Part("neovim", "Neovim 0.12 and 0.11", lambda: neovim(may_install, strict("neovim"))),
        Part("vscode", "VS Code smoke", lambda: vscode(may_install, strict("vscode"))),
    ]


def reasons(tally: Tally) -> str:
    """`3: reason; 1: other reason`, or nothing."""
    return "; ".join(f"{count}: {reason}" for reason, count in Counter(tally.skipped).most_common())


def closing_table(rows: list[tuple[Part, Tally, float]]) -> str:
    lines = [f"{'part':<8} {'passed':>6} {'failed':>6} {'skipped':>7} {'seconds':>8}  why skipped"]
    for part, tally, seconds in rows:
        counts = f"{tally.passed:>6} {len(tally.failed):>6} {len(tally.skipped):>7}"
        lines.append(f"{part.name:<8} {counts} {seconds:>8.1f}  {reasons(tally)}".rstrip())
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev test", allow_abbrev=False, description=__doc__)
    parser.add_argument("--slow", action="store_true", help="run the slow tests too")
    parser.add_argument("--install-system", action="store_true", help="call apt for what is missing")
    parser.add_argument("--only", metavar="PARTS", default="", help="run only these parts, separated by commas")
    options, pytest_arguments = parser.parse_known_args()

    required = set(os.environ.get("SEEDLING_REQUIRE", "").split())
    only = {name for name in options.only.split(",") if name}
    chosen = parts(options.slow, options.install_system, required, pytest_arguments)
    unknown = (required | only) - set(PART_NAMES)
    if unknown:
        parser.error(f"there is no part named {', '.join(sorted(unknown))}")

    rows: list[tuple[Part, Tally, float]] = []
    for part in chosen:
        if only and part.name not in only:
            continue
        print(f"\n===== {part.name}: {part.what}", flush=True)
        started = time.monotonic()
        tally = part.run()
        if part.name in required and not tally.passed and not tally.failed:
            tally.failed.append("required, but skipped")
        rows.append((part, tally, time.monotonic() - started))

    total = sum((tally for _, tally, _ in rows), Tally())
    print(f"\n{closing_table(rows)}\n")
    for part, tally, _ in rows:
        for name in tally.failed:
            print(f"FAILED {part.name}: {name}")
    skips = f", {len(total.skipped)} skipped" if total.skipped else ""
    print(f"{total.passed} passed, {len(total.failed)} failed{skips}", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
