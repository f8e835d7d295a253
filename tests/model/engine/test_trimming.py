"""Parts of a prompt cut in whole lines, with edges that do not move at every keystroke. (Ids: test_prompting.py.)"""

import pytest

from model.engine.trimming import CHARS_PER_TOKEN, first_lines, last_lines

LINES = [f"name_{i} = {i}\n" for i in range(100)]
TEXT = "".join(LINES)


def num(encoder, text: str) -> int:
    return len(encoder(text))


@pytest.mark.parametrize("budget", [30, 100, 333])
def test_what_is_kept_fits_and_is_whole_lines(encoder, budget):
    head, tail = first_lines(TEXT, budget, encoder), last_lines(TEXT + "x = ", budget, encoder)
    assert 0 < num(encoder, head) <= budget
    assert 0 < num(encoder, tail) <= budget
    assert TEXT.startswith(head)
    assert head.endswith("\n")
    assert (TEXT + "x = ").endswith("\n" + tail)
    assert tail.endswith("x = ")


def test_what_fits_is_kept_as_it_is(encoder):
    budget = num(encoder, TEXT) + 10
    assert first_lines(TEXT, budget, encoder) == last_lines(TEXT, budget, encoder) == TEXT
    assert first_lines("", 10, encoder) == last_lines("", 10, encoder) == ""


def test_typing_moves_no_edge(encoder):
    starts = {last_lines(TEXT + "abc"[:n], 300, encoder)[:12] for n in range(4)}
    assert len(starts) == 1
    ends = {first_lines("ab"[:n] + TEXT, 300, encoder)[-12:] for n in range(3)}
    assert len(ends) == 1


def test_an_overlong_line_is_cut(encoder):
    line = "value, " * 1000
    assert line.endswith(last_lines(TEXT + line, 100, encoder))
    assert len(last_lines(TEXT + line, 100, encoder)) == 100 * CHARS_PER_TOKEN // 2
    assert first_lines(line + "\n", 100, encoder) == line[: 100 * CHARS_PER_TOKEN]
