"""What is opened, saved and focused, as the context of prompts, through the real server."""

import asyncio

import pytest
from fake_engine import Script

PRICE = "def price_of(cart):\n    return sum(item.price for item in cart)\n"
HERE = "from shop import Invoice\n\ndef total(cart):\n    invoice = Invoice(cart)\n    return price_of("
SHOP = "class Invoice:\n    def __init__(self, cart):\n        self.cart = cart\n"


@pytest.fixture
def folder(tmp_path):
    """A workspace folder with a module, and code beside it that is none of its business."""
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    (tmp_path / "price.py").write_text(PRICE)
    return folder


async def asked(client, engine, uri: str) -> dict[str, str]:
    """The snippets of the prompt of a completion at the end of HERE: their texts by path."""
    await client.items(client.ask(uri, 4, 20, trigger_kind=1))
    return {snippet.path: snippet.text for snippet in engine.requests[-1].prompt.snippets}


async def asked_until(client, engine, uri: str, path: str) -> dict[str, str]:
    async with asyncio.timeout(60):
        while path not in (found := await asked(client, engine, uri)):
            await asyncio.sleep(0.02)
    return found


async def test_imported_files_and_open_documents_stand_in_the_prompt(client, engine, folder):
    engine.script = lambda request: Script(text="cart)")
    result = await client.initialize(workspaceFolders=[{"uri": folder.as_uri(), "name": "w"}])
    assert result["capabilities"]["textDocumentSync"]["save"] == {"includeText": False}
    await client.ready()
    uri, other = (folder / "here.py").as_uri(), (folder / "sub" / "price.py").as_uri()
    client.open(uri, HERE)
    found = await asked_until(client, engine, uri, "shop.py")
    assert found == {"shop.py": SHOP}
    client.open(other, PRICE)
    client.notify("textDocument/didSave", {"textDocument": {"uri": other}})
    client.notify("textDocument/didFocus", {"textDocument": {"uri": other}})
    client.notify("textDocument/didFocus", {"textDocument": {"uri": uri}})
    found = await asked_until(client, engine, uri, "sub/price.py")
    assert found["sub/price.py"] == PRICE
    assert await client.shut_down() == 0


async def test_without_workspace_folders_no_file_is_read(stdio_client, engine, folder):
    engine.script = lambda request: Script(text="cart)")
    await stdio_client.initialize()
    await stdio_client.ready()
    uri = (folder / "here.py").as_uri()
    stdio_client.open((folder / "price.py").as_uri(), PRICE)
    stdio_client.open(uri, HERE)
    assert await asked_until(stdio_client, engine, uri, "price.py") == {"price.py": PRICE}


async def test_a_project_that_restricts_takes_effect_at_once(stdio_client, engine, folder):
    engine.script = lambda request: Script(text="cart)")
    stdio_client.configuration = {}
    await stdio_client.initialize(workspaceFolders=[{"uri": folder.as_uri(), "name": "w"}])
    await stdio_client.ready()
    uri = (folder / "here.py").as_uri()
    stdio_client.open(uri, HERE)
    await asked_until(stdio_client, engine, uri, "shop.py")
    (folder / ".seedling.toml").write_text('context = "none"\n')
    stdio_client.notify("textDocument/didFocus", {"textDocument": {"uri": uri}})
    assert await asked(stdio_client, engine, uri) == {}


async def test_what_is_switched_off_is_quoted_nowhere_neither_as_opened_nor_from_the_disk(in_process, engine, folder):
    engine.script = lambda request: Script(text="cart)")
    await in_process.initialize(workspaceFolders=[{"uri": folder.as_uri(), "name": "w"}])
    await in_process.ready()
    uri, shop = (folder / "here.py").as_uri(), (folder / "shop.py").as_uri()
    (folder / "other.py").write_text(PRICE)
    in_process.open(shop, SHOP)
    in_process.open(uri, HERE)
    assert "shop.py" in await asked_until(in_process, engine, uri, "other.py")
    off = {"command": "seedling.setDocument", "arguments": [shop, False]}
    await in_process.call("workspace/executeCommand", off)
    assert await asked(in_process, engine, uri) == {}
    assert await asked_until(in_process, engine, uri, "other.py") == {"other.py": PRICE}
    await in_process.call("workspace/executeCommand", {**off, "arguments": [shop, True]})
    assert "shop.py" in await asked_until(in_process, engine, uri, "shop.py")
