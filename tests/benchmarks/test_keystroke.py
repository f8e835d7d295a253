"""The trace is what every benchmark takes it for, and the typist tells the server the same story as replay.py."""

import json
from collections import Counter

from benchmarks.header import ROOT
from benchmarks.keystroke import NUM_LINES, Keystroke, Typist, own_source, report
from benchmarks.replay import replay
from lsp_server.snapshot import Change, Document, open_document

TRACE = json.loads((ROOT / "benchmarks/data/typing_trace.json").read_text("utf-8"))


class FakeEditor:
    """Takes the place of a server: holds the document it was told, and says that it asked no engine."""

    def __init__(self) -> None:
        self.notifications = []
        self.document: Document | None = None
        self.num_asked = 0

    def notify(self, method, params) -> None:
        document = params["textDocument"]
        if method == "textDocument/didOpen":
            self.document = open_document(document["uri"], "python", 1, document["text"])
            return
        assert self.document is not None
        for change in params["contentChanges"]:
            start, end = ((p["line"], p["character"]) for p in (change["range"]["start"], change["range"]["end"]))
            new = Change(change["text"], start, end)
            self.document = self.document.changed([new], document["version"], "utf-32")

    def call(self, method, params) -> None:
        self.num_asked += 1
        message = json.dumps({"reason": "shown"})
        self.notifications.append({"method": "$/logTrace", "params": {"message": message}})


def test_the_trace_is_two_hundred_characters_and_what_else_typing_is():
    counts = Counter(what for event in TRACE["events"] for what in event)
    assert sum(counts[what] for what in ("type", "newline", "pair", "over")) == 200
    assert (counts["move"], counts["accept"], counts["pair"], counts["over"], counts["delete"]) == (10, 5, 5, 5, 2)
    assert counts["pause"] >= 5
    assert all(event["pause"] > 0 for event in TRACE["events"] if "pause" in event)
    assert all(len(event["type"]) == 1 for event in TRACE["events"] if "type" in event)


def test_what_the_trace_writes_is_python():
    lines = list(replay(TRACE))[-1].lines
    source = own_source(TRACE["start_line"])
    assert len(source) == NUM_LINES
    written = lines[TRACE["start_line"] : TRACE["start_line"] + len(lines) - len(source) + 1]
    compile("\n".join(written), "trace", "exec")


def test_the_server_hears_what_replay_says():
    editor = FakeEditor()
    typist = Typist(editor, own_source(TRACE["start_line"]), TRACE["start_line"])
    events = [event for event in TRACE["events"] if "pause" not in event]
    _, *strokes = replay(TRACE)
    for event, stroke in zip(events, strokes, strict=True):
        assert typist.apply(event).what == stroke.what
        assert (typist._row, typist._column) == (stroke.row, stroke.column)
    assert editor.document is not None
    assert editor.document.text == "\n".join(strokes[-1].lines)
    assert editor.num_asked == len(events)


def test_the_report_counts_what_was_shown_without_asking(capsys):
    figures = {"engine_ms": 8.0, "prompt_tokens": 100, "cached_tokens": 96}
    report([Keystroke("type", 10.0, "shown", figures), Keystroke("type", 1.0, "typed_along", {})])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["type_along_share"], result["cached_share"], result["requests"]) == (0.5, 0.96, 1)
