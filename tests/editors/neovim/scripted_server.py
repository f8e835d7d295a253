"""A language server that answers what a test wrote down, and writes down what it was told. Run as a program:

    python scripted_server.py SCRIPT TOLD

SCRIPT is a JSON object, read when a message comes: `items` (for inline completion: `insertText`, and how many
characters of the line it replaces before and behind the cursor), `alternatives` (more items where asked by hand),
`wait_s` before that answer, `commands` (command → result), `encoding`, `edits` (the next edit: `text` for the first
`old` of the document as it was last sent), `status` (more of it), `frames` (of a canvas, sent before the answer of
`seedling.rewrite` or `seedling.watch`, for which `wait_s` counts too). Every message goes to TOLD, a JSON object a
line, and `answered` with the id of each question for ghost text when its answer has been sent. It stands in for the
real server where a test needs to know the answer beforehand. Left out: changes of a part of a document.
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

SCRIPT, TOLD = Path(sys.argv[1]), Path(sys.argv[2])
lock = threading.Lock()
cancelled: set[int] = set()
texts: dict[str, str] = {}


def send(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with lock:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        sys.stdout.buffer.flush()


def script() -> dict[str, Any]:
    return json.loads(SCRIPT.read_text())


def tell(what: dict[str, Any]) -> None:
    with lock, TOLD.open("a") as told:
        told.write(json.dumps(what) + "\n")


def items(params: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    by_hand = params["context"]["triggerKind"] == 1
    position = params["position"]
    found = []
    for item in now.get("items", []) + (now.get("alternatives", []) if by_hand else []):
        start = position | {"character": position["character"] - item.get("before", 0)}
        end = position | {"character": position["character"] + item.get("behind", 0)}
        command = {"title": "", "command": "seedling.accepted", "arguments": [f"item-{len(found)}"]}
        found.append({"insertText": item["insertText"], "range": {"start": start, "end": end}, "command": command})
    return found


def complete(request: dict[str, Any], now: dict[str, Any]) -> None:
    time.sleep(now.get("wait_s", 0))
    if request["id"] in cancelled:
        send({"id": request["id"], "error": {"code": -32800, "message": "cancelled"}})
    else:
        send({"id": request["id"], "result": {"items": items(request["params"], now)}})
    tell({"answered": request["id"]})


def next_edit(request: dict[str, Any]) -> None:
    document = request["params"]["textDocument"]
    found = []
    for edit in script().get("edits", []):
        lines = texts[document["uri"]].split("\n")
        row = next((row for row, line in enumerate(lines) if edit["old"] in line), None)
        if row is not None:
            start = lines[row].index(edit["old"])
            ends = [{"line": row, "character": column} for column in (start, start + len(edit["old"]))]
            command = {"title": "Follow", "command": "seedling.accepted", "arguments": ["edit-0"]}
            place = {"start": ends[0], "end": ends[1]}
            found.append({"text": edit["text"], "range": place, "textDocument": document, "command": command})
    send({"id": request["id"], "result": {"edits": found[:1]}})


def canvas(request: dict[str, Any], now: dict[str, Any]) -> None:
    asked = request["params"]["arguments"][0]
    for frame in now.get("frames", []):
        send({"method": "seedling/canvas", "params": {"token": asked["token"], **frame}})
    end = time.monotonic() + now.get("wait_s", 0)
    while time.monotonic() < end and request["id"] not in cancelled:
        time.sleep(0.01)
    if request["id"] in cancelled:
        send({"id": request["id"], "error": {"code": -32800, "message": "cancelled"}})
    else:
        same = {"uri": asked["uri"], "version": asked["version"]}
        send({"id": request["id"], "result": same | now["commands"][request["params"]["command"]]})


def command(request: dict[str, Any], now: dict[str, Any]) -> None:
    results = now.get("commands", {})
    name = request["params"]["command"]
    if name in ("seedling.rewrite", "seedling.watch"):
        threading.Thread(target=canvas, args=(request, now), daemon=True).start()
    elif name in results or name == "seedling.accepted":
        send({"id": request["id"], "result": results.get(name)})
    else:
        send({"id": request["id"], "error": {"code": -32601, "message": f"there is no command {name}"}})


def initialized(now: dict[str, Any]) -> dict[str, Any]:
    return {
        "capabilities": {
            "positionEncoding": now.get("encoding", "utf-16"),
            "textDocumentSync": 1,
            "inlineCompletionProvider": {},
            "executeCommandProvider": {"commands": ["seedling.accepted"]},
        },
        "serverInfo": {"name": "scripted", "version": "1"},
    }


def handle(message: dict[str, Any], now: dict[str, Any]) -> None:
    method = message.get("method")
    if method == "initialize":
        send({"id": message["id"], "result": initialized(now)})
    elif method == "initialized":
        status = {"kind": "Normal", "busy": False, "message": ""} | script().get("status", {})
        send({"method": "didChangeStatus", "params": status})
    elif method in ("textDocument/didOpen", "textDocument/didChange"):
        params = message["params"]
        document = params["textDocument"]
        texts[document["uri"]] = (params.get("contentChanges") or [document])[-1]["text"]
    elif method == "textDocument/copilotInlineEdit":
        next_edit(message)
    elif method == "textDocument/inlineCompletion":
        threading.Thread(target=complete, args=(message, now), daemon=True).start()
    elif method == "$/cancelRequest":
        cancelled.add(message["params"]["id"])
    elif method == "workspace/executeCommand":
        command(message, now)
    elif method == "test/notify":
        send(message["params"])
    elif method == "exit":
        sys.exit(0)
    elif "id" in message and method:
        send({"id": message["id"], "result": None})


while header := sys.stdin.buffer.readline():
    size = int(header.split(b":")[1])
    sys.stdin.buffer.readline()
    received = json.loads(sys.stdin.buffer.read(size))
    now = script()  # before the test can know of the message, and tell what comes next
    tell(received)
    handle(received, now)
