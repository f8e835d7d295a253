"""Places of held-out lines: what may be asked for, how places are spread, what is refused."""

from collections import Counter
from itertools import pairwise

import pytest

from model.evaluation.heldout_places import (
    LINES_PER_PLACE,
    MAX_LINE_CHARS,
    code_lines,
    heldout_documents,
    line_places,
    num_visible,
)
from model.evaluation.options import EvalError

TEXT = f'''"""Docstring
x = "not code"
"""
import os  # why
# comment

def f(a):
    """One line."""
    t = """
select = 1
"""
    if a:
        )
    return a
long = "{"x" * MAX_LINE_CHARS}"
'''


def test_documents_are_decoded_exactly(shards_folder, heldout_texts) -> None:
    assert list(heldout_documents(shards_folder)) == heldout_texts


def test_a_missing_folder_is_one_sentence(tmp_path) -> None:
    with pytest.raises(EvalError, match="there is no shard folder") as error:
        list(heldout_documents(tmp_path / "none"))
    assert "\n" not in error.value.sentence


def test_only_code_is_asked_for() -> None:
    kept = code_lines(TEXT)
    assert [line.text for line in kept] == ["def f(a):", '    t = """', "    if a:", "    return a"]
    assert all(TEXT[line.start :].startswith(line.text) for line in kept)
    assert [line.text for line in kept] == [TEXT.split("\n")[line.row] for line in kept]


def test_a_whole_line_goes_with_its_indentation_and_leaves_its_newline(heldout_texts) -> None:
    texts = dict(heldout_texts)
    places = line_places(heldout_texts, kind="whole", num=30, seed=1)
    assert len(places) == 30
    for place in places:
        assert place.before + place.gold + place.after == texts[place.path]
        assert place.before == "" or place.before.endswith("\n")
        assert place.after == "" or place.after.startswith("\n")
        assert num_visible(place.gold) >= 3
        assert "#" not in place.gold
    assert any(place.gold.startswith("    ") for place in places)


def test_the_rest_begins_behind_the_indentation_and_is_long_enough(heldout_texts) -> None:
    texts = dict(heldout_texts)
    places = line_places(heldout_texts, kind="rest", num=40, seed=1)
    for place in places:
        assert place.before + place.gold + place.after == texts[place.path]
        assert "\n" not in place.gold
        assert place.after.startswith("\n")
        assert num_visible(place.gold) >= 3
        line = place.before.rsplit("\n", 1)[-1] + place.gold
        assert len(line) - len(place.gold) >= len(line) - len(line.lstrip())
    columns = {len(place.before.rsplit("\n", 1)[-1].lstrip()) for place in places}
    assert 0 in columns
    assert max(columns) > 8


@pytest.mark.parametrize("kind", ["whole", "rest"])
def test_places_lie_apart_in_order_and_are_the_same_for_the_same_seed(heldout_texts, kind) -> None:
    places = line_places(heldout_texts, kind=kind, num=10_000, seed=3)
    keys = [(place.path, len(place.before)) for place in places]
    assert keys == sorted(keys)
    runs = [(place.path, place.before.count("\n") // LINES_PER_PLACE) for place in places]
    assert all(first != second for first, second in pairwise(runs))
    assert places == line_places(list(reversed(heldout_texts)), kind=kind, num=10_000, seed=3)
    assert places != line_places(heldout_texts, kind=kind, num=10_000, seed=4)


def test_a_document_counts_by_its_size() -> None:
    line = "value = compute(value)\n"
    documents = [("small.py", line * 80), ("large.py", line * 800)]
    counts = Counter(place.path for place in line_places(documents, kind="whole", num=44, seed=0))
    assert counts == {"small.py": 4, "large.py": 40}
