"""A gateway for each test; see `edge.py`."""

import pytest

from tests.beamclaw.gateway.edge import running


@pytest.fixture
async def node():
    async with running() as node:
        yield node


@pytest.fixture
def start():
    """Starts gateways with other settings: ``async with start(...) as node``."""
    return running
