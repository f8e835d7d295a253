import random

import msgspec
import pytest
import torch

from kernels.canvas_update import reference
from model.diffusion.block import NUM_INSERTS, Row, asks_of, make_block, make_row, mask_rows
from model.diffusion.moves import Move, apply, decide
from model.diffusion.policy import Policy
from model.diffusion.reading import Reading
from model.diffusion.states import DRAFT, LOCKED, MASKED
from model.tokenizer import DEL, EOM, INS, MASK

EDITS = Policy(edits="insert-delete", tau_mask=0.5, tau_edit=0.8, tau_remask=0.05)
SURE, OWN = 0.95, 0.01


def block_of(pattern, *, prev_locked=True, end_open=False):
    """`_` mask, lower case draft, upper case locked, `$` a locked <eom>."""
    rows = []
    for char in pattern:
        if char == "_":
            rows.append(mask_rows(1)[0])
        elif char == "$":
            rows.append(make_row(EOM, LOCKED))
        else:
            rows.append(make_row(64 + ord(char.lower()), LOCKED if char.isupper() else DRAFT))
    return make_block(rows, prev_locked=prev_locked, end_open=end_open)


def text_of(block):
    return "".join(
        "_"
        if row.token == MASK
        else "$"
        if row.token == EOM
        else chr(row.token - 64).upper()
        if row.state == LOCKED
        else chr(row.token - 64)
        for row in block.rows
    )


def t(char):
    return 64 + ord(char)


def step(block, wants, policy=EDITS, room=1000):
    """One step in which row i wants label wants[i][0] with p wants[i][1], own p wants[i][2]; the others are content."""
    asks = asks_of(block, policy.edits)
    said = [wants.get(ask.index, (ask.token if ask.token != MASK else t("x"), SURE, SURE)) for ask in asks]
    labels, p = [s[0] for s in said], [s[1] for s in said]
    moves = decide(block, asks, Reading(labels, p, [s[2] for s in said], labels, p), policy, room)
    ended = apply(block, moves)
    return moves, ended


def edit(label, p=SURE, own=OWN):
    return (label, p, own)


def test_substitute_delete_and_insert_are_applied_together():
    block = block_of("abcdef")
    step(block, {0: edit(t("z")), 2: edit(DEL), 5: edit(INS)})
    assert text_of(block) == "zbde_f"


def test_an_edit_needs_both_a_sure_label_and_a_token_ruled_out():
    block = block_of("ab")
    step(block, {0: (t("z"), 0.7, OWN), 1: (t("z"), 0.85, 0.12)})
    assert text_of(block) == "_b"  # row 0: no label above tau_edit and its own below tau_remask; row 1: own too likely


def test_remask_only_where_no_label_is_sure():
    block = block_of("ab")
    step(block, {0: (t("z"), 0.4, 0.2), 1: (t("b"), 0.4, 0.04)})
    assert text_of(block) == "a_"


def test_the_same_gap_gets_1_2_4_8_16_16_masks_and_then_nothing():
    block = block_of("a" + "b" * 10)
    block.capacity, block.insert_budget = 64, 100
    counts = []
    for _ in range(7):
        index = next(i for i, row in enumerate(block.rows) if row.token == t("b"))
        # The masks already there are left alone, so that the gap stays the same gap.
        wants = {i: (t("x"), 0.1, 0.0) for i, row in enumerate(block.rows) if row.state == MASKED} | {index: edit(INS)}
        moves, _ = step(block, wants)
        counts += [sum(move.count for move in moves if move.kind == "insert")]
    assert counts == [1, 2, 4, 8, 16, 16, 0]


def test_counters_travel_with_their_token_through_shifts():
    block = block_of("abcd")
    step(block, {0: edit(DEL), 2: edit(t("z")), 3: edit(INS)})
    assert text_of(block) == "bz_d"
    z, d = block.rows[1], block.rows[3]
    assert (z.edits_left, z.banned) == (1, t("c"))
    assert (d.ins_left, d.ins_next) == (NUM_INSERTS - 1, 2)
    assert block.rows[0] == make_row(t("b"), DRAFT)


def test_a_token_is_not_edited_back_and_only_twice():
    block = block_of("a")
    step(block, {0: edit(t("b"))})
    assert asks_of(block, "insert-delete")[0].banned == t("a")
    step(block, {0: edit(t("c"))})
    assert asks_of(block, "insert-delete")[0].banned == t("b")
    for label in (t("d"), DEL, t("c")):
        step(block, {0: edit(label)})
        assert text_of(block) == "c"


