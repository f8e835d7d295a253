"""Decoding at places: the engine's own texts, and the clean stream against a plain loop without a cache."""

import asyncio
import math
from dataclasses import replace

import msgspec
import pytest
import torch

from model.checkpoints.load import Checkpoint
from model.diffusion import run, speculate
from model.diffusion.objective import allowed_labels
from model.diffusion.states import CLEAN
from model.engine import api
from model.engine.generation import ResidentModel
from model.engine.job import BadRequest, Job
from model.engine.prompting import prepare
from model.evaluation.decode import Decoder, Place, place_prompt
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.tokenizer import EOM

BEFORE = "import os\n\n\ndef total(prices):\n"
AFTER = "\n    return result\n\n\nprint(total([]))\nprint(1)\nprint(2)\nprint(3)\n"
GOLD = "    result = sum(prices)"
WHOLE = Place(path="shop.py", before=BEFORE, after=AFTER, gold=GOLD)
REST = Place(path="shop.py", before=BEFORE + "    result = re", after=AFTER, gold="duce(prices)")


@pytest.fixture
def decoder(checkpoint: Checkpoint) -> Decoder:
    return Decoder(checkpoint)


def clean_logits(checkpoint: Checkpoint, ids: list[int]) -> torch.Tensor:
    """fp32 logits of all rows from one pass over a new cache, labels that a clean row cannot have at -inf."""
    cache = KVCache(checkpoint.preset.network)
    hidden, _ = one_pass(checkpoint.network, cache, Rows(torch.tensor([ids])), None)
    assert hidden is not None
    banned = ~allowed_labels(checkpoint.preset.network.vocab_size)[CLEAN]
    return checkpoint.network.logits(hidden[0]).masked_fill(banned, -torch.inf)


def greedy(checkpoint: Checkpoint, prompt: list[int], num: int, *, first: list[int] | None = None) -> list[int]:
    """Greedy ids of the clean stream, without a cache, not blank; `first`: the only tokens that may come first."""
    ids: list[int] = []
    for _ in range(num):
        logits = clean_logits(checkpoint, [*prompt, *ids])[-1]
        if checkpoint.tokenizer.blank_ids.issuperset(ids):
            logits[EOM] = -torch.inf
        if first is not None and not ids:
            ids.append(first[int(logits[first].argmax())])
        else:
            ids.append(int(logits.argmax()))
    return ids


def prompt_of(checkpoint: Checkpoint, decoder: Decoder, place: Place, **fields):
    request = api.DenoiseRequest(id="1", prompt=place_prompt(place), **fields)
    return prepare(request, checkpoint.preset, checkpoint.tokenizer, decoder.encoder)


@pytest.mark.parametrize("place", [WHOLE, REST], ids=["whole", "rest"])
@pytest.mark.parametrize("stop", ["line", "node", "eom"])
def test_an_answer_is_what_the_engine_gives(checkpoint: Checkpoint, decoder: Decoder, place: Place, stop) -> None:
    request = api.DenoiseRequest(id="1", prompt=place_prompt(place), canvas=(api.Masked(max_tokens=40),), stop=stop)
    resident = ResidentModel(checkpoint, torch.device("cpu"), torch.float32)
    loop = asyncio.new_event_loop()
    done = list(resident.run(Job(request, loop)))[-1]
    loop.close()
    answer = decoder.complete(place, stop=stop, max_tokens=40)
    assert isinstance(done, api.Done)
    assert (answer.text, answer.forwards, answer.steps) == (done.text, done.forwards, done.steps)
    assert (answer.reason, len(answer.ids)) == (done.reason, done.num_tokens)
    assert answer.confidence == pytest.approx(done.confidence)


def test_calls_do_not_depend_on_those_before(decoder: Decoder) -> None:
    first = decoder.complete(WHOLE, stop="line")
    decoder.complete_clean(REST, stop="eom", max_tokens=9)
    assert decoder.complete(WHOLE, stop="line") == first


def test_a_threshold_replaces_the_presets(checkpoint: Checkpoint) -> None:
    slow, fast = Decoder(checkpoint, tau_mask=2.0), Decoder(checkpoint, tau_mask=0.0)
    kwargs = {"stop": "eom", "length": "oracle"}
    num = len(checkpoint.tokenizer.encode(GOLD))
    assert slow.complete(WHOLE, **kwargs).steps == num
    assert fast.complete(WHOLE, **kwargs).steps < num
    assert fast.complete(WHOLE, **kwargs, one_by_one=True) == slow.complete(WHOLE, **kwargs)


