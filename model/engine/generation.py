"""The loaded checkpoint and how one request runs on it: prepare, denoise, events.

Source: model/diffusion/steps.py and the border's events. This file imports torch and belongs to the worker's thread.
Left out: queues and HTTP (runner.py, app.py), which requests run together (scheduler.py).
"""

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import torch

from kernels.ops import Ops
from model.checkpoints.fitting import Precision, Shares, fitted, shares
from model.checkpoints.load import Checkpoint, load_checkpoint, load_preset
from model.checkpoints.memory import Plan, cache_bytes
from model.checkpoints.precision import shrinker
from model.diffusion.frames import Result
from model.diffusion.policy import Policy
from model.diffusion.steps import run_passes
from model.engine import api
from model.engine.abilities import capabilities_of, trial_request
from model.engine.alternatives import Together, Work, side_by_side
from model.engine.answers import unfinished
from model.engine.course import Course
from model.engine.job import Job
from model.engine.prefix_cache import NUM_PROMPTS, PrefixCache
from model.engine.prompting import LineEncoder, Prepared, prepare
from model.engine.repairs import Repairs
from model.engine.scheduler import Limits, num_caches
from model.engine.scoring import token_scores
from model.engine.showing import Utf8Pieces, chat_progress, progress_of
from model.engine.stopping import Stop, StopCheck, answer_text, stop_for, stopped
from model.engine.writing import frames_of, steps_of
from model.mending.ranking import Calibration, load_calibration
from model.network.kv_cache import KVCache
from model.network.packed import can_pack, pack_weights
from model.network.paged_runner import PagedRunner, paged_ops, whole_pages

MIN_KV_BYTES = 64 * 2**20
MIN_SEQUENCES = 4
ROOM_TOKENS = 128
"""Rows of a working cache beyond prompt and text: the block, and what is read of it before it is final."""

log = logging.getLogger("seedling.engine")


