"""The training loop: one network through warm-up, mask stage and edit stage within a wall-time budget.

The clock decides stage and learning rate (schedule.py); the data of a step depend on (seed, step) alone, so a killed
run goes on with the same order. fp32 weights, bf16 products; Muon and AdamW; gradients clipped; a step with a loss
that is not finite is skipped. Several processes (processes.py) share a step: micro batch n belongs to process n mod
size, and the loss is the mean over the micro batches of all, as it is for one. Source: Seed Diffusion (arXiv
2508.02193), section 2. Left out: the later stages (constrained order, on-policy), which one process runs.
"""

import math
import os
import time
import zlib

import torch

from model.checkpoints.load import save_checkpoint
from model.checkpoints.presets import Preset, Sampling
from model.diffusion.objective import allowed_labels, batch_loss, choose_rows
from model.network.transformer import Transformer
from model.training.compiled_forward import compiled_or_eager
from model.training.edit_stage import first_rows, with_own_mistakes
from model.training.mistakes import SlipTable
from model.training.optimizers import Average
from model.training.packing import Batch, Stage
from model.training.prefetch import Batches, BatchShape
from model.training.processes import Processes, started_processes
from model.training.progress import EvalRecord, Progress, Silence, StepRecord, draw_losses
from model.training.quick_eval import QuickScores, quick_eval
from model.training.run_state import RunState, TrainError, save_run
from model.training.schedule import LAMBDA_AR, data_stage, rate_at, stage_at
from model.training.sharding import clip_gradients, gathered, let_go
from model.training.shards import Shards, open_shards
from model.training.start import begin
from model.training.train_options import TrainOptions
from model.training.two_stream import (
    Forward,
    hidden_rows,
    rows_of,
)

MAX_BAD_STEPS = 20
CLIP_NORM = 1.0
EVAL_CLEAN_TOKENS, EVAL_NOISY_TOKENS = 512, 256  # the same for every run, so that runs compare


def train(options: TrainOptions) -> QuickScores:
    """Trains until the budget is spent, writes the checkpoint folder to `options.out`, returns its held-out scores.

    Raises TrainError or ShardError with one sentence. KeyboardInterrupt saves the run first and passes on.
    """
    with started_processes(options.device) as processes:
        return _train(options, processes)


def _train(options: TrainOptions, processes: Processes) -> QuickScores:
    """A function of its own, so that nothing of it is left when the processes part."""
    heldout = open_shards(options.shards, "heldout")
    shape = BatchShape(options.seed, options.micro_rows, options.clean_tokens, options.noisy_tokens)
    stream = shape.open_stream(options.shards)
    state, forward = begin(options, stream, processes)
    table = SlipTable(stream.tokenizer)
    num_cores = (os.cpu_count() or 1) // processes.num_beside
    num_workers = max(0, num_cores - 2) if options.device.startswith("cuda") else 0
    batches = Batches(options.shards, stream, table, shape, num_workers=num_workers, stride=processes.size)
    trainer = _Trainer(options, heldout, table, state, batches, forward, processes)
    shown = Progress(options.out, options.minutes * 60, state.counters.step) if processes.is_first else Silence()
    with batches, shown as progress:
        num_parameters = sum(p.numel() for p in state.network.parameters())
        progress.say(
            f"{num_parameters / 1e6:.2f} M parameters, {stream.num_tokens / 1e6:.2f} M tokens in "
            f"{stream.num_parts} part{'s' * (stream.num_parts > 1)}, from step {state.counters.step}"
            + (f", {processes.size} processes" if processes.size > 1 else "")
        )
        try:
            trainer.run(progress)
        except KeyboardInterrupt:
            if processes.mesh is None:  # many are stopped in different places, and only all together can save
                save_run(state, options.out)
            progress.say(f"stopped at step {state.counters.step}; go on with --resume")
            raise
        return trainer.finish(progress)


