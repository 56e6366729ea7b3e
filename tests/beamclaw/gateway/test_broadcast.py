"""What is proved: clients hear each word once, and a slow part stops nobody else's words."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import supervision
from beamclaw.bus import BusServer, LocalBus
from beamclaw.contracts import names
from beamclaw.contracts.ledger_reads import ReadRun, ReadSessionRow
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sessions import Delta, Peek, RunEnded, RunView
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.broadcast import NAME, Broadcast
from beamclaw.gateway.catching_up import PATIENCE
from beamclaw.gateway.hall import Client, Hall
from supervision import ChildSpec

ONE, TWO = "agent:main:one", "agent:main:two"


@attrs.define
class Heard:
    """A client's line: keeps what it is told."""

    events: list[tuple[str, dict[str, Any]]] = attrs.field(
        factory=list[tuple[str, dict[str, Any]]]
    )
    missed: int = 0

    def deliver(self, event: bytes, *, lossy: bool) -> None:
        del lossy
        told = orjson.loads(event + b"}")
        self.events.append((told["event"], told["payload"]))

    async def wait_flushed(self) -> None:
        pass

    def skip(self) -> None:
        self.missed += 1

    def close(self, code: int, reason: str) -> None:
        pass

    def words(self, run: str) -> list[str]:
        """What was said under the run's name, as it came."""
        return [
            payload["deltaText"]
            for name, payload in self.events
            if (name, payload.get("runId")) == ("chat", run)
            and payload["state"] == "delta"
        ]

    def states(self, run: str) -> list[str]:
        return [
            payload["state"]
            for name, payload in self.events
            if (name, payload.get("runId")) == ("chat", run)
        ]


@attrs.define
class Tenant:
    """Door and ledger of a tenant; *held* says what they do before they answer."""

    views: dict[str, RunView] = attrs.field(factory=dict[str, RunView])
    rows: dict[str, RunRow] = attrs.field(factory=dict[str, RunRow])
    asked: list[str] = attrs.field(factory=list[str])
    held: Callable[[str], Awaitable[None]] | None = None


class Part(supervision.Server):
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        match request:
            case Peek(run_id):
                self.tenant.asked.append(run_id)
                if self.tenant.held is not None:
                    await self.tenant.held(run_id)
                return self.tenant.views.get(
                    run_id, RunView(run_id=run_id, running=False)
                )
            case ReadRun(run_id):
                return self.tenant.rows.get(run_id)
            case _:
                assert isinstance(request, ReadSessionRow)
                return None


@attrs.define
class Room:
    bus: LocalBus
    heard: Heard
    tenant: Tenant

    def say(self, key: str, run: str, offset: int, text: str) -> None:
        self.bus.publish(names.topic("default", key), Delta(run, 1, offset, text))

    def end(self, key: str, run: str, text: str) -> None:
        self.bus.publish(names.topic("default", key), ended(run, text))


def ended(run: str, text: str) -> RunEnded:
    return RunEnded(run_id=run, outcome="ok", stop_reason="stop", text=text)


@asynccontextmanager
async def opened(tenant: Tenant) -> AsyncIterator[Room]:
    bus, hall, heard = LocalBus(), Hall(), Heard()
    specs = [
        ChildSpec("bus", BusServer, name="bus"),
        ChildSpec("sessions", lambda: Part(tenant), name="default/sessions"),
        ChildSpec("ledger", lambda: Part(tenant), name="default/ledger"),
        ChildSpec("broadcast", Broadcast(hall, bus, Outside()).run, name=NAME),
    ]
    async with supervision.open_supervisor(specs):
        principal = Principal(tenant="default", scopes=frozenset({READ}))
        hall.enter(Client(conn_id="c", principal=principal, line=heard))
        await wait_all_tasks_blocked()
        yield Room(bus, heard, tenant)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with opened(Tenant()) as room:
        yield room


async def test_words_come_in_order_and_then_the_end(
    autojump_clock: MockClock, room: Room
) -> None:
    room.say(ONE, "r", 0, "a")
    await trio.sleep(1)
    for place, letter in enumerate("bcd", 1):
        room.say(ONE, "r", place, letter)
    room.end(ONE, "r", "abcd")
    await trio.sleep(1)
    # The first of some that come at once is not kept back for the others.
    assert room.heard.words("r") == ["a", "b", "cd"]
    assert room.heard.states("r") == ["delta", "delta", "delta", "final"]
    assert room.tenant.asked == []


