"""What a person sees: ghost text on the screen of a real terminal (tmux), with a scripted server."""

import pytest

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]


@pytest.fixture
def looks_like(terminal, wait_for, artifacts):
    """Waits until the screen begins with these lines, and leaves it for people to look at."""

    def looks_like(name: str, *lines: str) -> None:
        def is_so() -> bool:
            return tuple(terminal.screen()[: len(lines)]) == lines

        try:
            wait_for(f"the screen {lines}", is_so, 10)
        finally:
            terminal.keep(name, artifacts)

    return looks_like


def test_several_lines_in_front_of_code(seen, terminal, looks_like):
    seen.suggest(items=[{"insertText": "x,\n    y)", "behind": 1}])
    terminal.type("iprint() + z")
    terminal.press("Escape", "0", "f", ")", "i")
    looks_like("lines", "print(x,", "    y) + z", "~")
    seen.suggest()
    terminal.press("M-l")
    seen.see_lines("print(x,", "    y) + z")
    looks_like("accepted", "print(x,", "    y) + z", "~")


def test_one_line_in_front_of_code(seen, terminal, looks_like):
    seen.suggest("x, y")
    terminal.type("iprint() + z")
    terminal.press("Escape", "0", "f", ")", "i")
    looks_like("line", "print(x, y) + z", "~")
    assert seen.lines() == ["print() + z"]


def test_tabs_and_the_count_of_alternatives(seen, terminal, looks_like):
    seen.suggest("a:\n\tb", alternatives=[{"insertText": "c\td"}])
    terminal.type("i\tif ")
    looks_like("tabs", "    if a:", "    b", "~")
    terminal.press("M-n")
    looks_like("alternative", "    if c    d (2/2)", "~")


def test_the_rest_of_a_word_and_the_end_of_it(seen, terminal, looks_like):
    seen.suggest("range(10):\n    pass")
    terminal.type("ifor i in ")
    looks_like("ghost", "for i in range(10):", "    pass", "~")
    terminal.press("M-o")
    seen.see_lines("for i in range")
    looks_like("word", "for i in range(10):", "    pass", "~")
    terminal.press("Escape")
    looks_like("left", "for i in range", "~")
