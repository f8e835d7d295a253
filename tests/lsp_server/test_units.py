"""Every position encoding, every style of line ends, every spelling of a URI: edit, complete, accept, look again.

The oracle is editor_model.py, which knows nothing of the server. In each case the server must hold what the client
holds after every edit, ask the engine about exactly the text around the cursor, and give an item whose acceptance makes
what was promised.
"""

import pytest
from editor_model import Edit, edit_of, position_of, unified
from in_process import InProcess, InstantEngine

NEWLINES = {"lf": ["\n"], "crlf": ["\r\n"], "cr": ["\r"], "mixed": ["\n", "\r\n", "\r"]}
LINES = {
    "plain": ["if a:", "    b = 1", "x = f("],
    "tabs": ["if a:", "\tb =\t1", "\tx = f("],
    "astral": ["# 😀🧑🏽 𝒳", "s = '😀'", "x = f('𝒳', "],
    "combining": ["# e\u0301 ą́", "s = 'Z\u0351\u036b'", "x = f('e\u0301', "],
    "separators": ["# \u2028\x0c\x85", "s = '\u2028'", "x = f('\x85', "],
}


@pytest.fixture
async def client():
    client = InProcess()
    client.engine = client.server.session.engine = InstantEngine("n, ü😀)")  # pyright: ignore
    yield client
    await client.close()


async def begin(client: InProcess, encoding: str = "utf-16", *, inline: bool = True) -> None:
    document = {"inlineCompletion": {}} if inline else {}
    capabilities = {"general": {"positionEncodings": [encoding]}, "textDocument": document}
    await client.call("initialize", {"capabilities": capabilities})


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "popup"])
@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("final", ["final newline", "none"])
@pytest.mark.parametrize("style", NEWLINES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_edit_complete_accept(client, encoding, style, final, lines, inline):
    await begin(client, encoding, inline=inline)
    uri, ends = "file:///w/a.py", NEWLINES[style]
    above = "".join(line + ends[index % len(ends)] for index, line in enumerate(LINES[lines]))
    text = above + "y = 2" + (ends[0] if final != "none" else "")
    client.open(uri, text)
    # Two edits in one message, the second in the units of the first one's result.
    first = Edit(0, 0, "😀é" + ends[0])
    middle = first.applied(text)
    second = Edit(len(middle) - len("2") - (len(ends[0]) if final != "none" else 0), len(middle), "(3" + ends[-1])
    client.change(uri, 2, first.to_wire(text, encoding), second.to_wire(middle, encoding))
    text = second.applied(middle)
    assert client.server.session.document(uri).text == text
    # The cursor stands behind the last line above `y`, where the editor has closed the bracket.
    cursor = len(first.text) + len(above) - len(ends[(len(LINES[lines]) - 1) % len(ends)])
    closed = Edit(cursor, cursor, ")")
    client.change(uri, 3, closed.to_wire(text, encoding))
    text = closed.applied(text)
    item = await only_item(client, uri, text, cursor, encoding, inline=inline)
    prompt = client.engine.prompts[0]
    assert prompt.prefix + prompt.line == unified(text[:cursor])
    assert prompt.tail + prompt.suffix == unified(text[cursor:])
    accepted = edit_of(item, text, cursor, encoding)
    client.change(uri, 4, accepted.to_wire(text, encoding))
    expected = text[:cursor] + "n, ü😀)" + text[cursor + 1 :]
    assert accepted.applied(text) == expected
    assert client.server.session.document(uri).text == expected


async def only_item(client, uri: str, text: str, cursor: int, encoding: str, *, inline: bool) -> dict:
    params = {
        "textDocument": {"uri": uri},
        "position": position_of(text, cursor, encoding),
        "context": {"triggerKind": 1},
    }
    method = "textDocument/inlineCompletion" if inline else "textDocument/completion"
    (item,) = (await client.call(method, params))["items"]
    return item


SAME = {
    "a drive letter": ["file:///c%3A/w/a.py", "file:///C:/w/a.py", "file:///c:/w/a.py", "file:///C%3a/w/a.py"],
    "a space": ["file:///w/a%20b.py", "file:///w/a b.py"],
    "a hash": ["file:///w/a%23b.py", "file:///w/a#b.py"],
    "a percent sign": ["file:///w/100%25.py", "file:///w/100%.py"],
    "another script": ["file:///w/%E6%BC%A2%F0%9F%98%80.py", "file:///w/漢😀.py"],
    "a host": ["file://server/share/a.py", "file://server/share/a%2Epy"],
    "no file yet": ["untitled:Untitled-1", "untitled:Untitled%2D1"],
}


@pytest.mark.parametrize("spellings", SAME.values(), ids=SAME)
async def test_a_document_is_the_same_however_its_uri_is_spelled(client, spellings):
    await begin(client)
    client.open(spellings[0], "x = \n")
    for version, uri in enumerate([*spellings, *reversed(spellings)], 2):
        client.change(uri, version, {"text": f"x{version} = \n"})
        for other in spellings:
            assert client.server.session.document(other).version == version
        await only_item(client, spellings[version % len(spellings)], f"x{version} = \n", 5, "utf-16", inline=True)
        assert client.engine.prompts[-1].line == f"x{version} = "
    client.notify("textDocument/didClose", {"textDocument": {"uri": spellings[-1]}})
    assert client.server.session.document(spellings[0]) is None


OTHERS = {
    "a percent sign that is encoded twice": ("file:///w/a%2520b.py", "file:///w/a%20b.py"),
    "cells of a notebook": ("vscode-notebook-cell:/w/n.ipynb#W0", "vscode-notebook-cell:/w/n.ipynb#W1"),
    "drives": ("file:///c%3A/w/a.py", "file:///d%3A/w/a.py"),
    "schemes": ("file:///w/a.py", "untitled:/w/a.py"),
    "hosts": ("file://one/w/a.py", "file://two/w/a.py"),
    "upper and lower case": ("file:///w/A.py", "file:///w/a.py"),
}


@pytest.mark.parametrize("uris", OTHERS.values(), ids=OTHERS)
async def test_documents_are_not_mixed_up(client, uris):
    await begin(client)
    for uri in uris:
        client.open(uri, f"{uri[-8:]!r} = ")
    for uri in (*uris, *uris):
        text = f"{uri[-8:]!r} = "
        assert client.server.session.document(uri).text == text
        client.change(uri, 2, {"text": text})
        await only_item(client, uri, text, len(text), "utf-16", inline=True)
        assert client.engine.prompts[-1].line == text
