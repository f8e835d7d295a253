"""The stop rule over tokens."""

import pytest

from model.engine.prompting import LineEncoder, prepare
from model.engine.stopping import StopCheck, answer_text, stop_for


@pytest.fixture
def check(tokenizer):
    def build(prefix: str, rule: str, typed: bytes = b"", suffix: str = "") -> StopCheck:
        return StopCheck(
            tokenizer.token_bytes, prefix_text=prefix, suffix_text=suffix, rule=rule, language="python", typed=typed
        )

    return build


def test_the_kept_tokens_hold_the_text_before_the_newline(check, tokenizer):
    ids = tokenizer.encode("return 'ü'\nmore")
    stop = check("", "line")
    num_kept = stop(ids)
    assert tokenizer.decode(ids[:num_kept]) == "return 'ü'"
    assert stop.kept == (tuple(ids[:num_kept]), "return 'ü'")
    assert len(ids) < len("return 'ü'\nmore".encode())  # merges are in play


def test_a_line_goes_on_until_its_newline_and_eom_for_ever(check, tokenizer):
    assert check("", "line")(tokenizer.encode("return")) is None
    assert check("", "eom")(tokenizer.encode("return\n\n")) is None


def test_typed_bytes_belong_to_the_prefix_not_to_the_answer(check, tokenizer):
    stop = check("x = foo(ret", "node", typed=b"ret")
    ids = tokenizer.encode("return)\ny")
    assert tokenizer.decode(ids[: stop(ids)]) == "return)"
    assert stop.kept is not None
    assert stop.kept[1] == "urn)"


def test_an_answer_of_nothing_keeps_the_typed_token(check, tokenizer):
    stop = check("x = re", "line", typed=b"re")
    ids = tokenizer.encode("re\n")
    assert stop(ids) == 1
    assert stop.kept is not None
    assert stop.kept[1] == ""


def test_bytes_that_are_no_character_do_not_shift_the_end(check, tokenizer):
    ids = [64 + 0xFF, *tokenizer.encode("a\n")]
    assert check("", "line")(ids) == 2


def test_the_answers_text_is_what_the_rule_kept(check, tokenizer):
    stop = check("x = re", "line", typed=b"re")
    ids = tokenizer.encode("return 1\n2")
    kept = ids[: stop(ids)]
    assert answer_text(tokenizer.token_bytes, kept, "stop", stop=stop, num_typed=2) == "turn 1"
    assert answer_text(tokenizer.token_bytes, ids, "length", stop=stop, num_typed=2) == "turn 1\n2"


def test_half_a_character_is_dropped_only_where_the_text_was_cut_short(tokenizer):
    ids = [*tokenizer.encode("a"), 64 + 0xC3]
    assert answer_text(tokenizer.token_bytes, ids, "length", stop=None, num_typed=0) == "a"
    assert answer_text(tokenizer.token_bytes, ids, "eom", stop=None, num_typed=0) == "a\ufffd"


def test_the_rule_of_a_request_knows_its_text_and_the_typed_token(tokenizer, preset, ask):
    request = ask("x = ret", prefix="", tail=")\n", stop="line")
    prepared = prepare(request, preset, tokenizer, LineEncoder(tokenizer))
    assert prepared.taken_back is not None
    stop = stop_for(prepared, request, tokenizer.token_bytes)
    ids = tokenizer.encode("return\n")
    assert stop(ids) == len(ids) - 1
    assert stop.text_of(ids[:-1]) == "urn"
    assert stop.text_of(ids) is None
