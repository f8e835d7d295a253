"""The live context: snippets change in pauses only, follow the settings at once, and memory is bounded."""

import asyncio
import contextlib

import msgspec
import pytest
from capabilities import capabilities

from lsp_server.context.live import FAR_LINES, LiveContext, View
from lsp_server.context.ring import MAX_CHUNKS
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Change, Document, Snapshot, open_document
from model.engine import api

PAUSE_S = 0.05
HERE, PRICE = "file:///w/here.py", "file:///w/price.py"
CODE = "def total(cart):\n    return price_of(cart)\n"
DEFINITION = "def price_of(cart):\n    return sum(item.price for item in cart)\n"


MODEL = capabilities(complete=("line",))


class Desk:
    """A live context with documents, as a session would use it."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self.view = View(("file:///w",), Settings(), MODEL)
        self.is_ever_asked = True
        self.context = LiveContext(lambda uri: self.view, lambda document: self.is_ever_asked, pause_s=pause_s)
        self.documents: dict[str, Document] = {}

    def open(self, uri: str, text: str) -> None:
        self.documents[uri] = open_document(uri, "python", 1, text)
        self.context.opened(self.documents[uri])

    def type(self, uri: str, row: int = 1, text: str = "#") -> None:
        document = self.documents[uri]
        document = document.changed([Change(text, (row, 0), (row, 0))], document.version + 1, "utf-16")
        self.documents[uri] = document
        self.context.changed(document, row)

    def snapshot(self, uri: str, row: int = 1) -> Snapshot:
        return Snapshot(document=self.documents[uri], cursor=Position(row, 4), path=uri.rpartition("/")[2])

    def snippets(self, uri: str, row: int = 1) -> tuple[api.Snippet, ...]:
        return self.context.snippets_for(self.snapshot(uri, row))

    async def until(self, condition) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)


@pytest.fixture
async def desk():
    desk = Desk()
    yield desk
    await desk.context.close()


async def test_an_open_document_is_quoted_in_another(desk):
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    assert desk.snippets(HERE) == ()  # a request takes what is there, and waits for nothing
    await desk.until(lambda: desk.snippets(HERE))
    assert desk.snippets(HERE) == (api.Snippet("price.py", DEFINITION),)


async def test_the_lines_of_other_documents_are_there_after_a_pause_but_not_the_documents_own(desk):
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    assert desk.context.lines_for(desk.snapshot(HERE)) is None
    await desk.until(lambda: desk.snippets(HERE))
    lines = desk.context.lines_for(desk.snapshot(HERE))
    assert [there[row] for there, row in lines.beginning_with("def ")] == [DEFINITION.splitlines(keepends=True)[0]]
    # What was gathered by other settings may hold what these exclude.
    desk.view = msgspec.structs.replace(desk.view, settings=Settings(context="none"))
    assert desk.context.lines_for(desk.snapshot(HERE)) is None


async def test_snippets_stay_while_one_types_and_change_in_the_pause():
    desk = Desk(pause_s=0.6)
    loop = asyncio.get_running_loop()
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    await desk.until(lambda: desk.snippets(HERE))
    before = desk.snippets(HERE)
    desk.type(PRICE, 0, "def tax_of(cart):\n    return 0.2 * price_of(cart)\n\n\n")
    for _ in range(20):
        desk.type(HERE, 1, "tax_of(")
        typed_at_s = loop.time()
        await asyncio.sleep(0.02)
        if loop.time() - typed_at_s < 0.5:  # unless this machine made the pause
            assert desk.snippets(HERE) == before
    await desk.until(lambda: desk.snippets(HERE) != before)
    assert any("tax_of" in snippet.text for snippet in desk.snippets(HERE))
    await desk.context.close()


async def test_what_was_gathered_for_an_older_text_is_not_taken(desk, monkeypatch):
    """An edit while the thread is at work: the snippets come with the next pause."""
    started, go_on = asyncio.Event(), asyncio.Event()
    real = asyncio.to_thread

    async def slow(*arguments):
        result = await real(*arguments)
        started.set()
        await go_on.wait()
        return result

    monkeypatch.setattr(asyncio, "to_thread", slow)
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    await asyncio.wait_for(started.wait(), 20)
    desk.type(HERE)
    started.clear()
    go_on.set()
    await desk.until(started.is_set)
    await desk.until(lambda: desk.snippets(HERE))


async def test_other_settings_or_folders_drop_what_was_gathered_at_once(desk):
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    for changed in (
        {"settings": Settings(context="none")},
        {"settings": Settings(exclude=("price.py",))},
        {"folders": ("file:///else",)},
        {"capabilities": None},
    ):
        desk.view = View(("file:///w",), Settings(), MODEL)
        desk.context.asked(desk.snapshot(HERE))
        await desk.until(lambda: desk.snippets(HERE))
        desk.view = msgspec.structs.replace(desk.view, **changed)
        assert desk.snippets(HERE) == ()


async def test_without_a_model_nothing_is_gathered_until_there_is_one(desk):
    desk.view = msgspec.structs.replace(desk.view, capabilities=None)
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    await desk.until(lambda: not desk.context.is_busy)
    desk.view = msgspec.structs.replace(desk.view, capabilities=MODEL)
    desk.context.asked(desk.snapshot(HERE))
    await desk.until(lambda: desk.snippets(HERE))


async def test_where_nothing_is_asked_nothing_is_gathered(desk, monkeypatch):
    monkeypatch.setattr(asyncio, "to_thread", None)  # not even looked for
    desk.is_ever_asked = False
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    await desk.until(lambda: not desk.context.is_busy)
    assert desk.snippets(HERE) == ()
    assert desk.context.num_chunks == 2  # for the documents that are asked about
    monkeypatch.undo()
    desk.is_ever_asked = True
    desk.context.asked(desk.snapshot(HERE))
    await desk.until(lambda: desk.snippets(HERE))


async def test_without_context_nothing_is_kept(desk):
    desk.view = msgspec.structs.replace(desk.view, settings=Settings(context="none"))
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    await desk.until(lambda: not desk.context.is_busy)
    assert desk.snippets(HERE) == ()
    assert desk.context.num_chunks == 0


async def test_a_closed_document_leaves_a_chunk(desk):
    desk.open(PRICE, DEFINITION)
    desk.context.closed(PRICE)
    desk.open(HERE, CODE)
    await desk.until(lambda: desk.snippets(HERE))
    assert desk.snippets(HERE)[0].path == "price.py"
    desk.context.closed(HERE)
    assert desk.snippets(HERE) == ()


async def test_what_has_come_into_the_window_is_not_repeated(desk):
    filler = "".join(f"value_{number} = {number}\n" for number in range(400))
    desk.open(HERE, DEFINITION + filler + CODE)
    row = desk.documents[HERE].text.count("\n") - 1
    desk.context.asked(desk.snapshot(HERE, row))
    await desk.until(lambda: desk.snippets(HERE, row))
    assert desk.snippets(HERE, row)[0].text == DEFINITION
    assert desk.snippets(HERE, 3) == ()


async def test_moving_far_gathers_anew_for_there(desk):
    filler = "".join(f"value_{number} = {number}\n" for number in range(400))
    desk.open("file:///w/tax.py", "def tax_of(cart):\n    return 0.2 * sum(cart)\n")
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE + filler + "\nx = tax_of(cart)\n")
    desk.context.asked(desk.snapshot(HERE, 1))
    await desk.until(lambda: any("price_of" in one.text for one in desk.snippets(HERE, 1)))
    last = desk.documents[HERE].text.count("\n") - 1
    desk.context.asked(desk.snapshot(HERE, last))
    await desk.until(lambda: any("tax_of" in one.text for one in desk.snippets(HERE, last)))


async def test_focus_and_saving_keep_chunks_and_the_ring_is_bounded(desk):
    for number in range(MAX_CHUNKS + 20):
        uri = f"file:///w/d{number}.py"
        desk.open(uri, f"def function_{number}(x):\n    return {number} * x + {number}\n" * 3)
        desk.context.saved(uri)
    desk.context.focused("file:///w/d0.py")
    desk.context.focused("file:///w/unknown.py")
    desk.context.focused(None)
    assert 20 <= desk.context.num_chunks <= MAX_CHUNKS


async def test_some_lines_further_on_other_code_helps(desk, monkeypatch):
    rows = []
    real = asyncio.to_thread

    async def counted(function, bench, scene):
        rows.append(scene.snapshot.cursor.line)
        return await real(function, bench, scene)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    desk.open(HERE, CODE * 20)
    await desk.until(lambda: not desk.context.is_busy)
    for row in (FAR_LINES, FAR_LINES + 1, FAR_LINES + 2, 1, 0):
        desk.context.asked(desk.snapshot(HERE, row))
        await desk.until(lambda: not desk.context.is_busy)
    assert rows == [0, FAR_LINES + 1, 0]


async def test_opening_many_documents_gathers_for_the_last_only(desk, monkeypatch):
    gathered = []
    real = asyncio.to_thread

    async def counted(function, bench, scene):
        gathered.append(scene.snapshot.document.uri)
        return await real(function, bench, scene)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    for number in range(30):
        desk.open(f"file:///w/d{number}.py", DEFINITION)
    desk.open(HERE, CODE)
    await desk.until(lambda: desk.snippets(HERE))
    assert set(gathered) == {HERE}


async def test_closing_everything_while_something_is_gathered():
    desk = Desk()
    desk.open(PRICE, DEFINITION)
    desk.open(HERE, CODE)
    await desk.until(lambda: desk.context.is_busy)
    desk.context.closed(HERE)
    desk.context.closed(PRICE)
    await desk.context.close()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(2 * PAUSE_S)
    assert not desk.context.is_busy
