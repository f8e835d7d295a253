"""Foreign weights through the resident model: logits that spell an answer give that answer, whatever the rows see."""

import pytest

from model.engine import api
from model.engine.generation import ResidentModel, load_resident
from model.engine.job import BadRequest
from tests.model.checkpoints.tiny_folders import FAMILIES, write_tiny_folder
from tests.model.engine.spelling import spelling

HOLES = ["stable-diffcoder-base", "dream-coder-base", "dream-coder-instruct", "llada-base", "dllm-mdlm"]
CHATS = ["stable-diffcoder-instruct", "sdar", "fast-dllm-v2", "dllm-bd3lm", "dllm-mdlm", "dream-coder-instruct"]
CHATS += ["sdar-moe", "llada2", "llada2.1"]


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """family(name): its tiny folder, resident; each is loaded once."""
    loaded: dict[str, ResidentModel] = {}

    def load(name: str) -> ResidentModel:
        if name not in loaded:
            folder = tmp_path_factory.mktemp(name) / FAMILIES[name].name
            write_tiny_folder(folder, name)
            loaded[name] = load_resident(
                folder, device="cpu", dtype_name="float32", num_threads=1, report=lambda progress, sentence: None
            )
        return loaded[name]

    return load


def answer(resident: ResidentModel, job_for, request: api.DenoiseRequest, written: str) -> list[api.Event]:
    """The events, where the canvas is spelled `written`."""
    with spelling(resident, written):
        return list(resident.run(job_for(request)))


def hole(**more) -> api.DenoiseRequest:
    prompt = api.Prompt(
        path="a.py", prefix="import os\n\n\ndef add(a, b):\n", line="    ret", tail="\n", suffix="add(1)\n"
    )
    return api.DenoiseRequest(**{"id": "1", "prompt": prompt, "stop": "eom", **more})


def edit(**more) -> api.DenoiseRequest:
    prompt = api.Prompt(path="a.py", prefix="def f(x):\n", line="    ", suffix="\nf(1)\n", instruction="Add two.")
    return api.DenoiseRequest(
        **{"id": "1", "prompt": prompt, "canvas": (api.Draft("return x + 1\n"),), "stop": "eom", **more}
    )


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_gets_what_the_network_says(family, job_for, name):
    *_, done = answer(family(name), job_for, hole(), "urn a + b")
    assert isinstance(done, api.Done), done
    assert done.text == "urn a + b"
    assert done.confidence == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", ["stable-diffcoder-base", "dream-coder-base"])
def test_a_hole_ends_with_its_line(family, job_for, name):
    *_, done = answer(family(name), job_for, hole(stop="line"), "urn a + b\n\n\nclass Point:\n")
    assert isinstance(done, api.Done), done
    assert done.text == "urn a + b"


@pytest.mark.parametrize("name", CHATS)
def test_an_edit_in_words_becomes_its_code(family, job_for, name):
    *_, done = answer(family(name), job_for, edit(), "    return x + 2\n```\n")
    assert isinstance(done, api.Done), done
    assert (done.text, done.reason in ("eom", "stop")) == ("return x + 2\n", True)


@pytest.mark.parametrize(("name", "answered"), [("llada2.1", "return x + 2\n"), ("llada2", "return x + 3\n")])
def test_what_was_written_is_corrected_where_that_was_trained(family, job_for, monkeypatch, name, answered):
    """The network says 3 where it sees a mask, and then 2."""
    resident = family(name)
    two, three = (resident._checkpoint.tokenizer.encode(digit)[0] for digit in "23")
    seen: set[int] = set()
    with spelling(resident, "    return x + 2\n```\n"):
        right = resident.network.logits

        def logits(hidden_MD):
            logits_MV = right(hidden_MD)
            for row, place in enumerate(hidden_MD[:, 0].long().tolist()):
                if place not in seen:
                    logits_MV[row, [two, three]] = logits_MV[row, [three, two]]
                    seen.add(place)
            return logits_MV

        monkeypatch.setattr(resident.network, "logits", logits)
        *_, done = resident.run(job_for(edit()))
        monkeypatch.undo()
    assert isinstance(done, api.Done), done
    assert done.text == answered


