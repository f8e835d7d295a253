"""Cells of notebooks: which stand above which, whatever happens to them."""

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.notebooks import Cell, Notebooks, Splice

BOOK = "file:///w/b.ipynb"


def cells(names: str) -> tuple[Cell, ...]:
    """Capitals are Markdown."""
    return tuple(Cell(uri(name), name.islower()) for name in names)


def uri(name: str) -> str:
    return f"vscode-notebook-cell:/w/b.ipynb#{name}"


def above(notebooks: Notebooks, name: str) -> str:
    return "".join(found[-1] for found in notebooks.code_above(uri(name)))


def opened(names: str) -> Notebooks:
    notebooks = Notebooks()
    notebooks.open(BOOK, cells(names))
    return notebooks


def test_code_above_in_order_without_markdown():
    notebooks = opened("aMbcN")
    assert above(notebooks, "c") == "ab"
    assert above(notebooks, "M") == "a"
    assert above(notebooks, "a") == ""


def test_cells_come_go_move_and_change_their_kind():
    notebooks = opened("abc")
    notebooks.splice(BOOK, Splice(1, 0, cells("xY")))
    assert above(notebooks, "c") == "axb"
    notebooks.splice(BOOK, Splice(0, 1))
    assert above(notebooks, "c") == "xb"
    notebooks.splice(BOOK, Splice(0, 4, cells("cxbY")))  # moved: deleted and inserted in one
    assert above(notebooks, "b") == "cx"
    notebooks.update(BOOK, (Cell(uri("x"), is_code=False), Cell(uri("Y"), is_code=True)))
    assert above(notebooks, "b") == "c"


def test_cells_of_no_notebook_and_of_another_one():
    notebooks = opened("ab")
    notebooks.open("file:///w/other.ipynb", (Cell("vscode-notebook-cell:/w/other.ipynb#a", True),))
    assert above(notebooks, "b") == "a"
    assert notebooks.code_above("file:///w/a.py") == ()
    assert notebooks.close("FILE:///w/b.ipynb") == cells("ab")
    assert notebooks.code_above(uri("b")) == ()
    notebooks.splice(BOOK, Splice(3, 2, cells("z")))  # of a notebook that was never opened: harmless
    assert above(notebooks, "z") == ""


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.text("abcXYZ", max_size=3)), max_size=8))
def test_splices_are_those_of_lists(splices):
    notebooks, model = opened("abc"), list("abc")
    for start, num_deleted, names in splices:
        notebooks.splice(BOOK, Splice(start, num_deleted, cells(names)))
        model[start : start + num_deleted] = names
    for cell in notebooks.close(BOOK):
        assert cell.uri[-1] == model.pop(0)
    assert model == []
