"""Repairs on the resident model: named rows, the whole text, deadlines, and completions that go first."""

import asyncio

import msgspec
import pytest

from model.engine import api
from model.engine.generation import ResidentModel
from model.engine.job import BadRequest, Job
from model.engine.repairs import Repairs, draft_request
from model.engine.runner import Runner
from model.mending import reader, soundness
from model.mending.forks import MAX_ROWS
from model.mending.ranking import Calibration
from model.mending.study import FEATURES, MAX_LINE_TOKENS

GOOD = "def first(things):\n    if things:\n        return things[0]\n    return None\n"
BAD = GOOD.replace("if things:", "if things")


def calibration(**changed) -> Calibration:
    """Likes colons that mend, so that no network decides."""
    weights = dict.fromkeys(FEATURES, 0.0) | {"mended": 1.0, "colon, broken": 5.0, "size": -0.1}
    fields = {"weights": weights, "fix_threshold": 1.0, "mend_threshold": 2.0, "doubt_threshold": 1e9}
    return Calibration(**{**fields, **changed})


@pytest.fixture
def repairs(resident) -> Repairs:
    return Repairs(resident._checkpoint, resident._encoder, calibration())


def asked(text: str = BAD, **fields) -> api.RepairRequest:
    return api.RepairRequest(**{"id": "1", "text": text, "path": "a.py", **fields})


def run(repairs: Repairs, request: api.RepairRequest, job_for) -> tuple[list[api.Finding], api.Repaired]:
    *found, end = repairs.run(job_for(request), request)
    assert isinstance(end, api.Repaired)
    assert end.num_findings == len(found)
    return [finding for finding in found if isinstance(finding, api.Finding)], end


def applied(text: str, finding: api.Finding) -> str:
    return text[: finding.start] + finding.text + text[finding.end :]


@pytest.mark.parametrize("rows", [{"first_row": 1, "last_row": 1}, {"first_row": 0, "last_row": 2}, {}])
def test_a_colon_is_put_where_it_belongs(repairs, job_for, rows) -> None:
    (finding, *_), end = run(repairs, asked(**rows), job_for)
    assert applied(BAD, finding) == GOOD
    assert finding.kind == "colon"
    assert 0 < finding.confidence <= 1
    assert end.reason == "finished"
    assert end.forwards > 0
    assert end.engine_ms > 0


def test_offsets_are_string_indices(repairs, job_for) -> None:
    text = "# 𝒳 äöü\n" + BAD
    [finding], _ = run(repairs, asked(text), job_for)
    assert applied(text, finding) == "# 𝒳 äöü\n" + GOOD


def test_sound_text_has_no_findings(repairs, job_for) -> None:
    assert run(repairs, asked(GOOD), job_for)[0] == []
    assert run(repairs, asked(""), job_for)[0] == []


