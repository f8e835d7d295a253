"""A storm of edits against one language server process: what it remembers, and how long it takes itself.

Two documents of 2,000 lines; typing, newlines, deletions, undo, pastes and jumps, with requests that are mostly
overtaken or cancelled, sometimes awaited and accepted. The engine is the tests' scripted one, so nothing here waits for
a model. Memory is VmRSS of the server with its children. The bars: at most 150 MB, no growth from edit to edit, every
request answered exactly once, the document right at the end, and an own share of at most 5 ms at the median: what
passes between a request's arrival and its answer, less what the engine says that it took, measured in the calm after
the storm, in sound code, one request at a time (the HTTP to the engine counts as own; in the storm a request mostly
waits for others). The same in what the storm has left is shown beside it: no parser likes code that is broken in a
thousand places. Left out: editors, and the engine's own memory (benchmarks/memory.py). Linux only.
`python -m benchmarks.storm [--edits N] [--seed N]` prints a table, then one line of JSON.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.header import ROOT, print_header
from benchmarks.memory import PROC, family, resident_mb
from benchmarks.options import run
from model.evaluation.options import EvalError

sys.path.append(str(ROOT / "tests/lsp_server/support"))  # the scripted engine and the raw client

from fake_engine import FakeEngine, Script  # pyright: ignore[reportMissingImports]
from raw_client import OLD_VSCODE, RawClient, start_stdio  # pyright: ignore[reportMissingImports]

NUM_EDITS = 10_000
NUM_LINES = 2_000
NUM_SAMPLES = 20
NUM_CALM = 200
MAX_OUTSTANDING = 32
ENGINE_S = 0.02
BAR_MB, BAR_OWN_MS = 150.0, 5.0
# The allocator's share: second halves of 5,000 and of 20,000 edits alike end 1 to 3 MB higher. A leak of 1 kB an edit
# would be 5 MB.
BAR_GROWTH_MB = 4.0
WORDS = ["value", "self.", "x = ", "return ", "f(a, ", "for i in ", "# why\n", "    ", "é😀", "if a:\n        "]
# Both half: what the server answers without asking is its business, what it asks must reach the engine.
ANSWERS = ["items", "a, b)", "x + 1\n    y", "", "not and not and not and not and"]


class Found(msgspec.Struct, frozen=True):
    """before: after opening both documents. growth_mb: from the middle of the storm to its end.

    server_cpu_ms: the server's processor time for each edit with what was asked after it.
    """

    num_edits: int
    num_requests: int
    num_answered: int
    num_shown: int
    before_mb: float
    after_mb: float
    most_mb: float
    growth_mb: float
    own_p50_ms: float
    own_p95_ms: float
    own_broken_p50_ms: float
    without_engine_p50_ms: float
    server_cpu_ms: float
    outcomes: dict[str, int]


class Undo(NamedTuple):
    row: int
    column: int
    removed: str
    inserted: str


class Page:
    """One document as the editor holds it, its cursor, and what can be undone. Line ends are `\\n`."""

    def __init__(self, uri: str, text: str) -> None:
        self.uri, self.version = uri, 1
        self.lines = text.split("\n")
        self.row = self.column = 0
        self.undone: list[Undo] = []

    def replace(self, row: int, column: int, removed: str, inserted: str) -> dict[str, Any]:
        """Puts `inserted` in place of `removed`, which begins there; the content change."""
        end_row = row + removed.count("\n")
        end_column = len(removed.rpartition("\n")[2]) + (column if end_row == row else 0)
        change = {"range": {"start": self.position(row, column), "end": self.position(end_row, end_column)}}
        new = (self.lines[row][:column] + inserted + self.lines[end_row][end_column:]).split("\n")
        self.lines[row : end_row + 1] = new
        self.row = row + inserted.count("\n")
        self.column = len(inserted.rpartition("\n")[2]) + (column if self.row == row else 0)
        self.version += 1
        return change | {"text": inserted}

    def position(self, row: int, column: int) -> dict[str, int]:
        return {"line": row, "character": len(self.lines[row][:column].encode("utf-16-le")) // 2}

    def insert(self, text: str) -> dict[str, Any]:
        self.undone = [*self.undone[-50:], Undo(self.row, self.column, "", text)]
        return self.replace(self.row, self.column, "", text)

    def delete(self) -> dict[str, Any]:
        """The character before the cursor, or the line end."""
        if self.column:
            removed = self.lines[self.row][self.column - 1]
            row, column = self.row, self.column - 1
        elif self.row:
            removed, row, column = "\n", self.row - 1, len(self.lines[self.row - 1])
        else:
            return self.insert("x")
        self.undone = [*self.undone[-50:], Undo(row, column, removed, "")]
        return self.replace(row, column, removed, "")

    def undo(self) -> dict[str, Any]:
        if not self.undone:
            return self.insert("y")
        last = self.undone.pop()
        return self.replace(last.row, last.column, last.inserted, last.removed)

    def jump(self, rng: random.Random) -> None:
        self.row = rng.randrange(len(self.lines))
        self.column = len(self.lines[self.row])
        self.undone = []


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--edits", type=int, default=NUM_EDITS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not (PROC / "self" / "status").exists():
        raise EvalError("memory is read from /proc, which this system does not have")
    print_header("storm")
    with tempfile.TemporaryDirectory(prefix="seedling-") as folder:
        found = asyncio.run(storm(Path(folder), options.edits, options.seed))
    print_table(found)
    print(json.dumps(msgspec.to_builtins(found)))


def print_table(found: Found) -> None:
    print(f"{'requests':24}{found.num_requests:9} in {found.num_edits} edits, {found.num_answered} answered once")
    print(f"{'memory before, after':24}{found.before_mb:9.1f} MB {found.after_mb:9.1f} MB   (bar {BAR_MB:.0f})")
    print(f"{'growth, second half':24}{found.growth_mb:9.2f} MB   (bar {BAR_GROWTH_MB:.0f})")
    print(
        f"{'own share p50, p95':24}{found.own_p50_ms:9.2f} ms {found.own_p95_ms:9.2f} ms   (bar {BAR_OWN_MS:.0f}, p50)"
    )
    print(f"{'own share, broken code':24}{found.own_broken_p50_ms:9.2f} ms")
    print(f"{'processor, each edit':24}{found.server_cpu_ms:9.2f} ms")
    print(f"{'without the engine p50':24}{found.without_engine_p50_ms:9.2f} ms")
    print(" ".join(f"{name}={num}" for name, num in sorted(found.outcomes.items(), key=lambda pair: -pair[1])))


async def storm(folder: Path, num_edits: int, seed: int) -> Found:
    """A server of its own, the storm, and what was found. Raises EvalError where an answer or the document is wrong."""
    engine = FakeEngine(folder / "engine.sock")
    rng = random.Random(seed)
    engine.script = lambda request: Script(text=rng.choice(ANSWERS), delay_s=ENGINE_S)
    engine.start()
    client = await start_stdio(environment(folder, engine), folder)
    try:
        await client.initialize(OLD_VSCODE, trace="messages")
        await client.ready()
        return await Storm(client, engine, random.Random(seed)).blow(num_edits)
    finally:
        await client.kill()
        engine.stop()


def environment(folder: Path, engine: FakeEngine) -> dict[str, str]:
    """Nothing of the user's: everything that the server writes lies in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDLING_", "XDG_"))}
    places = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("STATE", "CACHE", "CONFIG", "DATA")}
    return kept | places | {"SEEDLING_RUNTIME_DIR": str(folder), "SEEDLING_ENGINE": engine.address}


