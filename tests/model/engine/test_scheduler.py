"""The plan of the next iteration: classes, shares, bounds, and that nothing starves; no clock, no thread, no tensor."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.engine import api
from model.engine.scheduler import OVERDUE_AGES, Bounds, Entry, Limits, Part, QueueFull, Rank, Scheduler, rank_of

LIMITS = Limits(max_sequences=3, max_ahead=64, max_rows=96, max_bytes=100, quantum_rows=200, age_s=1.0)
WIDE = Bounds(max_waiting=10_000, max_waiting_per_client=10_000)


class Box:
    """A scheduler whose time goes on by `tick_s` an iteration, and which knows what each request still needs."""

    def __init__(self, limits: Limits = LIMITS, bounds: Bounds = WIDE, tick_s: float = 0.01) -> None:
        self.scheduler = Scheduler(bounds, limits)
        self.now_s, self.tick_s = 0.0, tick_s
        self.left: dict[int, list[int]] = {}  # rows of each pass that is to come
        self.ahead: dict[int, int] = {}
        self.log: list[list[Part]] = []
        self.ended: list[int] = []
        self.got: dict[str, int] = {}

    def ask(
        self,
        passes: list[int],
        *,
        client: str = "",
        rank: Rank = Rank.GHOST_TEXT,
        ahead: int = 0,
        num_bytes: int = 1,
        is_whole: bool = False,
    ) -> int:
        key = len(self.left)
        self.scheduler.add(Entry(key, client, rank, self.now_s, num_bytes=num_bytes, is_whole=is_whole))
        self.left[key], self.ahead[key] = list(passes), ahead
        return key

    def iterate(self) -> list[Part]:
        for entry in self.scheduler.to_open(self.now_s):
            self._next(entry)
        parts = self.scheduler.plan(self.now_s)
        self.now_s += self.tick_s
        self.scheduler.ran(parts, self.now_s)
        self.log.append(parts)
        for part in parts:
            entry = self.scheduler.entry(part.key)
            rows = part.num_ahead or entry.num_ahead + entry.num_rows
            self.got[entry.client] = self.got.get(entry.client, 0) + rows
            if part.num_ahead:
                self.ahead[part.key] -= part.num_ahead
            else:
                self.ahead[part.key] = 0
                self.left[part.key].pop(0)
            if self.left[part.key]:
                self._next(entry)
            else:
                self.scheduler.remove(part.key)
                self.ended.append(part.key)
        return parts

    def _next(self, entry: Entry) -> None:
        entry.num_ahead, entry.num_rows = self.ahead[entry.key], self.left[entry.key][0]

    def run(self, num: int = 10_000) -> None:
        for _ in range(num):
            if not len(self.scheduler):
                return
            assert self.iterate(), "there are requests, and nothing runs"
        raise AssertionError("it never ended")


def keys(parts: list[Part]) -> list[int]:
    return [part.key for part in parts]


def test_steps_of_several_share_an_iteration():
    box = Box()
    for _ in range(4):
        box.ask([10, 10])
    assert keys(box.iterate()) == [0, 1, 2]
    assert keys(box.iterate()) == [0, 1, 2]  # who has begun goes on
    assert keys(box.iterate()) == [3]


def test_a_long_prompt_goes_in_pieces_and_stalls_nobody():
    box = Box()
    box.ask([10], ahead=150)
    assert box.iterate() == [Part(0, 64)]
    box.ask([10])
    assert box.iterate() == [Part(0, 64), Part(1, 0)]
    assert box.iterate() == [Part(0, 0)]  # the last piece and the first step are one pass
    assert box.ended == [1, 0]


def test_a_step_that_is_wider_than_an_iteration_runs_alone():
    box = Box()
    box.ask([500])
    box.ask([10])
    assert keys(box.iterate()) == [0]
    assert keys(box.iterate()) == [1]


def test_classes_go_in_order_and_do_not_mix():
    box = Box()
    for rank in (Rank.MEND, Rank.REWRITE, Rank.NEXT_EDIT, Rank.GHOST_TEXT):
        box.ask([10, 10], rank=rank)
    order = []
    for _ in range(8):
        order += keys(box.iterate())
    assert order == [3, 3, 2, 2, 1, 1, 0, 0]


def test_a_ghost_text_overtakes_a_rewrite_between_two_steps():
    box = Box()
    rewrite = box.ask([30] * 5, rank=Rank.REWRITE)
    box.iterate()
    ghost = box.ask([10, 10])
    assert [keys(box.iterate()) for _ in range(3)] == [[ghost], [ghost], [rewrite]]


def test_what_waits_ages_by_one_class_for_one_pass():
    box = Box(tick_s=0.4)
    mend = box.ask([10] * 3, rank=Rank.MEND)
    box.ask([10] * 50)
    parts = [keys(box.iterate()) for _ in range(12)]
    first = next(i for i, run in enumerate(parts) if mend in run)
    assert first * 0.4 >= 3.0  # three classes, one second each
    assert first <= 8
    assert mend not in parts[first + 1]  # it has had its pass


def test_a_repair_runs_by_itself():
    box = Box()
    repair = box.ask([0], rank=Rank.MEND, is_whole=True)
    ghost = box.ask([10])
    assert keys(box.iterate()) == [ghost]
    assert keys(box.iterate()) == [repair]


def test_within_a_repair_only_what_is_more_urgent_runs():
    scheduler = Scheduler(WIDE, LIMITS)
    repair, fix, other, ghost = (
        Entry(key, "", rank, 0.0, num_bytes=1, is_whole=whole)
        for key, (rank, whole) in enumerate(
            [(Rank.MEND, True), (Rank.REWRITE, True), (Rank.MEND, True), (Rank.GHOST_TEXT, False)]
        )
    )
    scheduler.add(repair)
    assert scheduler.to_open(0.0) == [repair]
    repair.is_running = True
    scheduler.add(other)
    assert scheduler.to_open(0.0, repair) == []
    assert scheduler.plan(0.0, repair) == []
    scheduler.add(fix)
    assert scheduler.to_open(0.0, repair) == [fix]
    scheduler.add(ghost)
    assert scheduler.to_open(0.0, repair) == [ghost]
    ghost.num_rows = 5
    assert keys(scheduler.plan(0.0, repair)) == [ghost.key]


def test_the_queue_is_bounded_in_all_and_for_each_client():
    box = Box(bounds=Bounds(max_waiting=3, max_waiting_per_client=2))
    box.ask([1], client="a")
    box.ask([1], client="a")
    with pytest.raises(QueueFull):
        box.ask([1], client="a")
    last = box.ask([1], client="b")
    with pytest.raises(QueueFull):
        box.ask([1], client="c")
    assert box.scheduler.num_waiting == 3
    box.scheduler.remove(last)
    box.scheduler.remove(last)
    box.ask([1], client="c")


def test_who_has_no_name_is_bounded_by_the_queue_alone():
    box = Box(bounds=Bounds(max_waiting=3, max_waiting_per_client=1))
    for _ in range(3):
        box.ask([1])
    with pytest.raises(QueueFull):
        box.ask([1])


def test_no_more_begins_than_keys_and_values_fit():
    box = Box()
    for _ in range(3):
        box.ask([10, 10], num_bytes=50)
    assert keys(box.iterate()) == [0, 1]
    box.ask([10], num_bytes=1)
    assert keys(box.iterate()) == [0, 1]  # the small one does not overtake the large one that waits
    assert keys(box.iterate()) == [2, 3]
    box.ask([10], num_bytes=1000)
    box.run()  # alone even that begins


def test_a_flood_of_one_client_does_not_hold_up_another():
    box = Box(msgspec.structs.replace(LIMITS, max_sequences=1))
    for _ in range(50):
        box.ask([20], client="flood")
    box.iterate()
    box.iterate()
    other = box.ask([20], client="b")
    assert keys(box.iterate()) == [other]


def test_a_long_answer_lets_others_pass_after_its_quantum():
    box = Box(msgspec.structs.replace(LIMITS, max_sequences=1))
    box.ask([50] * 100, client="a")
    box.iterate()
    other = box.ask([50], client="b")
    seen = [keys(box.iterate()) for _ in range(4)]
    assert seen == [[0], [0], [0], [other]]


def test_idleness_gives_no_credit():
    box = Box(msgspec.structs.replace(LIMITS, max_sequences=1, quantum_rows=1))
    for _ in range(100):
        box.ask([10], client="a")
    for _ in range(50):
        box.iterate()
    for _ in range(40):
        box.ask([10], client="new")
    ran = [box.iterate()[0].key for _ in range(20)]
    assert 9 <= sum(key >= 100 for key in ran) <= 11


def test_what_is_remembered_of_clients_is_bounded():
    box = Box()
    for number in range(200):
        box.ask([10], client=str(number))
        box.run()
    assert len(box.scheduler._rows_of) <= 2


asked = st.tuples(
    st.integers(0, 30),  # the iteration before which it comes
    st.sampled_from("abc"),
    st.sampled_from(list(Rank)),
    st.lists(st.integers(1, 120), min_size=1, max_size=6),
    st.integers(0, 300),
    st.integers(1, 60),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(asked, max_size=25), st.integers(1, 5), st.sampled_from([0.01, 0.5]))
def test_everything_ends_within_the_bounds(requests, max_sequences, tick_s):
    limits = msgspec.structs.replace(LIMITS, max_sequences=max_sequences)
    box = Box(limits, tick_s=tick_s)
    waiting = sorted(requests, key=lambda request: request[0])
    for number in range(5_000):
        while waiting and waiting[0][0] <= number:
            _, client, rank, passes, ahead, num_bytes, is_whole = waiting.pop(0)
            box.ask(passes, client=client, rank=rank, ahead=ahead, num_bytes=num_bytes, is_whole=is_whole)
        if not len(box.scheduler):
            if not waiting:
                break
            continue
        parts = box.iterate()
        assert parts
        assert len(parts) <= max_sequences
        assert len(set(keys(parts))) == len(parts)
        assert sum(part.num_ahead for part in parts) <= limits.max_ahead
        entries = [e for e in box.scheduler._entries.values() if e.is_open]
        assert len(entries) <= 1 or sum(e.num_bytes for e in entries) <= limits.max_bytes
    assert len(box.ended) == len(requests)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(list(Rank)), st.integers(1, 4), st.integers(1, 40))
def test_nothing_starves_while_ghost_texts_keep_coming(rank, max_sequences, rows):
    box = Box(msgspec.structs.replace(LIMITS, max_sequences=max_sequences), tick_s=0.05)
    victim = box.ask([10, 10], client="old", rank=rank)
    served_s = []
    for number in range(4_000):
        while box.scheduler.num_waiting < 8:
            box.ask([rows] * 3, client=f"new{number}")
        if victim in keys(box.iterate()):
            served_s.append(box.now_s)
        if victim in box.ended:
            break
    assert victim in box.ended
    # Overdue after so long, and then only behind what is overdue for longer: those that came before it.
    longest_s = (rank + OVERDUE_AGES) * LIMITS.age_s + 1.0
    assert served_s[0] <= longest_s
    assert served_s[1] - served_s[0] <= longest_s


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(1, 3))
def test_busy_clients_get_equal_shares(rows_of_clients, max_sequences):
    box = Box(msgspec.structs.replace(LIMITS, max_sequences=max_sequences), tick_s=0.0)
    for _ in range(150):
        for client, rows in enumerate(rows_of_clients):
            while sum(e.client == str(client) for e in box.scheduler._entries.values()) < 4:
                box.ask([rows] * 2, client=str(client))
        box.iterate()
    # An iteration takes whole requests, so shares may be apart by what several of them take.
    assert max(box.got.values()) - min(box.got.values()) <= 2 * 4 * max(rows_of_clients) + 2 * LIMITS.max_rows


def test_classes_as_far_as_they_show_at_the_border():
    def request(*canvas: api.Piece, **fields) -> api.DenoiseRequest:
        return api.DenoiseRequest(id="1", prompt=api.Prompt(**fields), canvas=canvas)

    hole = request(api.Masked())
    assert rank_of(hole) is Rank.GHOST_TEXT
    assert rank_of(msgspec.structs.replace(hole, purpose="next_edit")) is Rank.NEXT_EDIT
    in_words = request(api.Masked(), instruction="sort it")
    assert rank_of(msgspec.structs.replace(in_words, purpose="next_edit")) is Rank.REWRITE
    assert rank_of(request(api.Masked(), instruction="sort it")) is Rank.REWRITE
    assert rank_of(request(api.Draft("a"))) is Rank.REWRITE
    assert rank_of(api.RepairRequest(id="1", text="", first_row=0, last_row=0)) is Rank.REWRITE
    assert rank_of(api.RepairRequest(id="1", text="")) is Rank.MEND
