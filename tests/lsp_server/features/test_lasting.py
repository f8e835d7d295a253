"""Which documents the engine may ever be asked about: the rules of requests, asked without one."""

import msgspec
import pytest
from capabilities import capabilities

from lsp_server.engine_link import EngineState
from lsp_server.features.lasting import is_ever_asked
from lsp_server.features.quiet import Asked
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot, open_document
from lsp_server.switches import Switches

READY = EngineState(kind="ready", capabilities=capabilities())
FOR_GO = EngineState(kind="ready", capabilities=capabilities(languages=("go",)))


def asked(uri: str = "file:///w/a.py", text: str = "x = 1\n", is_ignored: bool = False, **settings) -> Asked:
    snapshot = Snapshot(
        document=open_document(uri, "python", 1, text),
        cursor=Position(0, 0),
        path=uri.rpartition("/")[2],
        trigger="invoked",
        is_ignored=is_ignored,
    )
    return Asked(snapshot, Settings(**settings), READY)


@pytest.mark.parametrize(
    "never",
    [
        asked(enabled=False),
        asked(languages=("go",)),
        asked(languages_off=("python",)),
        asked(exclude=("a.py",)),
        asked("file:///w/.env"),
        asked("output:a.py"),
        asked(is_ignored=True),
        asked(text="\0" * 9),
        asked(text="x" * 200, max_file_bytes=100),
        msgspec.structs.replace(asked(), engine=EngineState(kind="failed")),
        msgspec.structs.replace(
            asked(), engine=EngineState(kind="ready", capabilities=capabilities(languages=("go",)))
        ),
    ],
)
def test_what_no_request_gets_past(never):
    assert not is_ever_asked(never, Switches())


def test_a_switch_for_the_document_or_its_language():
    switches = Switches()
    switches.set_document("file:///w/a.py", on=False)
    assert not is_ever_asked(asked(), switches)
    assert is_ever_asked(asked("file:///w/b.py"), switches)
    switches.set_language("python", on=False)
    assert not is_ever_asked(asked("file:///w/b.py"), switches)


def test_where_one_may_ask_by_hand_context_is_worth_having():
    switches = Switches()
    switches.snooze(5)
    assert is_ever_asked(asked(manual_only=True), switches)
