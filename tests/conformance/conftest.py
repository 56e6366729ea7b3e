"""The ledger that its contract is about: each test of it, with each implementation."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support.ledgers import LEDGERS, Client, Opener

# Those behind the first one are slow: a check has one, a full run all.
EACH = [
    pytest.param(start, id=name, marks=[pytest.mark.slow] * (number > 0))
    for number, (name, start) in enumerate(LEDGERS.items())
]


@pytest.fixture(params=EACH)
def opened(request, tmp_path) -> Opener:
    return partial(request.param, tmp_path / "ledger.db")


@pytest.fixture
async def ledger(opened: Opener) -> AsyncIterator[Client]:
    async with opened() as client:
        yield client
