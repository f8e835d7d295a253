"""What is gathered around a place is the server's own, without the place's own file."""

import pytest

from benchmarks.gathered import Projects
from model.engine.abilities import capabilities_of
from model.evaluation.decode import Place

SHOP = "def total_price(prices):\n    return sum(prices)\n"
OWN = "from shop.prices import total_price\n\n\ndef bill(prices):\n    amount = total_price(prices)\n"


@pytest.fixture
def projects(checkpoint, tmp_path) -> Projects:
    documents = [("shop/prices.py", SHOP), ("shop/bill.py", OWN), ("other/a.py", "x = 1\n")]
    return Projects(documents, tmp_path, capabilities_of(checkpoint.preset, "cpu"))


def test_the_lines_are_those_of_the_projects_other_files(projects):
    place = Place(path="shop/bill.py", before=OWN[: OWN.rindex("total_price")], after="\n", gold="total_price(prices)")
    found = projects.around(place)
    assert [snippet.path for snippet in found.snippets] == ["shop/prices.py"]
    assert len(found.lines) == 2
    assert [there[row] for there, row in found.lines.beginning_with("def")] == [SHOP.splitlines(keepends=True)[0]]
