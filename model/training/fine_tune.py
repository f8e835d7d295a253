"""The loop that the later stages share: weights of a checkpoint, a few thousand small steps, replay of the edit stage.

Rates rise for a few steps and fall to zero with the budget; the weights are averaged over the last part. A run is short
and starts again from its checkpoint if it is killed. Source: this project. Left out: what a step learns from
(constrained_order.py, certainty.py, instructed.py,
on_policy.py), the first stages (trainer.py).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from model.checkpoints.load import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from model.diffusion.objective import allowed_labels, batch_loss, choose_rows
from model.network.transformer import Transformer
from model.training.edit_stage import with_own_mistakes
from model.training.mistakes import SlipTable
from model.training.optimizers import Average, make_optimizers
from model.training.packing import REWRITE_SHARE, Batch, make_batch
from model.training.run_state import TrainError
from model.training.schedule import LAMBDA_AR, Schedule
from model.training.shards import Shards, open_shards
from model.training.two_stream import Forward, hidden_rows, rows_of, two_stream_hidden

CLIP_NORM = 1.0
NUM_RISE_STEPS = 20
AVERAGE_FROM = 0.7
EXTRA_HEAD_ROWS = 256
LATER_RATE = 0.15  # of the first stages' rates: the weights are trained already


class FineTuneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` = factor on the rates of the first stages. Rows and tokens as in trainer.TrainOptions."""

    shards: Path
    start_from: Path
    out: Path
    minutes: float
    seed: int = 0
    rate: float = LATER_RATE
    num_rows: int = 4
    clean_tokens: int = 512
    noisy_tokens: int = 512
    bf16: bool = True
    compile: bool = True
    device: str = "cpu"


class FineTuner:
    """Network, optimisers and data of one run. `share()` = spent share of the budget."""

    def __init__(self, options: FineTuneOptions, forward: Forward = two_stream_hidden) -> None:
        """Raises TrainError with one sentence for a checkpoint or shards that cannot be used."""
        self.options = options
        self.shards: Shards = open_shards(options.shards)
        self.checkpoint = _load(options.start_from, self.shards.tokenizer.sha256)
        self.network: Transformer = self.checkpoint.network.to(options.device).float().requires_grad_(True).train()
        self.allowed_KV = allowed_labels(self.network.config.vocab_size).to(options.device)
        self.num_steps = 0
        self._forward = forward
        self._optimizers = make_optimizers(self.network)
        self._table = SlipTable(self.shards.tokenizer)
        self._average: Average | None = None
        self._started_s = time.monotonic()

    def share(self) -> float:
        return (time.monotonic() - self._started_s) / (self.options.minutes * 60)

    def replay(self, number: int, rewrite_share: float = REWRITE_SHARE) -> Batch:
        """A batch of the edit stage, so that nothing that was learned there is forgotten."""
        options = self.options
        batch = make_batch(
            self.shards,
            self._table,
            stage="edit",
            seed=options.seed + 1,
            step=number,
            num_rows=options.num_rows,
            clean_tokens=options.clean_tokens,
            noisy_tokens=options.noisy_tokens,
            rewrite_share=rewrite_share,
        )
        return with_own_mistakes(self.network, batch, self.allowed_KV, seed=number, bf16=options.bf16)

    def learn(self, batch: Batch, *more: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """One optimiser step on a labelled batch; the noisy and the clean loss in nats. `more` = further terms of the
        loss, functions of the hidden rows (B, T, D). A step whose loss is not finite changes nothing.
        """
        options = self.options
        num_rows = options.num_rows * (options.noisy_tokens + EXTRA_HEAD_ROWS)
        chosen = choose_rows(batch, lambda_ar=LAMBDA_AR, num_rows=num_rows, seed=self.num_steps)
        hidden_BTD = hidden_rows(self.network, rows_of(batch, options.device), bf16=options.bf16, forward=self._forward)
        head_VD = self.network.head_weight.to(hidden_BTD.dtype)
        loss = batch_loss(hidden_BTD, head_VD, chosen.to(options.device), self.allowed_KV, LAMBDA_AR)
        total = loss.total
        for term in more:
            total = total + term(hidden_BTD)
        total.backward()
        self._update(math.isfinite(float(total.detach())))
        return float(loss.noisy), float(loss.clean)

    def _update(self, finite: bool) -> None:
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        if finite and bool(torch.isfinite(norm)):
            rise = min(1.0, (self.num_steps + 1) / NUM_RISE_STEPS)
            rate = self.options.rate * rise * max(0.0, 1.0 - self.share())
            schedule = Schedule()
            self._optimizers.set_rate(schedule.muon_rate * rate, schedule.adamw_rate * rate)
            self._optimizers.step()
        self.network.zero_grad(set_to_none=True)
        self.num_steps += 1
        if self.share() >= AVERAGE_FROM:
            if self._average is None:
                self._average = Average(self.network, 0.98)
            else:
                self._average.update(self.network)

    def save(self, trained: dict[str, str | float]) -> None:
        """Writes the checkpoint folder, with the averaged weights where there are some; the run may go on. Raises
        TrainError."""
        network = frozen_copy(self.network)
        if self._average is not None:
            for name, parameter in network.named_parameters():
                parameter.copy_(self._average.weights[name])
        preset = self.checkpoint.preset
        preset = msgspec.structs.replace(preset, weights="float", trained={**preset.trained, **trained})
        try:
            save_checkpoint(self.options.out, network, preset, self.options.start_from / "tokenizer.json")
        except OSError as error:
            raise TrainError(f"the checkpoint could not be written to {self.options.out} ({error})") from None


def frozen_copy(network: Transformer) -> Transformer:
    """The network as it is now, on the same device."""
    copy = Transformer(network.config).to(next(network.parameters()).device)
    copy.load_state_dict(network.state_dict())
    return copy.eval().requires_grad_(False)


def _load(folder: Path, tokenizer_sha256: str) -> Checkpoint:
    try:
        checkpoint = load_checkpoint(folder, dtype=torch.float32)
    except CheckpointError as error:
        raise TrainError(str(error)) from None
    if checkpoint.tokenizer.sha256 != tokenizer_sha256:
        raise TrainError(f"{folder} was trained with another tokenizer than that of the shards")
    return checkpoint
