"""A tool call has a deadline: it is cancelled to the leaf, and what is true is said."""

import math

import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.about import About
from beamclaw.contracts.journal import ToolEnded, read
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.toolkit import tool, tools_of
from tests.beamclaw.sessions.conftest import KEY, Model, Tenant
from tests.beamclaw.sessions.test_tools import report, use


class Slow:
    """Tools that never come to an end."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.checked = 0

    async def _for_ever(self, name: str) -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled.append(name)
            raise
        return ""

    @tool(effect="pure", deadline=5.0)
    async def look(self) -> str:
        """Look."""
        return await self._for_ever("look")

    @tool(effect="idempotent", deadline=5.0)
    async def put(self) -> str:
        """Put."""
        return await self._for_ever("put")

    @tool(effect="unsafe", deadline=5.0)
    async def send(self) -> str:
        """Send."""
        return await self._for_ever("send")

    @tool(effect="pure")
    async def wait(self) -> str:
        """Wait as long as it may."""
        return await self._for_ever("wait")

    @tool(effect="pure", deadline=math.inf)
    async def rest(self) -> str:
        """Take long."""
        await trio.sleep(3_000)
        return "rested"


@pytest.fixture
def slow(model: Model) -> Slow:
    made = Slow()
    model.tools = {each.spec.name: each for each in tools_of(made)}
    return made


@pytest.mark.parametrize(
    "name, outcome, words",
    [
        ("look", "error", "stopped: it took longer than it may, 5 s"),
        ("put", "error", "it may be asked for again"),
        ("send", "unknown", "Whether it was done is not known"),
        ("wait", "error", "stopped: it took longer than it may, 1800 s"),
    ],
)
async def test_a_call_that_takes_too_long_is_stopped_and_said_so(  # noqa: PLR0917 -- fixtures
    tenant: Tenant,
    slow: Slow,
    autojump_clock: MockClock,
    name: str,
    outcome: str,
    words: str,
) -> None:
    tenant.model.scripts = [use((name, {})), report]
    end = await tenant.ask("hello")
    assert words in end.text
    assert slow.cancelled == [name]
    found = await supervision.call("default/ledger", ReadSession(KEY))
    bodies = [read(event) for event in found.events]
    assert [b.outcome for b in bodies if isinstance(b, ToolEnded)] == [outcome]


async def test_what_a_call_does_is_seen_in_the_tree(
    tenant: Tenant, slow: Slow, autojump_clock: MockClock
) -> None:
    tenant.model.scripts = [use(("send", {})), report]
    seen: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tenant.ask, "hello")
        await trio.sleep(1)
        for entry in supervision.names("default/call/"):
            assert isinstance(entry.value, About)
            seen.append(entry.value.words)
    assert seen == [f"send for {KEY}: works within 5 s"]


async def test_a_tool_may_have_as_long_as_the_turn(
    tenant: Tenant, slow: Slow, autojump_clock: MockClock
) -> None:
    tenant.model.scripts = [use(("rest", {})), report]
    assert "rested" in (await tenant.ask("hello")).text
