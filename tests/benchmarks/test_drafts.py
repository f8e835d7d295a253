"""Draft starts: what the trace asks, what each way is given, and that drafts reach both decoders."""

import msgspec
import pytest

from benchmarks.draft_trace import OLD, TYPED, Asked, Trace
from benchmarks.draft_writer import DraftWriter
from benchmarks.drafts import BLOCKS, LOOKUP, SPECULATED, Way, Written, by_line, old_ways, report, typed_ways, write_all
from benchmarks.gathered import Projects
from model.engine import api
from model.engine.abilities import capabilities_of
from model.evaluation.decode import Place

FILE = "".join(f"def price_{n}(cart):\n    total = sum(cart)\n    return total * {n}\n\n\n" for n in range(30))
DOCUMENTS = [("shop/one.py", FILE), ("shop/two.py", FILE.replace("price", "cost"))]
REQUEST = api.DenoiseRequest(
    id="1", prompt=api.Prompt(path="a.py", line="    result = ("), canvas=(api.Masked(),), stop="line"
)
ASKED = Asked(TYPED, 0, Place("a.py", "    result = (", "\n", "1, 2)"), REQUEST, ghost="1, 3)", project_line="1, 2)\n")


@pytest.fixture
def trace(checkpoint, tmp_path) -> Trace:
    able = capabilities_of(checkpoint.preset, "cpu")
    return Trace(Projects(DOCUMENTS, tmp_path, able), able)


def test_nothing_is_asked_while_the_ghost_text_is_typed_along(trace):
    whole = Place("a.py", "import os\n", "", "x = 12345")
    found = trace._projects.around(whole)
    assert len(list(trace._requests(0, whole, found, never))) == 9
    asked = []

    def right_from_the_third_on(request: api.DenoiseRequest) -> tuple[str, bool]:
        asked.append(request.prompt.line)
        return ("= 12, 3 + a" if len(asked) == 3 else "nothing"), len(asked) == 3

    some = list(trace._requests(0, whole, found, right_from_the_third_on))
    assert asked == ["", "x", "x ", "x = 123", "x = 1234"]
    assert [one.ghost for one in some] == ["", "", "", " + a", ""]


def never(request: api.DenoiseRequest) -> tuple[str, bool]:
    return "", False


def test_a_line_has_few_requests_and_its_drafts(trace):
    asked = list(trace.typed(DOCUMENTS, 6, never))
    assert {one.kind for one in asked} == {TYPED}
    assert 6 <= len(asked) <= 18
    assert any(one.file_line for one in asked)
    assert any(one.project_line for one in asked)
    assert {one.place.after == "" for one in asked} == {True, False}
    assert all(one.request.canvas == (api.Masked(),) for one in asked)


def test_old_code_is_the_line_with_a_fault(trace):
    asked = list(trace.old(DOCUMENTS, 6))
    assert asked
    for one in asked:
        assert one.kind == OLD
        assert one.old.strip() != one.place.gold.strip()
        assert not one.place.before.rpartition("\n")[2].strip()


def test_a_way_takes_its_first_draft_and_ways_that_ask_the_same_are_written_once():
    both = Way("both", SPECULATED, ("project_line", "ghost"))
    assert both.draft(ASKED) == "1, 2)\n"
    assert both.draft(msgspec.structs.replace(ASKED, project_line="")) == "1, 3)"
    calls = []

    def write(asked, way, draft):
        calls.append((way.name, draft))
        return Written(False, 0.0, 1)

    doubt = Way("doubt", SPECULATED, ("old",), doubt=0.1)  # without a draft nothing is doubted
    ways = (Way("plain", SPECULATED), both, Way("again", SPECULATED, ("project_line",)), doubt)
    written = write_all([ASKED], ways, write)
    assert calls == [("plain", ""), ("both", "1, 2)\n")]
    assert [one.has_draft for (one,) in written.values()] == [False, True, True, False]
    for some in (typed_ways(), old_ways()):
        assert len({(way.family, way.name) for way in some}) == len(some)
        assert next(way.name for way in some if way.family == SPECULATED) == LOOKUP


def test_intervals_resample_lines():
    mean, low, high = by_line([1.0] * 10 + [0.0] * 10, [0] * 10 + [1] * 10)
    assert (mean, low, high) == (0.5, 0.0, 1.0)
    assert by_line([1.0, 0.0] * 10, list(range(20)))[1] > 0.2


def test_every_way_is_compared_with_its_familys_first(capsys):
    ways = (Way("a", SPECULATED), Way("b", SPECULATED), Way("c", BLOCKS))
    written = {
        "speculate: a": [Written(False, 0.5, 4), Written(True, 1.0, 2)],
        "speculate: b": [Written(True, 1.0, 1, True), Written(True, 1.0, 2)],
        "blocks: c": [Written(False, 0.0, 9), Written(False, 0.0, 9)],
    }
    result = report(TYPED, [ASKED, msgspec.structs.replace(ASKED, line=1)], ways, written)
    assert result["speculate: b"]["exact_difference"][0] == 0.5
    assert result["speculate: b"]["forwards_difference"][0] == -1.5
    assert result["speculate: b"]["share"] == 0.5
    assert result["speculate: b"]["equal"]
    assert result["blocks: c"]["exact_difference"] == (0.0, 0.0, 0.0)
    assert "typed: 2 requests in 2 lines" in capsys.readouterr().out


def test_drafts_reach_both_decoders(checkpoint, tmp_path):
    writer = DraftWriter(checkpoint, tmp_path)
    asked = msgspec.structs.replace(ASKED, request=REQUEST)
    plain = writer.write(asked, Way("plain", SPECULATED, num_drafts=0), "")
    kept = writer.write(asked, Way("kept", SPECULATED, ("project_line",), num_drafts=0, doubt=1e-9), "1, 2)\n")
    assert kept.is_exact
    assert kept.forwards == 1 < plain.forwards
    for draft in ("", "1, 2)\n"):
        assert writer.write(asked, Way("blocks", BLOCKS), draft).forwards >= 1
    healed = msgspec.structs.replace(REQUEST, prompt=msgspec.structs.replace(REQUEST.prompt, line="    result = re"))
    assert writer.write(msgspec.structs.replace(asked, request=healed), Way("blocks", BLOCKS), "tu\n").forwards >= 1
    text, _ = writer.offer(REQUEST)
    assert not text.endswith("\n")
