"""A clock that is set, or a machine that was asleep: a turn's time goes on as it was."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.journal import ClockMoved, read
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.points import hooked
from beamclaw.testing.session_tools import session_tools
from beamclaw.toolkit import tool, tools_of
from tests.beamclaw.sessions.conftest import KEY, TURN_LIMITS, Model, Tenant
from tests.beamclaw.sessions.family import do, obey, spawn
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


@attrs.define
class Setter:
    """Sets the clock whenever a point is reached."""

    by: float
    point: str
    times: int = 0
    tenant: Tenant | None = None

    def __call__(self, name: str) -> None:
        if self.tenant is not None and name == self.point:
            self.times += 1
            self.tenant.wall.add(self.by)


async def worked_over(
    setter: Setter, open_tenant: Open, model: Model, seconds: float
) -> str:
    """The end of a turn that works twice, so long, while the clock is set."""
    work = Work(0.0, seconds)
    model.tools = {each.spec.name: each for each in tools_of(work)}
    model.scripts = [use(("work", {})), use(("work", {})), report]
    with hooked(setter):
        async with open_tenant(turn_limits=LIMITS) as tenant:
            work.tenant = setter.tenant = tenant
            end = await tenant.ask("hello")
    assert setter.times
    return end.text


BEGINNING = ["session.take.before", "session.take.after", "session.run.before"]


@pytest.mark.parametrize("point", [*BEGINNING, "ledger.reply.after"])
@pytest.mark.parametrize("by", [-30_000.0, 30_000.0])
async def test_a_turn_goes_on_when_the_clock_is_set_while_it_is_begun(
    open_tenant: Open, model: Model, autojump_clock: MockClock, by: float, point: str
) -> None:
    text = await worked_over(Setter(by, point), open_tenant, model, 30.0)
    assert "limit" not in text


@pytest.mark.parametrize("point", [*BEGINNING, "run.commit.after"])
@pytest.mark.parametrize("by", [-30_000.0, 30_000.0])
async def test_a_turn_is_over_in_time_wherever_the_clock_is_set(
    open_tenant: Open, model: Model, autojump_clock: MockClock, by: float, point: str
) -> None:
    text = await worked_over(Setter(by, point), open_tenant, model, 50_000.0)
    assert "limit of 100 seconds" in text
    assert trio.current_time() < 110.0


async def test_a_sub_agent_gets_its_time_when_the_clock_was_just_set(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    model.tools, model.scripts = dict[str, Any](session_tools()), [obey]
    setter = Setter(30_000.0, "run.commit.after")
    with hooked(setter):
        async with open_tenant(turn_limits=LIMITS) as tenant:
            setter.tenant = tenant
            end = await tenant.ask(do(spawn("a")))
    assert (end.outcome, end.text) == ("ok", "got a")
