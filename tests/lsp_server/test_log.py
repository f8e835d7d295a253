"""The log: private from the first byte and after a rotation; libraries that quote messages are silent."""

import logging
import stat

import pytest

from lsp_server import log


@pytest.fixture
def logger(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(log, "MAX_BYTES", 300)
    logger = logging.getLogger("seedling")
    before = (logger.handlers[:], logger.propagate, logger.level)
    log.quiet_libraries()
    log.log_to_file()
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:], logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


def test_every_file_is_private_and_there_are_few(logger, tmp_path):
    for number in range(40):
        logger.info("line %d of some length", number)
    files = list((tmp_path / "seedling").iterdir())
    assert len(files) == 1 + log.NUM_OLD_FILES
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_libraries_are_silent(logger):
    assert not logging.getLogger("pygls.protocol").isEnabledFor(logging.CRITICAL)


def test_without_a_writable_folder_there_is_a_sentence_and_no_log(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    log.log_to_file()
    assert "cannot be written" in capsys.readouterr().err
