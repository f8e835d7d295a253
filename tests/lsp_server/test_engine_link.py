"""The link to the engine, in this process, against a fake engine."""

import asyncio

import msgspec
import pytest
import trustme
from fake_engine import FakeEngine, Script

from lsp_server import engine_link
from lsp_server.engine_client.client import EngineClient
from lsp_server.engine_client.endpoint import Endpoint
from lsp_server.engine_link import EngineLink, EngineState, EngineTrouble
from lsp_server.outcome import Reason
from model.engine import api


@pytest.fixture
async def link(engine, monkeypatch):
    """A link that is ready, and `link.states`, all that it told."""
    monkeypatch.setenv("SEEDLING_ENGINE", engine.address)
    states: list[EngineState] = []
    link = EngineLink(states.append)
    link.states = states  # pyright: ignore[reportAttributeAccessIssue]
    link.start()
    link.start()  # a second call changes nothing
    await until(lambda: link.state.kind == "ready")
    yield link
    await link.close()


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def request(name: str, deadline_ms: float | None = 1_000) -> api.DenoiseRequest:
    return api.DenoiseRequest(id=name, prompt=api.Prompt(line="x = "), deadline_ms=deadline_ms)


async def test_questions_share_one_connection(link, engine):
    assert [state.kind for state in link.states] == ["loading", "ready"]
    assert link.state.capabilities == engine.capabilities
    for number in range(5):
        assert [done.text for done in await link.ask(request(str(number)))] == ["answer"]
        await until(lambda: not link._endings)
    assert len(engine.connections) == 1


async def test_several_answers_come_together(link, engine):
    engine.script = lambda request: Script(text="a", more=("b", "c"))
    several = msgspec.structs.replace(request("1"), n=3)
    assert [(done.text, done.index) for done in await link.ask(several)] == [("a", 0), ("b", 1), ("c", 2)]
    await until(lambda: not link._endings)
    error = api.Error(code="internal", sentence="No.")
    engine.script = lambda request: Script(text="a", more=("b", "c"), error=error, num_before_error=2)
    assert [done.text for done in await link.ask(several)] == ["a", "b"]


async def test_a_failure_inside_the_client_is_a_named_reason(link, engine, monkeypatch):
    async def denoise(request):
        raise RuntimeError("async generator ignored GeneratorExit")
        yield

    monkeypatch.setattr(link._client, "denoise", denoise)
    with pytest.raises(EngineTrouble, match=r"could not be asked \(RuntimeError\)") as raised:
        await link.ask(request("1"))
    assert raised.value.reason is Reason.ENGINE_ERROR
    monkeypatch.undo()
    assert [done.text for done in await link.ask(request("2"))] == ["answer"]


async def test_cancelling_a_question_cancels_it_in_the_engine(link, engine):
    engine.script = lambda request: Script(keep=True)
    asking = asyncio.ensure_future(link.ask(request("a")))
    await until(lambda: engine.requests)
    asking.cancel()
    await until(lambda: engine.cancelled == ["a"])
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize(("code", "reason"), [("loading", Reason.LOADING), ("bad_request", Reason.ENGINE_ERROR)])
async def test_error_events_have_reasons_and_sentences(link, engine, code, reason):
    engine.script = lambda request: Script(error=api.Error(code=code, sentence="Because."))
    with pytest.raises(EngineTrouble, match=r"Because\.") as trouble:
        await link.ask(request("a"))
    assert trouble.value.reason is reason
    assert link.state.kind == "ready"


async def test_an_engine_that_overstays_its_deadline_is_given_up_but_stays_ready(link, engine, monkeypatch):
    monkeypatch.setattr(engine_link, "GRACE_MS", 50)
    engine.script = lambda request: Script(keep=True)
    with pytest.raises(EngineTrouble) as trouble:
        await link.ask(request("a", deadline_ms=50))
    assert trouble.value.reason is Reason.DEADLINE
    assert link.state.kind == "ready"
    await until(lambda: engine.cancelled == ["a"])


async def test_a_pause_is_said_once_and_taken_back(link, engine):
    num_before = len(link.states)
    link._client.on_pause(0.05)
    link._client.on_pause(0.1)
    await until(lambda: link.state.sentence == "Ready.")
    assert [(state.kind, state.sentence) for state in link.states[num_before:]] == [
        ("ready", "The engine has too much to do: it is asked again in 1 s."),
        ("ready", "Ready."),
    ]


