"""Token files: what is read, what is refused, and that no sentence quotes a token."""

import hashlib
import os

import pytest

from model.engine.tokens import TokenFileError, read_tokens, single_token

TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def file(tmp_path):
    def write(text: str, mode: int = 0o600):
        path = tmp_path / "tokens"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_names_stand_beside_tokens_or_their_hashes(file):
    hashed = hashlib.sha256(b"x" * 40).hexdigest()
    tokens = read_tokens(file(f"# the team\n\nann {TOKEN}\n  ben\tsha256:{hashed}\nann {TOKEN}-new\n"))
    assert tokens.name_of(TOKEN.encode()) == tokens.name_of(f"{TOKEN}-new".encode()) == "ann"
    assert tokens.name_of(b"x" * 40) == "ben"
    for wrong in ("", TOKEN[:-1], TOKEN + " ", f"sha256:{hashed}", hashed, "ann"):
        assert tokens.name_of(wrong.encode()) is None
    assert TOKEN.encode() not in repr(tokens).encode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no token"),
        ("# nothing\n", "holds no token"),
        (f"{TOKEN}\n", "Line 1"),
        ("ann short\n", "Line 1"),
        (f"\nann {TOKEN} more\n", "Line 2"),
        (f"an/n {TOKEN}\n", "Line 1"),
        (f"ann {TOKEN}\nben {TOKEN}\n", "Line 2"),
        ("ann sha256:abc\n", "Line 1"),
        (f"ann {TOKEN}ä\n", "ASCII"),
        (f"ann {TOKEN}\n" + "#" * 2**20, "larger than 1 MiB"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_without_the_token(file, text, sentence):
    with pytest.raises(TokenFileError, match=sentence) as caught:
        read_tokens(file(text))
    assert TOKEN not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_file_that_others_may_open_is_refused(file, tmp_path, monkeypatch):
    for mode in (0o640, 0o604, 0o660):
        with pytest.raises(TokenFileError, match="chmod 600"):
            read_tokens(file(f"ann {TOKEN}\n", mode))
    path = file(f"ann {TOKEN}\n", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))  # systemd's, where an access list looks so
    assert read_tokens(path).name_of(TOKEN.encode()) == "ann"
    with pytest.raises(TokenFileError, match="cannot be read"):
        read_tokens(tmp_path / "none")
    with pytest.raises(TokenFileError, match="not a regular file"):
        read_tokens(tmp_path)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users have no numbers here")
def test_a_file_of_another_user_is_refused(file, monkeypatch):
    path = file(f"ann {TOKEN}\n")
    owner = path.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    if owner != 0:
        with pytest.raises(TokenFileError, match="belongs to another user"):
            read_tokens(path)
    else:
        assert read_tokens(path).name_of(TOKEN.encode()) == "ann"  # the administrator's files are as good as ours


def test_a_single_token_has_no_name():
    assert single_token(TOKEN).name_of(TOKEN.encode()) == ""
    assert single_token(TOKEN).name_of(b"") is None
