"""A language server that answers what a test wrote down, and writes down what it was told. Run as a program:

    python scripted_server.py SCRIPT TOLD

SCRIPT is a JSON object, read again for every message: `items` (for inline completion: `insertText`, and how many
characters of the line it replaces before and behind the cursor), `alternatives` (more items where asked by hand),
`wait_s` before that answer, `commands` (command → result), `encoding`. Every message goes to TOLD, a JSON object a
line. It stands in for the real server where a test needs to know the answer beforehand. Left out: documents.
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


def send(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with lock:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        sys.stdout.buffer.flush()


def script() -> dict[str, Any]:
    return json.loads(SCRIPT.read_text())


def items(params: dict[str, Any]) -> list[dict[str, Any]]:
    by_hand = params["context"]["triggerKind"] == 1
    position = params["position"]
    found = []
    for item in script().get("items", []) + (script().get("alternatives", []) if by_hand else []):
        start = position | {"character": position["character"] - item.get("before", 0)}
        end = position | {"character": position["character"] + item.get("behind", 0)}
        command = {"title": "", "command": "seedling.accepted", "arguments": [f"item-{len(found)}"]}
        found.append({"insertText": item["insertText"], "range": {"start": start, "end": end}, "command": command})
    return found


def complete(request: dict[str, Any]) -> None:
    time.sleep(script().get("wait_s", 0))
    if request["id"] in cancelled:
        send({"id": request["id"], "error": {"code": -32800, "message": "cancelled"}})
    else:
        send({"id": request["id"], "result": {"items": items(request["params"])}})


def command(request: dict[str, Any]) -> None:
    results = script().get("commands", {})
    name = request["params"]["command"]
    if name in results or name == "seedling.accepted":
        send({"id": request["id"], "result": results.get(name)})
    else:
        send({"id": request["id"], "error": {"code": -32601, "message": f"there is no command {name}"}})


def initialized() -> dict[str, Any]:
    return {
        "capabilities": {
            "positionEncoding": script().get("encoding", "utf-16"),
            "textDocumentSync": 1,
            "inlineCompletionProvider": {},
            "executeCommandProvider": {"commands": ["seedling.accepted"]},
        },
        "serverInfo": {"name": "scripted", "version": "1"},
    }


def handle(message: dict[str, Any]) -> None:
    method = message.get("method")
    if method == "initialize":
        send({"id": message["id"], "result": initialized()})
    elif method == "initialized":
        send({"method": "didChangeStatus", "params": {"kind": "Normal", "busy": False, "message": ""}})
    elif method == "textDocument/inlineCompletion":
        threading.Thread(target=complete, args=(message,), daemon=True).start()
    elif method == "$/cancelRequest":
        cancelled.add(message["params"]["id"])
    elif method == "workspace/executeCommand":
        command(message)
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
    with TOLD.open("a") as told:
        told.write(json.dumps(received) + "\n")
    handle(received)
