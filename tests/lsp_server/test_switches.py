"""Switches: what they refuse, and that they end."""

import re

import pytest

from lsp_server.context.exclude import matching_pattern
from lsp_server.outcome import LASTING, Reason
from lsp_server.settings import Settings
from lsp_server.switches import Switches

URI = "file:///c%3A/w/a.py"


class Clock:
    def __init__(self) -> None:
        self.s = 1_000_000.0

    def __call__(self) -> float:
        return self.s


def reason(switches: Switches, uri: str = URI, language: str = "python", trigger="automatic") -> Reason | None:
    refused = switches.refusal(uri, language, trigger)
    return None if refused is None else refused.reason


def test_nothing_is_switched_off_at_first():
    assert reason(Switches()) is None
    assert Switches().snoozed_until_s is None


def test_a_snooze_ends_by_itself_and_by_hand():
    clock = Clock()
    switches = Switches(clock)
    switches.snooze(5)
    assert switches.snoozed_until_s == clock.s + 300
    assert reason(switches) is Reason.SNOOZED
    assert reason(switches, trigger="invoked") is None  # asked for by hand
    clock.s += 299
    assert reason(switches) is Reason.SNOOZED
    clock.s += 1
    assert reason(switches) is None
    assert switches.snoozed_until_s is None
    switches.snooze(5)
    switches.snooze(0)
    assert reason(switches) is None


@pytest.mark.parametrize(("minutes", "shape"), [(10, r"until \d\d:\d\d"), (3000, r"until \d{4}-\d\d-\d\d \d\d:\d\d")])
def test_the_sentence_says_until_when(minutes, shape):
    switches = Switches(Clock())
    switches.snooze(minutes)
    refused = switches.refusal(URI, "python", "automatic")
    assert refused is not None
    assert re.fullmatch(shape, refused.detail)
    assert refused.detail in refused.sentence


def test_an_endless_snooze_is_one_of_a_year():
    clock = Clock()
    switches = Switches(clock)
    switches.snooze(1e300)
    assert switches.snoozed_until_s == clock.s + 365 * 86_400
    assert reason(switches) is Reason.SNOOZED


def test_a_document_under_all_its_spellings():
    switches = Switches()
    switches.set_document("file:///C:/w/a.py", on=False)
    assert reason(switches) is Reason.DOCUMENT_OFF
    assert reason(switches, trigger="invoked") is Reason.DOCUMENT_OFF  # off is off
    assert reason(switches, uri="file:///c:/w/b.py") is None
    switches.set_document(URI, on=True)
    switches.set_document(URI, on=True)
    assert reason(switches) is None


def test_a_cell_stands_for_its_notebook():
    switches = Switches()
    switches.set_document("vscode-notebook-cell:/c%3A/w/b.ipynb#one", on=False)
    assert reason(switches, uri="vscode-notebook-cell:/c:/w/b.ipynb#two%3D") is Reason.DOCUMENT_OFF
    assert reason(switches, uri="vscode-notebook-cell:/c:/w/other.ipynb#one") is None
    switches.set_document("vscode-notebook-cell:/c:/w/b.ipynb#two", on=True)
    assert reason(switches, uri="vscode-notebook-cell:/c:/w/b.ipynb#one") is None


def test_what_is_switched_off_is_not_quoted_elsewhere():
    switches, settings = Switches(), Settings(exclude=("x.py",), languages_off=("rust",))
    assert switches.restrict(settings, URI, ()) is settings
    switches.set_document("file:///w/src/%5Bid%5D.py", on=False)
    switches.set_language("go", on=False)
    restricted = switches.restrict(settings, "file:///w/b.py", ["file:///w"])
    assert restricted.languages_off == ("rust", "go")
    assert matching_pattern("src/[id].py", restricted.exclude)
    assert matching_pattern("x.py", restricted.exclude)
    assert not matching_pattern("src/i.py", restricted.exclude)
    switches.set_document("file:///w/src/%5Bid%5D.py", on=True)
    switches.set_language("go", on=True)
    assert switches.restrict(settings, "file:///w/b.py", ["file:///w"]) is settings


def test_a_file_of_the_same_name_elsewhere_is_quoted():
    switches, folders = Switches(), ["file:///w", "file:///v"]
    switches.set_document("file:///w/a.py", on=False)
    switches.set_document("file:///w/src/b.py", on=False)
    switches.set_document("file:///else/c.py", on=False)
    here = switches.restrict(Settings(), "file:///w/main.py", folders).exclude
    for path in ("a.py", "src/b.py"):
        assert matching_pattern(path, here)
    for path in ("src/a.py", "src/deep/a.py", "b.py", "lib/src/b.py", "c.py"):
        assert not matching_pattern(path, here)
    assert switches.restrict(Settings(), "file:///v/main.py", folders).exclude == ()
    assert matching_pattern("c.py", switches.restrict(Settings(), "file:///else/d.py", folders).exclude)


def test_a_language():
    switches = Switches()
    switches.set_language("python", on=False)
    assert reason(switches) is Reason.LANGUAGE_OFF
    assert reason(switches, language="rust") is None
    switches.set_language("python", on=True)
    assert reason(switches) is None


def test_all_of_them_may_stand_in_the_status():
    assert {Reason.SNOOZED, Reason.DOCUMENT_OFF, Reason.LANGUAGE_OFF} <= LASTING
