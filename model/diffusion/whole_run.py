"""One canvas of a network that sees all of it at once, text behind it included. No tensor is touched here.

As run.py, but the canvas is one block from the first step on and nothing is committed: masks become tokens where the
network believes most (unmasking.py), from the left in stretches of `Policy.block` rows. The canvas has the length that
it is given, or finds it: a mask may become two or none ("expand-delete"). Sources: LLaDA (arXiv 2502.09992) for the
stretches, Dream (arXiv 2508.15487), DreamOn (arXiv 2602.01326) for lengths: it may expand twice as often as the canvas
may have tokens, so every run ends. Left out: tensors and caches (whole.py), choosing a length (canvas_length.py).
"""

from collections.abc import Sequence

from model.diffusion.block import Ask, Block, Row, asks_of, make_row, mask_rows
from model.diffusion.canvas import Canvas
from model.diffusion.frames import Frame, Interruption, Reason, Result, confidence_of, frame_of, mean_confidence
from model.diffusion.healing import TakenBack
from model.diffusion.moves import Move, apply, decide
from model.diffusion.policy import Policy
from model.diffusion.reading import HEALED_FLOOR, Reading, Request, sampling_of
from model.diffusion.states import LOCKED, MASKED
from model.diffusion.stop_rule import Finished, StopRule
from model.tokenizer import EOM

EXPANSIONS_PER_TOKEN = 2


