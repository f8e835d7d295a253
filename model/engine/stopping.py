"""The stop rule of a request, in the form the sampler asks for: token ids in, number of tokens to keep out; and the
text of what it kept.

Source: model/syntax/stop.py. Works on bytes, since a token border may cut a character. Left out: the rule itself.
"""

from collections.abc import Sequence

import msgspec

from model.diffusion.frames import Result
from model.engine import api
from model.engine.answers import AnswerStop
from model.engine.prompting import Prepared
from model.syntax.stop import StopRule, stop_offset


class StopCheck:
    """The sampler's `finished` callback. `typed`: bytes of a healed token at the canvas's start that the user has typed
    already (they stand in `prefix_text` too, and are not part of the answer).
    """

    def __init__(
        self,
        token_bytes: Sequence[bytes],
        *,
        prefix_text: str,
        suffix_text: str,
        rule: StopRule,
        language: str,
        typed: bytes = b"",
    ) -> None:
        self._token_bytes = token_bytes
        self._prefix_text = prefix_text
        self._suffix_text = suffix_text
        self._rule: StopRule = rule
        self._language = language
        self._num_typed = len(typed)
        self.kept: tuple[tuple[int, ...], str] | None = None  # the kept ids and their exact text, once it has stopped

    def __call__(self, ids: list[int]) -> int | None:
        """How many of `ids` hold the finished text (the last of them perhaps more than it), or None to go on."""
        if self._rule == "eom":
            return None
        data = b"".join([self._token_bytes[i] for i in ids])[self._num_typed :]
        if b"\n" not in data:
            return None  # no rule ends inside a line, and this is asked after every step
        # Half a character becomes surrogates and back again, so byte lengths stay exact.
        text = data.decode("utf-8", "surrogateescape")
        offset = stop_offset(self._prefix_text, text, self._suffix_text, self._rule, self._language)
        if offset is None:
            return None
        kept_bytes = text[:offset].encode("utf-8", "surrogateescape")
        num_kept = self._num_tokens(ids, self._num_typed + len(kept_bytes))
        self.kept = tuple(ids[:num_kept]), kept_bytes.decode("utf-8", "replace")
        return num_kept

    def text_of(self, ids: Sequence[int]) -> str | None:
        """The exact text of ids that this rule has kept (their last token may hold more); None for other ids."""
        return self.kept[1] if self.kept is not None and self.kept[0] == tuple(ids) else None

    def _num_tokens(self, ids: list[int], num_bytes: int) -> int:
        seen = 0
        for index, token in enumerate(ids):
            if seen >= num_bytes:
                return index
            seen += len(self._token_bytes[token])
        return len(ids)


Stop = StopCheck | AnswerStop


def stop_for(prepared: Prepared, request: api.DenoiseRequest, token_bytes: Sequence[bytes]) -> Stop:
    """The stop rule of a prepared request; fresh for every run, since it remembers what it kept. A chat's answer ends
    with its block of code, whatever the request asks for.
    """
    if prepared.answer is not None:
        return AnswerStop(token_bytes, prepared.answer)
    return StopCheck(
        token_bytes,
        prefix_text=prepared.prefix_text,
        suffix_text=prepared.suffix_text,
        rule=request.stop,
        language=request.prompt.language,
        typed=prepared.taken_back.typed if prepared.taken_back else b"",
    )


def stopped(result: Result, stop: StopCheck) -> Result:
    """The result up to where the rule ends it, for a canvas that was written in any order: its first line may have come
    together with all of it.
    """
    num_kept = stop(list(result.ids)) if result.reason in ("eom", "length") else None
    if num_kept is None:
        return result
    return msgspec.structs.replace(result, ids=result.ids[:num_kept], reason="stop")


def answer_text(
    token_bytes: Sequence[bytes], ids: Sequence[int], reason: str, *, stop: Stop | None, num_typed: int
) -> str:
    """The text of a run's tokens without the typed bytes of a healed one, as a user gets it.

    A text that was cut short (any reason but `eom`) loses a character of which only a part was written.
    """
    kept = stop.text_of(ids) if isinstance(stop, StopCheck) and reason == "stop" else None
    if kept is not None:
        return kept
    data = b"".join([token_bytes[i] for i in ids])[num_typed:]
    if reason != "eom":
        data = data[: whole_characters(data)]
    return data.decode("utf-8", "replace")


def whole_characters(data: bytes) -> int:
    """The number of bytes before a character that is cut at the end (0 to 3 bytes are held back)."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            width = 1 if byte < 0x80 else 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4
            return len(data) - back if width > back else len(data)
    return len(data)
