"""Other servers' words, without HTTP; and that both sides of this project know the same formats."""

import pytest

from lsp_server.engine_client.upstream_kinds import FIMS, Failed, Piece, Upstream, message_of, piece_of, question_of
from model.engine import api
from model.engine.protocols.hole import hole_of

REQUEST = api.DenoiseRequest(id="1", prompt=api.Prompt(prefix="a = 1\n", line="b = ", tail="\n", suffix="c\n"))

COUNTED = Piece(prompt_tokens=3, num_tokens=2)
LIMITED = Piece(end="length", num_tokens=4)


@pytest.mark.parametrize("fim", [fim for fim in FIMS if fim != "suffix"])
def test_what_we_ask_our_own_engine_understands(fim):
    body = question_of(Upstream(kind="openai", model="m", fim=fim), REQUEST, 0).body
    hole = hole_of(body["prompt"], None)
    assert (hole.before, hole.after, hole.is_infill) == ("a = 1\nb = ", "\nc\n", True)
    assert all(len(stop) > 3 for stop in body["stop"])


@pytest.mark.parametrize(
    ("kind", "data", "piece"),
    [
        ("openai", b'{"choices": [{"text": "a", "finish_reason": null}]}', Piece(text="a")),
        ("openai", b'{"choices": [{"text": "", "finish_reason": "length"}]}', Piece(end="length")),
        ("mercury", b'{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}', Piece(text="a", end="eom")),
        ("mercury", b'{"choices": [{"message": {"content": "a"}}]}', Piece(text="a")),
        ("openai", b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}', COUNTED),
        ("openai", b'{"choices": [1], "usage": null}', Piece()),
        ("openai", b'{"choices": {"0": 1}, "usage": {"prompt_tokens": -1, "completion_tokens": true}}', Piece()),
        ("openai", b'{"choices": [{"text": 3, "message": "x"}]}', Piece()),
        ("llama.cpp", b'{"content": "a", "stop": false}', Piece(text="a")),
        ("llama.cpp", b'{"stop": true, "stop_type": "limit", "tokens_predicted": 4}', LIMITED),
        ("llama.cpp", b'{"content": "a", "stop": true, "stop_type": "new"}', Piece(text="a")),
    ],
)  # fmt: skip
def test_pieces(kind, data, piece):
    assert piece_of(kind, data) == piece


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "No\\n  way"}}', "No way"),
        (b'{"error": "No"}', "No"),
        (b'{"detail": "No"}', "No"),
        (b'{"error": {"code": 1}}', ""),
        (b"[]", ""),
        (b"<html>", ""),
        (b'{"message": "' + b"x" * 500 + b'"}', "x" * 160),
    ],
)
def test_messages_of_errors(body, message):
    assert message_of(body) == message


def test_an_error_in_a_stream():
    with pytest.raises(Failed, match="KV full"):
        piece_of("llama.cpp", b'{"error": {"code": 500, "message": "KV full"}}')
