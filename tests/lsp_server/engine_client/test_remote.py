"""An engine on another machine: what the user may say about it, and what each trouble on the way there is called."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest
import trustme

sys.path.append(str(Path(__file__).parents[1] / "support"))

from fake_engine import FakeEngine

from lsp_server import engine_command
from lsp_server.engine_client import remote
from lsp_server.engine_client.connect import connect
from lsp_server.engine_client.endpoint import endpoint_from_environment, endpoint_of
from lsp_server.engine_client.errors import EngineUnavailable
from lsp_server.user_settings import EngineChoice
from model.engine import api

TOKEN = "a-token-of-many-characters"
REQUEST = api.DenoiseRequest(id="1", prompt=api.Prompt(line="x"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SEEDLING_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A fake engine behind TLS that wants a token; the environment names it, with its authority."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key, ca = (tmp_path / name for name in ("cert.pem", "cert.key", "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    box = FakeEngine(tmp_path / "unused")
    box.tls, box.token = (cert, key), TOKEN
    box.start()
    monkeypatch.setenv("SEEDLING_ENGINE", box.address)
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN", TOKEN)
    monkeypatch.setenv("SEEDLING_ENGINE_CA", str(ca))
    yield box
    box.stop()


async def model_there() -> str:
    client = await connect()
    try:
        return (await client.capabilities()).model
    finally:
        await client.close()


async def refused(expected: str) -> str:
    """The sentence with which connecting, or asking what the engine can do, fails."""
    with pytest.raises(EngineUnavailable) as caught:
        await model_there()
    assert caught.value.reason == expected
    assert caught.value.sentence.endswith(".")
    assert TOKEN not in caught.value.sentence
    return caught.value.sentence


async def test_it_answers_over_tls_with_a_token(box):
    client = await connect()
    try:
        assert (await client.capabilities()).model == "fake"
        events = [event async for event in client.denoise(REQUEST)]
        assert isinstance(events[-1], api.Done)
        assert (await client.health()).status == "ready"
    finally:
        await client.close()


async def test_the_token_may_stand_in_a_file_that_nobody_else_may_read(box, monkeypatch, tmp_path):
    monkeypatch.delenv("SEEDLING_ENGINE_TOKEN")
    file = tmp_path / "token"
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN_FILE", str(file))
    assert "cannot be read" in await refused("bad_address")
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o644)
    assert "chmod 600" in await refused("bad_address")
    file.chmod(0o600)
    assert await model_there() == "fake"
    file.write_text(f"{TOKEN}\nX-Other: header\n")
    assert "does not hold a token" in await refused("bad_address")


async def test_a_wrong_token_is_told_in_the_engines_words(box, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE_TOKEN", "another-token-of-many-characters")
    assert "token is missing or wrong" in await refused("bad_token")


async def test_an_authority_that_is_not_trusted(box, monkeypatch):
    monkeypatch.delenv("SEEDLING_ENGINE_CA")
    sentence = await refused("offline")
    assert "its certificate is not trusted" in sentence
    assert "engine.ca" in sentence


async def test_a_name_that_the_certificate_does_not_hold(box, monkeypatch):
    monkeypatch.setenv("SEEDLING_ENGINE", f"https://127.0.0.1:{box.port}")
    assert "its certificate is not trusted" in await refused("offline")


async def test_nothing_listens_there(box):
    box.stop()
    assert "connection refused" in await refused("offline")


async def test_a_redirect_is_not_followed_and_gets_no_token(box, tmp_path):
    thief = FakeEngine(tmp_path / "other")
    thief.tls = box.tls
    thief.start()
    try:
        box.redirect = f"{thief.address}/health".encode()
        assert "leads elsewhere" in await refused("foreign_answer")
        assert thief.tokens_seen == []
    finally:
        thief.stop()


async def test_something_without_tls_answers_there(box, monkeypatch):
    async def serve(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    monkeypatch.setenv("SEEDLING_ENGINE", f"https://localhost:{server.sockets[0].getsockname()[1]}")
    assert "no TLS connection" in await refused("offline")
    server.close()


class Proxy:
    """An HTTP proxy that knows CONNECT; `refusal` is its answer instead of a tunnel."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.refusal = b""

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0])
        if self.refusal:
            writer.write(self.refusal)
            writer.close()
            return
        host, port = head.split()[1].decode().split(":")
        there, back = await asyncio.open_connection("127.0.0.1" if host == "box.test" else host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def test_the_way_may_lead_through_a_proxy(box, monkeypatch, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("box.test")  # a name that only the proxy knows
    assert box.tls is not None
    issued.cert_chain_pems[0].write_to_path(box.tls[0])
    issued.private_key_pem.write_to_path(box.tls[1])
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    box.stop()
    box.start()
    monkeypatch.setenv("SEEDLING_ENGINE", f"https://box.test:{box.port}")
    proxy = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", await proxy.start())
    assert await model_there() == "fake"
    assert set(proxy.asked) == {f"CONNECT box.test:{box.port} HTTP/1.1".encode()}
    proxy.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    assert "the proxy refuses (407" in await refused("offline")
    proxy.server.close()


URL = "https://box.example.org:8443"


@pytest.mark.parametrize(
    ("environment", "named", "proxy"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, None, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None, None),
        ({"ALL_PROXY": "http://proxy:3128"}, None, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".example.org"}, None, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.org,box.example.org"}, None, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "ple.org"}, None, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "none", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://other:80", "http://other:80"),
        ({"NO_PROXY": "*"}, "http://other:80", "http://other:80"),
    ],
)
def test_which_proxy(monkeypatch, environment, named, proxy):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert remote.proxy_for(URL, EngineChoice(proxy=named)) == proxy
    assert remote.proxy_for("https://localhost:8443", EngineChoice(proxy=named)) is None


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "http://", "http://proxy:x", "ftp://proxy"])
def test_what_is_no_proxy(proxy):
    with pytest.raises(EngineUnavailable, match="The proxy to the engine must be http://host:port"):
        remote.proxy_for(URL, EngineChoice(proxy=proxy))


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://box.example.org:8080", "https:// only"),
        ("http://10.0.0.7", "https:// only"),
        ("http://localhost.example.org", "https:// only"),
        ("https://user:secret@box.example.org", "holds more than"),
        ("https://box.example.org?token=x", "holds more than"),
        ("https://", "must be unix:/path or https://host:port"),
        ("https://box:port", "must be unix:/path or https://host:port"),
        ("ftp://box", "must be unix:/path or https://host:port"),
        ("box:8443", "must be unix:/path or https://host:port"),
    ],
)
def test_addresses_that_are_not_taken(monkeypatch, url, part):
    monkeypatch.setenv("SEEDLING_ENGINE", url)
    with pytest.raises(EngineUnavailable) as caught:
        endpoint_from_environment()
    assert caught.value.reason == "bad_address"
    assert part in caught.value.sentence
    assert "secret" not in caught.value.sentence


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"])
def test_loopback_needs_no_tls(url):
    endpoint = endpoint_of(url, EngineChoice(proxy="http://proxy:1", ca="/no/such/file"))
    assert (endpoint.url, endpoint.proxy, endpoint.ca, endpoint.is_remote) == (url.rstrip("/"), None, None, False)


