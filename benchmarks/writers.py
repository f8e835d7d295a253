"""Our ways of writing a line behind a warm prompt: in blocks, speculated, and token by token by the clean stream.

All use one network and one cache. What a way is asked to do is `write`; `warm` first brings the cache to what the
keystroke before has left, and is not part of the time. Left out: what a line is (lines.py) and clocks.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from benchmarks.lines import Line, Task, num_common
from benchmarks.one_by_one import GreedyLine
from model.checkpoints.load import Checkpoint
from model.diffusion.frames import Result
from model.diffusion.sampler import denoise_to_end, last_result
from model.diffusion.speculate import SpeculateSteps
from model.diffusion.steps import run_alone, run_passes
from model.engine.compiling import BackgroundCompile
from model.engine.stopping import StopCheck, answer_text, stop_for
from model.evaluation.options import EvalError
from model.network.kv_cache import KVCache
from model.network.one_pass import Rows, one_pass
from model.network.packed import can_pack, pack_weights


def as_in_engine(checkpoint: Checkpoint, folder: Path, *, compiled: bool) -> str:
    """Makes the loaded network run as the engine runs it, and names the mode. `compiled`: with the library that the
    engine makes in the background; it is made now if there is none (minutes). EvalError if that is not possible here.
    """
    if can_pack(checkpoint.network):
        pack_weights(checkpoint.network)
    if not compiled:
        return "eager"
    background = BackgroundCompile(delay_s=0)
    background.start(checkpoint.network, folder)
    background.wait()
    if checkpoint.network.compiled is None:
        raise EvalError("the layers cannot be compiled here: leave --compiled out")
    return "compiled"


class OurWriter:
    """A checkpoint and one cache, which holds the rows of a prompt's beginning between the calls."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        weight = checkpoint.network.head_weight
        capacity = checkpoint.preset.context_tokens + 128
        self._checkpoint, self._token_bytes = checkpoint, checkpoint.tokenizer.token_bytes
        self._cache = KVCache(checkpoint.preset.network, capacity=capacity, device=weight.device, dtype=weight.dtype)
        self._held: list[int] = []  # the prompt whose beginning the cache holds

    def warm(self, task: Task) -> None:
        """The cache holds the first `num_warm` rows of the task's prompt and no others."""
        wanted = task.prepared.prompt_ids[: task.num_warm]
        self._keep(num_common(self._held, wanted))
        missing = wanted[int(self._cache.lengths_B[0]) :]
        if missing:
            rows = Rows(torch.tensor([missing], device=self._cache.k_LBGSK.device))
            one_pass(self._checkpoint.network, self._cache, rows, None, want_clean=0)
            self._cache.advance(len(missing))
        self._held = list(task.prepared.prompt_ids)

    def blocks(self, task: Task, *, tau_mask: float | None = None) -> Line:
        """Denoised in blocks; tau_mask in place of the preset's threshold."""
        self._keep(task.num_warm)
        prepared = task.prepared
        policy = prepared.policy
        if tau_mask is not None:
            policy = msgspec.structs.replace(policy, tau_mask=tau_mask)
        check = self._stop_check(task)
        result = denoise_to_end(
            self._checkpoint.network,
            self._cache,
            prepared.prompt_ids,
            prepared.canvas,
            policy,
            first_token_prefix=prepared.taken_back,
            finished=check,
        )
        return self.line(task, result, check)

    def speculate(self, task: Task) -> Line:
        """The clean stream's text, several tokens a pass; begins with the task's guess as far as that holds."""
        steps, check = self.begin(task)
        return self.line(task, last_result(run_alone(self._checkpoint.network, steps)), check)

    def one_by_one(self, task: Task) -> Line:
        """The clean stream, one token a forward."""
        # The last row of the prompt says the first token, so it runs even if it is cached.
        self._keep(min(task.num_warm, len(task.prepared.prompt_ids) - 1))
        network, cache = self._checkpoint.network, self._cache
        line = GreedyLine(task, self._token_bytes, int(cache.lengths_B[0]))
        forwards = 0
        with torch.inference_mode():
            while line.run:
                rows = Rows(torch.tensor([line.run], device=cache.k_LBGSK.device))
                hidden_1TD, _ = one_pass(network, cache, rows, None, want_clean=1)
                assert hidden_1TD is not None
                cache.advance(len(line.run))
                line.take(network.logits(hidden_1TD[0, -1:])[0].float().cpu().numpy())
                forwards += 1
        return line.finish(forwards)

    def begin(self, task: Task) -> tuple[SpeculateSteps, StopCheck]:
        """A line before its first pass."""
        self._keep(task.num_warm)
        prepared = task.prepared
        check = self._stop_check(task)
        steps = SpeculateSteps(
            self._cache,
            prepared.prompt_ids,
            prepared.policy,
            max_tokens=prepared.canvas.max_tokens,
            guess_ids=task.guess_ids,
            first_token_prefix=prepared.taken_back,
            finished=check,
        )
        return steps, check

    def _stop_check(self, task: Task) -> StopCheck:
        check = stop_for(task.prepared, task.request, self._token_bytes)
        assert isinstance(check, StopCheck), "a line is no answer of a chat"
        return check

    def _keep(self, num_rows: int) -> None:
        self._cache.truncate(min(num_rows, int(self._cache.lengths_B[0])))

    def line(self, task: Task, result: Result, check: StopCheck) -> Line:
        prepared = task.prepared
        num_typed = len(prepared.taken_back.typed) if prepared.taken_back else 0
        text = answer_text(self._token_bytes, result.ids, result.reason, stop=check, num_typed=num_typed)
        return Line(result.ids, text, result.forwards)


class SideBySide:
    """Several lines at once, each speculated over a cache of its own, all in the same passes."""

    def __init__(self, checkpoint: Checkpoint, num_caches: int) -> None:
        self._writers = [OurWriter(checkpoint) for _ in range(num_caches)]
        self._network = checkpoint.network

    def warm(self, tasks: Sequence[Task]) -> None:
        """As OurWriter.warm, for each task."""
        for writer, task in zip(self._writers, tasks, strict=False):
            writer.warm(task)

    def write(self, tasks: Sequence[Task]) -> list[Line]:
        begun = [writer.begin(task) for writer, task in zip(self._writers, tasks, strict=False)]
        running = [steps for steps, _ in begun]
        while running:
            frames = run_passes(self._network, [(steps, 0) for steps in running])
            ended = [frame is not None and frame.result is not None for frame in frames]
            running = [steps for steps, has_ended in zip(running, ended, strict=True) if not has_ended]
        lines = []
        for writer, task, (steps, check) in zip(self._writers, tasks, begun, strict=False):
            result = steps.frame().result
            assert result is not None
            lines.append(writer.line(task, result, check))
        return lines
