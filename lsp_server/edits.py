"""What the last changes of a document were: typing, taking something back, or undoing.

Source: cursortab's rule (one deletion mends a typo and wants no ghost text, three in a row are a rewrite and may), and
what VS Code's users report as complaint after deleting and undoing. The protocol tells neither keys nor undo, so both
are told from the texts: undo and redo bring a text back that the document had before. Left out: cursor movements, which
no message tells.
"""

import msgspec

from model.syntax.incremental import num_equal_at_end, num_equal_at_start

NUM_DELETIONS_OF_A_REWRITE = 3
MAX_TEXTS = 64


class Edits(msgspec.Struct, frozen=True):
    """The state after some changes. `texts` are the hashes of the document's last texts, without the present one."""

    num_deletions: int = 0
    is_undone: bool = False
    texts: tuple[int, ...] = ()

    @property
    def mends_a_typo(self) -> bool:
        """Whether the last thing was one or two deletions, which do not say yet where this is going."""
        return 0 < self.num_deletions < NUM_DELETIONS_OF_A_REWRITE

    def after(self, old: tuple[str, ...], new: tuple[str, ...]) -> "Edits":
        """The state after a change from the lines `old` to `new`."""
        removed, inserted = changed_text(old, new)
        if not removed and not inserted:
            return self
        texts = (*self.texts[1 - MAX_TEXTS :], hash(old))
        if _is_undo(removed, inserted, hash(new), self.texts):
            return Edits(is_undone=True, texts=texts)
        if inserted:
            return Edits(texts=texts)
        # Taking indentation or a blank line back is moving on: editors indent more than is meant.
        return Edits(self.num_deletions + bool(removed.strip()), texts=texts)


def _is_undo(removed: str, inserted: str, new: int, texts: tuple[int, ...]) -> bool:
    if new not in texts or len(removed) + len(inserted) == 1:
        return False  # one character: typed, or taken back
    # Several characters that go at once may be a word that was typed letter by letter and is deleted with one key;
    # they are an undo where they came at once, in the last change.
    return bool(inserted) or new == texts[-1]


def changed_text(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, str]:
    """What was removed and what was inserted in its place, as far as the two texts tell."""
    start = num_equal_at_start(old, new)
    end = num_equal_at_end(old[start:], new[start:])
    removed, inserted = "".join(old[start : len(old) - end]), "".join(new[start : len(new) - end])
    start = num_equal_at_start(removed, inserted)
    removed, inserted = removed[start:], inserted[start:]
    end = num_equal_at_end(removed, inserted)
    return removed[: len(removed) - end], inserted[: len(inserted) - end]
