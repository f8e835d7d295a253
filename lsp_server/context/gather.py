"""Other code for the prompt: `gather` takes what may be looked at and gives the snippets, without a server.

    files = ProjectFiles("/home/me/project")                      # None: open documents only
    scene = Scene(snapshot=snapshot, budget=snippet_budget(capabilities), documents=(…), ring=())
    snippets = gather(scene, files)                               # → tuple[api.Snippet, ...], the best first

`texts_of` collects the texts (reading files), `choose` picks lines from them (pure). Four classes, by priority:
definitions of names near the cursor, chunks edited or viewed lately, similar lines of open documents, similar lines of
imported and neighbouring files. A class may take half of the room; the rest of it only when the others have nothing.
Where one snippet fits, it is what followed the lines most like the cursor's, of whatever class (continuation.py): what
the embedded model was measured with (benchmarks/context.py). How larger contexts share their room is not measured yet.
What stands wholly in the prompt's own window is not repeated; code that goes on differently after lines which stand
there too is what helps most (docs/log.md). Source: research on peers (llama.vim's ring, Copilot's windows,
Tabby's declarations; Continue's own comment that one class of its context starves the others). Left out: when this
runs (live.py).
"""

from typing import Literal

import msgspec

from lsp_server.context.budget import Budget, shown_path
from lsp_server.context.continuation import best_matches, names_of, query_names, weights_of
from lsp_server.context.exclude import MAX_LINE_CHARS
from lsp_server.context.files import ProjectFiles
from lsp_server.context.line_index import LineIndex
from lsp_server.context.near import best_windows, hits_of, names_near, rarity, window_at
from lsp_server.context.reach import Reach, reached
from lsp_server.context.scene import Findings, Scene
from lsp_server.context.texts import Origin, Text, texts_of
from lsp_server.context.window import prompt_window
from lsp_server.positions import without_end
from model.engine import api

MIN_SCORE = 0.12
CLASS_SHARE = 0.5
SAME_LINES = 0.5
WINDOWS_OF_A_TEXT = 2
MIN_CHARS = 24

Class = Literal["definition", "recent", "open", "file"]
CLASSES: tuple[Class, ...] = ("definition", "recent", "open", "file")
_CLASS_OF: dict[Origin, Class] = {
    "own": "open",
    "recent": "recent",
    "open": "open",
    "imported": "file",
    "neighbour": "file",
}


class Candidate(msgspec.Struct, frozen=True):
    """Lines that may become a snippet; `score` compares candidates of one class."""

    kind: Class
    path: str
    lines: tuple[str, ...]
    score: float


def gather(scene: Scene, files: ProjectFiles | None, reach: Reach | None = None) -> tuple[api.Snippet, ...]:
    """The snippets for a scene. `reach` keeps definitions between calls."""
    return gather_all(scene, files, reach or Reach()).snippets


def gather_all(scene: Scene, files: ProjectFiles | None, reach: Reach, before: LineIndex | None = None) -> Findings:
    """The snippets for a scene, and all lines that they could have been cut from, but for the document's own. `before`:
    the lines of an earlier gathering.
    """
    if scene.settings.context == "none" or scene.budget.num_snippets < 1:
        return Findings()
    texts = texts_of(scene, files)
    whole = [text for text in texts if text.origin not in ("own", "recent")]
    paths = {text.path for text in whole}
    chunks = [text for text in texts if text.origin == "recent" and text.path not in paths]
    return Findings(choose(scene, texts, reach), LineIndex((text.lines for text in (*whole, *chunks)), before))


def choose(scene: Scene, texts: list[Text], reach: Reach) -> tuple[api.Snippet, ...]:
    """The best lines of `texts`, within the budget."""
    window = _Window.of(scene)
    if scene.budget.num_snippets == 1:
        return _filled(_continuations(scene, texts, window), scene.budget, window)
    own = scene.snapshot.document
    names = names_near(own.lines, scene.snapshot.cursor.line)
    candidates = [*_definitions(scene, texts, names, window, reach), *_similar(scene, texts, names, window)]
    return _filled(candidates, scene.budget, window)


class _Window(msgspec.Struct, frozen=True):
    """The rows of the own document that the prompt shows, and all its lines."""

    row: int
    end_row: int
    lines: frozenset[str]

    @staticmethod
    def of(scene: Scene) -> "_Window":
        prompt = prompt_window(scene.snapshot, scene.context_tokens)
        above, below = prompt.prefix.split("\n"), (prompt.line + prompt.tail + prompt.suffix).split("\n")
        row = scene.snapshot.cursor.line
        lines = frozenset(line.strip() for line in (*above, *below)) - {""}
        return _Window(max(0, row - len(above) + 1), row + len(below), lines)

    def shows(self, row: int, end_row: int) -> bool:
        return row < self.end_row and self.row < end_row


def _definitions(
    scene: Scene, texts: list[Text], names: dict[str, float], window: _Window, reach: Reach
) -> list[Candidate]:
    room = scene.budget.snippet_chars
    candidates = []
    for found in reached(texts, names, scene.snapshot.cursor.line, reach):
        text = texts[found.index]
        rows = window_at(text.lines[: found.end_row], found.row, room - _path_chars(text.path))
        if text.origin == "own":
            if window.shows(found.row, found.row + 1):
                continue
            rows = rows[0], min(rows[1], window.row) if rows[0] < window.row else rows[1]
        candidates.append(Candidate("definition", text.path, text.lines[slice(*rows)], found.score))
    return candidates


