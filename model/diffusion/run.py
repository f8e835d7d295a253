"""One canvas on its way: which pass it needs next, and what a pass changes. No tensor is touched here.

A Run asks (`request`), somebody runs the network for one or many runs (sampler.py, batch.py, the engine's scheduler),
the Run takes the reading (`absorb`) and gives a Frame. It keeps blocks, commits, the draft fallback, healing and the
stop rule. Source: this project's own design. Left out: the moves of a step (moves.py), tensors
(reading.py).

Where the clean rows of a network see their whole unit (block-causal attention), every block is such a unit, counted
from the sequence's first token; the prompt's last tokens that fill none are locked rows of the first block, and the
last block is a whole unit too, whose text is cut to length.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from model.diffusion.block import Ask, Block, Row, asks_of, make_block, make_row, mask_rows
from model.diffusion.canvas import Canvas, block_length
from model.diffusion.frames import Frame, Interruption, Reason, Result, confidence_of, frame_of, mean_confidence
from model.diffusion.healing import TakenBack
from model.diffusion.moves import Move, apply, decide
from model.diffusion.policy import MAX_BLOCK, Policy
from model.diffusion.reading import HEALED_FLOOR, Reading, Request, sampling_of
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.diffusion.stop_rule import Finished, StopRule
from model.diffusion.verify import Verifier, refused
from model.tokenizer import EOM

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
        unit: int = 1,
    ) -> None:
        """unit: rows of an aligned unit (NetworkConfig.cache_unit)."""
        num_whole = len(prompt_ids) // unit * unit
        if not 0 <= cached_tokens <= num_whole:
            raise ValueError(f"the cache holds {cached_tokens} rows, but the prompt has only {len(prompt_ids)} tokens")
        if unit == 1 and max(policy.block, policy.first_block) > MAX_BLOCK:
            raise ValueError(f"a block must not be wider than {MAX_BLOCK} rows, but is {policy.block}")
        if unit > 1 and (policy.verify is not None or policy.edits not in ("none", "substitute")):
            raise ValueError("where blocks are units of the network, nothing can be inserted, deleted or verified")
        if first_token_prefix is not None and canvas.states and canvas.states[0] != MASKED:
            raise ValueError("a token can be healed only where the canvas begins with a mask")
        if policy.verify is not None and cached_tokens == len(prompt_ids):
            raise ValueError("to verify what follows it, the prompt's last row must run, even if it is cached")
        self.policy = policy
        self.result: Result | None = None
        self._canvas = canvas
        self._unit = unit
        self._num_tail = len(prompt_ids) - num_whole  # prompt rows of the first block; they count as committed
        self._stop_rule = StopRule(finished)
        self._taken_back = first_token_prefix
        self._num_prompt, self._num_cached = len(prompt_ids), cached_tokens
        self._max_tokens = canvas.max_tokens + self._num_tail
        self._grows = canvas.grows
        self._queue = deque(make_row(t, LOCKED) for t in prompt_ids[num_whole:])
        self._queue.extend(make_row(t, s) for t, s in zip(canvas.ids, canvas.states, strict=True))
        self._boundaries = canvas.boundaries
        self._queue_start = -self._num_tail  # index in canvas.ids of the queue's first row
        self._prev_locked = True  # the prompt's end counts as locked
        self._begins = True  # no block is final yet
        self._verifier = None if policy.verify is None else Verifier(policy.verify)
        self._before_block = (True, True)  # the two as they were before what the next pass commits
        self._is_queued = False  # whether the block's rows were the queue's
        self._refused_up_to = 0  # canvas place behind the last refused token: each refusal lies farther on
        self._committed: list[int] = []
        self._confidences: list[float | None] = []
        self._num_in_cache = 0  # canvas tokens that a pass has made clean rows of
        self._clean_ids = list(prompt_ids[cached_tokens:num_whole])
        self._block: Block | None = None
        self._ended = False  # <eom> stands in the block
        self._steps = self._forwards = self._block_steps = self._extra_steps = 0
        self._draft_judged = policy.edits == "none" or DRAFT not in canvas.states
        self._next_block()

    @property
    def out_of_steps(self) -> bool:
        return self.policy.max_steps is not None and self._steps >= self.policy.max_steps

    def request(self) -> Request:
        """The next pass. Only while `result` is None; asking again gives the same."""
        block = self._block
        assert self.result is None
        assert block is not None
        return Request(
            clean_ids=self._clean_ids,
            tokens=[row.token for row in block.rows],
            states=[row.state for row in block.rows],
            asks=self._asks(block),
            taken_back=self._taken_back if self._heals_here() else None,
            sampling=sampling_of(self.policy, self._steps),
            first_position=len(self._committed) - self._num_tail,
            verifier=self._verifier,
            order=self.policy.order,
        )

    def _asks(self, block: Block) -> list[Ask]:
        healed_row = block.num_before if self._heals_here() else None
        return asks_of(block, self.policy.edits, healed_row=healed_row, remask=self.policy.remask)

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
        frame = self._frame(moves)
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
        confidences = [*self._confidences, *(confidence_of(row) for row in kept)]
        self._finish(reason, ids[self._num_tail :], confidences, complete=False, usable=usable)
        return msgspec.structs.replace(frame, result=self.result)

    def _unfinished(self, row: Row) -> bool:
        """A mask; in a completion also a draft that the model was to read and has not."""
        if row.state == MASKED:
            return True
        unread = row.state == DRAFT and row.confidence is None and self.policy.rereads
        return unread and self._canvas.grows

    def frame(self) -> Frame:
        """The canvas as it stands, with the result if the run has ended."""
        return msgspec.structs.replace(self._frame(()), result=self.result)

    # What follows a step

    def _after_step(self, block: Block, moved: bool) -> None:
        self._block_steps += 1
        num_masks = block.num_masks()
        extra = self.policy.extra_edit_steps if self.policy.rereads else 0
        if extra == 0 and self._stops():
            return
        if num_masks:
            return
        if moved and self._extra_steps < extra and self._asks(block):
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
                self._finish("eom", self._text(), self._confidences)
                return
            if self._unit == 1:
                self._pass_locked()
            if self._ended:
                continue
            rows = self._take_rows()
            if not rows:
                self._finish("length", self._text(), self._confidences)
                return
            block = make_block(
                rows,
                prev_locked=self._prev_locked,
                end_open=self._grows and not self._queue,
                begins_canvas=self._begins and not self._committed,
                blank_ids=self.policy.blank_ids,
                num_before=0 if self._committed else self._num_tail,
                ends_anywhere=self.policy.order != "leftmost",
            )
            self._block_steps = self._extra_steps = 0
            if self._asks(block):
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
        self._confidences.append(confidence_of(row))

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
        rows = self._take_queued() if self._queue else []
        num_left = self._max_tokens - len(self._committed) - len(rows)
        if not self._grows or self._queue or num_left <= 0:
            return rows
        if self._unit > 1:
            return rows + mask_rows(self._unit - len(rows))
        size = self.policy.block if self._committed else self.policy.first_block
        return rows or mask_rows(min(size, num_left))

    def _take_queued(self) -> list[Row]:
        num = min(self._unit, len(self._queue))
        if self._unit == 1:
            boundaries = [b - self._queue_start for b in self._boundaries]
            num = block_length([row.state for row in self._queue], self.policy.block, boundaries)
        self._queue_start += num
        return [self._queue.popleft() for _ in range(num)]

    def _room(self) -> int:
        """Text tokens the canvas may still gain."""
        assert self._block is not None
        present = len(self._committed) + sum(r.token != EOM for r in self._block.rows)
        return self._max_tokens - present - sum(r.token != EOM for r in self._queue)

    def _stops(self) -> bool:
        """Asks the stop rule about the final left run if it changed; ends the run if it is satisfied."""
        if any(row.state == LOCKED and row.token != EOM for row in self._queue):
            return False
        rows = self._block.rows[self._block.num_before :] if self._block is not None else []
        num_kept = self._stop_rule.num_kept(self._text(), rows)
        if num_kept is None:
            return False
        ids = [*self._text(), *(row.token for row in rows)]
        confidences = [*self._confidences[self._num_tail :], *(confidence_of(row) for row in rows)]
        self._finish("stop", ids[:num_kept], confidences[:num_kept])
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
        row = make_row(self._taken_back.token, LOCKED)
        self._max_tokens += 1
        if self._unit == 1:
            self._append(row)
            return
        assert self._block is not None
        self._taken_back = None
        rows = self._block.rows
        rows.insert(self._block.num_before, row)
        if len(rows) > self._unit:
            last = rows.pop()
            if self._queue or not self._grows:
                self._queue.appendleft(last)
                self._queue_start -= 1
        if not self._asks(self._block):
            self._commit(self._block)
            self._next_block()

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

    def _text(self) -> list[int]:
        """What is committed of the canvas."""
        return self._committed[self._num_tail :]

    def _frame(self, moves: Sequence[Move]) -> Frame:
        block = self._block
        if block is None:
            return frame_of(self._steps, self._text(), (), moves)
        return frame_of(self._steps, self._text(), block.rows, moves, num_hidden=block.num_before)

    def _finish(
        self,
        reason: Reason,
        ids: list[int],
        confidences: list[float | None],
        *,
        complete: bool = True,
        usable: bool = True,
    ) -> None:
        if self._unit > 1 and self._canvas.grows:
            ids = ids[: self._max_tokens - self._num_tail]
        self.result = Result(
            ids=tuple(i for i in ids if i != EOM),
            reason=reason,
            complete=complete,
            usable=usable,
            confidence=mean_confidence(confidences),
            steps=self._steps,
            forwards=self._forwards,
            prompt_tokens=self._num_prompt,
            cached_tokens=self._num_cached,
            committed_tokens=max(0, self._num_in_cache - self._num_tail),
        )
