"""Edits that are asked for in words, for foreign weights that were tuned to chat.

The code, what stands around it and the instruction make one question; the canvas is the answer, of masks. What the
answer's fenced block holds is put back as the code stood (answers.py). The wording is ours: no family publishes one
for edits inside a file; the turns around it are the family's (model/checkpoints/prompt_form.py). Left out: code of
other files, as from the rewrites of our own weights.
"""

import re
from typing import NamedTuple

from model.engine import api
from model.engine.encoder import LineEncoder
from model.engine.foreign_prompts import SHARES, Filled, fill, frame_tokens
from model.engine.job import BadRequest
from model.engine.trimming import first_lines, last_lines
from model.foreign_tokenizer import ForeignTokenizer

ANSWER_GROWTH = 1.5
"""An answer is at most so many times as long as the code, and MORE_TOKENS more."""
MORE_TOKENS = 96
MAX_INSTRUCTION_CHARS = 4_000
LEAST_AROUND = 64
"""Tokens of the code around, below which an edit is refused: without any of it an answer guesses names."""

_FENCES = re.compile(r"`{3,}")


class Change(NamedTuple):
    """What is asked: `draft` becomes something else between `above` and `below`.

    lead: the white space before the draft on its line, which the model sees with it. locked: the canvas's texts before
    and behind the draft, which come back as they are.
    """

    above: str
    lead: str
    draft: str
    below: str
    locked: tuple[str, str]

    @property
    def shown(self) -> str:
        return self.lead + self.draft


class Chat(NamedTuple):
    """A question as ids, and how long its answer may get."""

    filled: Filled
    max_tokens: int
    change: Change
    opening: str


def change_of(request: api.DenoiseRequest) -> Change:
    """The request's canvas as one change. Raises BadRequest for canvases of other kinds."""
    pieces = request.canvas
    drafts = [index for index, piece in enumerate(pieces) if isinstance(piece, api.Draft)]
    if len(drafts) != 1 or any(isinstance(piece, api.Masked) for piece in pieces):
        raise BadRequest("unsupported", "This model rewrites one stretch of code at a time: one draft, no holes.")
    texts = ["" if isinstance(piece, api.Masked) else piece.text for piece in pieces]
    before, draft, after = "".join(texts[: drafts[0]]), texts[drafts[0]], "".join(texts[drafts[0] + 1 :])
    prompt = request.prompt
    above = prompt.prefix + prompt.line + before
    line = above[above.rfind("\n") + 1 :]
    lead = line if not line.strip() else ""
    return Change(
        above=above[: len(above) - len(lead)],
        lead=lead,
        draft=draft,
        below=after + prompt.tail + prompt.suffix,
        locked=(before, after),
    )


def chat_prompt(
    request: api.DenoiseRequest, form: str, tokenizer: ForeignTokenizer, encoder: LineEncoder, context_tokens: int
) -> Chat:
    """Raises BadRequest where the code or the instruction do not fit."""
    change = change_of(request)
    num_old = len(encoder(change.shown))
    max_tokens = int(num_old * ANSWER_GROWTH) + MORE_TOKENS
    room = context_tokens - max_tokens - frame_tokens(form, tokenizer, encoder)
    instruction = (request.prompt.instruction or "")[:MAX_INSTRUCTION_CHARS].strip()
    bare = len(encoder(question(request, instruction, change._replace(above="", below=""))))
    if room - bare < min(LEAST_AROUND, context_tokens // 8):
        raise BadRequest(
            "too_long",
            f"The code has {num_old} tokens; with the question and the answer that is more than this model's context "
            f"of {context_tokens}.",
        )
    for share in SHARES:
        around = int((room - bare) * share)
        below = first_lines(change.below, around // 3, encoder)
        above = last_lines(change.above, around - len(encoder(below)), encoder)
        asked = question(request, instruction, change._replace(above=above, below=below))
        places = {"question": asked, "language": request.prompt.language}
        filled = fill(form, places, tokenizer, encoder)
        if len(filled.before_ids) + len(filled.after_ids) + max_tokens <= context_tokens:
            break
    else:
        raise BadRequest("too_long", f"The question does not fit into a context of {context_tokens} tokens.")
    return Chat(filled, max_tokens, change, opening_of(form, request.prompt.language))


def question(request: api.DenoiseRequest, instruction: str, change: Change) -> str:
    """The task in words. The code stands between fences that it does not hold itself."""
    prompt = request.prompt
    longest = max(map(len, _FENCES.findall(change.above + change.shown + change.below)), default=2)
    fence = "`" * max(3, longest + 1)

    def block(text: str) -> str:
        return f"{fence}{prompt.language}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n"

    parts = [f"Change a piece of code{f' in the file {prompt.path}' if prompt.path else ''}.\n\n"]
    if change.above.strip():
        parts.append(f"Above it stands:\n{block(change.above)}\n")
    if change.below.strip():
        parts.append(f"Below it stands:\n{block(change.below)}\n")
    parts.append(f"The code to change:\n{block(change.shown)}\n")
    parts.append(f"Instruction: {instruction}\n\n")
    parts.append(
        "Answer with one fenced block that holds the changed code, whole, and nothing of what stands around it."
    )
    return "".join(parts)


def opening_of(form: str, language: str) -> str:
    """What the form has written of the answer already, from its fence on."""
    before = form.partition("{canvas}")[0]
    text = before[before.rfind("⟩") + 1 :].replace("{language}", language)
    start = text.find("```")
    return text[start:] if start >= 0 else ""