def source_lines() -> list[str]:
    """2,000 lines of this project's own code."""
    lines: list[str] = []
    for path in sorted((ROOT / "lsp_server").rglob("*.py")):
        lines += path.read_text("utf-8").split("\n")
        if len(lines) >= NUM_LINES:
            return lines[:NUM_LINES]
    return (lines * NUM_LINES)[:NUM_LINES]


class Storm:
    """The editor in the storm."""

    def __init__(self, client: RawClient, engine: FakeEngine, rng: random.Random) -> None:
        self.client, self.engine, self.rng = client, engine, rng
        text = "\n".join(source_lines())
        self.pages = [Page(f"file:///w/{name}.py", text) for name in ("one", "two")]
        self.page = self.pages[0]
        self.asked: list[int] = []
        self.outcomes: list[dict[str, Any]] = []

    async def blow(self, num_edits: int) -> Found:
        """All edits, then the check that nothing was lost."""
        for page in self.pages:
            self.client.open(page.uri, "\n".join(page.lines))
            page.jump(self.rng)
        await self.client.items(self.ask())
        before_mb = self.memory_mb()
        samples_mb: list[float] = []
        begun_s = self.processor_s()
        for number in range(num_edits):
            await self.edit()
            if number % max(1, num_edits // NUM_SAMPLES) == 0:
                samples_mb.append(self.memory_mb())
        await self.client.until(lambda: self.num_open() == 0)
        samples_mb.append(self.memory_mb())
        server_cpu_ms = (self.processor_s() - begun_s) * 1000 / num_edits
        await self.check_documents()
        broken_ms = await self.calm()
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": self.page.uri}})
        self.page = Page(self.page.uri, "\n".join(source_lines()))
        self.client.open(self.page.uri, "\n".join(self.page.lines))
        self.page.jump(self.rng)
        sound_ms = await self.calm()
        return self.found(num_edits, before_mb, samples_mb, server_cpu_ms, broken_ms, sound_ms)

    async def calm(self) -> list[float]:
        """The server's own milliseconds where one edit and one request come after the other, sorted."""
        num_before = len(self.outcomes)
        for number in range(NUM_CALM):
            await self.calm_edit(number)
        notes = [note for note in self.outcomes[num_before:] if "engine_ms" in note]
        return sorted(note["total_ms"] - note["engine_ms"] for note in notes)

    async def edit(self) -> None:
        page, action = self.page, self.rng.random()
        if action < 0.62:
            change = page.insert(self.rng.choice("abcdefgh_ (.="))
        elif action < 0.70:
            change = page.insert("\n    ")
        elif action < 0.82:
            change = page.delete()
        elif action < 0.88:
            change = page.undo()
        elif action < 0.96:
            change = page.insert(self.rng.choice(WORDS))
        else:
            page.jump(self.rng)
            change = page.insert("z" if action < 0.98 else "\n".join(["pasted = 1"] * 10))
        self.client.change(page.uri, page.version, change)
        if len(page.lines) > NUM_LINES + 200:  # or the documents would grow, and the memory with them
            page.undone = []
            removed = "\n".join(page.lines[:200]) + "\n"
            self.client.change(page.uri, page.version + 1, page.replace(0, 0, removed, ""))
            page.jump(self.rng)
        await self.perhaps_ask()
        if self.rng.random() < 0.02:
            self.page = self.rng.choice(self.pages)

    async def calm_edit(self, number: int) -> None:
        """A new line of code, and what comes behind it, asked for unhurriedly."""
        page = self.page
        self.client.change(page.uri, page.version + 1, page.insert(f"\nname_{number} = "))
        await self.client.answer(self.ask(kind=1))
        self.forget()

    async def perhaps_ask(self) -> None:
        chance = self.rng.random()
        if chance < 0.75:
            msg_id = self.ask(kind=1 if chance < 0.70 else 0)
            if chance < 0.10:
                await self.accept(msg_id)
            elif chance < 0.35:
                self.client.cancel(msg_id)
        if self.num_open() > MAX_OUTSTANDING:
            await self.client.until(lambda: self.num_open() <= MAX_OUTSTANDING // 2)
        elif self.rng.random() < 0.2:
            await asyncio.sleep(0.002)
        self.forget()

    def ask(self, kind: int = 0) -> int:
        place = self.page.position(self.page.row, self.page.column)
        msg_id = self.client.ask(self.page.uri, place["line"], place["character"], kind)
        self.asked.append(msg_id)
        return msg_id

    async def accept(self, msg_id: int) -> None:
        """Waits for the answer and takes the first item, if there is one at the cursor."""
        answer = await self.client.answer(msg_id)
        items = answer.get("result", {}).get("items", [])
        place = self.page.position(self.page.row, self.page.column)
        if not items or items[0]["range"] != {"start": place, "end": place}:
            return
        change = self.page.insert(items[0]["insertText"])
        self.client.change(self.page.uri, self.page.version, change)
        self.client.request("workspace/executeCommand", items[0]["command"])

    def num_open(self) -> int:
        return sum(msg_id not in self.client.answers for msg_id in self.asked[-2 * MAX_OUTSTANDING :])

    def forget(self) -> None:
        """Keeps this side small: traces become numbers."""
        notes, self.client.notifications = self.client.notifications, []
        for note in notes:
            if note["method"] == "$/logTrace":
                self.outcomes.append(json.loads(note["params"]["message"]))

    def memory_mb(self) -> float:
        return resident_mb(family(self.client.process.pid))

    def processor_s(self) -> float:
        """The processor time of the server so far."""
        fields = (PROC / str(self.client.process.pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def check_documents(self) -> None:
        """Asks by hand in both documents: the prompt must be a part of what the editor holds."""
        for page in self.pages:
            self.page = page
            page.jump(self.rng)
            self.client.change(page.uri, page.version + 1, page.insert("\nlast = "))
            num_before = len(self.engine.requests)
            await self.client.answer(self.ask())
            asked = [request.prompt for request in self.engine.requests[num_before:]]
            # What the server prepares by itself for the other document may come in between.
            prompts = [prompt for prompt in asked if page.uri.endswith(f"/{prompt.path}")]
            text = "\n".join(page.lines)
            if not prompts or any(p.prefix + p.line + p.tail + p.suffix not in text for p in prompts):
                raise EvalError(f"after the storm the server holds another text of {page.uri} than the editor")
        self.forget()

    def found(
        self,
        num_edits: int,
        before_mb: float,
        samples_mb: list[float],
        server_cpu_ms: float,
        broken_ms: list[float],
        own_ms: list[float],
    ) -> Found:
        answers = [self.client.answers.get(msg_id, []) for msg_id in self.asked]
        codes = {answer["error"]["code"] for found in answers for answer in found if "error" in answer}
        if codes - {-32800}:
            raise EvalError(f"the server answered with errors: {sorted(codes)}")
        others_ms = [
            note["total_ms"] for note in self.outcomes if "engine_ms" not in note and note["reason"] != "stale"
        ]
        names = [note["reason"] for note in self.outcomes]
        half = len(samples_mb) // 2
        return Found(
            num_edits=num_edits,
            num_requests=len(self.asked),
            num_answered=sum(len(found) == 1 for found in answers),
            num_shown=sum(bool(answer.get("result", {}).get("items")) for found in answers for answer in found),
            before_mb=round(before_mb, 1),
            after_mb=round(samples_mb[-1], 1),
            most_mb=round(max(samples_mb), 1),
            growth_mb=round(samples_mb[-1] - samples_mb[half], 2),
            own_p50_ms=round(statistics.median(own_ms), 2) if own_ms else 0.0,
            own_p95_ms=round(own_ms[len(own_ms) * 95 // 100], 2) if own_ms else 0.0,
            own_broken_p50_ms=round(statistics.median(broken_ms), 2) if broken_ms else 0.0,
            without_engine_p50_ms=round(statistics.median(others_ms), 2) if others_ms else 0.0,
            server_cpu_ms=round(server_cpu_ms, 2),
            outcomes={name: names.count(name) for name in sorted(set(names))},
        )


if __name__ == "__main__":
    sys.exit(run(main))
