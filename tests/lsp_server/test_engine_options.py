"""The options of `seedling engine serve` reach the engine as they were given, and it knows all of them."""

import pytest

from lsp_server.cli import build_parser, main
from lsp_server.engine_client import control
from lsp_server.engine_options import OPTIONS, serve_words
from model.engine.command import _parser


def test_they_are_handed_over_as_given():
    given = ["--listen", "0.0.0.0:8443", "--name", "a", "--name", "b", "--behind-proxy", "--token-file", "-odd name"]
    options = build_parser().parse_args(["engine", "serve", *given[:-2], "--token-file=-odd name"])
    words = ["--listen=0.0.0.0:8443", "--token-file=-odd name", "--behind-proxy", "--name=a", "--name=b"]
    assert serve_words(options) == words
    assert serve_words(build_parser().parse_args(["engine", "serve"])) == []


def test_the_engine_knows_all_of_them():
    samples = {"HOST:PORT": "127.0.0.1:1", "N": "3", "S": "3", "text|json": "json", "NAME": "auto"}
    words = [option.name + (f"={samples.get(option.metavar, 'x')}" if option.metavar else "") for option in OPTIONS]
    read = vars(_parser().parse_args(["serve", "--model", "m", *words]))
    assert all(read[option.name.removeprefix("--").replace("-", "_")] for option in OPTIONS)


def test_without_listen_they_make_no_sense(capsys, monkeypatch):
    monkeypatch.setattr(control, "serve_others", lambda words: pytest.fail("it was started"))
    assert main(["engine", "serve", "--tls-cert", "x"]) == 2
    assert capsys.readouterr().err == (
        "seedling: --tls-cert goes with --listen: without it the engine is for you alone.\n"
    )


def test_with_listen_they_start_the_engine(monkeypatch):
    started = []
    monkeypatch.setattr(control, "serve_others", lambda words: started.append(words) or 0)
    assert main(["engine", "serve", "--listen", "127.0.0.1:0"]) == 0
    assert started == [["--listen=127.0.0.1:0"]]
