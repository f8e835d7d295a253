"""A document that is changed step by step, and what follows: the pure part of next edits, without a server."""

from lsp_server.features.next_edit.history import History
from lsp_server.features.next_edit.places import Place, applied
from lsp_server.features.next_edit.propose import Found, Look, look
from lsp_server.positions import Position, split_lines


class EditDesk:
    """`lines` after some changes; `write` changes them as a user does, `accept` as the editor does for a follow-up."""

    def __init__(self, text: str, language: str = "python") -> None:
        self.lines = split_lines(text)
        self.language = language
        self.history = History()
        self.cursor = Position(0, 0)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def write(self, text: str) -> None:
        """The text after a change; the `‸` is the cursor, else it stands where the change begins."""
        before, mark, after = text.partition("‸")
        new = split_lines(before + after)
        if mark:
            self.cursor = Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
        else:
            rows = (row for row, (one, other) in enumerate(zip(self.lines, new, strict=False)) if one != other)
            self.cursor = Position(next(rows, min(len(self.lines), len(new)) - 1), 0)
        self.history = self.history.after(self.lines, new)
        self.lines = new

    def replace(self, old: str, new: str) -> None:
        """Replaces the first `old`."""
        assert old in self.text
        self.write(self.text.replace(old, new, 1))

    def look(self, **more) -> Found:
        return look(Look(lines=self.lines, language=self.language, history=self.history, cursor=self.cursor, **more))

    def accept(self, place: Place) -> None:
        _, new = applied(place, self.lines)
        after = (*self.lines[: place.start.line], *new, *self.lines[place.end.line + 1 :])
        self.history = self.history.followed(self.lines, after)
        self.lines = split_lines("".join(after))
        self.cursor = place.start

    def accept_all(self, limit: int = 60, **more) -> list[str]:
        """Accepts whatever is proposed until nothing is; the titles."""
        titles = []
        while (proposal := self.look(**more).proposal) is not None:
            titles.append(proposal.title)
            assert len(titles) <= limit, "it never ends"
            self.accept(proposal.place)
        return titles