@pytest.mark.parametrize("place", [WHOLE, REST], ids=["whole", "rest"])
def test_the_oracle_gives_the_number_of_tokens_to_both_streams(decoder: Decoder, place: Place) -> None:
    num = len(decoder.checkpoint.tokenizer.encode(place.gold))
    block = decoder.complete(place, stop="line", length="oracle")
    clean = decoder.complete_clean(place, stop="line", length="oracle")
    assert len(block.ids) == len(clean.ids) == num
    assert decoder.checkpoint.tokenizer.decode(clean.ids).startswith(clean.text)  # perhaps half a character less
    assert (clean.forwards, clean.steps, clean.reason) == (num, num, "length")


def test_an_oracle_of_nothing_costs_nothing(decoder: Decoder) -> None:
    place = msgspec.structs.replace(WHOLE, gold="")
    for answer in (
        decoder.complete(place, stop="line", length="oracle"),
        decoder.complete_clean(place, stop="line", length="oracle"),
    ):
        assert (answer.text, answer.ids, answer.forwards, answer.confidence) == ("", (), 0, 1.0)


def test_the_clean_stream_is_greedy_next_token_text(checkpoint: Checkpoint, decoder: Decoder) -> None:
    prepared = prompt_of(checkpoint, decoder, WHOLE)
    assert prepared.taken_back is None
    answer = decoder.complete_clean(WHOLE, stop="eom", max_tokens=24)
    expected = greedy(checkpoint, prepared.prompt_ids, 24)
    if EOM in expected:
        expected = expected[: expected.index(EOM)]
    assert list(answer.ids) == expected
    assert answer.forwards == len(answer.ids) + (answer.reason == "eom")
    log_ps = decoder.clean_logprobs(prepared.prompt_ids, answer.ids)
    for n in range(len(log_ps)):
        if checkpoint.tokenizer.blank_ids.issuperset(answer.ids[:n]):  # the end was not allowed there
            last = clean_logits(checkpoint, [*prepared.prompt_ids, *answer.ids[:n]])[-1]
            log_ps[n] -= math.log1p(-float(last.softmax(-1)[EOM]))
    assert answer.confidence == pytest.approx(math.exp(sum(log_ps) / len(log_ps)), rel=1e-5)


