import numpy as np
import pytest

from model.diffusion.canvas import draft_canvas, masked_canvas
from model.diffusion.healing import TakenBack, heal, text_after_typed
from model.diffusion.policy import Policy
from model.diffusion.run import Run
from model.diffusion.sampler import denoise_to_end
from model.network.config import tiny_test
from model.network.kv_cache import KVCache
from model.tokenizer import ASK, BOS, CUR, OLD, Tokenizer, tokenizer_json

MERGES = [("r", "e"), ("t", "u"), ("re", "tu"), ("r", "n"), ("retu", "rn"), ("Ġ", "x"), ("return", "Ġx"), ("Ġ", "Ġ")]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_bytes(tokenizer_json(MERGES).encode())


def prompt_of(tokenizer, line):
    return [BOS, CUR, *tokenizer.encode(line)]


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("    retu", b"retu"),
        ("a = ", b" "),
        ("x = foo(re", b"re"),
        ("x_", b"_"),
        ("a.\u00e9", b"\xa9"),  # half of a character: healing works on bytes
        ("foo(", None),
        ("a = [", None),
        ("    ", None),  # indentation is whole
        ("\t", None),
        ("", None),
        ("a = 1\n    re", b"re"),  # lines above the cursor's stand there too
        ("a = 1\n    ", None),
        ("a = 1\n", None),
    ],
)
def test_what_is_taken_back(tokenizer, line, typed):
    prompt = prompt_of(tokenizer, line)
    ids, taken_back = heal(tokenizer, prompt)
    if typed is None:
        assert (ids, taken_back) == (prompt, None)
    else:
        assert taken_back is not None
        assert (ids, taken_back.typed) == (prompt[:-1], typed)
        assert [*ids, taken_back.token] == prompt
        assert all(tokenizer.token_bytes[i].startswith(typed) for i in taken_back.allowed_ids)
        assert taken_back.token in taken_back.allowed_ids


def test_a_rewrite_prompt_is_left_alone(tokenizer):
    prompt = [BOS, CUR, *tokenizer.encode("x"), OLD, *tokenizer.encode("a"), ASK, *tokenizer.encode("fix")]
    assert heal(tokenizer, prompt) == (prompt, None)


def test_the_typed_bytes_leave_the_text(tokenizer):
    _, taken_back = heal(tokenizer, prompt_of(tokenizer, "    retu"))
    assert text_after_typed(tokenizer, tokenizer.encode("return x"), taken_back) == "rn x"
    assert text_after_typed(tokenizer, (), taken_back) == ""
    assert text_after_typed(tokenizer, tokenizer.encode("return"), None) == "return"


def test_row_0_completes_the_word(tokenizer, play):
    prompt, taken_back = heal(tokenizer, prompt_of(tokenizer, "    retu"))
    assert taken_back is not None
    (whole,) = tokenizer.encode("return")
    # Another word is likelier, but only tokens that begin with the typed bytes may stand there.
    beliefs = {0: {200: 0.5, whole: 0.3}, 1: {64 + ord("!"): 0.9}, 2: {2: 0.9}}
    run = Run(prompt, masked_canvas(8), Policy(tau_mask=0.5), first_token_prefix=taken_back)
    result = play(run, lambda request: beliefs)[-1].result
    assert text_after_typed(tokenizer, result.ids, taken_back) == "rn!"
    assert result.forwards == 1
    assert result.prompt_tokens == len(prompt)


def test_a_healed_row_is_neither_edited_nor_deleted(tokenizer, play):
    prompt, taken_back = heal(tokenizer, prompt_of(tokenizer, "re"))
    (whole,) = tokenizer.encode("return")

    def beliefs(request):
        if request.tokens[0] != whole:
            return {0: {whole: 0.9}, **{i: {100: 0.4} for i in range(1, 3)}, 3: {2: 0.9}}
        return {i: {4: 0.99} for i in range(3)} | {3: {2: 0.9}}

    policy = Policy(tau_mask=0.5, edits="insert-delete", tau_edit=0.5, extra_edit_steps=4)
    frames = play(Run(prompt, masked_canvas(8), policy, first_token_prefix=taken_back), beliefs)
    assert frames[-1].result.ids[0] == whole


def test_below_one_percent_the_token_is_put_back(tokenizer, play):
    prompt, taken_back = heal(tokenizer, prompt_of(tokenizer, "    retu"))
    assert taken_back is not None
    unlikely = {0: {200: 0.995}, 1: {2: 0.9}}
    run = Run(prompt, masked_canvas(1), Policy(tau_mask=0.5), first_token_prefix=taken_back)
    frames = play(run, lambda request: unlikely)
    assert frames[0].moves == ()
    assert frames[0].committed == (taken_back.token,)
    # The token is the canvas's first, so the typed bytes are dropped from the text as ever; max_tokens is for the rest.
    assert frames[-1].result.ids == (taken_back.token, 200)
    assert frames[-1].result.forwards == 2


def test_healing_given_up_equals_a_run_without_it(make_network):
    network = make_network(tiny_test())
    prompt = [1, 10, *range(70, 90)]
    policy = Policy(tau_mask=0.05)
    plain = denoise_to_end(network, KVCache(network.config), [*prompt, 91], masked_canvas(30), policy)
    assert plain.ids
    # A prefix that the network finds impossible: the one token it likes least at that place.
    worst = None
    for token in range(64, 512):
        taken_back = TakenBack(token=91, typed=b"x", allowed_ids=np.array([token]))
        run = denoise_to_end(
            network, KVCache(network.config), prompt, masked_canvas(30), policy, first_token_prefix=taken_back
        )
        if run.ids[:1] == (91,) and token != 91:
            worst = run
            break
    assert worst is not None
    assert worst.ids[1:] == plain.ids
    assert worst.forwards == plain.forwards + 1
    assert worst.reason == plain.reason
    assert worst.confidence == pytest.approx(plain.confidence, rel=1e-4)


def test_a_draft_canvas_cannot_be_healed(tokenizer):
    _, taken_back = heal(tokenizer, prompt_of(tokenizer, "re"))
    with pytest.raises(ValueError, match="begins with a mask"):
        Run([1], draft_canvas([100]), Policy(), first_token_prefix=taken_back)
