"""`seedling doctor`: what is installed, what is missing, and what to do about each problem.

Checks in order: Python, the installation, the user's settings file, the engine's packages, the checkpoint, the engine,
one timed step, editors.
torch is looked up, never imported: this process stays small, and the engine tells which device it really uses.
Left out: repairing anything; every problem names the command that does.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server.engine_client.connect import connect
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.engine_client.launch import check_extras
from lsp_server.engine_client.paths import default_model
from lsp_server.folders import models_folder
from lsp_server.user_settings import chosen_engine, read_user_settings
from model.engine import api

State = Literal["ok", "note", "problem"]

CHECKPOINT_FILES = ("model.safetensors", "tokenizer.json", "preset.json")
FOREIGN_FILES = ("*.safetensors", "preset.json")  # in the layout of others; seedling models check says more
EDITORS = ("nvim", "code", "codium", "cursor", "code-server")
OLDEST_NEOVIM = (0, 12)


class Check(msgspec.Struct, frozen=True):
    """One finding. `advice` says what to do; empty where nothing needs doing."""

    name: str
    state: State
    found: str
    advice: str = ""


def check_python() -> Check:
    version = ".".join(str(number) for number in sys.version_info[:3])
    return Check("python", "ok", f"{version} at {sys.executable}")


def check_installation() -> Check:
    home = Path(__file__).resolve().parent.parent
    try:
        version = metadata.version("seedling-lsp")
    except metadata.PackageNotFoundError:
        return Check(
            "seedling", "problem", f"not installed, only on the search path: {home}", "Run pip install seedling-lsp."
        )
    return Check("seedling", "ok", f"{version} in {home}")


def check_settings() -> Check:
    user = read_user_settings()
    if user.sentences:
        return Check("settings", "problem", str(user.path), " ".join(user.sentences))
    if user.stamp is None:
        return Check("settings", "ok", f"no file of yours; it would be {user.path}")
    own = {"engine": user.engine.url, "model": user.model}
    names = [*user.values, *(name for name, value in own.items() if value)]
    return Check("settings", "ok", f"{user.path} sets {', '.join(names) or 'nothing'}")


def check_packages() -> Check:
    try:
        check_extras()
    except EngineUnavailable as error:
        return Check("packages", "problem", "the engine's packages are incomplete", error.sentence)
    return Check("packages", "ok", f"torch {metadata.version('torch')}")


def check_checkpoint() -> Check:
    folder = default_model()
    wanted = FOREIGN_FILES if (folder / "config.json").is_file() else CHECKPOINT_FILES
    missing = [name for name in wanted if not any(folder.glob(name))]
    if missing == ["preset.json"]:
        return Check("checkpoint", "problem", f"{folder} has no preset.json", f"Run seedling models use {folder}.")
    if missing:
        advice = "Point SEEDLING_MODEL at a checkpoint folder, or unset it to use the embedded model."
        if "SEEDLING_MODEL" not in os.environ:
            again = f"Run seedling models pull {folder.name}" if folder.parent == models_folder() else "Mend it"
            advice = f"{again}, or go back: seedling models use embedded."
        return Check("checkpoint", "problem", f"{folder} has no {', '.join(missing)}", advice)
    size_mb = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6
    return Check("checkpoint", "ok", f"{folder} ({size_mb:.0f} MB)")


def check_engine() -> list[Check]:
    """Starts the engine if none runs, and times one step on it."""
    try:
        return asyncio.run(_check_engine())
    except EngineUnavailable as error:
        return [Check("engine", "problem", error.reason.replace("_", " "), error.sentence)]


async def _check_engine() -> list[Check]:
    started = time.monotonic()
    client = await connect()
    try:
        health = await client.health()
        ready_s = time.monotonic() - started
        fresh = health.uptime_s < ready_s + 1
        state = f"started in {ready_s:.1f} s" if fresh else f"resident for {health.uptime_s:.0f} s"
        checks = [
            Check("engine", "ok", f"{state}, process {health.pid}, model {health.model}"),
            Check("device", "ok", health.device),
        ]
        if client.completes_only:
            checks = [Check("engine", "ok", f"another server, by {health.device}, model {health.model}: it completes")]
        completes = client.completes_only or bool((await client.capabilities()).complete)
        request = api.DenoiseRequest(
            id=f"doctor-{time.monotonic_ns()}",
            prompt=api.Prompt(path="doctor.py", prefix="import os\n", line="x = ")
            if completes
            else api.Prompt(path="doctor.py", instruction="Add 1."),
            canvas=(api.Masked(max_tokens=8) if completes else api.Draft("x = 1\n"),),
            max_steps=1,
        )
        asked_s = time.monotonic()
        async for event in client.denoise(request):
            if isinstance(event, api.Error) and event.code == "max_steps":  # an edit of one step is no edit, but a step
                checks.append(Check("step", "ok", f"{(time.monotonic() - asked_s) * 1000:.0f} ms for one of an edit"))
            elif isinstance(event, api.Error):
                checks.append(Check("step", "problem", event.sentence, "See seedling engine logs."))
            elif isinstance(event, api.Done):
                found = f"{event.engine_ms:.0f} ms for a prompt of {event.prompt_tokens} tokens and one step"
                checks.append(Check("step", "ok", found))
        return checks
    finally:
        await client.close()


def check_editors() -> list[Check]:
    found = {name: path for name in EDITORS if (path := shutil.which(name))}
    if not found:
        return [
            Check("editors", "note", "no editor found on PATH", "See docs/install.md for the ones that are supported.")
        ]
    return [_check_editor(name, path) for name, path in found.items()]


def _check_editor(name: str, path: str) -> Check:
    version = _first_line([path, "--version"])
    if name != "nvim":
        return Check("editor", "ok", f"{name} {version}".strip())
    numbers = tuple(int(part) for part in version.removeprefix("NVIM v").split("-")[0].split(".")[:2] if part.isdigit())
    if numbers < OLDEST_NEOVIM:
        return Check(
            "editor", "note", f"nvim, {version or 'version unknown'}", "Ghost text needs Neovim 0.12 or newer."
        )
    return Check("editor", "ok", version)


def _first_line(words: list[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().partition("\n")[0]


def all_checks() -> list[Check]:
    """Every check; the engine is asked only where its packages and its checkpoint are there."""
    checks = [check_python(), check_installation(), check_settings()]
    if chosen_engine().url:  # it runs already, or elsewhere: what our own would need may be missing
        return [*checks, *check_engine(), *check_editors()]
    checks += [check_packages(), check_checkpoint()]
    if all(check.state == "ok" for check in checks[-2:]):
        checks += check_engine()
    return checks + check_editors()


def report(checks: list[Check]) -> str:
    """The findings for a person."""
    marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    lines = []
    for check in checks:
        lines.append(f"{marks[check.state]}  {check.name:<10}  {check.found}")
        if check.advice:
            lines.append(f"{'':<21}→ {check.advice}")
    num_problems = sum(check.state == "problem" for check in checks)
    lines.append("")
    lines.append("Everything is in place." if not num_problems else f"{num_problems} to mend; the arrows say how.")
    return "\n".join(lines)


def run(as_json: bool) -> int:
    """Prints the findings. Exit code 1 if something is a problem."""
    from lsp_server.printable import printable

    checks = all_checks()
    num_problems = sum(check.state == "problem" for check in checks)
    if as_json:
        print(msgspec.json.encode({"problems": num_problems, "checks": checks}).decode())
    else:
        print(printable(report(checks)))
    return 1 if num_problems else 0