def test_the_clean_stream_heals_a_begun_token(
    checkpoint: Checkpoint, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prompt_of(checkpoint, decoder, REST)
    assert prepared.taken_back is not None
    allowed = prepared.taken_back.allowed_ids.tolist()
    assert len(allowed) > 1
    monkeypatch.setattr(speculate, "HEALED_FLOOR", 0.0)
    answer = decoder.complete_clean(REST, stop="eom", max_tokens=6)
    expected = greedy(checkpoint, prepared.prompt_ids, 6, first=allowed)
    assert list(answer.ids) == expected[: len(answer.ids)]
    written = checkpoint.tokenizer.decode(answer.ids)
    assert written == "re" + answer.text


def test_the_clean_stream_gives_healing_up_as_the_sampler_does(
    checkpoint: Checkpoint, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prompt_of(checkpoint, decoder, REST)
    assert prepared.taken_back is not None
    monkeypatch.setattr(speculate, "HEALED_FLOOR", 1.1)
    answer = decoder.complete_clean(REST, stop="eom", max_tokens=5)
    token = prepared.taken_back.token
    expected = greedy(checkpoint, [*prepared.prompt_ids, token], 5)
    assert answer.ids[0] == token
    assert list(answer.ids[1:]) == expected[: len(answer.ids) - 1]
    assert len(answer.ids) == 6 or answer.reason == "eom"
    assert answer.forwards == len(answer.ids) + (answer.reason == "eom")
    assert answer.text == checkpoint.tokenizer.decode(answer.ids[1:])


def test_the_clean_stream_obeys_the_stop_rule(
    checkpoint: Checkpoint, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that wants `ab`, then newlines: the kept text is what stands before the first newline."""
    wanted = iter(checkpoint.tokenizer.encode("ab\ncd\n"))

    def says(hidden_TD: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(hidden_TD), checkpoint.preset.network.vocab_size)
        logits[-1, next(wanted)] = 9.0
        return logits

    monkeypatch.setattr(checkpoint.network, "logits", says)
    answer = decoder.complete_clean(WHOLE, stop="line")
    assert (answer.text, answer.reason, answer.forwards, len(answer.ids)) == ("ab", "stop", 3, 2)


@pytest.mark.parametrize("floor", [0.0, 1.1], ids=["healed", "put back"])
@pytest.mark.parametrize("place", [WHOLE, REST], ids=["whole", "rest"])
def test_no_stream_begins_with_the_end(
    checkpoint: Checkpoint, decoder: Decoder, place: Place, floor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that wants to end everywhere writes one token first, whichever stream and with or without healing."""
    wanted = torch.zeros(checkpoint.preset.network.vocab_size)
    wanted[EOM], wanted[checkpoint.tokenizer.encode("re")[0]] = 9.0, 5.0
    monkeypatch.setattr(checkpoint.network, "logits", lambda hidden: wanted.expand(*hidden.shape[:-1], -1).clone())
    for module in (speculate, run):
        monkeypatch.setattr(module, "HEALED_FLOOR", floor)
    block, clean = decoder.complete(place, stop="line"), decoder.complete_clean(place, stop="line")
    assert (clean.text, clean.reason) == (block.text, block.reason)
    assert clean.reason == "eom"
    assert clean.ids == block.ids
    assert clean.ids


def test_clean_logprobs_are_those_of_one_pass_over_everything(checkpoint: Checkpoint, decoder: Decoder) -> None:
    prompt = decoder.prompt_ids(WHOLE)
    ids = checkpoint.tokenizer.encode(GOLD)
    log_p = clean_logits(checkpoint, [*prompt, *ids]).log_softmax(-1)
    expected = [float(log_p[len(prompt) - 1 + k, token]) for k, token in enumerate(ids)]
    assert decoder.clean_logprobs(prompt, ids) == pytest.approx(expected, abs=1e-4)
    assert decoder.clean_logprobs(prompt, []) == []


def test_the_prompt_ids_keep_the_begun_token(checkpoint: Checkpoint, decoder: Decoder) -> None:
    prepared = prompt_of(checkpoint, decoder, REST)
    assert prepared.taken_back is not None
    assert decoder.prompt_ids(REST)[-1] == prepared.taken_back.token


def test_locked_text_stays_and_a_draft_may_change(checkpoint: Checkpoint, decoder: Decoder) -> None:
    draft = "    result = sun(prices)"
    num = len(checkpoint.tokenizer.encode(draft))
    assert decoder.repair(WHOLE, draft, locked=[True] * num).text == draft
    eager = replace(
        checkpoint,
        preset=msgspec.structs.replace(
            checkpoint.preset, sampling=msgspec.structs.replace(checkpoint.preset.sampling, tau_edit=0.0)
        ),
    )
    assert Decoder(eager).repair(WHOLE, draft).text != draft


def test_a_checkpoint_without_edits_refuses_drafts(checkpoint: Checkpoint) -> None:
    sampling = msgspec.structs.replace(checkpoint.preset.sampling, edits="none")
    plain = replace(checkpoint, preset=msgspec.structs.replace(checkpoint.preset, sampling=sampling))
    with pytest.raises(BadRequest) as error:
        Decoder(plain).repair(WHOLE, "x")
    assert "tiny" in error.value.sentence


@pytest.mark.parametrize("after", [AFTER, "", "\n", "rest", "rest\nmore"])
@pytest.mark.parametrize("before", ["", "a", "a\n", BEFORE, BEFORE + "    re"])
def test_the_prompt_is_the_document(before: str, after: str) -> None:
    prompt = place_prompt(Place(path="a.py", before=before, after=after, gold="x"))
    assert prompt.prefix + prompt.line == before
    assert prompt.tail + prompt.suffix == after
    assert prompt.prefix == "" or prompt.prefix.endswith("\n")
    assert "\n" not in prompt.line
    assert prompt.tail.count("\n") <= 5
    assert prompt.suffix == "" or prompt.tail.count("\n") == 5


@pytest.mark.parametrize("guess", ["", "value"])
@pytest.mark.parametrize("place", [WHOLE, REST], ids=["whole", "rest"])
def test_a_speculated_answer_is_what_the_engine_gives(
    checkpoint: Checkpoint, decoder: Decoder, place: Place, guess: str
) -> None:
    hole = (api.Masked(max_tokens=40, guess=guess),)
    request = api.DenoiseRequest(id="1", prompt=place_prompt(place), canvas=hole, stop="line")
    sampling = msgspec.structs.replace(checkpoint.preset.sampling, completion="speculate")
    preset = msgspec.structs.replace(checkpoint.preset, sampling=sampling)
    resident = ResidentModel(replace(checkpoint, preset=preset), torch.device("cpu"), torch.float32)
    loop = asyncio.new_event_loop()
    done = list(resident.run(Job(request, loop)))[-1]
    loop.close()
    answer = decoder.complete_speculate(place, stop="line", max_tokens=40, guess=guess)
    clean = decoder.complete_clean(place, stop="line", max_tokens=40)
    assert isinstance(done, api.Done)
    assert (answer.text, answer.forwards) == (done.text, done.forwards)
    assert answer.text == clean.text
    assert answer.confidence == pytest.approx(clean.confidence, rel=1e-4)
