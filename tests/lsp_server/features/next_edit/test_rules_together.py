"""Any session of changes, acceptances, rejections and undos: what must never happen, whatever is proposed.

The text outside an edit's span stays byte by byte; nothing in a comment or string is touched; what the user has just
typed is not taken back; what was rejected does not come again; accepting ends.
"""

import re

import pytest
from edit_desk import EditDesk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lsp_server.features.next_edit.places import applied
from lsp_server.features.next_edit.propose import Proposal
from lsp_server.positions import split_lines

NAMES = ["a", "b", "total", "items", "run", "é", "self"]
LINES = [
    "def {0}({1}, {2}):",
    "    return {0} + {1}",
    "    {0} = {1}({2}, {0}=1)",
    "class {0}:",
    "    def {0}(self, {1}): self.{2} = {1}; return self.{0}({2})",
    "{0} = [{1} for {1} in {2}]",
    "print({0}, {1})",
    "# {0} = {1}",
    '"{0} {1}"',
    "{0}(",
    "",
]
NAME = st.sampled_from(NAMES)
LINE = st.tuples(st.sampled_from(LINES), NAME, NAME, NAME).map(lambda parts: parts[0].format(*parts[1:]))
TEXTS = st.tuples(st.lists(LINE, min_size=3, max_size=12), st.sampled_from(["\n", "\r\n"])).map(
    lambda parts: parts[1].join(parts[0]) + parts[1]
)
WHICH = st.integers(0, 1_000)
_NAME = re.compile(r"(?<!\w)[^\W\d]\w*")
_HIDDEN = re.compile(r"#[^\r\n]*|\"[^\"\r\n]*\"")


class Session(RuleBasedStateMachine):
    @initialize(text=TEXTS)
    def begin(self, text: str) -> None:
        self.desk = EditDesk(text)
        self.undone = [text]
        self.rejected: set[int] = set()
        self.dismissed: set[tuple] = set()
        self.proposal: Proposal | None = None

    def write(self, text: str) -> None:
        self.undone.append(self.desk.text)
        self.desk.write(text)
        self.proposal = None

    @rule(which=WHICH, name=NAME)
    def rename_one(self, which: int, name: str) -> None:
        found = list(_NAME.finditer(self.desk.text))
        if found:
            match = found[which % len(found)]
            self.write(self.desk.text[: match.start()] + name + self.desk.text[match.end() :])

    @rule(which=WHICH, line=LINE)
    def write_a_line(self, which: int, line: str) -> None:
        row = which % len(self.desk.lines)
        newline = "\r\n" if "\r\n" in self.desk.text else "\n"
        self.write("".join((*self.desk.lines[:row], line + newline, *self.desk.lines[row:])))

    @rule(which=WHICH, num=st.integers(1, 9))
    def delete(self, which: int, num: int) -> None:
        start = which % max(1, len(self.desk.text))
        self.write(self.desk.text[:start] + self.desk.text[start + num :])

    @rule()
    def undo(self) -> None:
        if len(self.undone) > 1:
            text = self.undone.pop()
            self.desk.write(text)
            self.proposal = None

    @rule(by_hand=st.booleans(), may_fill=st.booleans())
    def ask(self, by_hand: bool, may_fill: bool) -> None:
        found = self.desk.look(by_hand=by_hand, may_fill=may_fill, rejected=frozenset(self.rejected))
        self.proposal = found.proposal
        assert (found.proposal is None) != (found.reason is None)
        if found.proposal is None:
            return
        place = found.proposal.place
        old, new = applied(place, self.desk.lines)
        assert old != new
        assert (place.start, place.end) == (min(place.start, place.end), max(place.start, place.end))
        between = "".join(old)[place.start.column :]
        assert between.startswith(place.old)
        assert (old, new) not in self.dismissed
        if self.desk.history.runs:
            run = self.desk.history.runs[-1]
            after = (*self.desk.lines[: place.start.line], *new, *self.desk.lines[place.end.line + 1 :])
            assert after != run.before, "it takes the last change back"

    @precondition(lambda self: self.proposal is not None and self.proposal.place.hole is None)
    @rule()
    def accept(self) -> None:
        assert self.proposal is not None
        place, before = self.proposal.place, self.desk.text
        self.undone.append(before)
        self.desk.accept(place)
        start = sum(map(len, split_lines(before)[: place.start.line])) + place.start.column
        assert self.desk.text == before[:start] + place.text + before[start + len(place.old) :]
        if before.count('"') % 2 == 0:
            assert _HIDDEN.findall(self.desk.text) == _HIDDEN.findall(before)
        self.proposal = None

    @precondition(lambda self: self.proposal is not None)
    @rule()
    def reject(self) -> None:
        assert self.proposal is not None
        self.rejected.add(self.proposal.key)
        self.dismissed.add(applied(self.proposal.place, self.desk.lines))
        self.proposal = None

    @rule()
    def accept_whatever_comes(self) -> None:
        self.undone.append(self.desk.text)
        self.desk.accept_all(limit=200)
        self.proposal = None

    @invariant()
    def the_history_is_that_of_the_text(self) -> None:
        desk = getattr(self, "desk", None)
        assert desk is None or len(desk.history.runs) <= 8


@pytest.mark.timeout(300)
def test_any_session():
    run_state_machine_as_test(
        Session,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
