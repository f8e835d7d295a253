"""What followed lines that read like those above the cursor."""

from lsp_server.context.continuation import MAX_LINE_CHARS, best_matches, names_of, query_names, weights_of

HERE = ("def area(shape):\n", "    check(shape)\n", "    width = shape.width\n", "    ")
THERE = (
    "import math\n",
    "def volume(solid):\n",
    "    check(solid)\n",
    "\n",
    "def side(shape):\n",
    "    check(shape)\n",
    "    width = shape.width\n",
    "    return width\n",
    "print(shape)\n",
)


def matches(lines: tuple[str, ...], num_matches: int = 2) -> list[int]:
    query, names = query_names(HERE, 3), tuple(map(names_of, lines))
    return [match.row for match in best_matches(names, weights_of(query, [names]), num_matches)]


def test_the_row_that_ends_the_most_similar_lines():
    assert matches(THERE)[0] in (6, 7)
    assert len(matches(THERE, 1)) == 1


def test_the_query_is_the_cursors_line_and_those_right_above_it():
    assert query_names(HERE, 3) == {"def", "area", "shape", "check", "width"}
    assert query_names(HERE, 0) == {"def", "area", "shape"}


def test_a_text_without_any_of_the_names_has_no_match():
    assert matches(("x = 1\n", "yy = zz\n")) == []
    assert matches(()) == []


def test_rare_names_say_more_than_common_ones():
    common = tuple(map(names_of, ("shape = shape\n",) * 50 + ("check()\n",)))
    weights = weights_of(query_names(HERE, 3), [common])
    assert weights["check"] > weights["shape"]


def test_names_that_only_the_other_lines_hold_count_against_them():
    query = query_names(HERE, 3)
    plain, busy = tuple(map(names_of, HERE)), tuple(map(names_of, (*HERE[:3], "    one(two, three, four, width)\n")))
    weights = weights_of(query, [plain])
    assert best_matches(plain, weights, 1)[0].score > 0.9
    best_of_last_row = next(match for match in best_matches(busy, weights, 9) if match.row == 3)
    assert best_of_last_row.score < best_matches(plain, weights, 1)[0].score


def test_lines_that_nobody_has_written_have_no_names():
    assert names_of("shape " * MAX_LINE_CHARS) == frozenset()