class ResidentModel:
    """One checkpoint with its prefix cache. Not thread-safe."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        calibration: Calibration | None = None,
        plan: Plan | None = None,
        pages: Ops | Literal["auto", "none"] = "auto",
    ) -> None:
        """calibration: of repairs, None = the checkpoint has none. plan: what this machine has room for, None = all.
        pages: the operations of passes over pages, "none" = caches side by side, "auto" = what the device is best at.
        """
        preset = checkpoint.preset
        self._checkpoint = checkpoint
        self._device, self._dtype = device, dtype
        self.network = checkpoint.network
        self._encoder = LineEncoder(checkpoint.tokenizer)
        capacity = preset.context_tokens + ROOM_TOKENS
        ops = paged_ops(self.network) if pages == "auto" else None if pages == "none" else pages
        if ops is not None:
            capacity = whole_pages(capacity)
        one = cache_bytes(preset.network, capacity, dtype.itemsize)
        least = MIN_KV_BYTES if device.type == "cpu" else 16 * MIN_KV_BYTES
        wish = Shares(running=max(least, MIN_SEQUENCES * one), kept=max(MIN_KV_BYTES, NUM_PROMPTS * one))
        self._shares = shares(plan.cache_bytes, wish, one) if plan else wish
        # What has begun never holds more caches than this (scheduler.py admits by their bytes); one more lies idle.
        self._max_caches = max(1, self._shares.running // one)
        self._pages = None
        if ops is not None:
            self._pages = PagedRunner(self.network, ops, max_rows=capacity, num_caches=self._max_caches + 1)
        self.prefix_cache = PrefixCache(
            preset.network,
            capacity=capacity,
            device=device,
            dtype=dtype,
            max_bytes=self._shares.kept,
            new_cache=None if self._pages is None else self._pages.new_cache,
        )
        self._repairs = Repairs(checkpoint, self._encoder, calibration, self._own_cache)
        self.capabilities = capabilities_of(preset, str(device), calibration)

    @property
    def limits(self) -> Limits:
        """What one iteration takes here.

        Measured on 2 cores, one thread, processor time: two canvases side by side cost what they cost alone (with
        compiled layers), four 0.82 and eight 0.75 of it; a prefill of 500 rows in pieces of 192 costs what it costs in
        one, in pieces of 64 a tenth more. Not measured: devices but the CPU.
        """
        if self._device.type == "cpu":
            return Limits(max_bytes=self._shares.running)
        return Limits(max_sequences=32, max_ahead=1024, max_rows=2048, max_bytes=self._shares.running)

    @property
    def sequence_bytes(self) -> int:
        """Keys and values of a request that has begun."""
        return self.prefix_cache.working_bytes

    def open(self, job: Job) -> Course:
        """A completion or a rewrite before its first pass. Raises BadRequest."""
        assert isinstance(job.request, api.DenoiseRequest)
        return Course(self._denoise(job, job.request))

    def iterate(self, parts: Sequence[tuple[Course, int]]) -> None:
        """One pass for all parts, each as in `run_passes`, and what follows from it in each course."""
        asked = [course.parts(num_ahead) for course, num_ahead in parts]
        frames = iter(run_passes(self.network, [part for of_course in asked for part in of_course]))
        for (course, num_ahead), of_course in zip(parts, asked, strict=True):
            given = [next(frames) for _ in of_course]
            if not num_ahead:
                course.go_on([frame for frame in given if frame is not None])

    def run(self, job: Job) -> Iterator[api.Event | api.RepairEvent]:
        """The events of one request that runs alone. Raises BadRequest before the first one."""
        if isinstance(job.request, api.RepairRequest):
            yield from self._repairs.run(job, job.request)
            return
        course = self.open(job)
        try:
            yield from course.take()
            while not course.has_ended:
                reason = job.expired()
                if reason is not None:
                    course.interrupt(reason)
                else:
                    self.iterate([(course, 0)])
                yield from course.take()
            if course.error is not None:
                raise course.error
        finally:
            course.close()

    def _denoise(self, job: Job, request: api.DenoiseRequest) -> Together:
        prepared = prepare(request, self._checkpoint.preset, self._checkpoint.tokenizer, self._encoder)
        num_lanes = min(num_caches(request), self._max_caches)
        # Rows of a unit that a canvas shares with the prompt are its own.
        unit = self._checkpoint.preset.network.cache_unit
        num_kept = len(prepared.prompt_ids) // unit * unit

        def lane(number: int, cache: KVCache) -> Work:
            for index in range(number, request.n, num_lanes):
                # The prompt stays, the canvas of whoever wrote here before goes.
                cache.truncate(min(num_kept, int(cache.lengths_B[0])))
                yield from self._run_one(job, request, prepared, cache, index)

        with self._cache_for(job, prepared) as cache, contextlib.ExitStack() as at_end:

            def others() -> list[Work]:
                works: list[Work] = []
                for number in range(1, num_lanes):
                    fork = cache.fork(1)
                    at_end.callback(fork.release)
                    works.append(lane(number, fork))
                return works

            yield from side_by_side(lane(0, cache), others)

    def _cache_for(self, job: Job, prepared: Prepared) -> contextlib.AbstractContextManager[KVCache]:
        if job.expired() is not None:  # it ends before its first pass
            return contextlib.nullcontext(KVCache(self._checkpoint.preset.network, capacity=0))
        if self._pages is not None and not self._fits(self._pages, prepared):
            return self._own_cache(prepared)
        return self.prefix_cache.lend(prepared.prompt_ids, job.client)

    @contextlib.contextmanager
    def _own_cache(self, prepared: Prepared) -> Iterator[KVCache]:
        """An empty cache that nobody goes on with: in pages where it fits."""
        pages, network = self._pages, self._checkpoint.preset.network
        if pages is not None and self._fits(pages, prepared):
            cache = pages.new_cache()
        else:
            cache = KVCache(network, device=self._device, dtype=self._dtype)
        try:
            yield cache
        finally:
            cache.release()

    def _fits(self, pages: PagedRunner, prepared: Prepared) -> bool:
        """A cache in pages does not grow, and a long draft may become twice as long."""
        return len(prepared.prompt_ids) + prepared.canvas.max_tokens + ROOM_TOKENS <= pages.max_rows

    def warm_up(self) -> None:
        """A few tokens the way a request gets them, so that the first one does not pay for lazy initialisation."""
        checkpoint = self._checkpoint
        request = trial_request(checkpoint.preset)
        prepared = prepare(request, checkpoint.preset, checkpoint.tokenizer, self._encoder)
        cache = KVCache(checkpoint.preset.network, device=self._device, dtype=self._dtype)
        if self._pages is not None:
            self._pages.warm_up()
            cache = self._pages.new_cache()
        stop = stop_for(prepared, request, checkpoint.tokenizer.token_bytes)
        try:
            for _ in frames_of(checkpoint, cache, request, prepared, prepared.policy, self._encoder, stop):
                pass
        finally:
            cache.release()

    def _run_one(self, job: Job, request: api.DenoiseRequest, prepared: Prepared, cache: KVCache, index: int) -> Work:
        typed = prepared.taken_back.typed if prepared.taken_back else b""
        token_bytes = self._checkpoint.tokenizer.token_bytes
        stop = stop_for(prepared, request, token_bytes)
        committed = Utf8Pieces(skip=len(typed))
        num_committed = 0
        policy = _with_seed(prepared.policy, request.seed + index)
        steps = steps_of(self._checkpoint, cache, request, prepared, policy, self._encoder, stop)
        frame = steps.frame()
        while frame.result is None:
            reason = "max_steps" if steps.out_of_steps else job.expired()
            frame = (yield steps) if reason is None else steps.interrupt(reason)
            assert frame is not None
            if frame.result is not None:
                break
            if prepared.answer is not None:  # of what a chat says only its code is shown
                if request.want_progress:
                    yield chat_progress(frame, token_bytes, prepared.answer, index)
                continue
            if request.want_progress:
                yield progress_of(frame, token_bytes, len(typed), index)
            new = frame.committed[num_committed:]
            num_committed = len(frame.committed)
            text = committed.add(b"".join(token_bytes[i] for i in new))
            if text:
                yield api.Committed(text=text, index=index)
        last = self._last_event(job, frame.result, prepared, stop, index)
        yield self._with_scores(last, frame.result, request, prepared, cache)

    def _last_event(self, job: Job, result: Result, prepared: Prepared, stop: Stop, index: int) -> api.Event:
        if not result.usable:
            return unfinished(result.reason)
        token_bytes = self._checkpoint.tokenizer.token_bytes
        if isinstance(stop, StopCheck) and self._checkpoint.preset.prompt is not None:
            result = stopped(result, stop)
        if prepared.answer is None:
            num_typed = len(prepared.taken_back.typed) if prepared.taken_back else 0
            text = answer_text(token_bytes, result.ids, result.reason, stop=stop, num_typed=num_typed)
        else:
            text = prepared.answer.canvas_text(token_bytes, result.ids, result.reason)
            if isinstance(text, api.Error):
                return text
        return api.Done(
            text=text,
            reason=result.reason,
            confidence=result.confidence,
            steps=result.steps,
            forwards=result.forwards,
            num_tokens=len(result.ids),
            prompt_tokens=result.prompt_tokens,
            cached_tokens=result.cached_tokens,
            model=self.capabilities.model,
            device=self.capabilities.device,
            engine_ms=(time.monotonic() - job.received_s) * 1000,
            index=index,
        )

    def _with_scores(
        self, last: api.Event, result: Result, request: api.DenoiseRequest, prepared: Prepared, cache: KVCache
    ) -> api.Event:
        """The last event with the log-probabilities of its tokens, where they are asked for."""
        if request.logprobs is None or not isinstance(last, api.Done):
            return last
        tokens = token_scores(
            self._checkpoint,
            cache,
            prepared.prompt_ids,
            result.ids,
            text=last.text,
            taken_back=prepared.taken_back,
            num_top=request.logprobs,
        )
        return msgspec.structs.replace(last, tokens=tokens)


def load_resident(
    folder: Path,
    *,
    device: str = "auto",
    dtype_name: str = "auto",
    precision: Precision = "auto",
    num_threads: int | None = None,
    report: Callable[[float, str], None],
) -> ResidentModel:
    """Loads a checkpoint and runs it once. Raises CheckpointError with a sentence for a missing or foreign one.

    device: auto (CUDA if there is one, else CPU), or any torch device name. dtype_name: auto, float32 or bfloat16.
    precision: in which form the weights are held; auto: as they are, or as integers where only those fit.
    `report(progress 0..1, sentence)`. What does not fit is trimmed or refused before the weights are read.
    """
    chosen = torch.device("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else torch.device(device)
    dtype = default_dtype(chosen) if dtype_name == "auto" else getattr(torch, dtype_name)
    torch.set_num_threads(num_threads or default_num_threads())
    plan = fitted(load_preset(folder), chosen, dtype, precision)
    if plan.reason:
        log.warning("%s: %s", plan.reason, plan.sentence)
    report(0.3, "The weights are being read.")
    with torch.inference_mode():
        shrink = None if plan.weights == "full" else shrinker(plan.weights)
        checkpoint = _with_context(load_checkpoint(folder, chosen, dtype, shrink=shrink), plan.context_tokens)
        if can_pack(checkpoint.network):
            pack_weights(checkpoint.network)
        resident = ResidentModel(checkpoint, chosen, dtype, load_calibration(folder), plan)
        report(0.8, "The model is being warmed up.")
        resident.warm_up()
    return resident


def _with_context(checkpoint: Checkpoint, context_tokens: int) -> Checkpoint:
    preset = msgspec.structs.replace(checkpoint.preset, context_tokens=context_tokens)
    return dataclasses.replace(checkpoint, preset=preset)


def default_num_threads() -> int:
    """Threads of one operation on a CPU: 1 below four cores, else 2; the others are the editor's.

    Measured on 2 cores, 9 M parameters, a step of 16 masks, compiled, medians: alone on the machine 1 thread takes
    2.0 ms and 2 threads 1.5 ms (5.9 ms if they sleep at once when they wait, see command.py); beside other work on one
    core 1 thread takes 2.0 ms and 2 threads 8.7 ms, for each operation then waits for the slower of the two.
    """
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if num_cores < 4 else 2


def default_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, float32 elsewhere.

    Measured on an AMD EPYC with avx512_bf16 and without AMX, 9 M parameters, one thread: prefill of 700 tokens 165 ms
    against 287 ms, a step of 16 masks 10.5 ms against 17 ms. Without these instructions bfloat16 is emulated and slow.
    """
    if device.type == "cuda":
        return torch.bfloat16
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if abilities.get("avx512_bf16") or abilities.get("amx_bf16") else torch.float32


def _with_seed(policy: Policy, seed: int) -> Policy:
    return msgspec.structs.replace(policy, seed=seed)
