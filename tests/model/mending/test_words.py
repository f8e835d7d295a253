"""Words of a line, sound or not, and how often a text uses them."""

from model.mending.words import Usage, quiet_rows, words_of


def texts(line: str) -> list[str]:
    return [word.text for word in words_of(line)]


def test_code_is_cut_into_words() -> None:
    assert texts("x.y  += f(a, 10)  # why") == ["x", ".", "y", "+=", "f", "(", "a", ",", "10", ")"]
    assert texts("a is not None and b != 'c d'") == ["a", "is", "not", "None", "and", "b", "!=", "'c d'"]
    kinds = {word.text: word.kind for word in words_of("if x == 1.5: y[0] = 'é'")}
    assert kinds["if"] == "keyword"
    assert (kinds["x"], kinds["=="], kinds["1.5"], kinds["["], kinds["'é'"]) == (
        "name",
        "operator",
        "number",
        "bracket",
        "string",
    )


def test_places_are_characters_of_the_line() -> None:
    line = "größe = maß(ä) "
    for word in words_of(line):
        assert line[word.start : word.end] == word.text


def test_what_stands_in_an_f_string_as_code_is_code() -> None:
    assert texts('print(f"{name}: {count(x):>4}", "{name}")') == [
        "print",
        "(",
        "name",
        "count",
        "(",
        "x",
        ")",
        ",",
        '"{name}"',
        ")",
    ]


def test_a_quote_that_nothing_closes_is_a_word() -> None:
    assert texts("x = 'abc") == ["x", "=", "'", "abc"]


def test_rows_of_prose_are_quiet() -> None:
    text = 'def f():\n    """Says\n    more."""\n    x = """a\nb"""\n    return x\n'
    assert quiet_rows(text) == {1, 2, 4}


def test_a_line_does_not_count_for_itself() -> None:
    lines = ["a = b\n", "a = c\n", "a = c\n"]
    elsewhere = Usage(lines).without("a = c\n")
    assert elsewhere.count("a") == 2
    assert elsewhere.count("c") == 1
    assert elsewhere.count("=", "b") == 1
    assert elsewhere.count("a", "=", "c") == 1
    assert Usage(lines).without("d = d\n").count("d") == 0
