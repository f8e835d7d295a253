"""The session: documents, cutting of requests, remarks about settings that are made once."""

import asyncio

import pytest
from capabilities import capabilities

from lsp_server.client_profile import ClientProfile, read_profile
from lsp_server.engine_link import EngineLink, EngineState
from lsp_server.outcome import Outcome, Reason
from lsp_server.session import Session
from lsp_server.snapshot import Change, IndentStyle, Snapshot
from lsp_server.wire import Changed, CompletionRequest, Opened

URI = "file:///c%3A/w/a.py"


def make_session() -> Session:
    session = Session(EngineLink(lambda state: None))
    session.open(Opened(URI, "python", 1, "x = "))
    return session


def ask(session: Session, **more):
    return session.arrive(CompletionRequest(uri=URI, position=(0, 4), **more))


async def test_snapshots_do_not_change_with_the_document():
    session = make_session()
    _, snapshot = ask(session)
    session.change(Changed(URI, 2, (Change("y"),)))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.document.text == "x = "
    document = session.document("file:///c:/w/a.py")  # the same drive letter, spelled differently
    assert document is not None
    assert (document.text, document.version) == ("y", 2)


async def test_what_cuts_a_request():
    session = make_session()
    for cut, reason in [
        (lambda: ask(session), Reason.SUPERSEDED),
        (lambda: session.change(Changed(URI, 2, (Change("y"),))), Reason.STALE),
        (lambda: session.open(Opened(URI, "python", 3, "z")), Reason.STALE),
        (lambda: session.close_document(URI), Reason.CLOSED),
    ]:
        ticket, _ = ask(session)
        waiting = asyncio.ensure_future(session.unless_cut(ticket, asyncio.sleep(30)))
        await asyncio.sleep(0)
        cut()
        assert await waiting is reason


async def test_a_request_for_another_document_cuts_nothing():
    session = make_session()
    session.open(Opened("file:///w/b.py", "python", 1, ""))
    ticket, _ = ask(session)
    session.arrive(CompletionRequest(uri="file:///w/b.py", position=(0, 0)))
    assert not ticket.cut.done()
    assert await session.unless_cut(ticket, asyncio.sleep(0, "done")) == "done"


async def test_work_that_loses_is_cancelled():
    session = make_session()
    ticket, _ = ask(session)
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    waiting = asyncio.ensure_future(session.unless_cut(ticket, work()))
    await asyncio.sleep(0)
    ticket.end(Reason.SUPERSEDED)
    assert await waiting is Reason.SUPERSEDED
    await asyncio.wait_for(ended.wait(), 5)
    await session.close()


async def test_unknown_documents_and_other_versions_are_refused_by_name():
    session = make_session()
    for uri, version, reason in [("file:///no.py", None, Reason.NOT_OPEN), (URI, 9, Reason.STALE)]:
        _, outcome = session.arrive(CompletionRequest(uri=uri, position=(0, 0), version=version))
        assert isinstance(outcome, Outcome)
        assert outcome.reason is reason
    session.change(Changed("file:///no.py", 2, (Change("y"),)))
    assert session.document("file:///no.py") is None


@pytest.mark.parametrize(("name", "may_be_asked"), [("b.py", True), (".env", False)])
async def test_no_context_is_gathered_for_what_is_never_asked_about(name, may_be_asked, monkeypatch):
    session = make_session()
    session.engine.state = EngineState(kind="ready", capabilities=capabilities(complete=("line",)))
    gathered = []

    async def counted(function, bench, scene):
        gathered.append(scene.snapshot.document.uri)
        return ()

    monkeypatch.setattr(asyncio, "to_thread", counted)
    session.context.closed(URI)
    session.open(Opened(f"file:///w/{name}", "python", 1, "x = 1\n"))
    async with asyncio.timeout(60):
        while session.context.is_busy:
            await asyncio.sleep(0.01)
    assert gathered == ([f"file:///w/{name}"] if may_be_asked else [])
    await session.close()


async def test_the_editors_indentation_beats_the_documents():
    session = make_session()
    _, snapshot = ask(session, tab_size=2, insert_spaces=True)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.indent == IndentStyle("  ", 2)


async def test_remarks_are_made_once():
    session = make_session()
    session.client = ClientProfile(options={"token": "t"})
    assert len(session.configure(None)) == 1
    assert session.configure({"seedling": {"token": "u", "enabled": False}}) == []
    assert not session.settings.enabled
    assert len(session.configure({"seedling": {"other": 1}})) == 1


def test_odd_initialize_parameters_make_a_plain_profile():
    odd = {
        "capabilities": {"general": 3, "textDocument": []},
        "workspaceFolders": [1],
        "clientInfo": None,
        "rootUri": 5,
    }
    for params in (None, [], odd):
        assert read_profile(params) == ClientProfile()
