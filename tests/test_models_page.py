"""docs/models.md holds the tables that the families' data and the shapes give; the shapes are the published ones."""

import pytest

from ci.models_table import PAGE, SHAPES, page_with_tables
from model.checkpoints.memory import num_parameters
from model.checkpoints.on_disk import offered


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text("utf-8")
    assert page_with_tables(page) == page, "run ci/models_table.py"


@pytest.mark.parametrize("name", [offer.known.name for offer in offered()])
def test_a_shape_has_the_published_number_of_parameters(name: str) -> None:
    known = next(offer.known for offer in offered() if offer.known.name == name)
    assert num_parameters(SHAPES[name]) / 1e9 == pytest.approx(known.parameters_billion, rel=0.01)