def test_a_deadline_or_a_cancel_ends_it(repairs, job_for) -> None:
    request = asked(deadline_ms=0.0)
    assert run(repairs, request, job_for)[1].reason == "deadline"
    job = job_for(asked())
    job.is_cancelled = True
    [end] = repairs.run(job, asked())
    assert isinstance(end, api.Repaired)
    assert (end.reason, end.forwards) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"language": "rust"}, "unsupported"),
        ({"model": "another"}, "wrong_model"),
        ({"first_row": 4, "last_row": 4}, "bad_request"),
        ({"text": "x = '\ud800'\n" * 3}, "bad_request"),
        ({"text": "x" * 400_001}, "too_long"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(repairs, job_for, fields, code) -> None:
    request = asked(**fields)
    with pytest.raises(BadRequest) as refused:
        list(repairs.run(job_for(request), request))
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


def test_without_a_calibration_named_rows_go_to_the_sampler(resident, job_for) -> None:
    plain = Repairs(resident._checkpoint, resident._encoder, None)
    request = asked("x = 1\n", first_row=0, last_row=0)
    found, end = run(plain, request, job_for)
    assert end.forwards > 0
    assert len(found) <= 1
    with pytest.raises(BadRequest, match="no calibration"):
        list(plain.run(job_for(asked()), asked()))


@pytest.mark.parametrize("rows", [{"first_row": 1, "last_row": 1}, {"first_row": 0, "last_row": 2}, {}])
def test_other_line_ends_change_nothing_and_stay(repairs, job_for, rows) -> None:
    text = BAD.replace("\n", "\r\n")
    (finding, *_), _ = run(repairs, asked(text, **rows), job_for)
    assert applied(text, finding) == GOOD.replace("\n", "\r\n")


def test_the_sampler_never_sees_other_line_ends(resident, job_for, monkeypatch) -> None:
    """Without a calibration rows are a draft: the same one, and the same repair, whatever ends the lines."""
    drafts: list[api.DenoiseRequest] = []

    def remembered(*texts: str) -> api.DenoiseRequest:
        drafts.append(draft_request(*texts))
        return drafts[-1]

    monkeypatch.setattr("model.engine.repairs.draft_request", remembered)
    monkeypatch.setattr("model.engine.repairs.answer_text", lambda *_, **__: "if x:\n        return 1")
    plain = Repairs(resident._checkpoint, resident._encoder, None)
    repaired = []
    for line_end in ("\n", "\r\n"):
        text = BAD.replace("\n", line_end)
        [finding], _ = run(plain, asked(text, first_row=1, last_row=2), job_for)
        repaired.append(applied(text, finding))
    assert drafts[0] == drafts[1]
    assert repaired[1] == repaired[0].replace("\n", "\r\n")
    assert "if x:\n        return 1\n    return None" in repaired[0]


def test_a_model_that_was_not_trained_to_edit_repairs_nothing(resident, job_for) -> None:
    checkpoint = resident._checkpoint
    sampling = msgspec.structs.replace(checkpoint.preset.sampling, edits="none")
    preset = msgspec.structs.replace(checkpoint.preset, sampling=sampling)
    untrained = type(checkpoint)(checkpoint.network, checkpoint.tokenizer, preset)
    plain = Repairs(untrained, resident._encoder, calibration())
    with pytest.raises(BadRequest, match="not trained to correct"):
        list(plain.run(job_for(asked()), asked()))


def test_capabilities_come_from_the_calibration(resident) -> None:
    checkpoint, device, dtype = resident._checkpoint, resident._device, resident._dtype
    with_mend = ResidentModel(checkpoint, device, dtype, calibration()).capabilities
    assert (with_mend.fix, with_mend.mend) == (True, True)
    without = ResidentModel(checkpoint, device, dtype, calibration(mend_threshold=None)).capabilities
    assert (without.fix, without.mend) == (True, False)
    assert not ResidentModel(checkpoint, device, dtype).capabilities.mend


async def test_completions_do_not_wait_for_a_repair(resident, ask, until) -> None:
    """A repair that would never end by itself lets every completion through, and is then cancelled."""
    resident = ResidentModel(resident._checkpoint, resident._device, resident._dtype, calibration(doubt_threshold=-1e9))
    runner = Runner(
        lambda report: resident,
        on_loading=lambda progress, sentence: None,
        on_ready=lambda: None,
        on_failed=lambda sentence: None,
    )
    runner.start()
    loop = asyncio.get_running_loop()
    try:
        text = "".join(f"value{number} = things[{number}]\n" for number in range(400))
        repair = runner.submit(asked(text, id="repair"), loop)
        await until(lambda: runner.num_waiting == 0)
        for number in range(3):
            job = runner.submit(ask(id=str(number), canvas=(api.Masked(max_tokens=2),)), loop)
            event = None
            while event is None or not isinstance(event, api.Done):
                event = await job.events.get()
            runner.forget(job)
            assert repair.events.empty()
        assert runner.cancel("repair")
        end = await repair.events.get()
        assert isinstance(end, api.Repaired)
        assert end.reason == "cancelled"
        runner.forget(repair)
    finally:
        runner.stop()


def test_between_any_two_places_to_give_way_lies_one_pass_of_bounded_width(resident, monkeypatch) -> None:
    """And no more than a few looks at the parser: what is typed for waits for no more than the longer of the two."""
    seen: list[str] = []
    widest = 0

    def noted(module, name, what, rows=lambda given: 0) -> None:
        run = getattr(module, name)

        def note(*given, **named):
            nonlocal widest
            seen.append(what)
            widest = max(widest, rows(given))
            return run(*given, **named)

        monkeypatch.setattr(module, name, note)

    noted(reader, "one_pass", "pass", lambda given: given[2].tokens_BT.shape[1])
    noted(reader, "run_group", "pass", lambda given: sum(len(branch.ids) for branch in given[2]))
    noted(soundness.Excerpt, "errors", "parse")
    noted(soundness.Excerpt, "is_read", "parse")
    text = "".join(f"value{number} = things[{number}] + other[{number}\n" for number in range(15))
    weights = calibration(doubt_threshold=-1e9)
    resident = ResidentModel(resident._checkpoint, resident._device, resident._dtype, weights)
    loop = asyncio.new_event_loop()
    job = Job(asked(text), loop, make_way=lambda num_passes: seen.append(f"way {num_passes}"))
    *_, end = resident.run(job)
    loop.close()
    assert isinstance(end, api.Repaired)
    assert (seen.count("way 1"), seen.count("pass")) == (end.forwards, end.forwards)
    assert end.forwards > 10
    assert widest <= MAX_ROWS + MAX_LINE_TOKENS + 1
    stretches = " ".join(seen).replace("way 0", "way").replace("way 1", "way").split("way")
    assert max(stretch.count("pass") for stretch in stretches) == 1
    assert max(stretch.count("parse") for stretch in stretches) <= 2


def test_a_job_by_itself_makes_way_for_nobody() -> None:
    loop = asyncio.new_event_loop()
    Job(asked(), loop).make_way(1)
    loop.close()
