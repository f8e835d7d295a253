"""Definitions in reach of the cursor."""

from lsp_server.context.near import names_near
from lsp_server.context.reach import MAX_KNOWN_TEXTS, MAX_SAME_NAME, Reach, reached
from lsp_server.context.texts import Text
from model.syntax.imports import Import, Imported

HERE = "from shop import Invoice as Bill\n\n\ndef total(cart):\n    bill = Bill(cart)\n    return price_of(cart)\n"


def text(origin, path: str, source: str, by: Import | None = None, language: str = "python") -> Text:
    return Text(origin, path, language, tuple(source.splitlines(keepends=True)), str(hash(source)), by)


def found(*texts: Text, row: int = 5, source: str = HERE) -> list[str]:
    """`path:row` of what is reached from `row` of `source`, the best first."""
    own = text("own", "here.py", source)
    all_texts = [own, *texts]
    return [
        f"{all_texts[one.index].path}:{one.row}" for one in reached(all_texts, names_near(own.lines, row), row, Reach())
    ]


def test_a_name_on_the_cursors_line_is_found_in_an_open_document():
    other = text("open", "price.py", "x = 1\n\ndef price_of(cart):\n    return 1\n")
    assert "price.py:2" in found(other)  # beside what the own window shows, which gather.py leaves out


def test_an_imported_name_is_looked_for_where_it_comes_from_under_its_own_name():
    by = Import("shop", (Imported("Invoice", "Bill"),))
    shop = text("imported", "shop.py", "class Other: pass\nclass Invoice:\n    total = 0\n", by)
    elsewhere = text("open", "elsewhere.py", "class Bill:\n    pass\nclass Invoice:\n    pass\n")
    assert "shop.py:1" in found(shop, elsewhere)
    assert "elsewhere.py:0" not in found(shop, elsewhere)
    assert "elsewhere.py:0" in found(elsewhere)


def test_a_name_that_many_define_says_nothing():
    others = [text("open", f"o{number}.py", f"def price_of(x): return {number}\n") for number in range(MAX_SAME_NAME)]
    assert len([one for one in found(*others) if one.startswith("o")]) == MAX_SAME_NAME
    one_more = text("open", "more.py", "def price_of(x): return 'more'\n")
    assert not any(one.startswith(("o", "more")) for one in found(*others, one_more))


def test_the_class_around_the_cursor_is_reached():
    source = (
        "class Cart:\n    items: list\n\n"
        + "    def m(self):\n        pass\n\n" * 30
        + "    def last(self):\n        x\n"
    )
    row = source.count("\n") - 1
    assert "here.py:0" in found(source=source, row=row)


def test_chunks_are_not_searched_and_foreign_languages_have_none():
    assert found(text("recent", "r.py", "def price_of(x): pass\n")) == found()
    assert found(text("open", "o.txt", "def price_of(x): pass\n", language="plaintext")) == found()


def test_definitions_are_kept_until_the_text_changes_and_bounded():
    reach = Reach()
    one = text("open", "a.py", "def f(): pass\n")
    assert reach.definitions(one) is reach.definitions(one)
    other = text("open", "a.py", "def g(): pass\n")
    assert [definition.name for definition in reach.definitions(other)] == ["g"]
    for number in range(MAX_KNOWN_TEXTS + 5):
        reach.definitions(text("open", f"{number}.py", f"x = {number}\n"))
    assert reach.definitions(one) is not None
    assert reach.num_texts <= MAX_KNOWN_TEXTS


def test_rows_are_the_documents_whatever_ends_its_lines():
    reach = Reach()
    for newline in ("\n", "\r\n", "\r"):
        lines = tuple(line + newline for line in ("x = '\u2028'", "", "def f():", "    pass"))
        text_of = Text("open", f"{newline!r}.py", "python", lines, "1")
        assert [(d.name, d.row) for d in reach.definitions(text_of)] == [("x", 0), ("f", 2)]
