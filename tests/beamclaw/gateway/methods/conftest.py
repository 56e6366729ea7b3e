"""A whole node, its tree in the test's own program, its agent following a script."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from beamclaw.config.schema import (
    AgentConfig,
    AuthConfig,
    Chosen,
    Config,
    GatewayConfig,
    ProviderConfig,
)
from beamclaw.contracts import gateway
from beamclaw.contracts.secret import Secret
from tests.beamclaw.gateway.edge import TOKEN
from tests.beamclaw.gateway.socket.talk import Talk, connected
from tests.support.inside import Inside, no_tools, open_inside

Open = Callable[..., AbstractAsyncContextManager[Inside]]


def configuration(data: Path, **more: Any) -> Config:
    config = Config(
        data=data,
        providers={"demo": ProviderConfig(api="demo", delay=0.0)},
        chosen=Chosen(model="demo"),
        agents={
            "main": AgentConfig(model="demo", name="Claw"),
            "bob": AgentConfig(model="demo", context="none"),
        },
        gateway=GatewayConfig(port=0, auth=AuthConfig(token=Secret(TOKEN))),
    )
    return attrs.evolve(config, **more)


@pytest.fixture
def start(tmp_path: Path) -> Open:
    """Starts a node: ``async with start(...) as node``."""

    @asynccontextmanager
    async def opened(tools: bool = False, **more: Any) -> AsyncIterator[Inside]:
        config = configuration(tmp_path / "data", **more)
        toolbox = None if tools else no_tools
        async with open_inside(config, toolbox=toolbox) as node:
            await node.url()
            yield node

    return opened


@pytest.fixture
async def talk(start: Open) -> AsyncIterator[Talk]:
    """A client with all rights, connected to a node."""
    async with start(), connected(port()) as client:
        yield client


def port() -> int:
    address = gateway.address()
    assert address is not None
    return address.port


async def said(talk: Talk, key: str, text: str, id: str) -> str:
    """Say something in a session that is there, and wait for the end of its turn."""
    answer = await talk.call(
        "sessions.send", {"key": key, "message": text, "idempotencyKey": id}
    )
    assert answer["ok"], answer
    await ended(talk, key)
    return answer["payload"]["runId"]


async def ended(talk: Talk, key: str) -> dict[str, Any]:
    """Wait until nothing goes on in the session; it, as it is described."""
    while True:
        answer = await talk.call("sessions.describe", {"key": key})
        row = answer["payload"]["session"]
        if not row["hasActiveRun"] and "status" in row:
            return row
