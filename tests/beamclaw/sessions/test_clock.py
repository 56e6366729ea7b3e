"""A clock that is set, or a machine that was asleep: a turn's time goes on as it was."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.journal import ClockMoved, read
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.toolkit import tool, tools_of
from tests.beamclaw.sessions.conftest import KEY, TURN_LIMITS, Model, Tenant
from tests.beamclaw.sessions.test_tools import report, use

Open = Callable[..., AbstractAsyncContextManager[Tenant]]
LIMITS = attrs.evolve(TURN_LIMITS, seconds=100.0)


class Work:
    """A tool that takes its time, and meanwhile the clock is set."""

    def __init__(self, by: float, seconds: float) -> None:
        self.by = by
        self.seconds = seconds
        self.tenant: Tenant | None = None

    @tool(effect="pure")
    async def work(self) -> str:
        """Work."""
        assert self.tenant is not None
        self.tenant.wall.add(self.by)
        await trio.sleep(self.seconds)
        return "done"


async def worked(
    open_tenant: Open, model: Model, work: Work
) -> tuple[str, list[float]]:
    """The end of a turn that works twice, and what it has noticed of the clock."""
    model.tools = {each.spec.name: each for each in tools_of(work)}
    model.scripts = [use(("work", {})), use(("work", {})), report]
    async with open_tenant(turn_limits=LIMITS) as work.tenant:
        end = await work.tenant.ask("hello")
        found = await supervision.call("default/ledger", ReadSession(KEY))
    bodies = [read(event) for event in found.events]
    return end.text, [body.by for body in bodies if isinstance(body, ClockMoved)]


@pytest.mark.parametrize("by", [-30_000.0, 30_000.0])
async def test_a_turn_goes_on_when_the_clock_is_set(
    open_tenant: Open, model: Model, autojump_clock: MockClock, by: float
) -> None:
    text, moved = await worked(open_tenant, model, Work(by, 30.0))
    assert "limit" not in text
    assert moved == [pytest.approx(by)] * 2


@pytest.mark.parametrize("by", [-30_000.0, 0.0, 30_000.0])
async def test_a_turn_that_takes_too_long_is_over_whatever_the_clock_shows(
    open_tenant: Open, model: Model, autojump_clock: MockClock, by: float
) -> None:
    text, _ = await worked(open_tenant, model, Work(by, 60.0))
    assert "limit of 100 seconds" in text
