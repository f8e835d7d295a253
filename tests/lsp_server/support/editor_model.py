"""What a client knows: its own text, in its own units. An oracle for tests: nothing here imports the server's code."""

from typing import NamedTuple

CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def lines_of(text: str) -> list[str]:
    """The lines as LSP means them, with their ends; one more than there are ends."""
    lines, line = [], ""
    for index, character in enumerate(text):
        line += character
        if character == "\n" or (character == "\r" and text[index + 1 : index + 2] != "\n"):
            lines.append(line)
            line = ""
    return [*lines, line]


def unified(text: str) -> str:
    """`text` with `\\n` line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def num_units(text: str, encoding: str) -> int:
    codec, num_bytes = CODECS[encoding]
    return len(text.encode(codec)) // num_bytes


def places_of(text: str) -> list[int]:
    """The offsets between two characters that no line end holds inside."""
    places, start = [], 0
    for line in lines_of(text):
        places += range(start, start + len(line.rstrip("\r\n")) + 1)
        start += len(line)
    return places


def position_of(text: str, offset: int, encoding: str) -> dict:
    """The LSP position of an offset out of `places_of`."""
    lines = lines_of(text[:offset])
    return {"line": len(lines) - 1, "character": num_units(lines[-1], encoding)}


def offset_of(text: str, position: dict, encoding: str) -> int:
    """The exact offset of a position; fails where it is not between two characters of the line's own text."""
    lines = lines_of(text)
    assert 0 <= position["line"] < len(lines)
    body = lines[position["line"]].rstrip("\r\n")
    codec, num_bytes = CODECS[encoding]
    taken = body.encode(codec)[: position["character"] * num_bytes]
    assert len(taken) == position["character"] * num_bytes, "beyond the line"
    return sum(map(len, lines[: position["line"]])) + len(taken.decode(codec))  # strict: fails on half a character


class Edit(NamedTuple):
    """`text` in place of what stands from `start` to `end`."""

    start: int
    end: int
    text: str

    def applied(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]

    def to_wire(self, text: str, encoding: str) -> dict:
        """As a content change of the document that holds `text`."""
        ends = {
            "start": position_of(text, self.start, encoding),
            "end": position_of(text, self.end, encoding),
        }
        return {"range": ends, "text": self.text}


def edit_of(item: dict, text: str, cursor: int, encoding: str) -> Edit:
    """What accepting an item does to `text`. Fails where an editor could not show it."""
    where = item["range"] if "range" in item else item["textEdit"]["range"]
    new = item["insertText"] if "range" in item else item["textEdit"]["newText"]
    line = position_of(text, cursor, encoding)["line"]
    assert where["start"]["line"] == where["end"]["line"] == line
    start, end = (offset_of(text, where[name], encoding) for name in ("start", "end"))
    assert start <= cursor <= end
    assert new.startswith(text[start:cursor])
    assert not {"\r", "\x00"} & set(new)
    characters = iter(new)
    assert all(character in characters for character in text[start:end])  # VS Code shows nothing else
    return Edit(start, end, new)