def test_a_file_of_authorities_that_cannot_be_used(tmp_path):
    with pytest.raises(EngineUnavailable, match=r"cannot be used \(No such file or directory\)"):
        remote.ca_for(EngineChoice(ca=str(tmp_path / "none.pem")))
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(EngineUnavailable, match=r"cannot be used \(no certificates in PEM form\)"):
        remote.ca_for(EngineChoice(ca=str(tmp_path / "ca.pem")))


def test_old_tls_is_not_spoken():
    import ssl

    assert remote.tls_context(None).minimum_version == ssl.TLSVersion.TLSv1_2
    assert remote.tls_context(None).verify_mode == ssl.CERT_REQUIRED
    assert remote.tls_context(None).check_hostname


def test_vanished_boxes_are_noticed():
    with socket.socket() as connection:
        for option in remote.keep_alive_options():
            connection.setsockopt(*option)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_status_on_the_command_line_tells_of_it(box, capsys):
    assert engine_command.run("status") == 0
    assert f"at {box.address}, version 0.1.0" in capsys.readouterr().out
    box.stop()
    with pytest.raises(EngineUnavailable) as caught:
        engine_command.run("status")
    assert caught.value.reason == "offline"


def test_a_box_that_never_answers_is_given_up(box, monkeypatch):
    monkeypatch.setattr("lsp_server.engine_client.endpoint.REMOTE_CONNECT_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and that is all
        monkeypatch.setenv("SEEDLING_ENGINE", f"https://localhost:{silent.getsockname()[1]}")
        with pytest.raises(EngineUnavailable, match="nothing answers there in time") as caught:
            engine_command.run("status")
    assert caught.value.reason == "offline"


async def test_what_stands_before_a_dead_box_is_not_taken_for_it(box, monkeypatch):
    box.health_body, box.health_status_code = b"<html>Bad Gateway</html>", 502
    assert "what stands before it says 502" in await refused("offline")
    box.health_status_code = 421
    box.health_body = api.encode_event(api.Error(code="wrong_host", sentence="Not under that name."))
    assert "refuses: Not under that name." in await refused("foreign_answer")
