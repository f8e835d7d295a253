from model.diffusion.block import make_row, mask_rows
from model.diffusion.states import DRAFT, LOCKED
from model.diffusion.stop_rule import StopRule


def drafts(*tokens):
    return [make_row(token, DRAFT) for token in tokens]


def test_each_left_run_is_asked_about_once():
    asked = []
    rule = StopRule(lambda ids: asked.append(ids))
    for rows in ([*drafts(70, 71), *mask_rows(2)], [*drafts(70, 71), *mask_rows(1)], drafts(70, 71, 72)):
        assert rule.num_kept([69], rows) is None
    assert asked == [[69, 70, 71], [69, 70, 71, 72]]


def test_locked_text_is_never_cut_off():
    rule = StopRule(lambda ids: 1)
    assert rule.num_kept([], [*drafts(70), *mask_rows(1), make_row(71, LOCKED)]) is None
    assert rule.num_kept([], [*drafts(70), make_row(71, LOCKED), *drafts(72), *mask_rows(1)]) == 2
    assert StopRule(lambda ids: 1).num_kept([69], drafts(70)) == 1


def test_nothing_is_asked_about_nothing():
    assert StopRule(lambda ids: 0).num_kept([], mask_rows(3)) is None
    assert StopRule(None).num_kept([69], drafts(70)) is None
