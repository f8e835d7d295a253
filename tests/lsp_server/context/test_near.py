"""Names near the cursor, and the lines elsewhere that speak of them."""

from lsp_server.context.near import best_windows, hits_of, names_near, rarity, window_at

HERE = ("def total(cart):\n", "    invoice = Invoice(cart)\n", "    \n", "    return invoice\n")


def lines(*texts: str) -> tuple[str, ...]:
    return tuple(text + "\n" for text in texts)


def test_nearer_names_weigh_more():
    weights = names_near(HERE, 2)
    assert weights["invoice"] > weights["total"]
    assert weights["Invoice"] > weights["return"]
    assert names_near(lines("far_name", *["pass"] * 40, "near_name"), 41).keys() == {"pass", "near_name"}


def test_short_words_are_no_names():
    assert names_near(("if x is ab: 12 + abc\n",), 0).keys() == {"abc"}


def windows(text: tuple[str, ...], names: dict[str, float], max_chars: int = 60, num_windows: int = 2):
    hits = hits_of(text, names)
    return best_windows(text, hits, rarity([hits], names, len(text)), max_chars=max_chars, num_windows=num_windows)


def test_rare_names_beat_common_ones():
    text = lines(*["self.x = value"] * 20, "invoice.pay()", *["self.y = value"] * 20)
    best = windows(text, {"self": 1.0, "value": 1.0, "invoice": 1.0}, 30, 1)[0]
    assert best.row <= 20 < best.end_row


def test_windows_fit_and_do_not_overlap():
    text = lines(*(f"invoice_{number % 7} = cart" for number in range(100)))
    found = windows(text, {"invoice_3": 1.0, "invoice_5": 1.0, "cart": 0.2}, 80, 4)
    assert len(found) == 4
    rows = [row for window in found for row in range(window.row, window.end_row)]
    assert len(rows) == len(set(rows))
    assert all(sum(map(len, text[window.row : window.end_row])) <= 80 for window in found)
    assert [window.score for window in found] == sorted((window.score for window in found), reverse=True)
    assert all(0 < window.score <= 1 for window in found)


def test_imports_and_generated_lines_say_nothing():
    names = {"invoice": 1.0}
    assert not hits_of(lines("from shop import invoice", "import invoice", '#include "invoice.h"'), names)
    assert not hits_of(lines("invoice " * 100), names)
    assert hits_of(lines("invoice = 1"), names) == {0: frozenset({"invoice"})}


def test_nothing_in_common_gives_nothing():
    assert windows(lines("other = 1"), {"invoice": 1.0}) == []
    assert windows((), {"invoice": 1.0}) == []
    assert windows(lines("a"), {}) == []


def test_a_window_has_no_blank_ends():
    text = lines("", "  ", "a = 1", "", "b = 2", "", "c = 3")
    assert window_at(text, 0, 15) == (2, 5)
    assert window_at(text, 0, 3) == (2, 2)
    assert window_at(lines("", ""), 0, 99) == (2, 2)
    assert window_at(lines("x" * 500), 0, 1_000) == (0, 0)
