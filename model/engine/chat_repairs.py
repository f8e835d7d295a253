"""A repair by a model that chats: the named rows are rewritten, with what the diagnostics say as the instruction.

What comes back is one finding, as small as it may be; the language server offers it only where the parser likes it
(lsp_server/features/fix.py). Left out: looking for mistakes that nobody named, and a calibrated confidence: it is the
mean probability of the answer's tokens, the fence's too.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from model.checkpoints.load import Checkpoint
from model.diffusion.steps import run_alone
from model.engine import api
from model.engine.encoder import LineEncoder
from model.engine.prompting import Prepared, prepare
from model.engine.stopping import stop_for
from model.engine.writing import steps_of
from model.lines import lines_of
from model.mending.edits import smallest
from model.mending.repair import Finding
from model.network.kv_cache import KVCache

NO_MESSAGE = "Find the mistake in this code and fix it. Change nothing else."


def chat_request(request: api.RepairRequest) -> tuple[api.DenoiseRequest, int]:
    """The rewrite that is asked for, and where its draft begins in the text."""
    assert request.first_row is not None
    assert request.last_row is not None
    lines = lines_of(request.text)
    above, draft = "".join(lines[: request.first_row]), "".join(lines[request.first_row : request.last_row + 1])
    prompt = api.Prompt(
        path=request.path,
        language=request.language,
        prefix=above,
        suffix="".join(lines[request.last_row + 1 :]),
        instruction=instruction_of(request.messages),
    )
    canvas = (api.Draft(draft),)
    return api.DenoiseRequest(id=request.id, prompt=prompt, canvas=canvas, stop="eom"), len(above)


def instruction_of(messages: tuple[str, ...]) -> str:
    """What diagnostics say, as something to do."""
    said = [" ".join(message.split()) for message in messages]
    said = list(dict.fromkeys(message for message in said if message))
    if not said:
        return NO_MESSAGE
    if len(said) == 1:
        return f"Fix what this diagnostic says, and change nothing else: {said[0]}"
    return "Fix what these diagnostics say, and change nothing else:\n" + "\n".join(f"- {message}" for message in said)


def repaired_by_chat(
    checkpoint: Checkpoint,
    encoder: LineEncoder,
    request: api.RepairRequest,
    between: Callable[[], None],
    cache_for: Callable[[Prepared], AbstractContextManager[KVCache]],
) -> tuple[list[Finding], int]:
    """The finding, if the model would change anything, and the passes it took. between: called before each pass; what
    it raises ends the repair. cache_for: an empty cache. Raises BadRequest where the rows do not fit.
    """
    asked, start = chat_request(request)
    (piece,) = asked.canvas
    assert isinstance(piece, api.Draft)
    prepared = prepare(asked, checkpoint.preset, checkpoint.tokenizer, encoder)
    assert prepared.answer is not None
    token_bytes = checkpoint.tokenizer.token_bytes
    stop = stop_for(prepared, asked, token_bytes)
    result = None
    with cache_for(prepared) as cache:
        steps = steps_of(checkpoint, cache, asked, prepared, prepared.policy, encoder, stop)
        for frame in run_alone(checkpoint.network, steps, between):
            result = frame.result
    assert result is not None
    text = prepared.answer.canvas_text(token_bytes, result.ids, result.reason)
    if isinstance(text, api.Error) or text == piece.text:
        return [], result.forwards
    edit = smallest(piece.text, text)
    assert request.first_row is not None
    finding = Finding(
        row=request.first_row,
        start=start + edit.start,
        end=start + edit.end,
        text=edit.text,
        kind="rewritten",
        score=0.0,
        confidence=result.confidence,
    )
    return [finding], result.forwards
