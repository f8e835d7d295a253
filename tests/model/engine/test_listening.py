"""Where an engine may listen for others, and what a certificate says."""

import socket
import ssl

import pytest
import trustme

from model.engine.listening import Access, Address, Certificate, Door, ListenError, bind, check_access, read_address

TOKEN_LINE = "ann correct-horse-battery-staple\n"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def issue(authority, tmp_path):
    """issue(*names) → the paths of a certificate with its chain and of its key."""

    def write(*names: str, name: str = "cert"):
        issued = authority.issue_cert(*names)
        cert, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        cert.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return cert, key

    return write


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "tokens"
    path.touch(0o600)
    path.write_text(TOKEN_LINE)
    return path


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8443", Address("0.0.0.0", 8443)),
        ("[::]:0", Address("::", 0)),
        ("Box.Example.org:443", Address("box.example.org", 443)),
    ],
)
def test_addresses(text, address):
    assert read_address(text) == address


@pytest.mark.parametrize("text", ["", "8443", "box", ":8443", "box:", "box:x", "box:65536", "box:-1", "box:٣"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        read_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_tls_but_a_token(host, token_file):
    check_access(Address(host, 1), Access(token_file=token_file))
    with pytest.raises(ListenError, match="--token-file"):
        check_access(Address(host, 1), Access())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "box.example.org", "localhost.example.org"])
def test_beyond_loopback_wants_tls_or_a_proxy_and_tokens_always(host, token_file, issue):
    address = Address(host, 1)
    cert, key = issue("box.example.org")
    with pytest.raises(ListenError, match="not a loopback address"):
        check_access(address, Access(token_file=token_file))
    with pytest.raises(ListenError, match="both or neither"):
        check_access(address, Access(token_file=token_file, cert=cert))
    for access in (Access(cert=cert, key=key), Access(is_behind_proxy=True, names=("box.example.org",))):
        with pytest.raises(ListenError, match="--token-file"):
            check_access(address, access)
    with pytest.raises(ListenError, match="--name"):
        check_access(address, Access(token_file=token_file, is_behind_proxy=True))
    with pytest.raises(ListenError, match="proxy does TLS"):
        check_access(address, Access(token_file=token_file, is_behind_proxy=True, cert=cert, key=key))
    check_access(address, Access(token_file=token_file, cert=cert, key=key))
    check_access(address, Access(token_file=token_file, is_behind_proxy=True, names=("box.example.org",)))


def test_a_certificate_says_which_names_are_answered(issue, token_file):
    cert, key = issue("box.example.org", "*.lab.example.org", "10.0.0.7", "2001:db8::7")
    door = Door(Address("127.0.0.1", 0), Access(token_file=token_file, cert=cert, key=key))
    with door.listener:
        names = {"box.example.org", "*.lab.example.org", "10.0.0.7", "[2001:db8::7]"}
        assert door.guard.hosts == names | {"127.0.0.1", "localhost", "[::1]"}
    door = Door(Address("127.0.0.1", 0), Access(token_file=token_file, cert=cert, key=key, names=("Other.example",)))
    with door.listener:
        assert door.guard.hosts == {"other.example", "127.0.0.1", "localhost", "[::1]"}


def test_a_door_is_renewed_or_stays_as_it_was(issue, token_file, tmp_path):
    cert, key = issue("old.example")
    door = Door(Address("127.0.0.1", 0), Access(token_file=token_file, cert=cert, key=key))
    with door.listener:
        assert door.guard.is_shared
        issue("new.example")
        token_file.write_text("ben another-horse-another-staple\n")
        assert door.renew()
        assert "new.example" in door.guard.hosts
        assert door.guard.tokens is not None
        assert door.guard.tokens.name_of(b"another-horse-another-staple") == "ben"
        assert door.guard.tokens.name_of(b"correct-horse-battery-staple") is None
        before = door.guard
        token_file.write_text("nonsense\n")
        assert not door.renew()
        token_file.write_text(TOKEN_LINE)
        cert.write_text("nonsense\n")
        assert not door.renew()
        assert door.guard == before


def test_certificates_that_no_client_would_accept(issue, authority, tmp_path):
    cert, key = issue("box.example.org")
    _, other_key = issue("box.example.org", name="other")
    with pytest.raises(ListenError, match="are not a certificate and its key"):
        Certificate(cert, other_key)
    with pytest.raises(ListenError, match=r"none\.pem cannot be read"):
        Certificate(tmp_path / "none.pem", key)
    with pytest.raises(ListenError, match=r"none\.key cannot be read"):
        Certificate(cert, tmp_path / "none.key")
    expired = authority.issue_cert("box.example.org", not_after=_year(2020), not_before=_year(2019))
    cert.write_bytes(b"".join(part.bytes() for part in expired.cert_chain_pems))
    expired.private_key_pem.write_to_path(key)
    with pytest.raises(ListenError, match="certificate has expired"):
        Certificate(cert, key)


def _year(number: int):
    import datetime

    return datetime.datetime(number, 1, 1, tzinfo=datetime.UTC)


def test_old_tls_is_not_spoken(issue):
    certificate = Certificate(*issue("box.example.org"))
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_port_that_cannot_be_had_is_one_sentence(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"cannot listen on 127\.0\.0\.1:{port} \(Address already in use\)"):
            bind(Address("127.0.0.1", port))

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ListenError, match=r"cannot listen on box:1 \(Name or service not known\)"):
        bind(Address("box", 1))


def test_vanished_peers_are_noticed_and_answers_do_not_wait():
    with bind(Address("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            listener.setblocking(True)
            connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
