"""Definitions in reach: names near the cursor that other texts define.

Source: Tabby's declaration snippets and Continue's import definitions, without a language server: names are compared,
types are not known. A name that many texts define says nothing; one that is imported is looked for where it comes from;
the class or function around the cursor counts where its head is out of sight. Left out: reading files (project.py).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from lsp_server.context.texts import Text
from model.syntax.definitions import Definition, definitions

MAX_KNOWN_TEXTS = 64
MAX_KNOWN_DEFINITIONS = 20_000
MAX_SAME_NAME = 3
AROUND_WEIGHT = 0.6
UNRELATED_WEIGHT = 0.7


class Found(msgspec.Struct, frozen=True):
    """A definition of text number `index`."""

    index: int
    row: int
    end_row: int
    score: float


class Reach:
    """Definitions of texts, kept while the texts stay as they are."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[Definition, ...]] = OrderedDict()
        self._num_definitions = 0

    @property
    def num_texts(self) -> int:
        return len(self._known)

    def definitions(self, text: Text) -> tuple[Definition, ...]:
        """Those of `text`."""
        key = (text.path, text.stamp)
        known = self._known.get(key)
        if known is None:
            # Rows are counted as the document does: a lone CR ends a line, too.
            source = "".join(line.rstrip("\r\n") + "\n" for line in text.lines)
            known = self._known[key] = tuple(definitions(source, text.language))
            self._num_definitions += len(known)
        self._known.move_to_end(key)
        while len(self._known) > MAX_KNOWN_TEXTS or self._num_definitions > MAX_KNOWN_DEFINITIONS:
            _, gone = self._known.popitem(last=False)
            self._num_definitions -= len(gone)
        return known


def reached(texts: Sequence[Text], names: Mapping[str, float], row: int, reach: Reach) -> list[Found]:
    """The definitions of `names` in `texts`, the best first; `row` is the cursor's in the own document."""
    imported = _homes(texts)
    found: dict[str, list[Found]] = {}
    for index, text in enumerate(texts):
        wanted = _wanted(text, names, imported)
        own = text.origin == "own"
        if text.origin == "recent" or not (own or _mentions(text.lines, wanted)):
            continue
        for definition in reach.definitions(text):
            weight = wanted.get(definition.name, 0.0)
            if own and definition.row < row < definition.end_row:
                weight = max(weight, AROUND_WEIGHT)
            if weight > 0:
                score = weight * (1.0 if own or text.by is not None else UNRELATED_WEIGHT)
                found.setdefault(definition.name, []).append(Found(index, definition.row, definition.end_row, score))
    few = (same for same in found.values() if len(same) <= MAX_SAME_NAME)
    ranked = [msgspec.structs.replace(one, score=one.score / len(same)) for same in few for one in same]
    return sorted(ranked, key=lambda one: (-one.score, one.index, one.row))


def _homes(texts: Iterable[Text]) -> dict[str, set[str]]:
    """For each name that the own document imports from files that were found: their paths."""
    homes: dict[str, set[str]] = {}
    for text in texts:
        if text.by is not None:
            for name in text.by.names:
                homes.setdefault(name.local, set()).add(text.path)
    return homes


def _wanted(text: Text, names: Mapping[str, float], homes: Mapping[str, set[str]]) -> dict[str, float]:
    """The names to look for in a text, as they are called there: not those that are imported from elsewhere."""
    wanted = {name: weight for name, weight in names.items() if name not in homes or text.path in homes[name]}
    for imported in () if text.by is None else text.by.names:
        if imported.local in names:
            wanted[imported.name] = names[imported.local]
    return wanted


def _mentions(lines: tuple[str, ...], names: Mapping[str, float]) -> bool:
    """Whether any name stands in the text at all: much cheaper than parsing it."""
    whole = "".join(lines)
    return any(name in whole for name in names)
