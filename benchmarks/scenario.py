"""A scenario as people write it (benchmarks/scenarios/README.md has the words): title, documents, steps.

Source: cursortab.nvim's eval scenarios (text files with a cursor mark and a short list of steps). Left out: what the
steps do (scenario_steps.py) and mean (scenario_editor.py).
"""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

CURSOR = "▮"
NUL_SIGN = "␀"
LANGUAGES = {
    ".py": "python",
    ".ipynb": "python",
    ".md": "markdown",
    ".rb": "ruby",
    ".js": "javascript",
    ".ts": "typescript",
    ".env": "dotenv",
}
KINDS = ("show", "quiet", "behave")

Kind = Literal["show", "quiet", "behave"]

_SECTION = re.compile(r"-- (\S+) --")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_MANY = re.compile(r"@(times|wide) (\d+) (.*)")


class ScenarioError(Exception):
    """A scenario that cannot be read, in one sentence."""


class Token(msgspec.Struct, frozen=True):
    """A word of a step, or a quoted text."""

    text: str
    is_quoted: bool = False


class Step(msgspec.Struct, frozen=True):
    """One line below `-- steps --`: its number in the file, the line itself, and its tokens, the first one the verb."""

    line_number: int
    source: str
    tokens: tuple[Token, ...]

    @property
    def verb(self) -> str:
        return self.tokens[0].text


class File(msgspec.Struct, frozen=True):
    """A document before the first step; `cursor` is an index into `text`, `cell` its number in a notebook."""

    path: str
    uri: str
    language: str
    text: str
    cursor: int | None = None
    cell: int | None = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`engine`: how the engine is when the editor starts: `recorded`, `loading` or `dead`. `client`: whose habits the
    editor has, `vscode` or `neovim`.
    """

    name: str
    title: str
    files: tuple[File, ...]
    steps: tuple[Step, ...]
    engine: str = "recorded"
    client: str = "vscode"

    @property
    def kind(self) -> Kind:
        kind = self.name.partition("_")[0]
        assert kind in KINDS, "read_scenario lets no other name through"
        return kind

    @property
    def has_own_replies(self) -> bool:
        """Whether the engine's answers stand in the scenario instead of being a model's."""
        return any(step.verb == "reply" for step in self.steps)


def read_scenarios(folder: Path) -> list[Scenario]:
    """All scenarios of `folder`, in the order show, quiet, behave. Raises ScenarioError."""
    found = [read_scenario(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.txt"))]
    return sorted(found, key=lambda scenario: KINDS.index(scenario.kind))


def read_scenario(name: str, text: str) -> Scenario:
    """The scenario `name` of a file's text. Raises ScenarioError."""
    if name.partition("_")[0] not in KINDS:
        raise ScenarioError(f"{name}: the name must begin with one of {', '.join(KINDS)}.")
    (title, *head), *sections = _sections(name, text)
    settings = dict(_setting(name, line) for line in head if line.strip())
    if not sections or sections[-1][0] != "steps":
        raise ScenarioError(f"{name}: the steps must stand last, below a line `-- steps --`.")
    files = tuple(_file(path, lines, settings) for path, *lines in sections[:-1])
    if sum(file.cursor is not None for file in files) != 1:
        raise ScenarioError(f"{name}: exactly one document must hold the cursor mark {CURSOR} once.")
    first_line = text.removesuffix("\n").count("\n") - len(sections[-1]) + 3
    steps = [_step(name, first_line + index, line) for index, line in enumerate(sections[-1][1:])]
    return Scenario(
        name=name,
        title=title,
        files=files,
        steps=tuple(step for step in steps if step is not None),
        engine=settings.get("engine", "recorded"),
        client=settings.get("client", "vscode"),
    )


def _sections(name: str, text: str) -> list[list[str]]:
    """The lines of the head, then of each section with its path in front."""
    sections: list[list[str]] = [[]]
    # Not splitlines: a document may hold U+2028, and a form feed is no line end.
    for line in text.removesuffix("\n").split("\n"):
        section = _SECTION.fullmatch(line)
        if section is not None:
            sections.append([section.group(1)])
        else:
            sections[-1].append(line)
    if not sections[0] or not sections[0][0].strip():
        raise ScenarioError(f"{name}: the first line must say what happens.")
    return sections


def _setting(name: str, line: str) -> tuple[str, str]:
    key, colon, value = line.partition(": ")
    if not colon or key not in ("client", "engine", "language", "line ends", "uri"):
        raise ScenarioError(f"{name}: {line!r} is no setting of a scenario.")
    return key, value.strip()


def _file(path: str, lines: list[str], settings: dict[str, str]) -> File:
    path, _, cell = path.partition("#")
    text = "\n".join(line for written in lines for line in _written_out(written)).replace(NUL_SIGN, "\0")
    if settings.get("line ends") == "crlf":
        text = text.replace("\n", "\r\n")
    before, mark, after = text.partition(CURSOR)
    scheme = "vscode-notebook-cell:" if cell else "file://"
    suffix = PurePosixPath(path).suffix or PurePosixPath(path).name
    return File(
        path=f"{path}#{cell}" if cell else path,
        uri=settings.get("uri", f"{scheme}/project/{path}{'#W' + cell if cell else ''}"),
        language=settings.get("language", LANGUAGES.get(suffix, "plaintext")),
        text=before + after,
        cursor=len(before) if mark else None,
        cell=int(cell) if cell else None,
    )


def _written_out(line: str) -> list[str]:
    many = _MANY.fullmatch(line)
    if many is None:
        return [line]
    how, number, text = many.groups()
    if how == "times":
        return [text] * int(number)
    return [text.replace(CURSOR, "") * int(number) + (CURSOR if CURSOR in text else "")]


def _step(name: str, line_number: int, line: str) -> Step | None:
    if not line.strip():
        return None
    tokens = []
    for word in _TOKEN.findall(line):
        try:
            is_quoted = word.startswith('"')
            tokens.append(Token(json.loads(word) if is_quoted else word, is_quoted))
        except ValueError:
            raise ScenarioError(f"{name}:{line_number}: {word} is no quoted text.") from None
    return Step(line_number, line.strip(), tuple(tokens))
