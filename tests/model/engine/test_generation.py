"""The resident model: deterministic, cached = uncached, cancelled within one step."""

from dataclasses import replace

import msgspec
import pytest
import torch

from model.checkpoints.load import CheckpointError, load_checkpoint
from model.diffusion.frames import Frame
from model.diffusion.states import DRAFT, MASKED
from model.engine import api
from model.engine.generation import ResidentModel, default_dtype, load_resident
from model.engine.showing import Utf8Pieces, progress_of
from model.tokenizer import MASK, NUM_RESERVED


def run(resident, job_for, request) -> list[api.Event]:
    return list(resident.run(job_for(request)))


def done(events: list[api.Event]) -> api.Done:
    assert isinstance(events[-1], api.Done)
    return events[-1]


def test_loading_reports_progress(loaded):
    progress = [p for p, _ in loaded[1]]
    assert progress == sorted(progress)
    assert 0 < progress[0] <= progress[-1] < 1
    assert loaded[0].capabilities.model == "tiny"


def test_a_missing_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint folder"):
        load_resident(tmp_path / "none", device="cpu", report=lambda progress, sentence: None)


def test_the_same_request_gives_the_same_text(resident, job_for, ask):
    request = ask("asked_twice = ret", canvas=(api.Masked(max_tokens=20),), temperature=1.0, seed=7)
    first, second = (done(run(resident, job_for, request)) for _ in range(2))
    assert first.text == second.text
    assert first.cached_tokens < second.cached_tokens == second.prompt_tokens
    assert first.confidence == pytest.approx(second.confidence)
    other = done(run(resident, job_for, ask("y = ret", canvas=request.canvas, temperature=1.0, seed=8)))
    assert other.text != first.text


def test_a_typed_character_costs_only_itself(resident, job_for, ask):
    prefix = "".join(f"name{i} = {i}\n" for i in range(20))
    canvas = (api.Masked(max_tokens=4),)
    before = done(run(resident, job_for, ask("x =", prefix=prefix, canvas=canvas)))
    after = done(run(resident, job_for, ask("x =(", prefix=prefix, canvas=canvas)))
    assert after.cached_tokens >= before.prompt_tokens > 200
    assert after.prompt_tokens - after.cached_tokens <= 2


def test_what_one_client_sent_is_not_found_by_another(resident, job_for, ask):
    request = ask("answer_to_nobody =", prefix="secret = 1\n" * 20, canvas=(api.Masked(max_tokens=4),))

    def as_client(name: str) -> api.Done:
        job = job_for(request)
        job.client = name
        return done(list(resident.run(job)))

    first, foreign, again = as_client("writer"), as_client("reader"), as_client("writer")
    assert foreign.cached_tokens == first.cached_tokens == 0
    assert again.cached_tokens == again.prompt_tokens
    assert first.text == foreign.text == again.text


def test_cached_rows_do_not_change_the_text(checkpoint_folder, resident, job_for, ask):
    fresh = load_resident(
        checkpoint_folder, device="cpu", dtype_name="float32", num_threads=1, report=lambda progress, sentence: None
    )
    canvas = (api.Masked(max_tokens=24),)
    for line in ("v", "va", "val", "val ="):
        cached = done(run(resident, job_for, ask(line, prefix="def f():\n", canvas=canvas)))
    uncached = done(run(fresh, job_for, ask("val =", prefix="def f():\n", canvas=canvas)))
    assert uncached.cached_tokens < cached.cached_tokens
    assert cached.text == uncached.text


def test_steps_and_forwards_are_counted(resident, job_for, ask):
    events = run(resident, job_for, ask("x = (", canvas=(api.Masked(max_tokens=5),), want_progress=True))
    end = done(events)
    progress = [e for e in events if isinstance(e, api.Progress)]
    assert end.steps == end.forwards == len(progress) + 1
    assert end.num_tokens <= 5
    assert 0 < end.confidence <= 1
    assert [p.step for p in progress] == list(range(1, len(progress) + 1))
    masked = [sum(piece.num_tokens for piece in p.pieces if piece.state == "masked") for p in progress]
    assert masked == sorted(masked, reverse=True)


def test_progress_drops_what_was_typed_only_from_the_first_token(tokenizer):
    (retu,), (x,) = tokenizer.encode("retu"), tokenizer.encode("x")

    def shown(first: int, state: int) -> list[tuple[str, str]]:
        frame = Frame(
            step=1,
            committed=(),
            block_ids=(first, MASK, x),
            block_states=(state, MASKED, DRAFT),
            confidences=(0.5, 0.5, 0.5),
            moves=(),
        )
        return [(piece.state, piece.text) for piece in progress_of(frame, tokenizer.token_bytes, len("ret"), 0).pieces]

    assert shown(MASK, MASKED) == [("masked", ""), ("draft", "x")]
    assert shown(retu, DRAFT) == [("draft", "u"), ("masked", ""), ("draft", "x")]


def test_committed_text_is_the_beginning_of_the_answer(resident, job_for, ask):
    events = run(resident, job_for, ask("x = re", canvas=(api.Masked(max_tokens=40),)))
    committed = "".join(e.text for e in events if isinstance(e, api.Committed))
    assert committed
    assert done(events).text.startswith(committed)


def test_alternatives_share_one_prefill(resident, job_for, ask):
    request = ask("z9 = ", canvas=(api.Masked(max_tokens=8),), n=3, temperature=1.0, seed=3)
    ends = [e for e in run(resident, job_for, request) if isinstance(e, api.Done)]
    assert [e.index for e in ends] == [0, 1, 2]
    assert [e.cached_tokens for e in ends[1:]] == [ends[0].prompt_tokens] * 2
    assert len({e.text for e in ends}) > 1
    alone = done(run(resident, job_for, ask("z9 = ", canvas=request.canvas, temperature=1.0, seed=5)))
    assert alone.text == ends[2].text


