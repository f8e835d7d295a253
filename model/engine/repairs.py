"""One repair request on the loaded checkpoint: rows that were named, or the whole text.

The work is model/mending's; here stand what a checkpoint may be asked, the prompt (the engine's own, so that a line is
judged as it would be completed), cancelling and deadlines, which are looked at between two passes, where completions
that wait go first. Without a calibration a named row is a draft for the block sampler, and nothing is looked for;
foreign weights are asked in words (chat_repairs.py).
Left out: queues and HTTP (runner.py, app.py), which repairs a user is shown (lsp_server).
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import msgspec

from model.checkpoints.load import Checkpoint
from model.diffusion.sampler import denoise_to_end
from model.engine import api
from model.engine.abilities import capabilities_of
from model.engine.chat_repairs import repaired_by_chat
from model.engine.job import BadRequest, Job
from model.engine.line_ends import LineEnds
from model.engine.prompting import LineEncoder, Prepared, prepare, prompt_around
from model.engine.stopping import answer_text
from model.lines import lines_of
from model.mending.edits import smallest
from model.mending.ranking import Calibration
from model.mending.reader import Interrupted, PromptOf, Reader
from model.mending.repair import Finding, Mender
from model.mending.text_view import TextView
from model.network.kv_cache import KVCache
from model.tokenizer import TokenizerError

LANGUAGE = "python"
MAX_CHARS = 400_000
"""Of a text that is looked through; the parser takes a tenth of a second for more."""


class Repairs:
    """A checkpoint's repairs. Not thread-safe. calibration None = none was fitted to it. cache_for: lends an empty
    cache for what is written; what is read (model/mending) has one of its own.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        encoder: LineEncoder,
        calibration: Calibration | None,
        cache_for: Callable[[Prepared], AbstractContextManager[KVCache]] | None = None,
    ) -> None:
        self._checkpoint, self._encoder, self._calibration = checkpoint, encoder, calibration
        self._cache_for = cache_for or (lambda prepared: contextlib.nullcontext(self._cache()))

    def _cache(self) -> KVCache:
        weight = self._checkpoint.network.head_weight
        return KVCache(self._checkpoint.preset.network, device=weight.device, dtype=weight.dtype)

    def run(self, job: Job, request: api.RepairRequest) -> Iterator[api.RepairEvent]:
        """The findings, the surest first, and the end. Raises BadRequest with a sentence before the first one."""
        self._check(request)
        ends = LineEnds(request.text)
        request = msgspec.structs.replace(request, text=ends.text)
        reader = self._reader(job, request.snippets)
        try:
            found, reason = self._found(request, reader)
        except TokenizerError as error:
            raise BadRequest("bad_request", f"The request cannot be tokenized: {error}.") from None
        for finding in sorted(found, key=lambda finding: -finding.confidence):
            yield api.Finding(
                start=ends.offset(finding.start),
                end=ends.offset(finding.end),
                text=ends.written(finding.text),
                confidence=finding.confidence,
                kind=finding.kind,
            )
        yield api.Repaired(
            num_findings=len(found),
            forwards=reader.num_forwards,
            engine_ms=(time.monotonic() - job.received_s) * 1000,
            reason=reason,
        )

    def _found(self, request: api.RepairRequest, reader: Reader) -> tuple[list[Finding], api.RepairReason]:
        view = TextView(request.path, request.text)
        found: list[Finding] = []
        try:
            if self._checkpoint.preset.prompt is not None:
                found, num_forwards = repaired_by_chat(
                    self._checkpoint, self._encoder, request, reader.between, self._cache_for
                )
                reader.num_forwards += num_forwards
                return found, "finished"
            if self._calibration is None:
                found += self._by_sampler(request, reader)
                return found, "finished"
            mender = Mender(reader, self._calibration)
            if request.first_row is not None and request.last_row is not None:
                repairs = mender.fix(view, request.first_row, request.last_row)
            else:
                repairs = mender.mend(view)
            for finding in repairs:
                found.append(finding)
        except Interrupted as interrupted:
            return found, interrupted.reason
        return found, "finished"

    def _check(self, request: api.RepairRequest) -> None:
        preset = self._checkpoint.preset
        if request.model is not None and request.model != preset.name:
            raise BadRequest("wrong_model", f"The engine has loaded {preset.name}, not {request.model}.")
        is_foreign = preset.prompt is not None
        if request.language not in preset.languages or (request.language != LANGUAGE and not is_foreign):
            raise BadRequest("unsupported", f"The model {preset.name} does not repair {request.language}.")
        if not capabilities_of(preset, "").fix if is_foreign else preset.sampling.edits == "none":
            raise BadRequest("unsupported", f"The model {preset.name} was not trained to correct drafts.")
        named = request.first_row is not None
        if not named and (self._calibration is None or self._calibration.mend_threshold is None):
            raise BadRequest("unsupported", f"The model {preset.name} has no calibration for finding faults.")
        if len(request.text) > MAX_CHARS:
            raise BadRequest("too_long", f"The text has {len(request.text)} characters; at most {MAX_CHARS} are read.")
        num_rows = len(lines_of(request.text))
        if request.last_row is not None and request.last_row >= num_rows:
            raise BadRequest("bad_request", f"Row {request.last_row} is none of the text's {num_rows} rows.")

    def _reader(self, job: Job, snippets: Sequence[api.Snippet]) -> Reader:
        def give_way(num_passes: int) -> None:
            reason = job.expired()
            if reason is not None:
                raise Interrupted(reason)
            job.make_way(num_passes)

        return Reader(
            self._checkpoint,
            prompts(self._checkpoint, self._encoder, snippets),
            self._encoder,
            between=lambda: give_way(1),
            breathe=lambda: give_way(0),
        )

    def _by_sampler(self, request: api.RepairRequest, reader: Reader) -> list[Finding]:
        """The named rows as one draft that the block sampler edits."""
        assert request.first_row is not None
        assert request.last_row is not None
        lines = lines_of(request.text)
        start = sum(map(len, lines[: request.first_row]))
        draft = "".join(lines[request.first_row : request.last_row + 1])
        indent = len(draft) - len(draft.lstrip(" \t"))
        start, draft = start + indent, draft[indent:].rstrip("\n")
        asked = draft_request(request.path, request.text[:start], draft, request.text[start + len(draft) :])
        prepared = prepare(asked, self._checkpoint.preset, self._checkpoint.tokenizer, self._encoder)

        def expired() -> None:
            reader.between()

        with self._cache_for(prepared) as cache:
            result = denoise_to_end(
                self._checkpoint.network, cache, prepared.prompt_ids, prepared.canvas, prepared.policy, expired=expired
            )
        reader.num_forwards += result.forwards
        token_bytes = self._checkpoint.tokenizer.token_bytes
        text = answer_text(token_bytes, result.ids, result.reason, stop=None, num_typed=0)
        if not result.usable or text == draft:
            return []
        edit = smallest(draft, text)
        return [
            Finding(
                row=request.first_row,
                start=start + edit.start,
                end=start + edit.end,
                text=edit.text,
                kind="rewritten",
                score=0.0,
                confidence=result.confidence,
            )
        ]


def draft_request(
    path: str, before: str, draft: str, after: str, snippets: Sequence[api.Snippet] = ()
) -> api.DenoiseRequest:
    """What the engine would be asked to correct a draft."""
    prompt = msgspec.structs.replace(prompt_around(path, before, after), snippets=tuple(snippets))
    return api.DenoiseRequest(id="repair", prompt=prompt, canvas=(api.Draft(draft),), stop="eom")


def prompts(checkpoint: Checkpoint, encoder: LineEncoder, snippets: Sequence[api.Snippet] = ()) -> PromptOf:
    """The engine's prompt at a place with a draft, as ids."""

    def prompt_of(path: str, before: str, draft: str, after: str) -> Sequence[int]:
        request = draft_request(path, before, draft, after, snippets)
        return prepare(request, checkpoint.preset, checkpoint.tokenizer, encoder).prompt_ids

    return prompt_of
