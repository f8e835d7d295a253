"""Places for instructed edits: they lie in their documents, each kind has its own, and the same seed gives the same."""

import pytest

from model.evaluation.edit_places import MAX_SPAN_TOKENS, STRETCH_LINES, edit_places

KINDS = ("fix", "docstring", "rename", "body", "debug")


def places(texts, kind, num=6, seed=0, num_tokens=lambda text: len(text) // 3):
    return edit_places(texts, kind, num=num, seed=seed, num_tokens=num_tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_old_and_new_code_stand_in_their_document(heldout_texts, kind):
    documents = dict(heldout_texts)
    found = places(heldout_texts, kind)
    assert 2 <= len(found) <= 6
    for edit in found:
        place = edit.place
        assert place.before + place.gold + place.after == documents[place.path]
        assert edit.kind == kind
        assert edit.old != place.gold
        assert edit.instruction.strip()
    assert len({(edit.place.path, len(edit.place.before), len(edit.place.gold)) for edit in found}) == len(found)


def test_the_same_seed_gives_the_same_places(heldout_texts):
    assert places(heldout_texts, "fix") == places(heldout_texts, "fix")
    assert places(heldout_texts, "fix") != places(heldout_texts, "fix", seed=1)


def test_a_kind_without_places(heldout_texts):
    assert places(heldout_texts, "async") == []


def test_what_is_too_long_in_tokens_is_left_out(heldout_texts):
    assert places(heldout_texts, "fix", num_tokens=lambda text: MAX_SPAN_TOKENS + 1) == []


def test_places_behind_the_first_stretch_of_a_document():
    text = "x = 1\n" * (STRETCH_LINES + 5) + "def f(a):\n    return a is None\n"
    (edit, *_) = places([("a/b.py", text)], "idiom")
    assert edit.place.before.startswith("x = 1\n" * STRETCH_LINES)
    assert edit.place.before + edit.place.gold + edit.place.after == text
    assert "== None" in edit.old
