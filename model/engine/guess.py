"""The tokens of a hole's guess, cut as the model would have written them behind the prompt.

Source: token healing (model/diffusion/healing.py): a guess that goes on with the typed word must begin with a token
that holds what was taken back. Left out: checking it (model/diffusion/speculate.py) and where guesses come from (the
language server).
"""

from model.diffusion.healing import TakenBack
from model.engine import api
from model.engine.prompting import LineEncoder
from model.tokenizer import TokenizerError


def guess_ids(line: str, guess: str, taken_back: TakenBack | None, encoder: LineEncoder) -> list[int]:
    """Ids of `guess` behind the cursor's line; with a healed token they begin with the typed bytes.

    None where the guess does not go on with that token or cannot be tokenized: it is a hint and never an error.
    """
    if not guess:
        return []
    try:
        before, whole = encoder(line), encoder(line + guess)
        if taken_back is not None:
            before = before[:-1]
        if whole[: len(before)] == before:
            ids = whole[len(before) :]
        else:
            # The guess merges into tokens before the one that was taken back: every fourth begun word of held-out
            # code does (`uncat` are two tokens, `uncate_visible` is cut elsewhere). What follows is cut for itself.
            ids = encoder((taken_back.typed.decode() if taken_back is not None else "") + guess)
    except (TokenizerError, UnicodeDecodeError):
        return []
    return ids if taken_back is None or ids[0] in taken_back.allowed_ids else []


def guess_of(request: api.DenoiseRequest) -> str:
    """The guess of a canvas that is one hole."""
    first = request.canvas[0]
    return first.guess if len(request.canvas) == 1 and isinstance(first, api.Masked) else ""
