"""A turn takes no longer than it may, also in the middle of an answer."""
# ruff: noqa: PLR0917 -- fixtures, and the columns of tables

from collections.abc import AsyncGenerator

import attrs
import pytest
import trio
from trio.testing import MockClock

from beamclaw.contracts.budgets import Purse
from beamclaw.contracts.messages import ModelParams, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
    UsageReport,
)
from supervision import sys
from supervision.testing import Recorder
from tests.beamclaw.sessions.conftest import KEY, MAX_OUTPUT, TURN_LIMITS, Model
from tests.beamclaw.sessions.test_budgets import spent
from tests.beamclaw.sessions.test_compaction import (
    LONG,
    WINDOW,
    compactions,
    hangs,
    model_of,
)

LIMITS = attrs.evolve(TURN_LIMITS, seconds=60.0)
BY_CONFIGURATION = "60 seconds (limits.turn.seconds)"


async def trickle(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """A word every ten seconds, for ever."""
    while True:
        yield TextDelta("on and ")
        await trio.sleep(10.0)


async def silent(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    await trio.sleep_forever()
    yield End("stop")


async def refused(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    raise ProviderError("rate_limit", "not now", retry_after=100.0)
    yield End("stop")


async def in_time(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    yield TextDelta("in ")
    await trio.sleep(59.0)
    yield TextDelta("time")
    yield UsageReport(Usage(10, 2))
    yield End("stop")


@pytest.mark.parametrize(
    ("script", "said", "tokens"),
    [
        # What it goes on with unheard may be billed: all that was reserved.
        (trickle, "on and " * 6, MAX_OUTPUT),
        (silent, "", MAX_OUTPUT),
    ],
)
async def test_an_answer_is_cut_when_its_turn_has_no_time_left(
    open_tenant, model: Model, autojump_clock: MockClock, script, said, tokens
) -> None:
    model.scripts = [script]
    async with open_tenant(turn_limits=LIMITS) as tenant:
        end = await tenant.ask("hello")
        assert trio.current_time() == pytest.approx(60.0, abs=1.0)
        paid = (await spent())[Purse("session", KEY, "")]
    assert (end.outcome, end.stop_reason) == ("limited", "limit")
    assert end.text.startswith(said)
    assert BY_CONFIGURATION in end.text
    assert paid.tokens > tokens


async def test_what_was_said_before_the_cut_is_there_afterwards(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [trickle, in_time]
    async with open_tenant(turn_limits=LIMITS) as tenant:
        await tenant.ask("hello")
        end = await tenant.ask("go on")
    assert (end.outcome, end.text) == ("ok", "in time")
    heard = [message.text for message in model.calls[-1].messages]
    assert heard[0] == "hello"
    assert heard[1].startswith("on and on and ")
    assert heard[-1] == "go on"


async def test_a_wait_for_the_next_try_is_no_longer_than_the_turn(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [refused]
    async with open_tenant(turn_limits=LIMITS) as tenant:
        end = await tenant.ask("hello")
        assert trio.current_time() == pytest.approx(60.0, abs=1.0)
        paid = (await spent())[Purse("session", KEY, "")]
    assert end.outcome == "limited"
    assert BY_CONFIGURATION in end.text
    assert paid.tokens == 0


async def test_nothing_is_paid_for_a_call_that_only_waited_for_leave(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant(turn_limits=LIMITS) as tenant:
        await sys.suspend("providers/test")
        end = await tenant.ask("hello")
        await sys.resume("providers/test")
        paid = (await spent())[Purse("session", KEY, "")]
    assert model.calls == []
    assert end.outcome == "limited"
    assert paid.tokens == 0


async def test_a_summary_takes_no_longer_than_its_turn(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of(hangs)]
    limits = attrs.evolve(LIMITS, seconds=5.0)
    async with open_tenant(window=WINDOW, turn_limits=limits) as tenant:
        while (end := await tenant.ask(LONG)).outcome == "ok":
            pass
        # All that took any time was the summary.
        assert trio.current_time() == pytest.approx(5.0, abs=1.0)
        (one,) = await compactions()
    assert one.method == "trim"
    assert "5 seconds (limits.turn.seconds)" in end.text


@pytest.mark.parametrize(
    ("asked", "took", "words"),
    [
        (20.0, 20.0, "20 seconds (as was asked for with the message)"),
        (0.5, 0.5, "0.5 seconds (as was asked for with the message)"),
        # Nobody gets more than is configured by asking.
        (3_600.0, 60.0, BY_CONFIGURATION),
    ],
)
async def test_who_says_something_may_say_how_long_it_may_take(
    open_tenant, model: Model, autojump_clock: MockClock, asked, took, words
) -> None:
    model.scripts = [trickle]
    async with open_tenant(turn_limits=LIMITS) as tenant:
        end = await tenant.ask("hello", params=ModelParams(seconds=asked))
        assert trio.current_time() == pytest.approx(took, abs=0.5)
    assert end.outcome == "limited"
    assert words in end.text


async def test_a_call_that_was_cut_is_told_as_cancelled(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [trickle]
    with Recorder.attached() as recorder:
        async with open_tenant(turn_limits=LIMITS) as tenant:
            await tenant.ask("hello")
    (told,) = recorder.named("beamclaw.model.called")
    assert told.metadata["outcome"] == "cancelled"