def test_a_delete_left_of_an_insert_is_one_remask_in_place():
    block = block_of("abc")
    moves, _ = step(block, {1: edit(DEL), 2: edit(INS)})
    assert text_of(block) == "a_c"
    assert (block.rows[1].banned, block.rows[1].edits_left) == (t("b"), 1)
    assert block.rows[2].ins_left == NUM_INSERTS - 1
    assert [move.kind for move in moves] == ["remask", "insert"]


def test_of_two_deletes_left_of_an_insert_only_the_last_is_fused():
    block = block_of("abc")
    step(block, {0: edit(DEL), 1: edit(DEL), 2: edit(INS)})
    assert text_of(block) == "_c"


def test_a_surplus_mask_left_of_an_insert_stays_and_spends_the_insert():
    block = block_of("_c")
    step(block, {0: (DEL, SURE, 0.0), 1: edit(INS)})
    assert text_of(block) == "_c"
    assert block.rows[1].ins_left == NUM_INSERTS - 1


@pytest.mark.parametrize("indices", [(0,), (1,)])
def test_a_gap_between_two_locks_is_closed(indices):
    block = block_of("AB$")
    for index in indices:
        assert not block.gap_open(index)
        assert index not in [ask.index for ask in asks_of(block, "insert-delete")]


def test_a_gap_is_open_beside_a_draft_or_behind_an_unlocked_token():
    block = block_of("aB", prev_locked=True)
    step(block, {0: edit(INS), 1: edit(INS)})
    assert text_of(block) == "_a_B"
    behind = block_of("A", prev_locked=False)
    step(behind, {0: edit(INS)})
    assert text_of(behind) == "_A"


def test_deleting_the_last_draft_between_two_locks_closes_the_gap():
    block = block_of("AbC")
    step(block, {1: edit(DEL)})
    assert text_of(block) == "AC"
    assert asks_of(block, "insert-delete") == []


def test_a_locked_token_takes_no_label():
    block = block_of("aBc")
    step(block, {1: edit(t("z"))}, policy=EDITS)
    assert text_of(block) == "aBc" or text_of(block) == "a_Bc"  # never anything else than an insert before it
    assert block.rows[-2].token == t("b")


def test_a_full_block_refuses_inserts_and_the_rest_is_clipped():
    block = block_of("ab")
    block.capacity = 2
    step(block, {1: edit(INS)})
    assert text_of(block) == "ab"
    assert block.rows[1].ins_left == NUM_INSERTS
    block.capacity = 4
    block.rows[1].ins_next = 8
    step(block, {1: edit(INS)})
    assert text_of(block) == "a__b"


def test_the_insert_budget_and_the_room_of_the_canvas_bound_inserts():
    block = block_of("ab")
    block.insert_budget = 1
    block.rows[0].ins_next = block.rows[1].ins_next = 4
    step(block, {0: edit(INS), 1: edit(INS)})
    assert text_of(block) == "_ab"
    assert block.insert_budget == 0
    other = block_of("ab")
    step(other, {1: edit(INS)}, room=0)
    assert text_of(other) == "ab"


def test_a_surplus_mask_before_visible_text_is_deleted():
    block = block_of("a_b")
    step(block, {1: (DEL, 0.6, 0.0)})
    assert text_of(block) == "ab"


def test_substitute_only_checkpoints_never_change_the_length():
    policy = Policy(edits="substitute", tau_edit=0.8, tau_remask=0.05)
    block = block_of("abc")
    asks = asks_of(block, policy.edits)
    assert not any(ask.delete or ask.insert for ask in asks)
    step(block, {1: edit(t("z"))}, policy=policy)
    assert text_of(block) == "azc"


# The end of the text

OPEN = Policy(tau_mask=0.5)


def test_the_end_is_put_where_the_frontier_is_the_first_mask():
    block = block_of("ab__", end_open=True)
    moves, ended = step(block, {2: (DEL, 0.2, 0.0)}, policy=OPEN)
    assert ended
    assert text_of(block) == "ab$"
    assert moves[-1].kind == "end"


def test_the_end_waits_while_a_mask_is_left_of_it():
    block = block_of("____", end_open=True)
    _, ended = step(block, {0: (t("x"), 0.9, 0.0), 1: (t("y"), 0.3, 0.0), 2: (EOM, 0.9, 0.0)}, policy=OPEN)
    assert not ended
    assert text_of(block) == "x___"