def test_the_answer_ends_where_the_rule_says(checkpoint_folder, job_for, ask, monkeypatch):
    checkpoint = load_checkpoint(checkpoint_folder)
    network = checkpoint.network
    # A network of random weights hardly ever writes a newline; this makes it about one token in five.
    bias = torch.zeros(network.config.vocab_size)
    bias[NUM_RESERVED + ord("\n")] = 4.0
    logits = network.logits
    monkeypatch.setattr(network, "logits", lambda hidden: logits(hidden) + bias)
    resident = ResidentModel(checkpoint, torch.device("cpu"), torch.float32)
    fields = {"prefix": "", "canvas": (api.Masked(max_tokens=40),), "temperature": 1.0}
    whole = done(run(resident, job_for, ask("q = (", **fields)))
    line = done(run(resident, job_for, ask("q = (", stop="line", **fields)))
    assert whole.text.count("\n") > 1
    assert line.reason == "stop"
    assert line.text == whole.text.split("\n")[0]
    assert line.steps < whole.steps


def test_a_cancel_is_seen_before_the_next_step(resident, job_for, ask):
    job = job_for(ask(canvas=(api.Masked(max_tokens=200),), want_progress=True))
    events = resident.run(job)
    assert isinstance(next(events), api.Progress)
    job.is_cancelled = True
    (end,) = list(events)
    assert isinstance(end, api.Done)
    assert (end.reason, end.steps) == ("cancelled", 1)


def test_a_deadline_returns_what_is_finished(resident, job_for, ask):
    end = done(run(resident, job_for, ask(canvas=(api.Masked(max_tokens=200),), deadline_ms=0)))
    assert (end.reason, end.text, end.forwards) == ("deadline", "", 0)


def test_an_edit_that_still_holds_masks_is_no_answer(resident, job_for, ask):
    pieces = (api.Locked(text="a"), api.Masked(max_tokens=8), api.Locked(text="b"))
    (event,) = run(resident, job_for, ask("", canvas=pieces, deadline_ms=0))
    assert isinstance(event, api.Error)
    assert event.code == "deadline"


def test_locked_text_survives(resident, job_for, ask):
    pieces = (api.Locked(text="def "), api.Masked(max_tokens=3), api.Locked(text="(self):\n"))
    text = done(run(resident, job_for, ask("", canvas=pieces))).text
    assert text.startswith("def ")
    assert text.endswith("(self):\n")


def test_an_abandoned_run_leaves_a_usable_cache(resident, job_for, ask):
    request = ask("abandoned = ", canvas=(api.Masked(max_tokens=30),), want_progress=True)
    events = resident.run(job_for(request))
    next(events)
    events.close()
    first = done(run(resident, job_for, request))
    assert first.cached_tokens == first.prompt_tokens
    assert first.text == done(run(resident, job_for, request)).text


def test_pieces_of_text_never_hold_half_a_character():
    pieces = Utf8Pieces(skip=1)
    data = "xaé€𝄞".encode()
    texts = [pieces.add(bytes([byte])) for byte in data]
    assert "".join(texts) == "aé€𝄞"
    assert all("\ufffd" not in text for text in texts)


def test_bfloat16_is_the_default_only_where_it_is_native(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False}, raising=False)
    assert default_dtype(torch.device("cpu")) == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert default_dtype(torch.device("cpu")) == torch.bfloat16


def test_a_right_guess_costs_one_pass_and_changes_nothing(resident, job_for, ask):
    def complete(guess):
        return done(run(resident, job_for, ask("x = (", canvas=(api.Masked(max_tokens=12, guess=guess),))))

    plain = complete("zzzzzzzz")
    again = complete(plain.text)
    assert again.text == plain.text
    assert again.forwards == 1 < plain.forwards
    assert complete("q" + plain.text[1:]).text == plain.text


def test_a_checkpoint_may_prefer_to_speculate(checkpoint_folder, job_for, ask):
    checkpoint = load_checkpoint(checkpoint_folder, dtype=torch.float32)
    sampling = msgspec.structs.replace(checkpoint.preset.sampling, completion="speculate")
    preset = msgspec.structs.replace(checkpoint.preset, sampling=sampling)
    chosen = ResidentModel(replace(checkpoint, preset=preset), torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        request = ask("y = re", canvas=(api.Masked(max_tokens=12),), want_progress=True)
        events = run(chosen, job_for, request)
        end = done(events)
        states = {piece.state for event in events if isinstance(event, api.Progress) for piece in event.pieces}
        assert states <= {"committed", "draft"}
        committed = "".join(e.text for e in events if isinstance(e, api.Committed))
        assert committed
        assert end.text.startswith(committed)
        assert end.forwards <= end.num_tokens + 1
        watched = msgspec.structs.replace(request, in_blocks=True, canvas=(api.Masked(max_tokens=12, guess="x"),))
        begun = next(event for event in run(chosen, job_for, watched) if isinstance(event, api.Progress))
        assert "masked" in {piece.state for piece in begun.pieces}
        drawn = ask("y = re", canvas=(api.Masked(max_tokens=12),), n=3, temperature=2.0)
        texts = [e.text for e in run(chosen, job_for, drawn) if isinstance(e, api.Done)]
        assert len(set(texts)) == 3
