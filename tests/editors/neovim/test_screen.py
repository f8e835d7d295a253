"""What a person sees: ghost text on the screen of a real terminal (tmux), with a scripted server."""

import re

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


CODE = [
    "def total(prices, tax):",
    "    result = 0",
    "    for price in prices:",
    "        result += price",
    "    return result * tax",
]


def begin(seen, *lines: str, **more) -> None:
    """Fills the file and says what the server answers."""
    seen.suggest(**more)
    seen.run(f"vim.api.nvim_buf_set_lines(0, 0, -1, false, {{ {', '.join(map(repr, lines))} }})")


def test_a_rewrite_is_seen_before_it_is_made(seen, terminal, wait_for, artifacts):
    whole = {"start": {"line": 1, "character": 4}, "end": {"line": 4, "character": 23}}
    answer = {"applied": False, "reason": None, "sentence": "", "text": "return sum(prices) * tax", "range": whole}
    answer |= {"confidence": 0.91, "steps": 6, "forwards": 9, "elapsedMs": 52.0, "parses": True}
    begin(seen, *CODE, commands={"seedling.rewrite": answer})
    terminal.press(":2,5Seedling rewrite use a comprehension", "Enter")
    wait_for("the diff", lambda: any("+    return sum(prices) * tax" in row for row in terminal.screen()))
    terminal.keep("rewrite", artifacts)
    screen = "\n".join(terminal.screen())
    for shown in (
        "Seedling: rewrite",
        "# use a comprehension",
        "# 91 % sure",
        "-    result = 0",
        "<CR>: accept  r: retry",
    ):
        assert shown in screen, shown
    terminal.press("Enter")
    wait_for("the code", lambda: terminal.screen()[:2] == [CODE[0], "    return sum(prices) * tax"])


def test_a_canvas_is_seen_while_it_is_written(seen, terminal, wait_for, artifacts):
    def frame(step, *pieces):
        names = ("state", "text", "numTokens", "confidence")
        shown = [dict(zip(names, piece, strict=True)) for piece in pieces]
        return {"step": step, "elapsedMs": step * 6.5, "confidence": 0.62, "pieces": shown}

    frames = [
        frame(1, ("draft", "sum", 1, 0.8), ("masked", "", 3, 0.1), ("draft", " pirce", 2, 0.2), ("masked", "", 4, 0.1)),
        frame(
            2, ("draft", "sum(price for", 4, 0.95), ("draft", " price", 2, 0.75), ("draft", " on", 1, 0.25),
            ("masked", "", 3, 0.1),
        ),
    ]  # fmt: skip
    begin(seen, CODE[0], "    return ", "", frames=frames, wait_s=60)
    terminal.press("2", "G", "$", ":Seedling watch", "Enter")
    wait_for("the second step", lambda: any("step 2, 13 ms" in row for row in terminal.screen()))
    terminal.keep("watch", artifacts)
    row = next(row for row in terminal.screen() if "return sum" in row)
    assert "return sum(price for price on░░░" in row
    coloured = terminal.screen(colours=True)[terminal.screen().index(row)]
    assert re.search(r"\x1b\[4m(\x1b\[[\d;]*m)* on", coloured), "what is doubtful is underlined, not coloured alone"


def test_the_next_edit_is_seen(seen, terminal, wait_for, artifacts):
    begin(seen, edits=[{"old": "price", "text": "cost"}])
    seen.run("require('seedling.status').set({ kind = 'Normal', busy = false, message = '', nextEdit = true })")
    terminal.type("ifor cost in costs:")
    terminal.press("Enter")
    terminal.type("print(price)")
    terminal.press("Escape")
    wait_for("the edit", lambda: any("pricecost" in row for row in terminal.screen()))
    terminal.keep("next-edit", artifacts)