async def test_words_that_were_missed_are_asked_for(
    autojump_clock: MockClock, room: Room
) -> None:
    room.say(ONE, "r", 0, "a")
    await trio.sleep(1)
    room.tenant.views["r"] = RunView(run_id="r", running=True, attempt=1, text="abc")
    room.say(ONE, "r", 2, "c")
    await trio.sleep(1)
    assert room.heard.words("r") == ["a", "bc"]
    assert room.tenant.asked == ["r"]


async def test_an_end_that_was_missed_is_told_once(
    autojump_clock: MockClock, room: Room
) -> None:
    room.say(ONE, "r", 0, "a")
    await trio.sleep(1)
    room.tenant.rows["r"] = RunRow(
        run_id="r",
        session_key=ONE,
        state="ended",
        outcome="ok",
        stop_reason="stop",
        text="ab",
        usage=Usage(1, 1),
    )
    room.bus.interrupt(names.topic("default", ONE))
    room.bus.interrupt(names.topic("default", ONE))
    await trio.sleep(1)
    assert room.heard.states("r") == ["delta", "delta", "final"]
    assert room.heard.words("r") == ["a", "b"]


async def test_a_run_that_is_slow_to_answer_holds_up_no_other_ones_words(
    autojump_clock: MockClock,
) -> None:
    go = trio.Event()

    async def held(run: str) -> None:
        if run == "slow":
            await go.wait()

    async with opened(Tenant(held=held)) as room:
        room.say(ONE, "slow", 0, "a")
        room.say(TWO, "r", 0, "x")
        await trio.sleep(1)
        room.say(ONE, "slow", 5, "f")
        await trio.sleep(0.1)
        room.say(TWO, "r", 1, "y")
        room.end(TWO, "r", "xy")
        await trio.sleep(1)
        assert room.heard.words("r") == ["x", "y"]
        assert room.heard.states("r")[-1] == "final"
        assert room.heard.words("slow") == ["a"]
        # What it says meanwhile, behind that look, is asked for once more.
        room.say(ONE, "slow", 6, "g")
        room.tenant.views["slow"] = RunView(
            run_id="slow", running=True, attempt=1, text="abcdefg"
        )
        await wait_all_tasks_blocked()
        go.set()
        await trio.sleep(1)
        assert room.heard.words("slow") == ["a", "bcdefg"]
        assert room.tenant.asked == ["slow", "slow"]


async def test_a_run_that_is_never_answered_for_is_left_until_its_next_words(
    autojump_clock: MockClock,
) -> None:
    stuck = ["slow"]

    async def held(run: str) -> None:
        if run in stuck:
            stuck.remove(run)
            await trio.sleep(PATIENCE * 2)

    async with opened(Tenant(held=held)) as room:
        room.say(ONE, "slow", 0, "a")
        await trio.sleep(1)
        room.say(ONE, "slow", 5, "f")
        await trio.sleep(PATIENCE * 3)
        assert room.heard.words("slow") == ["a"]
        view = RunView(run_id="slow", running=True, attempt=1, text="abcdefg")
        room.tenant.views["slow"] = view
        room.say(ONE, "slow", 6, "g")
        await trio.sleep(1)
        assert room.heard.words("slow") == ["a", "bcdefg"]


async def test_a_gap_of_everything_is_told_and_all_runs_are_looked_at(
    autojump_clock: MockClock, room: Room
) -> None:
    room.say(ONE, "r", 0, "a")
    room.say(TWO, "s", 0, "x")
    await trio.sleep(1)
    before = room.heard.missed
    for run, text in (("r", "ab"), ("s", "xy")):
        view = RunView(run_id=run, running=True, attempt=1, text=text)
        room.tenant.views[run] = view
    room.bus.interrupt("")
    await trio.sleep(1)
    assert room.heard.missed == before + 1
    assert (room.heard.words("r"), room.heard.words("s")) == (["a", "b"], ["x", "y"])