class WholeRun:
    """`result` is None until the run ends. `rows` are the canvas as it stands; `start`, `stop`: the stretch of rows
    whose masks may be written now."""

    def __init__(
        self,
        canvas: Canvas,
        policy: Policy,
        *,
        num_masks: int,
        num_prompt: int = 0,
        first_token_prefix: TakenBack | None = None,
        finished: Finished | None = None,
    ) -> None:
        """num_masks: what a growing canvas holds behind its given tokens at first. num_prompt: tokens around it."""
        if first_token_prefix is not None and canvas.states and canvas.states[0] != MASKED:
            raise ValueError("a token can be healed only where the canvas begins with a mask")
        if policy.edits == "insert-delete" or policy.verify is not None:
            raise ValueError("a network that sees the whole canvas has no labels for insertions, and nothing to verify")
        self.policy = policy
        self.result: Result | None = None
        self._canvas, self._taken_back = canvas, first_token_prefix
        self._stop_rule = StopRule(finished)
        self._num_prompt = num_prompt
        rows = [make_row(t, s) for t, s in zip(canvas.ids, canvas.states, strict=True)]
        if canvas.grows:
            rows += mask_rows(min(num_masks, canvas.max_tokens - len(rows)))
        else:
            rows.pop()  # its <eom>: what stands behind the canvas is given to the network as it is
        self._resizes = policy.edits == "expand-delete"
        self._block = Block(
            rows,
            capacity=max(canvas.max_tokens, len(rows)),
            insert_budget=EXPANSIONS_PER_TOKEN * canvas.max_tokens,
            prev_locked=True,
            end_open=canvas.grows and not self._resizes,
            begins_canvas=True,
            blank_ids=policy.blank_ids,
            ends_anywhere=policy.order != "leftmost" and not self._resizes,
        )
        self._steps = self._extra_steps = 0
        self.start = self.stop = 0
        self._go_on(moved=True)

    @property
    def rows(self) -> Sequence[Row]:
        return self._block.rows

    @property
    def out_of_steps(self) -> bool:
        return self.policy.max_steps is not None and self._steps >= self.policy.max_steps

    def request(self) -> Request:
        """The next pass. Only while `result` is None; asking again gives the same."""
        assert self.result is None
        return Request(
            clean_ids=[],
            tokens=[row.token for row in self.rows],
            states=[row.state for row in self.rows],
            asks=self._asks(),
            taken_back=self._taken_back,
            sampling=sampling_of(self.policy, self._steps),
            first_position=0,
            order=self.policy.order,
        )

    def absorb(self, request: Request, reading: Reading) -> Frame:
        """Takes what the requested pass gave."""
        assert self.result is None
        block = self._block
        self._steps += 1
        if self._steps == 1 and reading.healed is not None and reading.healed < HEALED_FLOOR:
            self._put_back()
            return self.frame()
        moves = decide(block, request.asks, reading, self.policy, block.capacity - len(block.rows))
        for m, ask in enumerate(request.asks):
            row = block.rows[ask.index]
            if not row.written:
                row.confidence = reading.p[m] if row.state == MASKED else reading.own[m]
        num_before = self._num_final()
        if apply(block, moves):
            self._finish("eom", len(block.rows))
        else:
            self._go_on(moved=bool(moves))
        return self._frame(moves, num_before)

    def interrupt(self, reason: Interruption) -> Frame:
        """Ends the run before the next pass: a completion keeps text up to the first mask, an edit all or nothing."""
        assert self.result is None
        rows = self.rows
        stop = next((i for i, row in enumerate(rows) if row.state == MASKED), len(rows))
        # Of a completion given text is never lost; an edit is whole or nothing.
        usable = all(row.state != LOCKED and self._canvas.grows for row in rows[stop:])
        self._finish(reason, stop if usable else 0, complete=False, usable=usable)
        return self.frame()

    def frame(self) -> Frame:
        """The canvas as it stands, with the result if the run has ended."""
        return self._frame((), self._num_final())

    def _asks(self) -> list[Ask]:
        healed_row = 0 if self._taken_back is not None else None
        policy = self.policy
        return asks_of(self._block, policy.edits, healed_row=healed_row, remask=policy.remask, stop=self.stop)

    def _go_on(self, *, moved: bool) -> None:
        """Ends the run, or says which rows may be written next."""
        first = next((i for i, row in enumerate(self.rows) if row.state == MASKED), None)
        if not (self.policy.rereads and self.policy.extra_edit_steps) and self._stops():
            return
        if first is not None:
            # Stretches are counted from the canvas's beginning; where lengths change, there are none.
            size = len(self.rows) if self._resizes else min(self.policy.block, len(self.rows))
            start = first // size * size
            if start != self.start or not self.stop:
                self._block.num_steps = 0
            self.start, self.stop = start, min(start + size, len(self.rows))
            return
        self.start, self.stop = 0, len(self.rows)
        if self.policy.rereads and moved and self._extra_steps < self.policy.extra_edit_steps and self._asks():
            self._extra_steps += 1
            return
        if not self._stops():
            self._finish("length" if self._canvas.grows and not self._resizes else "eom", len(self.rows))

    def _stops(self) -> bool:
        """Asks the stop rule about the final left run if it changed; ends the run if it is satisfied."""
        num_kept = self._stop_rule.num_kept((), self.rows)
        if num_kept is None:
            return False
        self._finish("stop", num_kept)
        return True

    def _put_back(self) -> None:
        """Gives healing up: the token taken from the prompt becomes the canvas's first one (as in run.py)."""
        assert self._taken_back is not None
        self._block.rows.insert(0, make_row(self._taken_back.token, LOCKED))
        self._block.capacity += 1
        self._taken_back = None
        self._go_on(moved=True)

    def _num_final(self) -> int:
        """Tokens at the left that no step changes any more."""
        if self.policy.rereads:
            return 0
        return next((i for i, row in enumerate(self.rows) if row.state == MASKED or row.token == EOM), len(self.rows))

    def _frame(self, moves: Sequence[Move], num_final: int) -> Frame:
        committed = [row.token for row in self.rows[:num_final]]
        return frame_of(self._steps, committed, self.rows, moves, num_hidden=num_final, result=self.result)

    def _finish(self, reason: Reason, num_kept: int, *, complete: bool = True, usable: bool = True) -> None:
        kept = [row for row in self.rows[:num_kept] if row.token != EOM]
        self.result = Result(
            ids=tuple(row.token for row in kept),
            reason=reason,
            complete=complete,
            usable=usable,
            confidence=mean_confidence(confidence_of(row) for row in kept),
            steps=self._steps,
            forwards=self._steps,
            prompt_tokens=self._num_prompt,
            cached_tokens=0,
            committed_tokens=0,
        )
