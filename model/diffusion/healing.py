"""Token healing: the token at the cursor that may go on is taken back and written anew.

With `retu` typed, the tokens of `retu` are not how `return` begins; so the last token leaves the prompt and canvas
row 0 may only be a token whose bytes start with the typed ones. The idea is the
token healing of microsoft/guidance. Left out: the restriction itself (reading.py) and giving it up below p = 0.01
(run.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.tokenizer import CUR, NUM_RESERVED, Tokenizer


@dataclass(frozen=True)
class TakenBack:
    """token: the id that left the prompt's end; typed: its bytes; allowed_ids: every id whose bytes start with them.

    The canvas text of a healed run always begins with the typed bytes: `text_after_typed` drops them.
    """

    token: int
    typed: bytes
    allowed_ids: np.ndarray


def heal(tokenizer: Tokenizer, prompt_ids: Sequence[int]) -> tuple[list[int], TakenBack | None]:
    """The prompt without its last token, and that token, if it ends the cursor's line and may go on; else all and None.

    A token may go on when it ends in an identifier character (ASCII letter, digit, `_`, or any byte of a non-ASCII
    character) or a space. Indentation is never taken back: no token joins it to what follows.
    """
    ids = list(prompt_ids)
    start = len(ids)
    while start > 0 and ids[start - 1] >= NUM_RESERVED:
        start -= 1
    text = b"".join(tokenizer.token_bytes[i] for i in ids[start:])
    line = text[text.rfind(b"\n") + 1 :]  # the lines above it may stand behind <cur> as well
    if (start and ids[start - 1] != CUR) or not line.strip(b" \t") or not _may_go_on(line[-1]):
        return ids, None
    token = ids.pop()
    typed = tokenizer.token_bytes[token]
    return ids, TakenBack(token=token, typed=typed, allowed_ids=tokenizer.ids_starting_with(typed))


def text_after_typed(tokenizer: Tokenizer, ids: Iterable[int], taken_back: TakenBack | None) -> str:
    """Text of canvas ids without the typed bytes, for a Result or for what a stop rule is asked about."""
    text = b"".join(tokenizer.token_bytes[i] for i in ids)
    if taken_back is not None and text:
        assert text.startswith(taken_back.typed), "a healed canvas begins with the typed bytes"
        text = text[len(taken_back.typed) :]
    return text.decode("utf-8", errors="replace")


def _may_go_on(byte: int) -> bool:
    return byte >= 0x80 or chr(byte).isalnum() or byte in b"_ "
