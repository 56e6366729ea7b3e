"""The ledger that its contract is about: each test of it, with each implementation."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support.ledgers import LEDGERS, Client, Opener


@pytest.fixture(params=LEDGERS.values(), ids=list(LEDGERS))
def opened(request, tmp_path) -> Opener:
    return partial(request.param, tmp_path / "ledger.db")


@pytest.fixture
async def ledger(opened: Opener) -> AsyncIterator[Client]:
    async with opened() as client:
        yield client
