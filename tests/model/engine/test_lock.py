"""Lock, stale sockets, private folders."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import msgspec
import pytest

from model.engine.lock import UnsafeFolder, bind_loopback, bind_unix, check_private, take_lock


@pytest.fixture
def short_folder():
    """Socket paths are limited to about a hundred bytes; pytest's own folders are longer."""
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        yield Path(folder)


def test_only_one_holds_the_lock_until_it_closes(tmp_path):
    first = take_lock(tmp_path / "a.lock")
    assert first is not None
    assert take_lock(tmp_path / "a.lock") is None
    os.close(first)
    second = take_lock(tmp_path / "a.lock")
    assert second is not None
    os.close(second)


def test_the_socket_replaces_a_dead_one_and_is_private(short_folder):
    path = short_folder / "a.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    (short_folder / "a.sock.tmp").touch()  # an engine killed between bind and rename
    with bind_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert sorted(p.name for p in short_folder.iterdir()) == ["a.sock"]


def test_the_endpoint_file_tells_address_and_token_to_its_owner_alone(tmp_path):
    path = tmp_path / "a.endpoint"
    path.write_text("old")
    listener, token = bind_loopback("127.0.0.1", 0, path)
    with listener:
        port = listener.getsockname()[1]
        assert msgspec.json.decode(path.read_bytes()) == {"url": f"http://127.0.0.1:{port}", "token": token}
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0, "connections inherit it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 32


def test_a_folder_that_others_may_enter_is_refused(tmp_path):
    tmp_path.chmod(0o700)
    check_private(tmp_path)
    tmp_path.chmod(0o750)
    with pytest.raises(UnsafeFolder, match="mode 0700"):
        check_private(tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafeFolder):
        check_private(tmp_path / "link")
    with pytest.raises(UnsafeFolder, match="cannot be read"):
        check_private(tmp_path / "none")
