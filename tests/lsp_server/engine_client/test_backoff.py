"""When an engine on another machine is tried again."""

from itertools import islice

import pytest

from lsp_server.engine_client.backoff import LONGEST_S, delays_s


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.5), (1.0, 1.0)])
def test_delays_double_up_to_a_minute(chance, share):
    steps = [1, 2, 4, 8, 16, 32, LONGEST_S, LONGEST_S]
    assert list(islice(delays_s(lambda: chance), 8)) == [share * step for step in steps]


def test_editors_do_not_all_come_at_once():
    one, other = iter([0.1, 0.2, 0.3]), iter([0.9, 0.8, 0.7])
    assert set(islice(delays_s(lambda: next(one)), 3)).isdisjoint(islice(delays_s(lambda: next(other)), 3))
