"""The stop rule over tokens."""

import pytest

from model.engine.stopping import StopCheck


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
