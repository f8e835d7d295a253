"""The layout of prompts: order of parts, and the same ids from text and from stored tokens."""

import pytest

from model.engine.api import Snippet
from model.prompts import layout_ids, prompt_ids
from model.tokenizer import ASK, BOS, CUR, FILE, OLD, PRE, SUF, TAIL, Tokenizer, tokenizer_json


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_bytes(tokenizer_json([]).encode())


PARTS = {"path": "a.py", "suffix": "s\n", "prefix": "p\n", "tail": "t\n", "line": "  l"}


def test_order(tokenizer):
    encode = tokenizer.encode
    ids = prompt_ids(tokenizer, **PARTS, snippets=[Snippet("b.py", "x\n")])
    wanted = [BOS, FILE, *encode("a.py\n"), FILE, *encode("b.py\nx\n"), SUF, *encode("s\n")]
    wanted += [PRE, *encode("p\n"), TAIL, *encode("t\n"), CUR, *encode("  l")]
    assert ids == wanted


def test_rewrite(tokenizer):
    ids = prompt_ids(tokenizer, **PARTS, old="o", instruction="do")
    assert ids[-5:] == [OLD, *tokenizer.encode("o"), ASK, *tokenizer.encode("do")]
    with pytest.raises(ValueError, match="both"):
        prompt_ids(tokenizer, **PARTS, old="o")


def test_text_that_looks_like_layout_stays_text(tokenizer):
    ids = prompt_ids(tokenizer, **(PARTS | {"prefix": "⟨cur⟩<cur>\n"}))
    assert ids.count(CUR) == 1
    assert tokenizer.decode(ids).count("⟨cur⟩<cur>") == 1


def test_training_builds_the_same_layout(tokenizer):
    encode = tokenizer.encode
    stored = layout_ids(
        path=encode("a.py\n"), suffix=encode("s\n"), prefix=encode("p\n"), tail=encode("t\n"), line=encode("  l")
    )
    assert stored == prompt_ids(tokenizer, **PARTS)