def test_a_sure_end_is_accepted_in_the_step_that_writes_the_last_mask_before_it():
    block = block_of("____", end_open=True)
    wants = {0: (t("x"), 0.9, 0.0), 1: (t("y"), 0.6, 0.0), 2: (EOM, 0.9, 0.0)}
    _, ended = step(block, wants, policy=OPEN)
    assert ended
    assert text_of(block) == "xy$"
    doubtful = block_of("____", end_open=True)
    _, ended = step(doubtful, wants | {2: (EOM, 0.4, 0.0)}, policy=OPEN)
    assert not ended
    assert text_of(doubtful) == "xy__"


def test_masks_behind_the_frontier_are_never_written_however_sure():
    block = block_of("____", end_open=True)
    step(block, {0: (t("x"), 0.1, 0.0), 1: (EOM, 0.4, 0.0), 2: (t("y"), 0.99, 0.0)}, policy=OPEN)
    assert text_of(block) == "x___"


def test_a_draft_that_wants_the_end_gives_it_only_without_masks_before_it():
    block = block_of("_bcd", end_open=True)
    block.rows[0].confidence = None
    _, ended = step(block, {0: (t("x"), 0.1, 0.0), 2: edit(EOM)})
    assert ended  # the only mask is written in the same step
    assert text_of(block) == "xb$"
    waits = block_of("__cd", end_open=True)
    _, ended = step(waits, {0: (t("x"), 0.1, 0.0), 1: (t("y"), 0.05, 0.0), 2: edit(EOM)})
    assert not ended
    assert text_of(waits) == "x_cd"


def test_an_edit_that_leaves_a_mask_postpones_the_end():
    block = block_of("ab_", end_open=True)
    _, ended = step(block, {1: edit(INS), 2: (EOM, 0.99, 0.0)})
    assert not ended
    assert text_of(block) == "a_b_"


# The device's update and this one are the same function

KIND = {
    "unmask": reference.SUBSTITUTE,
    "substitute": reference.SUBSTITUTE,
    "delete": reference.DELETE,
    "insert": reference.INSERT,
    "remask": reference.REMASK,
}


def test_apply_equals_the_canvas_update_reference():
    rng = random.Random(0)
    seen = set()
    for _ in range(200):
        num = rng.randint(1, 24)
        rows = [rng.choice([make_row(rng.randint(64, 511), DRAFT), *mask_rows(1)]) for _ in range(num)]
        for row in rows:
            row.ins_left = rng.randint(1, 4)
        block = make_block(rows, prev_locked=True, end_open=False)
        block.capacity = 64
        moves = []
        for i, row in enumerate(rows):
            if rng.random() < 0.5:
                continue
            if row.state == MASKED:
                kind = rng.choice(["unmask", "delete"])
            else:
                kind = rng.choice(["substitute", "delete", "insert", "remask"])
            seen.add(kind)
            count = rng.choice([1, 2]) if kind == "insert" else 0
            moves.append(Move(kind, i, token=rng.randint(64, 511), removed=row.token, count=count))
        kinds, payload = [reference.KEEP] * num, [0] * num
        for move in moves:
            kinds[move.index] = KIND[move.kind]
            payload[move.index] = move.count if move.kind == "insert" else move.token
        ins_left = torch.tensor([[row.ins_left - (kinds[i] == reference.INSERT) for i, row in enumerate(rows)]])
        want = reference.canvas_update(
            torch.tensor([[row.token for row in rows]]),
            torch.tensor([[row.state for row in rows]]),
            torch.tensor([num]),
            torch.tensor([kinds]),
            torch.tensor([payload]),
            capacity=64,
            mask_id=MASK,
            extras={"ins_left": (ins_left, Row(MASK, MASKED).ins_left)},
        )
        apply(block, moves)
        length = int(want.lengths_B[0])
        assert [row.token for row in block.rows] == want.tokens_BM[0, :length].tolist()
        assert [row.state for row in block.rows] == want.states_BM[0, :length].tolist()
        assert [row.ins_left for row in block.rows] == want.extras["ins_left"][0, :length].tolist()
    assert seen == set(KIND)


