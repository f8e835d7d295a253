"""One canvas on its way: which pass it needs next, and what a pass changes. No tensor is touched here.

A Run asks (`request`), somebody runs the network for one or many runs (sampler.py, batch.py, the engine's scheduler),
the Run takes the reading (`absorb`) and gives a Frame. It keeps blocks, commits, the draft fallback, healing and the
stop rule. Source: this project's own design. Left out: the moves of a step (moves.py), tensors
(reading.py).
"""

import math
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from model.diffusion.block import Ask, Block, Row, asks_of, make_block, make_row, mask_rows
from model.diffusion.canvas import Canvas, block_length
from model.diffusion.frames import Frame, Interruption, Reason, Result
from model.diffusion.healing import TakenBack
from model.diffusion.moves import Move, apply, decide
from model.diffusion.policy import Policy
from model.diffusion.reading import HEALED_FLOOR, Reading, Request, Sampling
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.diffusion.verify import Verifier, refused
from model.tokenizer import EOM

Finished = Callable[[list[int]], int | None]

DRAFT_DOUBT = 0.4
"""Share of a draft's rows that want another label after the first pass, above which it is replaced by masks."""


class Run:
    """`result` is None until the run ends. Not thread-safe; no call takes longer than a fraction of a millisecond."""

    def __init__(
        self,
        prompt_ids: Sequence[int],
        canvas: Canvas,
        policy: Policy,
        *,
        cached_tokens: int = 0,
        first_token_prefix: TakenBack | None = None,
        finished: Finished | None = None,
    ) -> None:
        if not 0 <= cached_tokens <= len(prompt_ids):
            raise ValueError(f"the cache holds {cached_tokens} rows, but the prompt has only {len(prompt_ids)} tokens")
        if first_token_prefix is not None and canvas.states and canvas.states[0] != MASKED:
            raise ValueError("a token can be healed only where the canvas begins with a mask")
        if policy.verify is not None and cached_tokens == len(prompt_ids):
            raise ValueError("to verify what follows it, the prompt's last row must run, even if it is cached")
        self.policy = policy
        self.result: Result | None = None
        self._canvas = canvas
        self._finished = finished
        self._taken_back = first_token_prefix
        self._num_prompt, self._num_cached = len(prompt_ids), cached_tokens
        self._max_tokens = canvas.max_tokens
        self._grows = canvas.grows
        self._queue = deque(make_row(t, s) for t, s in zip(canvas.ids, canvas.states, strict=True))
        self._boundaries = canvas.boundaries
        self._queue_start = 0  # index in canvas.ids of the queue's first row
        self._prev_locked = True  # the prompt's end counts as locked
        self._begins = True  # no block is final yet
        self._verifier = None if policy.verify is None else Verifier(policy.verify)
        self._before_block = (True, True)  # the two as they were before what the next pass commits
        self._is_queued = False  # whether the block's rows were the queue's
        self._refused_up_to = 0  # canvas place behind the last refused token: each refusal lies farther on
        self._committed: list[int] = []
        self._confidences: list[float | None] = []
        self._num_in_cache = 0  # canvas tokens that a pass has made clean rows of
        self._clean_ids = list(prompt_ids[cached_tokens:])
        self._block: Block | None = None
        self._ended = False  # <eom> stands in the block
        self._steps = self._forwards = self._block_steps = self._extra_steps = 0
        self._draft_judged = policy.edits == "none" or DRAFT not in canvas.states
        self._left_run: tuple[int, ...] | None = None
        self._next_block()

    @property
    def out_of_steps(self) -> bool:
        return self.policy.max_steps is not None and self._steps >= self.policy.max_steps

    def request(self) -> Request:
        """The next pass. Only while `result` is None; asking again gives the same."""
        block = self._block
        assert self.result is None
        assert block is not None
        policy = self.policy
        sampling = None
        if policy.temperature > 0:
            sampling = Sampling(policy.temperature, policy.top_p, policy.seed, self._steps)
        return Request(
            clean_ids=self._clean_ids,
            tokens=[row.token for row in block.rows],
            states=[row.state for row in block.rows],
            asks=asks_of(block, policy.edits, prefix_on_first=self._heals_here()),
            taken_back=self._taken_back if self._heals_here() else None,
            sampling=sampling,
            first_position=len(self._committed),
            verifier=self._verifier,
        )

    def count_ahead(self, num_rows: int) -> None:
        """The first clean rows of the next pass have run in a pass of their own."""
        del self._clean_ids[:num_rows]

    def absorb(self, request: Request, reading: Reading) -> Frame:
        """Takes what the requested pass gave. Its clean rows must have been counted in the cache (`advance`)."""
        block = self._block
        assert self.result is None
        assert block is not None
        self._forwards += 1
        self._steps += 1
        self._clean_ids = []
        if reading.doubted is not None:
            self._refuse(block, reading.doubted)
            return self._frame(())
        if self._verifier is not None:
            self._verifier.take()
            self._before_block = self._prev_locked, self._begins
        self._num_in_cache = len(self._committed)
        if self._steps == 1 and reading.healed is not None and reading.healed < HEALED_FLOOR:
            self._put_back()
            return self._frame(())
        if not self._draft_judged and self._block_steps == 0 and self._starts_from_masks(block, request.asks, reading):
            return self.frame()
        moves = decide(block, request.asks, reading, self.policy, self._room())
        # Each mask's best guess, for the eyes of whoever watches; a written token keeps what it was written with.
        for m, ask in enumerate(request.asks):
            row = block.rows[ask.index]
            if not row.written:
                row.confidence = reading.p[m] if row.state == MASKED else reading.own[m]
        self._ended = apply(block, moves) or self._ended
        frame = self._frame(tuple(moves))
        self._after_step(block, bool(moves))
        return frame if self.result is None else msgspec.structs.replace(frame, result=self.result)

    def interrupt(self, reason: Interruption) -> Frame:
        """Ends the run before the next pass: a completion keeps text up to the first mask, an edit all or nothing."""
        assert self.result is None
        assert self._block is not None
        rows = [*self._block.rows, *self._queue]
        stop = next((i for i, row in enumerate(rows) if self._unfinished(row)), len(rows))
        if self._canvas.grows:
            usable = all(row.state != LOCKED for row in rows[stop:])  # given text is never lost
        else:
            usable = stop == len(rows) and (self._ended or not self._grows)
        frame = self._frame(())
        kept = rows[:stop]
        ids = [*self._committed, *(row.token for row in kept)] if usable else []
        confidences = [*self._confidences, *(_confidence(row) for row in kept)]
        self._finish(reason, ids, confidences, complete=False, usable=usable)
        return msgspec.structs.replace(frame, result=self.result)

    def _unfinished(self, row: Row) -> bool:
        """A mask; in a completion also a draft that the model was to read and has not."""
        if row.state == MASKED:
            return True
        unread = row.state == DRAFT and row.confidence is None and self.policy.edits != "none"
        return unread and self._canvas.grows

    def frame(self) -> Frame:
        """The canvas as it stands, with the result if the run has ended."""
        return msgspec.structs.replace(self._frame(()), result=self.result)

    # What follows a step

    def _after_step(self, block: Block, moved: bool) -> None:
        self._block_steps += 1
        num_masks = block.num_masks()
        extra = self.policy.extra_edit_steps if self.policy.edits != "none" else 0
        if extra == 0 and self._stops():
            return
        if num_masks:
            return
        if moved and self._extra_steps < extra and asks_of(block, self.policy.edits):
            self._extra_steps += 1
            return
        self._commit(block)
        if extra and self._stops():
            return
        self._next_block()

    def _commit(self, block: Block) -> None:
        """Makes the block final. Its clean rows run with the next pass, if there is one."""
        for row in block.rows:
            if row.token != EOM:
                self._append(row)
        self._begins = False
        if block.rows:
            self._prev_locked = block.rows[-1].state == LOCKED
            self._ended = block.rows[-1].token == EOM
        else:
            self._max_tokens -= 1  # a block that deleted all of itself: else the same masks could come back for ever
        self._block = None

    def _next_block(self) -> None:
        """Cuts the next block, commits what needs no look, or ends the run."""
        while True:
            if self._ended:
                self._finish("eom", self._committed, self._confidences)
                return
            self._pass_locked()
            if self._ended:
                continue
            rows = self._take_rows()
            if not rows:
                self._finish("length", self._committed, self._confidences)
                return
            block = make_block(
                rows,
                prev_locked=self._prev_locked,
                end_open=self._grows and not self._queue,
                begins_canvas=self._begins and not self._committed,
                blank_ids=self.policy.blank_ids,
            )
            self._block_steps = self._extra_steps = 0
            if asks_of(block, self.policy.edits):
                self._block = block
                return
            self._commit(block)

    def _pass_locked(self) -> None:
        """Commits locked text at the queue's front unread: it cannot change where the gap before it is closed."""
        while self._queue and self._queue[0].state == LOCKED and (self._prev_locked or self.policy.edits == "none"):
            row = self._queue.popleft()
            self._queue_start += 1
            if row.token == EOM:
                self._ended = True
                return
            self._append(row)
            self._prev_locked = True

    def _append(self, row: Row) -> None:
        if self._verifier is not None:
            is_healed = self._taken_back is not None and not self._committed
            self._verifier.add(row, is_fixed=is_healed or len(self._committed) < self._refused_up_to)
        self._committed.append(row.token)
        self._clean_ids.append(row.token)
        self._confidences.append(_confidence(row))

    def _refuse(self, block: Block, place: int) -> None:
        """Takes back what the pass was to commit, from the doubtful row on, which becomes a mask. `place`: among the
        rows to commit. The block, which this pass was to read, waits behind them again.
        """
        assert self._verifier is not None
        rows = self._verifier.take()
        self._num_in_cache = len(self._committed) - len(rows) + place
        self._refused_up_to = self._num_in_cache + 1
        del self._committed[self._num_in_cache :], self._confidences[self._num_in_cache :]
        again = [refused(rows[place]), *rows[place + 1 :], *(block.rows if self._is_queued else ())]
        self._queue.extendleft(reversed(again))
        self._queue_start -= len(again)
        prev_locked, self._begins = self._before_block
        self._prev_locked = rows[place - 1].state == LOCKED if place else prev_locked
        self._next_block()

    def _take_rows(self) -> list[Row]:
        self._is_queued = bool(self._queue)
        if self._queue:
            states = [row.state for row in self._queue]
            boundaries = [b - self._queue_start for b in self._boundaries]
            num = block_length(states, self.policy.block, boundaries)
            self._queue_start += num
            return [self._queue.popleft() for _ in range(num)]
        if not self._grows:
            return []
        size = self.policy.block if self._committed else self.policy.first_block
        return mask_rows(min(size, self._max_tokens - len(self._committed)))

    def _room(self) -> int:
        """Text tokens the canvas may still gain."""
        assert self._block is not None
        present = len(self._committed) + sum(r.token != EOM for r in self._block.rows)
        return self._max_tokens - present - sum(r.token != EOM for r in self._queue)

    def _stops(self) -> bool:
        """Asks the stop rule about the final left run if it changed; ends the run if it is satisfied."""
        if self._finished is None or any(row.state == LOCKED and row.token != EOM for row in self._queue):
            return False
        rows = self._block.rows if self._block is not None else []
        kept: list[Row] = []
        for row in rows:
            if row.state == MASKED or row.token == EOM:
                break
            kept.append(row)
        # Locked text is never cut off: while some of it stands behind a mask there is nothing to ask.
        if any(row.state == LOCKED and row.token != EOM for row in rows[len(kept) :]):
            return False
        run = (*self._committed, *(row.token for row in kept))
        if run == self._left_run or not run:
            return False
        self._left_run = run
        num_kept = self._finished(list(run))
        if num_kept is None:
            return False
        last_locked = max((i for i, row in enumerate(kept) if row.state == LOCKED), default=-1)
        num_kept = max(num_kept, len(self._committed) + last_locked + 1 if last_locked >= 0 else 0)
        confidences = [*self._confidences, *(_confidence(row) for row in kept)]
        self._finish("stop", list(run[:num_kept]), confidences[:num_kept])
        return True

    # Beginnings that turn out wrong

    def _heals_here(self) -> bool:
        return self._taken_back is not None and not self._committed

    def _put_back(self) -> None:
        """Gives healing up: the token taken from the prompt goes back as a clean row, and the block starts behind it.

        It counts as canvas text (its bytes are the typed ones), so a caller always drops the typed bytes from the
        text. The dropped step costs one pass; what follows equals a run that never tried to heal.
        """
        assert self._taken_back is not None
        self._append(make_row(self._taken_back.token, LOCKED))
        self._max_tokens += 1

    def _starts_from_masks(self, block: Block, asks: list[Ask], reading: Reading) -> bool:
        """Judges the first draft block; a draft that is mostly doubted is replaced by masks, which drops this step."""
        drafts = [m for m, ask in enumerate(asks) if block.rows[ask.index].state == DRAFT]
        if not drafts:
            return False
        self._draft_judged = True
        doubted = sum(reading.label[m] != asks[m].token for m in drafts)
        if doubted <= DRAFT_DOUBT * len(drafts):
            return False
        rows = [*block.rows, *self._queue]
        if any(row.state == LOCKED and row.token != EOM for row in rows):
            # Locked text stays where it is; each draft run before or behind it becomes a hole.
            fresh = [mask_rows(1)[0] if row.state == DRAFT else row for row in rows]
        else:
            fresh = []
            self._grows = True
        self._queue = deque(fresh)
        self._boundaries = ()
        self._queue_start = 0
        self._block = None
        self._next_block()
        return True

    # Endings

    def _frame(self, moves: tuple[Move, ...]) -> Frame:
        rows = self._block.rows if self._block is not None else []
        return Frame(
            step=self._steps,
            committed=tuple(self._committed),
            block_ids=tuple(row.token for row in rows),
            block_states=tuple(row.state for row in rows),
            confidences=tuple(1.0 if row.state == LOCKED else row.confidence or 0.0 for row in rows),
            moves=moves,
        )

    def _finish(
        self,
        reason: Reason,
        ids: list[int],
        confidences: list[float | None],
        *,
        complete: bool = True,
        usable: bool = True,
    ) -> None:
        known = [math.log(max(c, 1e-12)) for c in confidences if c is not None]
        self.result = Result(
            ids=tuple(i for i in ids if i != EOM),
            reason=reason,
            complete=complete,
            usable=usable,
            confidence=math.exp(sum(known) / len(known)) if known else 1.0,
            steps=self._steps,
            forwards=self._forwards,
            prompt_tokens=self._num_prompt,
            cached_tokens=self._num_cached,
            committed_tokens=self._num_in_cache,
        )


def _confidence(row: Row) -> float | None:
    return None if row.state in (LOCKED, MASKED) else row.confidence
