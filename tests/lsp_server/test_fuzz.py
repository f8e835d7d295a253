"""Random sessions over stdio and TCP: edits, requests, cancels and closes in any order and any cutting of the stream.

The client keeps its own model of every version of every document, in the client's units, and knows nothing of the
server's code. It must find: each request answered exactly once; each range valid for the version that was asked about,
on one line, around the cursor, never half a character; and a server that is alive at the end and leaves cleanly.
test_state_machine.py looks closer, without the pipes.
"""

import asyncio
import contextlib
import random

import pytest
from editor_model import edit_of, lines_of, num_units, offset_of
from fake_engine import Script
from raw_client import NEOVIM, VSCODE, framed

ALPHABET = ["a", "b", "(", ")", " ", "\t", "é", "漢", "😀", "🧑🏽", "\r\n", "\n", "\r", "\f", "\u2028", '"', "x = 1\n"]
ANSWERS = ["a", "b)", '"', "", "😀", "x\ny", "  z", ")", "a\x00", "\tq\r\n\tr"]
NUM_STEPS = 300


class Model:
    """One document as the client holds it."""

    def __init__(self, rng: random.Random, encoding: str, uri: str) -> None:
        self.rng, self.encoding, self.uri = rng, encoding, uri
        self.version, self.text, self.is_open = 0, "", False

    def random_text(self, longest: int) -> str:
        return "".join(self.rng.choice(ALPHABET) for _ in range(self.rng.randint(0, longest)))

    def lines(self) -> list[str]:
        return lines_of(self.text)

    def place(self) -> tuple[int, dict]:
        """A random place between two characters, not inside a line end: its offset and its LSP position."""
        lines = self.lines()
        row = self.rng.randrange(len(lines))
        column = self.rng.randint(0, len(lines[row].rstrip("\r\n")))
        position = {"line": row, "character": num_units(lines[row][:column], self.encoding)}
        return sum(map(len, lines[:row])) + column, position

    def change(self) -> dict:
        """One random change, applied here; the parameters of didChange."""
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        if self.rng.random() < 0.1:
            self.text = self.random_text(60)
            return {"textDocument": document, "contentChanges": [{"text": self.text}]}
        changes = []
        for _ in range(self.rng.randint(1, 3)):
            (start, first), (end, last) = sorted((self.place(), self.place()), key=lambda place: place[0])
            if end - start > 30:
                end, last = start, first
            text = self.random_text(5)
            self.text = self.text[:start] + text + self.text[end:]
            changes.append({"range": {"start": first, "end": last}, "text": text})
        return {"textDocument": document, "contentChanges": changes}


@pytest.mark.parametrize(("profile", "encoding"), [(VSCODE, "utf-16"), (NEOVIM, "utf-8")], ids=["vscode", "neovim"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_any_interleaving(client, engine, profile, encoding, seed):
    rng = random.Random(seed)
    scripts = random.Random(seed + 100)
    engine.script = lambda request: Script(
        text=scripts.choice(ANSWERS), delay_s=scripts.choice([0, 0, 0.005, 0.05]), keep=scripts.random() < 0.1
    )
    await client.initialize(profile)
    await client.ready()
    models = [Model(rng, encoding, f"file:///w/{name}.py") for name in ("a", "b c")]
    asked: dict[int, tuple[str, dict]] = {}
    pending = b""
    num_requests = 1_000_000

    def post(method: str, params: dict, msg_id: int | None = None) -> None:
        nonlocal pending
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        pending += framed(message if msg_id is None else {**message, "id": msg_id})

    for _ in range(NUM_STEPS):
        model = rng.choice(models)
        action = rng.random()
        if not model.is_open:
            model.version, model.text, model.is_open = model.version + 1, model.random_text(80), True
            document = {"uri": model.uri, "languageId": "python", "version": model.version, "text": model.text}
            post("textDocument/didOpen", {"textDocument": document})
        elif action < 0.45:
            post("textDocument/didChange", model.change())
        elif action < 0.80:
            _, position = model.place()
            num_requests += 1
            asked[num_requests] = (model.text, position)
            context = {"triggerKind": rng.choice([0, 1, 2])}
            params = {"textDocument": {"uri": model.uri}, "position": position, "context": context}
            post("textDocument/inlineCompletion", params, num_requests)
        elif action < 0.92:
            post("$/cancelRequest", {"id": rng.choice(list(asked) or [0])})
        elif action < 0.95:
            model.is_open = False
            post("textDocument/didClose", {"textDocument": {"uri": model.uri}})
        if rng.random() < 0.6:
            cut = rng.randint(0, len(pending))
            client.send_bytes(pending[:cut])
            pending = pending[cut:]
            await asyncio.sleep(rng.choice([0, 0, 0.002, 0.02]))
        if action < 0.80 and rng.random() < 0.15:
            # Mostly there is no time for an answer; sometimes enough, or there would be refusals only.
            client.send_bytes(pending)
            pending = b""
            await answered(client, num_requests)
    client.send_bytes(pending)
    engine.script = lambda request: Script()
    for model in models:  # what was kept waiting is superseded
        if model.is_open:
            client.ask(model.uri, 0, 0)
    await client.until(lambda: asked.keys() <= client.answers.keys())
    assert client.process.returncode is None
    assert await client.shut_down() == 0
    assert {msg_id for msg_id, answers in client.answers.items() if len(answers) != 1} == set()
    num_items = sum(check_answer(client.answers[msg_id][0], *asked[msg_id], encoding) for msg_id in asked)
    assert num_items > 5, num_items  # the test saw real items, not only refusals
    assert not [note for note in client.notifications if note["method"] == "window/showMessage"]


async def answered(client, msg_id: int) -> None:
    """Waits for an answer, however slow the machine is, but not for ever: some questions are kept waiting."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await client.until(lambda: msg_id in client.answers)


def check_answer(answer: dict, text: str, position: dict, encoding: str) -> int:
    """Checks one answer against the document it was asked about; returns the number of its items."""
    if "error" in answer:
        assert answer["error"]["code"] == -32800
        return 0
    cursor = offset_of(text, position, encoding)
    for item in answer["result"]["items"]:
        edit_of(item, text, cursor, encoding)
    return len(answer["result"]["items"])
