"""How long clients, a provider and a node may do nothing before that is a complaint."""

import pytest

from tests.faults.stage import PATIENCE, stood_still


def looks(*, works: bool) -> int:
    """How often somebody looks until there is no patience left."""
    still, count = 0.0, 0
    while still < PATIENCE:
        still = stood_still(still, changed=False, works=works)
        count += 1
    return count


def test_what_happens_gives_all_patience_back():
    assert stood_still(PATIENCE - 0.01, changed=True, works=False) == 0.0


def test_a_node_that_works_and_comes_to_nothing_gets_longer_and_not_for_ever():
    assert looks(works=True) == pytest.approx(6 * looks(works=False), rel=0.01)
