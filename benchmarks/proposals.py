"""What the language server would propose at a place in a document, without an editor and without a process.

The request is the server's own (lsp_server/features/complete.py), its way through prompt, prefix cache, decoding and
stop rule the engine's (model/engine/{prompting,writing,stopping}.py), and the shaping the server's again. What is not
done is the last step: the gate. Instead each token of the answer is read once more with the clean stream, so that a
gate can be looked for. Left out: deadlines, the type-along memory, what is measured with it (gate.py, context.py).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from benchmarks.writers import as_in_engine
from lsp_server.context.line_index import LineIndex
from lsp_server.engine_link import EngineState
from lsp_server.features.complete import plan_completion, surroundings
from lsp_server.features.gate import Witness, witness
from lsp_server.outcome import Outcome, Reason
from lsp_server.positions import Position
from lsp_server.settings import Settings
from lsp_server.shaping.pipeline import shape
from lsp_server.snapshot import Snapshot, detect_indent, open_document
from model.checkpoints.load import Checkpoint
from model.diffusion.frames import Result
from model.diffusion.objective import allowed_labels
from model.diffusion.sampler import last_result
from model.diffusion.states import CLEAN
from model.engine import api
from model.engine.abilities import capabilities_of
from model.engine.prefix_cache import PrefixCache
from model.engine.prompting import LineEncoder, Prepared, prepare
from model.engine.stopping import answer_text, stop_for
from model.engine.writing import frames_of
from model.evaluation.decode import Place
from model.network.one_pass import Rows, one_pass


class Tokens(msgspec.Struct, frozen=True):
    """How sure the clean stream is of an answer: natural logs of the least and of the first token's probability, and
    the mean entropy (nats) of its predictions at the answer's tokens.
    """

    least_log_p: float
    first_log_p: float
    entropy: float


class Proposal(msgspec.Struct, frozen=True):
    """`outcome`: "proposed", a reason of shaping, or the reason why nothing was asked. `text` is the shaped one.

    is_exact: the cursor's line with the text in it is the true line, blanks at its end aside. confidence, num_tokens,
    end and forwards are the engine's (`api.Done`). is_guessed: the server had a guess;
    witness: as in the gate (lsp_server/features/gate.py).
    """

    outcome: str
    text: str = ""
    is_exact: bool = False
    confidence: float = 0.0
    num_tokens: int = 0
    end: str = ""
    forwards: int = 0
    tokens: Tokens | None = None
    is_guessed: bool = False
    witness: Witness | None = None


def snapshot_at(place: Place) -> Snapshot:
    """The editor's document with the cursor in the hole, which is empty."""
    document = open_document(f"file:///project/{place.path}", "python", 1, place.before + place.after)
    row, line = place.before.count("\n"), place.before.rpartition("\n")[2]
    indent = detect_indent(document.lines, near=row)
    return Snapshot(document=document, cursor=Position(row, len(line)), path=place.path, indent=indent)


