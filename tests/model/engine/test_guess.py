"""What a guess from the border becomes."""

import numpy as np
import pytest

from model.diffusion.healing import TakenBack
from model.engine import api
from model.engine.guess import guess_ids, guess_of
from model.engine.prompting import LineEncoder
from model.tokenizer import Tokenizer, tokenizer_json


@pytest.fixture
def encoder(tokenizer):
    return LineEncoder(tokenizer)


def text_of(tokenizer, ids):
    return b"".join(tokenizer.token_bytes[i] for i in ids).decode()


def test_a_guess_goes_on_where_the_line_ends(tokenizer, encoder):
    ids = guess_ids("x = (", "retu)\n", None, encoder)
    assert text_of(tokenizer, ids) == "retu)\n"
    assert ids == encoder("x = (retu)\n")[len(encoder("x = (")) :]
    assert guess_ids("x", "", None, encoder) == []


def test_a_healed_guess_begins_with_the_whole_words_token(tokenizer, encoder):
    """`re` is typed and taken back, the guess says `tu`: together they are one token."""
    typed = encoder("re")
    assert len(typed) == 1
    taken_back = TakenBack(token=typed[0], typed=b"re", allowed_ids=tokenizer.ids_starting_with(b"re"))
    ids = guess_ids("re", "tu(", taken_back, encoder)
    assert text_of(tokenizer, ids) == "retu("
    assert ids[0] == encoder("retu")[0]
    # A first token that does not go on with the typed bytes cannot stand there.
    other = TakenBack(token=typed[0], typed=b"re", allowed_ids=np.array([70]))
    assert guess_ids("re", "tu(", other, encoder) == []


def test_a_guess_that_merges_into_what_stands_before_the_healed_token():
    """`pqb` is cut as `pq b`, `pqbc` as `p qbc`: the guess is cut behind `pq` for itself."""
    tokenizer = Tokenizer.from_bytes(tokenizer_json([("b", "c"), ("q", "bc"), ("p", "q")]).encode())
    encoder = LineEncoder(tokenizer)
    *_, last = encoder("pqb")
    taken_back = TakenBack(token=last, typed=b"b", allowed_ids=tokenizer.ids_starting_with(b"b"))
    assert encoder("pqbc")[0] != encoder("pqb")[0]
    ids = guess_ids("pqb", "c = 1", taken_back, encoder)
    assert text_of(tokenizer, ids) == "bc = 1"
    assert ids[0] == encoder("bc")[0]
    # A token that ends inside a character says nothing about how the text goes on.
    cut = TakenBack(token=last, typed="ä".encode()[:1], allowed_ids=np.array([70]))
    assert guess_ids("pqb", "c = 1", cut, encoder) == []


def test_a_guess_that_merges_into_the_line_stands_alone(tokenizer, encoder):
    """` =` is one token of this vocabulary: behind a line that ends in a space the guess keeps its own."""
    assert len(encoder("y =")) < len(encoder("y ")) + len(encoder("="))
    assert text_of(tokenizer, guess_ids("y ", "= 1", None, encoder)) == "= 1"


def test_a_guess_that_cannot_be_tokenized_is_none(encoder):
    assert guess_ids("x", "\ud800", None, encoder) == []


def test_only_a_canvas_that_is_one_hole_has_a_guess():
    prompt = api.Prompt()
    assert guess_of(api.DenoiseRequest(id="1", prompt=prompt, canvas=(api.Masked(guess="a"),))) == "a"
    assert guess_of(api.DenoiseRequest(id="1", prompt=prompt, canvas=(api.Draft("b"),))) == ""
    pieces = (api.Locked("b"), api.Masked(guess="a"))
    assert guess_of(api.DenoiseRequest(id="1", prompt=prompt, canvas=pieces)) == ""
