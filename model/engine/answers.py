"""What a chat answered, as code: its fenced block, put where the old code stood.

Models write prose around the block, forget to close it, or give the code another indentation: all of that is mended
here or has a name. Source: CommonMark's fenced code blocks (spec 0.31, section 4.5), as far as models write them.
Left out: whether the code is any good (the language server looks at its syntax).
"""

import re
from collections.abc import Sequence

from model.diffusion.frames import Reason
from model.engine import api
from model.engine.chats import Change

_OPENING = re.compile(r"^[ \t]*(`{3,}|~{3,})[^`\n]*\n", re.MULTILINE)
_HALF_FENCE = re.compile(r"(?:^|\n)[ \t]*`+[^\n`]*\Z")
_INDENT = re.compile(r"^([ \t]*)\S", re.MULTILINE)


class Answer:
    """How the answer to one question is read. `opening`: what the prompt has written of the answer already."""

    def __init__(self, change: Change, opening: str) -> None:
        self._change, self._opening = change, opening
        # Code that holds fences itself ends at the answer's last one, which only the whole answer shows.
        self._has_fences = "```" in change.draft

    def code(self, written: str) -> tuple[str, bool] | None:
        """The block's text as it was written and whether it was closed; None where no block begins."""
        text = self._opening + written
        opening = _OPENING.search(text)
        if opening is None:
            return None
        closing = re.compile(rf"^[ \t]*{re.escape(opening[1])}[`~]*[ \t]*$", re.MULTILINE)
        ends = [match.start() for match in closing.finditer(text, opening.end())]
        end = len(text) if not ends else ends[-1] if self._has_fences else ends[0]
        start = opening.end()
        # Where a fence was opened for the model it may first say something all the same, and open another one.
        for again in _OPENING.finditer(text, start, end):
            is_named = again.group().strip().strip("`~")
            if is_named and (again.start() == start or not self._has_fences):
                start = again.end()
        code = text[start:end]
        return (code, True) if ends else (_HALF_FENCE.sub("", code), False)

    def is_closed(self, written: str) -> bool:
        """Whether nothing that follows can change the code."""
        found = None if self._has_fences else self.code(written)
        return found is not None and found[1]

    def new_text(self, written: str, *, is_whole: bool) -> str | None:
        """What replaces the draft; None where the answer holds no code, or not all of it (is_whole: it came to an end
        by itself)."""
        found = self.code(written)
        if found is None or not found[0].strip() or not (found[1] or is_whole):
            return None
        return self.fitted(found[0])

    def canvas_text(self, token_bytes: Sequence[bytes], ids: Sequence[int], reason: Reason) -> str | api.Error:
        """What the canvas becomes, or why nothing."""
        written = b"".join([token_bytes[i] for i in ids]).decode("utf-8", "replace")
        is_whole = reason in ("eom", "stop")
        text = self.new_text(written, is_whole=is_whole)
        before, after = self.locked
        if text is not None:
            return before + text + after
        if is_whole:
            return api.Error(code="no_answer", sentence="The model answered without any code.")
        if reason != "length":
            return unfinished(reason)
        return api.Error(code="no_answer", sentence=f"The model's answer had no end within {len(ids)} tokens.")

    @property
    def locked(self) -> tuple[str, str]:
        """The canvas's texts before and behind the code, which stay."""
        return self._change.locked

    def shown(self, written: str) -> str:
        """The code as far as it is written, for those who watch."""
        found = self.code(written)
        return "" if found is None or not found[0].strip() else self.fitted(found[0])

    def fitted(self, code: str) -> str:
        """The answer's code with the old code's indentation and end of line."""
        change = self._change
        lines = code.strip("\n").rstrip().split("\n")
        if not change.lead and change.above and not change.above.endswith("\n"):
            text = "\n".join([lines[0].lstrip(), *lines[1:]])  # it stands inside its line
        else:
            text = _indented("\n".join(lines), _common_indent(change.shown))
            # Of the first line the white space that is not the canvas's own.
            text = text[len(change.lead) :] if text.startswith(change.lead) else text.lstrip(" \t")
        return text + ("\n" if change.draft.endswith("\n") else "")


def unfinished(reason: Reason) -> api.Error:
    """An edit that was interrupted before it was any answer."""
    sentence = "The edit was cancelled." if reason == "cancelled" else "The edit was not finished in time."
    return api.Error(code=reason, sentence=sentence)


class AnswerStop:
    """The sampler's `finished` callback of a chat: it has said enough when its block is closed."""

    def __init__(self, token_bytes: Sequence[bytes], answer: Answer) -> None:
        self._token_bytes, self._answer = token_bytes, answer

    def __call__(self, ids: list[int]) -> int | None:
        text = b"".join([self._token_bytes[i] for i in ids]).decode("utf-8", "replace")
        # Only whole lines: behind three backticks a language could come, which opens a block.
        whole, newline, _ = text.rpartition("\n")
        is_over = bool(newline) and "```" in whole and self._answer.is_closed(whole)
        return len(ids) if is_over else None


def _common_indent(text: str) -> str:
    """The white space that all lines with something in them begin with."""
    indents = _INDENT.findall(text)
    if not indents:
        return ""
    shortest = min(indents, key=len)
    return shortest if all(indent.startswith(shortest) for indent in indents) else ""


def _indented(text: str, wanted: str) -> str:
    """`text` with another common indentation; blank lines become empty."""
    old = len(_common_indent(text))
    return "\n".join(wanted + line[old:] if line.strip() else "" for line in text.split("\n"))