class _Trainer:
    """The loop's parts that stay the same from step to step."""

    def __init__(
        self,
        options: TrainOptions,
        heldout: Shards,
        table: SlipTable,
        state: RunState,
        batches: Batches,
        forward: Forward,
        processes: Processes,
    ) -> None:
        self.options, self.heldout, self.table, self.state, self.batches = options, heldout, table, state, batches
        self.processes, self.device = processes, processes.device
        self.allowed_KV = allowed_labels(options.network.vocab_size).to(self.device)
        self.any_shape = self.forward = forward
        if options.compile and processes.mesh is None:
            self.forward = compiled_or_eager(forward)
        self.before_s = state.counters.spent_s
        self.started_s = time.monotonic()

    def spent_s(self) -> float:
        """The first process's clock is that of all."""
        return self.processes.as_first(self.before_s + time.monotonic() - self.started_s)

    def share(self) -> float:
        """The spent share of the budget: wall time, or steps where the steps are limited."""
        if self.options.max_steps is not None:
            return self.state.counters.step / self.options.max_steps
        return self.spent_s() / (self.options.minutes * 60)

    def run(self, progress: Progress | Silence) -> None:
        options, counters = self.options, self.state.counters
        next_save_s = self.spent_s() + options.save_every_s
        next_eval_s = self.spent_s() + options.eval_every_s
        while (share := self.share()) < 1.0:
            progress.step(self.step(share))
            if self.spent_s() >= next_eval_s and options.eval_batches:
                self.evaluate(progress)
                next_eval_s = self.spent_s() + options.eval_every_s
            if self.spent_s() >= next_save_s:
                self.save()
                if self.processes.is_first:
                    draw_losses(options.out)
                next_save_s = self.spent_s() + options.save_every_s
            if counters.num_bad_steps > MAX_BAD_STEPS:
                raise TrainError(f"the loss was not finite in {counters.num_bad_steps} steps; lower the learning rate")

    def step(self, share: float) -> StepRecord:
        """One optimiser step at the spent share `share`."""
        options, state, counters = self.options, self.state, self.state.counters
        begun_s = time.monotonic()
        stage = stage_at(options.schedule, share)
        num_parts, size = options.rows // options.micro_rows, self.processes.size
        clean = noisy = torch.zeros((), device=self.device)
        num_tokens, num_canvas_tokens, checksum, finite = 0, 0, 0, True
        for first in range(counters.step * num_parts, (counters.step + 1) * num_parts, size):
            number = first + self.processes.rank
            batch = self.batches.get(stage, number)
            checksum += zlib.crc32(batch.clean_tokens.tobytes(), number & 0xFFFFFFFF)
            num_tokens += int((batch.clean_sample >= 0).sum())
            num_canvas_tokens += batch.num_canvas_tokens
            batch = self._with_own_mistakes(batch, number, is_mixed=_has_edits(stage, first, size))
            per_row = options.clean_tokens if stage == "warm-up" else options.noisy_tokens + options.extra_head_rows
            chosen = choose_rows(batch, lambda_ar=LAMBDA_AR, num_rows=per_row * options.micro_rows, seed=number)
            hidden = hidden_rows(state.network, rows_of(batch, self.device), bf16=options.bf16, forward=self.forward)
            head = state.network.head_weight.to(hidden.dtype)
            loss = batch_loss(hidden, head, chosen.to(self.device), self.allowed_KV, LAMBDA_AR)
            finite = finite and bool(torch.isfinite(loss.total))
            (loss.total / (num_parts / size)).backward()  # gradients are averaged over processes
            clean, noisy = clean + loss.clean / num_parts, noisy + loss.noisy / num_parts
        found = self.processes.sums([float(clean), float(noisy), num_tokens, num_canvas_tokens, checksum, not finite])
        clean, noisy = found[:2]
        num_tokens, num_canvas_tokens, checksum, num_bad = map(int, found[2:])
        rate = rate_at(options.schedule, share, counters.step)
        self._update(not num_bad, rate, share)
        counters.step += 1
        counters.num_tokens += num_tokens
        counters.num_canvas_tokens += num_canvas_tokens
        counters.spent_s = self.spent_s()
        return StepRecord(
            step=counters.step,
            stage=stage,
            spent_s=round(counters.spent_s, 3),
            num_tokens=counters.num_tokens,
            tokens_per_s=round(num_tokens / max(1e-9, time.monotonic() - begun_s), 1),
            clean=clean if math.isfinite(clean) else -1.0,
            noisy=None if stage == "warm-up" else (noisy if math.isfinite(noisy) else -1.0),
            rate=rate,
            data=checksum & 0xFFFFFFFF,
        )

    def _with_own_mistakes(self, batch: Batch, number: int, *, is_mixed: bool) -> Batch:
        """is_mixed: some process's batch of this round may have such places."""
        network, bf16 = self.state.network, self.options.bf16
        if batch.own:
            seed = self.options.seed * 1_000_003 + number
            own = with_own_mistakes(network, batch, self.allowed_KV, seed=seed, bf16=bf16, forward=self.any_shape)
            return own
        if is_mixed and self.processes.mesh is not None:
            with torch.no_grad():  # pieces of weights are gathered by all processes or by none
                hidden_rows(network, rows_of(first_rows(batch, 1), self.device), bf16=bf16, forward=self.any_shape)
        return batch

    def _update(self, finite: bool, rate: float, share: float) -> None:
        state, schedule = self.state, self.options.schedule
        norm = clip_gradients(state.network.parameters(), CLIP_NORM, self.processes)
        if not finite or not math.isfinite(norm):
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

    def evaluate(self, progress: Progress | Silence) -> QuickScores:
        options = self.options
        scores = quick_eval(
            self.state.network,
            self.heldout,
            self.table,
            self.allowed_KV,
            num_batches=max(1, options.eval_batches),
            rows=options.micro_rows,
            clean_tokens=EVAL_CLEAN_TOKENS,
            noisy_tokens=EVAL_NOISY_TOKENS,
            bf16=options.bf16,
            forward=self.any_shape,
        )
        let_go(self.state.network)
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
        save_run(self.state, self.options.out, is_first=self.processes.is_first)

    def finish(self, progress: Progress | Silence) -> QuickScores:
        """Saves the run and writes the checkpoint folder with the averaged weights."""
        options, state = self.options, self.state
        self.save()
        if state.average is not None:
            with torch.no_grad():
                for name, p in state.network.named_parameters():
                    p.copy_(state.average.weights[name])
        scores = self.evaluate(progress)
        weights = gathered(state.network.state_dict(), keep=self.processes.is_first)
        if not self.processes.is_first:
            return scores
        network = Transformer(options.network)
        network.load_state_dict(weights)
        preset = _preset(options, state, scores, self.heldout.tokenizer.sha256)
        try:
            save_checkpoint(options.out, network, preset, options.shards / "tokenizer.json")
        except OSError as error:
            raise TrainError(f"the checkpoint could not be written to {options.out} ({error})") from None
        draw_losses(options.out)
        progress.say(f"wrote {options.out}")
        return scores


def _has_edits(stage: Stage, first: int, size: int) -> bool:
    """Whether one of the next `size` micro batches shows edits."""
    return any(data_stage(stage, number) == "edit" for number in range(first, first + size))


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
