"""A hub on loopback: repositories of files in memory, with the answers that huggingface_hub asks for.

Source: the requests of `HfApi.model_info(files_metadata=True)` and of `http_get` (GET with Range), read from
huggingface_hub 2.4. Large files are listed with their sha256 (as LFS does), the others with git's name for them.
Faults are switched on by attributes.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE_BYTES = 2000


@dataclass
class FakeHub:
    """`repositories`: name → file name → content. `asked`: the paths of all requests, with their Range."""

    repositories: dict[str, dict[str, bytes]]
    url: str = ""
    licence: str = "mit"
    gated: bool = False
    fails_with: int | None = None  # a status for everything
    cut_after: int | None = None  # bytes of each large file after which the connection breaks, once
    then_fails_with: int | None = None  # a status for everything after a connection has broken
    damaged: str = ""  # the file that is sent with another content
    has_range: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)


@contextmanager
def serve_hub(repositories: dict[str, dict[str, bytes]]) -> Iterator[FakeHub]:
    hub = FakeHub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((path, self.headers.get("Range", "")))
            hub.agents.append(self.headers.get("User-Agent", ""))
            if hub.fails_with is not None:
                self.reply(hub.fails_with, b"", {})
                return
            name = next((name for name in hub.repositories if f"/{name}/" in f"{path}/"), None)
            if name is None:
                self.reply(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            elif hub.gated:
                self.reply(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
            elif path.startswith("/api/models/"):
                self.describe(name, path.partition(f"{name}")[2].removeprefix("/revision/"))
            else:
                self.send(name, path.partition(f"/{name}/resolve/")[2].partition("/")[2])

        def describe(self, name: str, revision: str) -> None:
            if revision not in ("", "main", COMMIT):
                self.reply(404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no such revision"})
                return
            siblings = [_described(file, content) for file, content in hub.repositories[name].items()]
            described = {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": {"license": hub.licence}}
            self.reply(200, json.dumps(described).encode(), {"Content-Type": "application/json"})

        def send(self, name: str, file: str) -> None:
            content = hub.repositories[name].get(file)
            if content is None:
                self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            if file == hub.damaged:
                content = b"x" * len(content)
            wanted, status, headers = self.headers.get("Range", ""), 200, {}
            first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and hub.has_range else 0
            if first:
                status, headers = 206, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
            body = content[first:]
            if hub.cut_after is not None and len(body) > LARGE_BYTES:
                self.reply(status, body[: hub.cut_after], headers, length=len(body))
                self.close_connection = True
                hub.cut_after, hub.fails_with = None, hub.then_fails_with
                return
            self.reply(status, body, headers)

        def reply(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _described(file: str, content: bytes) -> dict[str, object]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    described: dict[str, object] = {"rfilename": file, "size": len(content), "blobId": git}
    if len(content) > LARGE_BYTES:
        sha256 = hashlib.sha256(content).hexdigest()
        described |= {"lfs": {"size": len(content), "sha256": sha256, "pointerSize": 134}, "blobId": "1" * 40}
    return described