def test_an_edit_carries_along_what_stands_beside_it():
    wants = {
        0: edit(t("z"), 0.3, 0.3),
        2: edit(DEL),
        3: edit(DEL, 0.3, 0.3),
        4: edit(t("y"), 0.1, 0.1),
        5: edit(DEL, 0.3),
    }
    for tau_carry, text in ((None, "abdef"), (0.2, "abef")):
        block = block_of("abcdef")
        step(block, wants, policy=msgspec.structs.replace(EDITS, tau_remask=0.0, tau_carry=tau_carry))
        assert text_of(block) == text  # row 0 and row 5 want a change too, but nothing beside them is edited


def test_an_own_token_may_be_likelier_where_the_policy_says_so():
    block = block_of("ab")
    step(block, {0: edit(t("z"), 0.45, 0.4)}, policy=msgspec.structs.replace(EDITS, tau_edit=0.4, own_max=1.0))
    assert text_of(block) == "zb"


# Foreign networks: masks that become two or none, an end wherever it is believed, remasking without edits

LENGTHS = Policy(edits="expand-delete", order="confidence", tau_mask=0.5)


def test_a_mask_becomes_two_or_none():
    block = block_of("a____B")
    moves, ended = step(block, {1: edit(INS), 2: edit(DEL), 3: (t("y"), 0.4, OWN), 4: edit(t("z"))}, LENGTHS)
    assert text_of(block) == "a___zB"
    assert [move.kind for move in moves] == ["insert", "delete", "unmask"]
    assert not ended
    assert all(ask.token == MASK for ask in asks_of(block, "expand-delete"))  # visible rows are never read again


def test_expansions_end_with_the_room_and_with_the_budget():
    block = block_of("____")
    block.capacity, block.insert_budget = 6, 10
    step(block, {i: edit(INS) for i in range(4)}, LENGTHS)
    assert len(block.rows) == 6
    assert block.insert_budget == 8
    assert not any(ask.insert for ask in asks_of(block, "expand-delete"))
    block.capacity, block.insert_budget = 60, 1
    step(block, {i: edit(INS) for i in range(6)}, LENGTHS)
    assert (len(block.rows), block.insert_budget) == (7, 0)
    assert not any(ask.insert for ask in asks_of(block, "expand-delete"))


def test_expanding_and_deleting_for_ever_comes_to_an_end():
    block = block_of("__")
    block.capacity, block.insert_budget = 4, 20
    one_a_step = msgspec.structs.replace(LENGTHS, tau_mask=2.0)
    for number in range(100):
        asks = asks_of(block, "expand-delete")
        if not asks:
            break
        wants_more = asks[0].insert and number % 2 == 0
        step(block, {asks[0].index: edit(INS if wants_more else DEL)}, one_a_step)
    assert block.rows == []


def test_in_other_orders_the_end_is_a_token_until_no_mask_stands_before_it():
    policy = Policy(order="confidence", tau_mask=0.5)
    for token in (EOM, DEL):  # chat models have a second one, behind the end of an answer
        block = block_of("____", end_open=True)
        block.ends_anywhere = True
        moves, ended = step(block, {0: (t("a"), 0.3, OWN), 1: edit(t("b")), 2: edit(token), 3: edit(t("d"))}, policy)
        assert [row.token for row in block.rows] == [MASK, t("b"), token, t("d")]
        assert not ended
        moves, ended = step(block, {0: edit(t("a"))}, policy)
        assert (text_of(block), ended) == ("ab$", True)
        assert moves[-1] == Move("end", 2, token=EOM, removed=token, p=SURE)


def test_a_closed_canvas_never_ends_early():
    block = block_of("_$")
    _, ended = step(block, {0: edit(t("a"))}, Policy(order="confidence"))
    assert (text_of(block), ended) == ("a$", False)


def test_remasking_alone_edits_nothing():
    policy = Policy(order="confidence", remask=True, tau_remask=0.05)
    block = block_of("ab_")
    asks = asks_of(block, policy.edits, remask=True)
    assert [ask.index for ask in asks] == [0, 1, 2]
    labels, p = [t("x"), t("y"), t("c")], [SURE, SURE, SURE]
    moves = decide(block, asks, Reading(labels, p, [0.01, 0.2, 0.0], labels, p), policy, 10)
    apply(block, moves)
    assert text_of(block) == "_bc"


def test_quotas_count_the_steps_of_the_block():
    policy = Policy(order="confidence", steps_per_block=3, tau_mask=0.0)
    block = block_of("_____")
    for num_masks in (3, 1, 0):
        step(block, {}, policy)
        assert block.num_masks() == num_masks