@pytest.mark.parametrize("name", ["sdar", "dllm-mdlm"])
def test_what_a_chat_says_is_never_shown(family, job_for, name):
    canvas = (api.Locked("if x:\n        "), api.Draft("x += 1"), api.Locked("\n    return x\n"))
    request = edit(canvas=canvas, want_progress=True)
    *progress, done = answer(family(name), job_for, request, "So:\n```python\nx += 2\n```\nThat is all.")
    assert isinstance(done, api.Done), done
    assert done.text == "if x:\n        x += 2\n    return x\n"
    assert progress
    assert all(isinstance(event, api.Progress) for event in progress)
    for event in progress:
        kept = [piece.text for piece in event.pieces if piece.state == "locked"]
        assert kept == ["if x:\n        ", "\n    return x\n"]
        shown = "".join(piece.text for piece in event.pieces if piece.state == "draft")
        assert "x += 2".startswith(shown) or "So:".startswith(shown)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [("I would rather not.\n```\n", None), ("\n```\n", "without any code"), ("x" * 400, "had no end")],
)
def test_an_answer_without_code_has_a_name(family, job_for, written, sentence):
    *_, last = answer(family("sdar"), job_for, edit(), written)
    if sentence is None:  # the fence was opened for it: what it says in there is its code
        assert isinstance(last, api.Done)
        return
    assert isinstance(last, api.Error)
    assert last.code == "no_answer"
    assert sentence in last.sentence


@pytest.mark.parametrize("name", ["sdar", "dream-coder-instruct"])
def test_an_edit_at_its_deadline_is_none(family, job_for, name):
    job = job_for(edit(want_progress=True))
    events = []
    for event in family(name).run(job):
        events.append(event)
        job.is_cancelled = len(events) == 3
    assert events[-1] == api.Error(code="cancelled", sentence="The edit was cancelled.")


@pytest.mark.parametrize("name", ["sdar", "dllm-mdlm"])
def test_a_diagnostic_is_repaired_by_a_rewrite(family, job_for, name):
    resident = family(name)
    text = "def f(x):\n    return y\n\n\nf(1)\n"
    asked = api.RepairRequest(id="1", text=text, path="a.py", first_row=1, last_row=1, messages=("Undefined name `y`",))
    with spelling(resident, "    return x\n```\n") as prepared:
        found, end = list(resident.run(job_for(asked)))
    assert "Undefined name `y`" in resident._checkpoint.tokenizer.decode(prepared[0].prompt_ids)
    assert isinstance(found, api.Finding)
    assert isinstance(end, api.Repaired)
    assert text[: found.start] + found.text + text[found.end :] == text.replace("y", "x")
    assert end.forwards > 0


def test_what_a_family_was_not_trained_for_is_refused(family, job_for):
    def code_of(name: str, request) -> str:
        with pytest.raises(BadRequest) as error:
            list(family(name).run(job_for(request)))
        return error.value.code

    assert code_of("sdar", hole()) == "unsupported"
    assert code_of("dream-coder-base", edit()) == "unsupported"
    assert code_of("dream-coder-base", hole(canvas=(api.Draft("x"), api.Masked()))) == "unsupported"
    assert code_of("dream-coder-base", hole(logprobs=1)) == "unsupported"
    assert code_of("dream-coder-base", api.RepairRequest(id="1", text="x\n", first_row=0, last_row=0)) == "unsupported"
    assert code_of("sdar", api.RepairRequest(id="1", text="x\n")) == "unsupported"


def test_what_it_can_do_follows_from_its_prompts(family):
    for name in ("stable-diffcoder-base", "sdar", "dllm-mdlm"):
        form, able = family(name)._checkpoint.preset.prompt, family(name).capabilities
        assert form is not None
        assert bool(able.complete) == (form.hole is not None)
        assert (able.rewrite == "free") == able.fix == (form.chat is not None)
        assert not able.mend
        assert not able.next_edit


@pytest.mark.parametrize("name", ["stable-diffcoder-base", "dllm-bd3lm", "sdar-moe", "llada2.1"])
def test_a_second_request_finds_whole_units_of_its_prompt(family, job_for, name):
    resident = family(name)
    unit = resident.network.config.cache_unit
    request = hole(max_steps=1) if resident.capabilities.complete else edit(max_steps=1)
    [*_, first], [*_, second] = (list(resident.run(job_for(request))) for _ in range(2))
    if isinstance(second, api.Done):
        assert isinstance(first, api.Done)
        assert second.cached_tokens == second.prompt_tokens // unit * unit
    else:  # an edit that was cut short says nothing of its prompt
        assert resident.prefix_cache.num_hit_tokens % unit == 0 < resident.prefix_cache.num_hit_tokens


def test_alternatives_of_a_block_causal_network_are_those_of_lone_requests(family, job_for):
    resident = family("stable-diffcoder-base")
    fields = {"temperature": 1.0, "canvas": (api.Masked(max_tokens=12),)}
    together = [e for e in resident.run(job_for(hole(n=3, seed=5, **fields))) if isinstance(e, api.Done)]
    alone = [list(resident.run(job_for(hole(seed=seed, **fields))))[-1] for seed in (5, 6, 7)]
    assert [done.text for done in sorted(together, key=lambda done: done.index)] == [done.text for done in alone]
    assert len({done.text for done in alone}) > 1