class Proposer:
    """One checkpoint as the engine keeps it, with its prefix cache. Not thread-safe."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, settings: Settings | None = None) -> None:
        as_in_engine(checkpoint, folder, compiled=False)
        self._checkpoint = checkpoint
        self._settings = Settings() if settings is None else settings
        self._engine = EngineState(kind="ready", capabilities=capabilities_of(checkpoint.preset, "cpu"))
        self._encoder = LineEncoder(checkpoint.tokenizer)
        weight, preset = checkpoint.network.head_weight, checkpoint.preset
        capacity = preset.context_tokens + 128  # as the engine's (model/engine/generation.py)
        self._caches = PrefixCache(preset.network, capacity=capacity, device=weight.device, dtype=weight.dtype)
        self._banned_V = ~allowed_labels(preset.network.vocab_size)[CLEAN].to(weight.device)

    def propose(
        self,
        place: Place,
        *,
        snippets: Sequence[api.Snippet] = (),
        others: LineIndex | None = None,
        guesses: bool = True,
    ) -> Proposal:
        """The server's proposal at the place. guesses: as the server makes them, or none."""
        snapshot = snapshot_at(place)
        question = plan_completion(snapshot, self._settings, self._engine, "benchmark", others=others)
        if isinstance(question, Outcome):
            return Proposal(question.name)
        request = question.request
        prompt = msgspec.structs.replace(request.prompt, snippets=tuple(snippets))
        canvas = request.canvas if guesses else (api.Masked(),)
        request = msgspec.structs.replace(request, prompt=prompt, canvas=canvas)
        prepared = prepare(request, self._checkpoint.preset, self._checkpoint.tokenizer, self._encoder)
        result, text = self._write(request, prepared)
        shaped = shape(text, surroundings(snapshot, single_line=request.stop == "line"))
        outcome, text, num_replaced = "proposed", "", 0
        if isinstance(shaped, tuple):
            reason: Reason = shaped[0]
            outcome = reason.slug
        else:
            text, num_replaced = shaped.text, shaped.num_replaced
        return Proposal(
            outcome=outcome,
            text=text,
            is_exact=outcome == "proposed" and is_exact(place, text, num_replaced),
            confidence=result.confidence,
            num_tokens=len(result.ids),
            end=result.reason,
            forwards=result.forwards,
            tokens=self._read(prepared, result),
            is_guessed=guesses and bool(question.guess),
            witness=witness(text, question.similar) if guesses else None,
        )

    def _write(self, request: api.DenoiseRequest, prepared: Prepared) -> tuple[Result, str]:
        token_bytes = self._checkpoint.tokenizer.token_bytes
        stop = stop_for(prepared, request, token_bytes)
        with self._caches.lend(prepared.prompt_ids) as cache:
            result = last_result(
                frames_of(self._checkpoint, cache, request, prepared, prepared.policy, self._encoder, stop)
            )
        num_typed = len(prepared.taken_back.typed) if prepared.taken_back else 0
        return result, answer_text(token_bytes, result.ids, result.reason, stop=stop, num_typed=num_typed)

    def _read(self, prepared: Prepared, result: Result) -> Tokens | None:
        """One more pass over the answer; None where it has no token of the model's own."""
        ids, taken_back = list(result.ids), prepared.taken_back
        if not ids:
            return None
        with self._caches.lend(prepared.prompt_ids) as cache, torch.inference_mode():
            cache.truncate(min(int(cache.lengths_B[0]), len(prepared.prompt_ids) - 1))
            run = [*prepared.prompt_ids[int(cache.lengths_B[0]) :], *ids[:-1]]
            rows = Rows(torch.tensor([run], device=cache.k_LBGSK.device))
            hidden_1ND, _ = one_pass(self._checkpoint.network, cache, rows, None, want_clean=len(ids))
            assert hidden_1ND is not None
            logits_NV = self._checkpoint.network.logits(hidden_1ND[0]).float()
        logits_NV = logits_NV.masked_fill(self._banned_V, -torch.inf)
        if taken_back is not None and ids[0] != taken_back.token:  # written under the restriction of a begun word
            kept_V = torch.full_like(logits_NV[0], -torch.inf)
            allowed = torch.from_numpy(taken_back.allowed_ids).to(kept_V.device)
            kept_V[allowed] = logits_NV[0, allowed]
            logits_NV[0] = kept_V
        first = 1 if taken_back is not None and ids[0] == taken_back.token else 0  # that one the user has typed
        log_p_NV = logits_NV.log_softmax(dim=-1)[first:]
        if not len(log_p_NV):
            return None
        own = [float(row_V[token]) for row_V, token in zip(log_p_NV, ids[first:], strict=True)]
        entropies_N = -(log_p_NV.exp() * log_p_NV.masked_fill(log_p_NV.isinf(), 0.0)).sum(-1)
        return Tokens(max(min(own), math.log(1e-12)), max(own[0], math.log(1e-12)), float(entropies_N.mean()))


def is_exact(place: Place, text: str, num_replaced: int) -> bool:
    """Whether accepting the text gives the true line."""
    before, behind = place.before.rpartition("\n")[2], place.after.partition("\n")[0]
    return (before + text + behind[num_replaced:]).rstrip() == (before + place.gold + behind).rstrip()
