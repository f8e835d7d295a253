"""The training loop: one network through warm-up, mask stage and edit stage within a wall-time budget.

The clock decides stage and learning rate (schedule.py); the data of a step depend on (seed, step) alone, so a killed
run goes on with the same order. fp32 weights, bf16 products; Muon and AdamW; gradients clipped; a step with a loss
that is not finite is skipped. Source: Seed Diffusion (arXiv 2508.02193), section 2, at the size of two CPU cores.
Left out: the later stages (constrained order, on-policy) and more than one device.
"""

import hashlib
import math
import os
import sys
import time
import zlib
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from model.checkpoints.from_hf import converted_tokenizer, network_from
from model.checkpoints.hf_tokenizer import ConvertedTokenizer, UnusableTokenizer
from model.checkpoints.load import CheckpointError, load_checkpoint, save_checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.diffusion.objective import allowed_labels, batch_loss, choose_rows
from model.network.config import NetworkConfig
from model.network.transformer import Transformer
from model.training.edit_stage import with_own_mistakes
from model.training.mistakes import SlipTable
from model.training.optimizers import Average, make_optimizers
from model.training.prefetch import Batches, BatchShape
from model.training.progress import EvalRecord, Progress, StepRecord, draw_losses
from model.training.quick_eval import QuickScores, quick_eval
from model.training.run_state import Counters, Identity, RunState, TrainError, load_run, save_run
from model.training.schedule import LAMBDA_AR, Schedule, rate_at, stage_at
from model.training.shards import Shards, open_shards
from model.training.two_stream import Forward, hidden_rows, rows_of, two_stream_hidden

MAX_BAD_STEPS = 20
CLIP_NORM = 1.0
EVAL_CLEAN_TOKENS, EVAL_NOISY_TOKENS = 512, 256  # the same for every run, so that runs compare


class TrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` = rows a step, taken `micro_rows` at a time; a row has `clean_tokens` + `noisy_tokens` places. In the
    diffusion stages all noisy tokens of a row and `extra_head_rows` clean ones pass the head.

    `max_steps` ends the run after that many steps and then also drives the schedule (tests). `start_from` = checkpoint
    folder whose weights a new run begins with; `init` = a next-token model of the Hugging Face format instead.
    """

    shards: Path
    out: Path
    network: NetworkConfig
    minutes: float = 35.0
    max_steps: int | None = None
    seed: int = 0
    rows: int = 16
    micro_rows: int = 4
    clean_tokens: int = 512
    noisy_tokens: int = 512
    extra_head_rows: int = 256
    schedule: Schedule = Schedule()
    ema_decay: float = 0.98
    save_every_s: float = 180.0
    eval_every_s: float = 240.0
    eval_batches: int = 2
    resume: bool = False
    start_from: Path | None = None
    init: Path | None = None
    device: str = "cpu"
    compile: bool = True
    bf16: bool = True
    name: str = "seedling-9m"


def train(options: TrainOptions) -> QuickScores:
    """Trains until the budget is spent, writes the checkpoint folder to `options.out`, returns its held-out scores.

    Raises TrainError or ShardError with one sentence. KeyboardInterrupt saves the run first and passes on.
    """
    shards, heldout = open_shards(options.shards), open_shards(options.shards, "heldout")
    state = _begin(options, shards)
    shape = BatchShape(options.seed, options.micro_rows, options.clean_tokens, options.noisy_tokens)
    num_workers = max(0, (os.cpu_count() or 1) - 2) if options.device.startswith("cuda") else 0
    batches = Batches(options.shards, shards, SlipTable(shards.tokenizer), shape, num_workers=num_workers)
    trainer = _Trainer(options, shards, heldout, state, batches)
    budget_s = options.minutes * 60
    with batches, Progress(options.out, budget_s, state.counters.step) as progress:
        num_parameters = sum(p.numel() for p in state.network.parameters())
        progress.say(
            f"{num_parameters / 1e6:.2f} M parameters, {len(shards.tokens) / 1e6:.2f} M tokens in "
            f"{shards.num_documents} documents, from step {state.counters.step}"
        )
        try:
            trainer.run(progress)
        except KeyboardInterrupt:
            save_run(state, options.out)
            progress.say(f"stopped at step {state.counters.step}; go on with --resume")
            raise
        scores = trainer.finish(progress)
    return scores


class _Trainer:
    """The loop's parts that stay the same from step to step."""

    def __init__(
        self, options: TrainOptions, shards: Shards, heldout: Shards, state: RunState, batches: Batches
    ) -> None:
        self.batches = batches
        self.options, self.shards, self.heldout, self.state = options, shards, heldout, state
        self.table = SlipTable(shards.tokenizer)
        self.allowed_KV = allowed_labels(options.network.vocab_size).to(options.device)
        self.forward: Forward = two_stream_hidden
        if options.compile:
            self.forward = compiled_or_eager()
        self.before_s = state.counters.spent_s
        self.started_s = time.monotonic()

    def spent_s(self) -> float:
        return self.before_s + time.monotonic() - self.started_s

    def share(self) -> float:
        """The spent share of the budget: wall time, or steps where the steps are limited."""
        if self.options.max_steps is not None:
            return self.state.counters.step / self.options.max_steps
        return self.spent_s() / (self.options.minutes * 60)

    def run(self, progress: Progress) -> None:
        options, counters = self.options, self.state.counters
        next_save_s = self.spent_s() + options.save_every_s
        next_eval_s = self.spent_s() + options.eval_every_s
        while (share := self.share()) < 1.0:
            progress.step(self.step(share))
            if self.spent_s() >= next_eval_s and options.eval_batches:
                self.evaluate(progress, self.state.network)
                next_eval_s = self.spent_s() + options.eval_every_s
            if self.spent_s() >= next_save_s:
                self.save()
                draw_losses(options.out)
                next_save_s = self.spent_s() + options.save_every_s
            if counters.num_bad_steps > MAX_BAD_STEPS:
                raise TrainError(f"the loss was not finite in {counters.num_bad_steps} steps; lower the learning rate")

    def step(self, share: float) -> StepRecord:
        """One optimiser step at the spent share `share`."""
        options, state, counters = self.options, self.state, self.state.counters
        begun_s = time.monotonic()
        stage = stage_at(options.schedule, share)
        num_parts = options.rows // options.micro_rows
        clean = noisy = torch.zeros((), device=options.device)
        num_tokens, checksum, finite = 0, 0, True
        for part in range(num_parts):
            number = counters.step * num_parts + part
            batch = self.batches.get(stage, number)
            checksum = zlib.crc32(batch.clean_tokens.tobytes(), checksum)
            num_tokens += int((batch.clean_sample >= 0).sum())
            counters.num_canvas_tokens += batch.num_canvas_tokens
            if batch.own:
                seed = options.seed * 1_000_003 + number
                batch = with_own_mistakes(state.network, batch, self.allowed_KV, seed=seed, bf16=options.bf16)
            per_row = options.clean_tokens if stage == "warm-up" else options.noisy_tokens + options.extra_head_rows
            chosen = choose_rows(batch, lambda_ar=LAMBDA_AR, num_rows=per_row * options.micro_rows, seed=number)
            hidden = hidden_rows(state.network, rows_of(batch, options.device), bf16=options.bf16, forward=self.forward)
            head = state.network.head_weight.to(hidden.dtype)
            loss = batch_loss(hidden, head, chosen.to(options.device), self.allowed_KV, LAMBDA_AR)
            finite = finite and bool(torch.isfinite(loss.total))
            (loss.total / num_parts).backward()
            clean, noisy = clean + loss.clean / num_parts, noisy + loss.noisy / num_parts
        rate = rate_at(options.schedule, share, counters.step)
        self._update(finite, rate, share)
        counters.step += 1
        counters.num_tokens += num_tokens
        counters.spent_s = self.spent_s()
        return StepRecord(
            step=counters.step,
            stage=stage,
            spent_s=round(counters.spent_s, 3),
            num_tokens=counters.num_tokens,
            tokens_per_s=round(num_tokens / max(1e-9, time.monotonic() - begun_s), 1),
            clean=float(clean) if math.isfinite(float(clean)) else -1.0,
            noisy=None if stage == "warm-up" else (float(noisy) if math.isfinite(float(noisy)) else -1.0),
            rate=rate,
            data=checksum,
        )

    def _update(self, finite: bool, rate: float, share: float) -> None:
        state, schedule = self.state, self.options.schedule
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), CLIP_NORM)
        if not finite or not bool(torch.isfinite(norm)):
            state.network.zero_grad(set_to_none=True)
            state.counters.num_bad_steps += 1
            return
        state.optimizers.set_rate(schedule.muon_rate * rate, schedule.adamw_rate * rate)
        state.optimizers.step()
        if share >= schedule.decay_start:
            if state.average is None:
                state.average = Average(state.network, self.options.ema_decay)
            else:
                state.average.update(state.network)

    def evaluate(self, progress: Progress, network: Transformer) -> QuickScores:
        options = self.options
        scores = quick_eval(
            network,
            self.heldout,
            self.table,
            self.allowed_KV,
            num_batches=max(1, options.eval_batches),
            rows=options.micro_rows,
            clean_tokens=EVAL_CLEAN_TOKENS,
            noisy_tokens=EVAL_NOISY_TOKENS,
            bf16=options.bf16,
        )
        progress.evaluation(
            EvalRecord(
                step=self.state.counters.step,
                spent_s=round(self.spent_s(), 3),
                twin_bits_per_byte=scores.twin_bits_per_byte,
                masked_nats=scores.masked_nats,
            )
        )
        return scores

    def save(self) -> None:
        self.state.counters.spent_s = self.spent_s()
        save_run(self.state, self.options.out)

    def finish(self, progress: Progress) -> QuickScores:
        """Saves the run and writes the checkpoint folder with the averaged weights."""
        options, state = self.options, self.state
        self.save()
        network = Transformer(options.network).to(options.device)
        network.load_state_dict(state.network.state_dict())
        if state.average is not None:
            with torch.no_grad():
                for name, p in network.named_parameters():
                    p.copy_(state.average.weights[name])
        scores = self.evaluate(progress, network)
        preset = _preset(options, state, scores, self.shards.tokenizer.sha256)
        try:
            save_checkpoint(options.out, network, preset, options.shards / "tokenizer.json")
        except OSError as error:
            raise TrainError(f"the checkpoint could not be written to {options.out} ({error})") from None
        draw_losses(options.out)
        progress.say(f"wrote {options.out}")
        return scores


def compiled_or_eager() -> Forward:
    """`two_stream_hidden` compiled, for its two static shapes; eager from the first time that compiling fails.

    A run of an hour must not end because the second shape meets a compiler bug or a missing C++ compiler.
    """
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor.exc import InductorError

    compiled: Forward = torch.compile(two_stream_hidden, dynamic=False)
    failed = False

    def forward(*args: object) -> Tensor:
        nonlocal failed
        if not failed:
            try:
                return compiled(*args)
            except (BackendCompilerFailed, InductorError) as error:
                failed = True
                reason = str(error).splitlines()[0]
                print(f"compiling failed ({reason}); going on without it", file=sys.stderr, flush=True)
        return two_stream_hidden(*args)  # type: ignore[arg-type]

    return forward


def _begin(options: TrainOptions, shards: Shards) -> RunState:
    if options.rows % options.micro_rows:
        raise TrainError(f"rows ({options.rows}) must be a multiple of micro rows ({options.micro_rows})")
    if options.network.vocab_size != shards.tokenizer.vocab_size:
        raise TrainError(
            f"the network has a vocabulary of {options.network.vocab_size}, "
            f"the shards one of {shards.tokenizer.vocab_size}"
        )
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"cannot make the folder {options.out} ({error.strerror})") from None
    if not options.resume and (options.out / "resume.safetensors").exists():
        raise TrainError(f"{options.out} already holds a run; go on with --resume or name another folder")
    torch.manual_seed(options.seed)
    network = Transformer(options.network).to(options.device)
    identity = Identity(
        network=options.network,
        tokenizer_sha256=shards.tokenizer.sha256,
        seed=options.seed,
        rows=options.rows,
        micro_rows=options.micro_rows,
        clean_tokens=options.clean_tokens,
        noisy_tokens=options.noisy_tokens,
    )
    state = RunState(network, make_optimizers(network), identity, Counters())
    if options.resume:
        load_run(state, options.out, options.ema_decay)
    elif options.start_from is not None:
        _take_weights(network, options.start_from, shards.tokenizer.sha256)
    elif options.init is not None:
        _take_foreign(network, options.init, shards)
    return state


def foreign_tokenizer(folder: Path, shards: Shards) -> ConvertedTokenizer:
    """The converted tokenizer of a Hugging Face checkpoint; TrainError unless the shards were made with it."""
    try:
        tokenizer = converted_tokenizer(folder, shards.tokenizer.vocab_size)
    except (CheckpointError, UnusableTokenizer) as error:
        raise TrainError(str(error).rstrip(".")) from None
    if hashlib.sha256(tokenizer.text.encode()).hexdigest() != shards.tokenizer.sha256:
        raise TrainError(
            f"the shards were not made with the tokenizer of {folder}: make it with seedling tokenizer convert, "
            "and the shards with seedling corpus build --tokenizer"
        )
    return tokenizer


def _take_foreign(network: Transformer, folder: Path, shards: Shards) -> None:
    try:
        network.load_state_dict(network_from(folder, foreign_tokenizer(folder, shards)).state_dict())
    except CheckpointError as error:
        raise TrainError(str(error).rstrip(".")) from None


def _take_weights(network: Transformer, folder: Path, tokenizer_sha256: str) -> None:
    """The weights of a checkpoint of the same shape and tokenizer; else TrainError."""
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError as error:
        raise TrainError(str(error)) from None
    if checkpoint.preset.network != network.config:
        raise TrainError(f"{folder} has another shape of network than the one asked for")
    if checkpoint.tokenizer.sha256 != tokenizer_sha256:
        raise TrainError(f"{folder} was trained with another tokenizer than that of the shards")
    network.load_state_dict(checkpoint.network.state_dict())


def _preset(options: TrainOptions, state: RunState, scores: QuickScores, tokenizer_sha256: str) -> Preset:
    counters = state.counters
    stage = stage_at(options.schedule, 0.999)
    return Preset(
        name=options.name,
        network=options.network,
        sampling=Sampling(tau_mask=0.3, edits="insert-delete" if stage == "edit" else "none"),
        context_tokens=options.clean_tokens,
        trained={
            "stage": stage,
            "steps": counters.step,
            "clean_tokens": counters.num_tokens,
            "canvas_tokens": counters.num_canvas_tokens,
            "minutes": round(counters.spent_s / 60, 2),
            "heldout_twin_bits_per_byte": round(scores.twin_bits_per_byte, 4),
            "heldout_masked_nats": round(scores.masked_nats, 4),
            "tokenizer_sha256": tokenizer_sha256,
        },
    )
