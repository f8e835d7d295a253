"""What is shown of a chat on its way. (Of other requests: test_generation.py.)"""

from model.diffusion.frames import Frame
from model.diffusion.states import DRAFT, MASKED
from model.engine.answers import Answer
from model.engine.chats import Change
from model.engine.showing import chat_progress
from model.tokenizer import EOM, MASK

TOKEN_BYTES = (b"",) * 64 + tuple(bytes([byte]) for byte in range(256))
ANSWER = Answer(Change(above="", lead="", draft="x", below="", locked=("a\n", "\nb")), "")


def shown(committed: str, block: str) -> list[tuple[str, str, int]]:
    """(state, text, tokens) of each piece; `_` is a mask, `$` the end."""
    ids = [{"_": MASK, "$": EOM}.get(char, 64 + ord(char)) for char in block]
    frame = Frame(
        step=1,
        committed=tuple(64 + ord(char) for char in committed),
        block_ids=tuple(ids),
        block_states=tuple(MASKED if id == MASK else DRAFT for id in ids),
        confidences=(0.5,) * len(ids),
        moves=(),
    )
    return [
        (piece.state, piece.text, piece.num_tokens) for piece in chat_progress(frame, TOKEN_BYTES, ANSWER, 0).pieces
    ]


AROUND = [("locked", "a\n", 0), ("locked", "\nb", 0)]


def test_prose_is_masks():
    assert shown("Well. ", "So __") == [AROUND[0], ("masked", "", 2), AROUND[1]]


def test_code_is_shown_up_to_its_first_mask():
    assert shown("So:\n```\n", "x = _y_") == [AROUND[0], ("draft", "x =", 12), ("masked", "", 3), AROUND[1]]


def test_nothing_is_missing_behind_the_fence():
    assert shown("```\nx\n```\n", "The____") == [AROUND[0], ("draft", "x", 13), AROUND[1]]
    assert shown("```\n", "xy$__") == [AROUND[0], ("draft", "xy", 6), ("masked", "", 3), AROUND[1]]