async def test_a_lost_engine_is_sought_again(link, engine):
    engine.stop()
    with pytest.raises(EngineTrouble) as trouble:
        await link.ask(request("a"))
    assert trouble.value.reason is Reason.NO_ENGINE
    assert link.state.kind in ("loading", "failed")
    with pytest.raises(EngineTrouble):
        await link.ask(request("b"))
    engine.start()
    async with asyncio.timeout(60):
        while link.state.kind != "ready":
            link.start()
            await asyncio.sleep(0.05)
    assert (await link.ask(request("c")))[0].text == "answer"


@pytest.fixture
def box(tmp_path, monkeypatch):
    """An engine that stands for one on another machine, named in the environment but not yet running."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "cert.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    box = FakeEngine(tmp_path / "unused")
    box.tls = (tmp_path / "cert.pem", tmp_path / "cert.key")
    box.capabilities = msgspec.structs.replace(box.capabilities, model="box")
    box.start()
    box.stop()  # now it has a port
    monkeypatch.setenv("SEEDLING_ENGINE", box.address)
    monkeypatch.setenv("SEEDLING_ENGINE_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setattr("lsp_server.engine_client.backoff.FIRST_S", 0.02)
    monkeypatch.setattr("lsp_server.engine_client.backoff.LONGEST_S", 0.1)
    yield box
    box.stop()


async def test_an_engine_that_is_offline_is_tried_again_by_itself(box):
    states: list[EngineState] = []
    link = EngineLink(states.append)
    link.start()
    await until(lambda: link.state.kind == "offline")
    assert "connection refused" in link.state.sentence
    with pytest.raises(EngineTrouble) as trouble:
        await link.ask(request("a"))
    assert trouble.value.reason is Reason.NO_ENGINE
    for _ in range(2):  # it comes, and goes, and comes
        box.start()
        await until(lambda: link.state.kind == "ready")
        assert not link.state.is_stand_in
        assert (await link.ask(request("b")))[0].text == "answer"
        box.stop()
        with pytest.raises(EngineTrouble):
            await link.ask(request("c"))
        await until(lambda: link.state.kind == "offline")
    num_offline = sum(state.kind == "offline" for state in states)
    assert num_offline == 3, "trying again changes nothing that anybody sees"
    await link.close()


async def test_an_engine_of_our_own_stands_in_only_if_the_user_wants_and_leaves_again(box, engine, monkeypatch):
    async def connect_own(options=None, on_progress=None):
        async def reach():
            return Endpoint(socket=str(engine.socket))

        return await EngineClient.open(await reach(), reach, log=None)

    monkeypatch.setattr("lsp_server.engine_client.connect.connect_own", connect_own)
    monkeypatch.setenv("SEEDLING_ENGINE_FALLBACK", "local")
    link = EngineLink(lambda state: None)
    link.start()
    await until(lambda: link.state.is_stand_in)
    assert link.state.kind == "ready"
    assert link.state.capabilities == engine.capabilities
    assert link.state.sentence.endswith("An engine of this machine stands in for it.")
    engine.script = lambda request: Script(text="from here")
    box.script = lambda request: Script(text="from there")
    assert (await link.ask(request("a")))[0].text == "from here"
    box.start()
    await until(lambda: not link.state.is_stand_in)
    assert link.state.capabilities == box.capabilities
    assert (await link.ask(request("b")))[0].text == "from there"
    box.stop()
    with pytest.raises(EngineTrouble):
        await link.ask(request("c"))
    await until(lambda: link.state.is_stand_in)
    assert (await link.ask(request("d")))[0].text == "from here"
    await link.close()


async def test_a_token_that_is_no_longer_accepted_is_read_anew_when_somebody_asks(box, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN", "one")
    box.token = "one"
    box.start()
    link = EngineLink(lambda state: None)
    link.start()
    await until(lambda: link.state.kind == "ready")
    box.token = "two"
    with pytest.raises(EngineTrouble, match="token is missing or wrong"):
        await link.ask(request("a"))
    await until(lambda: link.state.kind == "failed")
    assert "token" in link.state.sentence
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN", "two")
    link.start()
    await until(lambda: link.state.kind == "ready")
    assert (await link.ask(request("b")))[0].text == "answer"
    await link.close()


async def test_without_an_engine_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDLING_ENGINE", f"unix:{tmp_path}/none.sock")
    link = EngineLink(lambda state: None)
    with pytest.raises(EngineTrouble) as trouble:
        await link.ask(request("a"))
    assert trouble.value.reason is Reason.NO_ENGINE
    link.start()
    await until(lambda: link.state.kind == "failed")
    assert link.state.sentence.endswith(".")
    await link.close()
    link.start()
    assert link.state.kind == "failed"  # closed: it tries no more