def _continuations(scene: Scene, texts: list[Text], window: _Window) -> list[Candidate]:
    names = [tuple(map(names_of, text.lines)) for text in texts]
    query = query_names(scene.snapshot.document.lines, scene.snapshot.cursor.line)
    weights = weights_of(query, names)
    candidates = []
    for text, of_text in zip(texts, names, strict=True):
        room = scene.budget.snippet_chars - _path_chars(text.path)
        if text.origin == "own":
            of_text = tuple(frozenset() if window.shows(row, row + 1) else line for row, line in enumerate(of_text))
        for match in best_matches(of_text, weights, WINDOWS_OF_A_TEXT):
            row, end_row = window_at(text.lines, max(0, match.row - 1), room)
            if text.origin == "own" and row < window.row:
                end_row = min(end_row, window.row)
            candidates.append(Candidate(_CLASS_OF[text.origin], text.path, text.lines[row:end_row], match.score))
    return candidates


def _similar(scene: Scene, texts: list[Text], names: dict[str, float], window: _Window) -> list[Candidate]:
    hits = [hits_of(text.lines, names) for text in texts]
    outside = [
        {row: found for row, found in of_text.items() if text.origin != "own" or not window.shows(row, row + 1)}
        for text, of_text in zip(texts, hits, strict=True)
    ]
    weights = rarity(outside, names, sum(len(text.lines) for text in texts))
    candidates = []
    for text, of_text in zip(texts, outside, strict=True):
        room = scene.budget.snippet_chars - _path_chars(text.path)
        for found in best_windows(text.lines, of_text, weights, max_chars=room, num_windows=WINDOWS_OF_A_TEXT):
            end_row = found.end_row
            if text.origin == "own" and window.shows(found.row, end_row):
                end_row = max(found.row, min(end_row, window.row))
            if found.score >= MIN_SCORE:
                lines = text.lines[found.row : end_row]
                candidates.append(Candidate(_CLASS_OF[text.origin], text.path, lines, found.score))
    return candidates


def _filled(candidates: list[Candidate], budget: Budget, window: _Window) -> tuple[api.Snippet, ...]:
    """The best of each class in turn; in a first pass no class takes more than its share."""
    waiting: dict[Class, list[Candidate]] = {kind: _best_first(candidates, kind) for kind in CLASSES}
    left = dict.fromkeys(CLASSES, int(budget.total_chars * CLASS_SHARE))
    chosen: list[Candidate] = []
    total = budget.total_chars
    for only_its_share in (True, False):
        turns = _turns(waiting, budget)
        while turns and len(chosen) < budget.num_snippets:
            kind = turns.pop(0)
            room = min(total, budget.snippet_chars, left[kind] if only_its_share else total)
            best = _take(waiting[kind], room, chosen, window)
            if best is not None:
                chosen.append(best)
                total -= _num_chars(best)
                left[kind] -= _num_chars(best)
                turns.append(kind)  # its next turn comes after the others'
    return tuple(_snippet(candidate) for candidate in chosen)


def _turns(waiting: dict[Class, list[Candidate]], budget: Budget) -> list[Class]:
    """The classes by priority; where only one snippet is wanted, by their best candidates."""
    if budget.num_snippets > 1:
        return list(CLASSES)
    return sorted((kind for kind in CLASSES if waiting[kind]), key=lambda kind: -waiting[kind][0].score)


def _best_first(candidates: list[Candidate], kind: Class) -> list[Candidate]:
    return sorted((one for one in candidates if one.kind == kind), key=lambda one: -one.score)


def _take(waiting: list[Candidate], room: int, chosen: list[Candidate], window: _Window) -> Candidate | None:
    """The first that says something new, as many of its lines as fit. It is taken out, and what says nothing new.

    What does not fit stays: a later turn may have more room.
    """
    for candidate in list(waiting):
        cut = _cut_to(candidate, room)
        if cut is None:
            continue
        waiting.remove(candidate)
        if not _is_known(cut.lines, chosen, window):
            return cut
    return None


def _cut_to(candidate: Candidate, room: int) -> Candidate | None:
    room -= _path_chars(candidate.path)
    row, end_row = window_at(candidate.lines, 0, room)
    lines = candidate.lines[row:end_row]
    is_worth_it = sum(map(len, lines)) >= min(MIN_CHARS, sum(map(len, candidate.lines)))
    return msgspec.structs.replace(candidate, lines=lines) if lines and is_worth_it else None


def _is_known(lines: tuple[str, ...], chosen: list[Candidate], window: _Window) -> bool:
    """Whether no line of it is new to the prompt (a copy of the file, a notebook's cell above), or most are chosen.

    A share of lines that may stand in the window is no use: similar code has them in common with it, and dropping what
    has half of them in common cost half of what snippets bring (docs/log.md).
    """
    if any(len(line) > MAX_LINE_CHARS for line in lines):
        return True
    own = {line.strip() for line in lines} - {""}
    if own <= window.lines:
        return True
    return any(_num_shared(own, other) > SAME_LINES * min(len(own), len(other.lines)) for other in chosen)


def _num_shared(own: set[str], other: Candidate) -> int:
    return len(own & {line.strip() for line in other.lines})


def _path_chars(path: str) -> int:
    """Of the path's line, and of the line end that a document's last line gets where it has none."""
    return len(shown_path(path)) + 2


def _num_chars(candidate: Candidate) -> int:
    return _path_chars(candidate.path) + sum(map(len, candidate.lines))


def _snippet(candidate: Candidate) -> api.Snippet:
    text = "".join(without_end(line) + "\n" for line in candidate.lines)
    return api.Snippet(shown_path(candidate.path), text)
