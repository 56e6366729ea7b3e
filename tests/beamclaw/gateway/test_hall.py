"""Who is told what, and that nobody waits for a tenant that does not answer."""

from collections.abc import AsyncIterator
from typing import Any, cast

import attrs
import orjson
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.outside import Outside
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.auth.scopes import PAIRING, READ
from beamclaw.gateway.changes import REST, WAITING, SessionChanges
from beamclaw.gateway.hall import Client, Hall

KEY = "agent:main:main"


@attrs.define(eq=False)
class Line:
    """Keeps what its client is sent."""

    events: list[Any] = attrs.field(factory=list[Any])
    skipped: int = 0
    closed: tuple[int, str] | None = None

    def deliver(self, event: bytes, *, lossy: bool) -> None:
        self.events.append(orjson.loads(event + b"}") | {"lossy": lossy})

    async def wait_flushed(self) -> None:
        pass

    def skip(self) -> None:
        self.skipped += 1

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


def client(id: str, *scopes: str, mode: str = "ui", **more: Any) -> tuple[Client, Line]:
    line = Line()
    principal = Principal(role="operator", scopes=frozenset(scopes))
    facts = {"id": id, "mode": mode}
    return Client(conn_id=id, principal=principal, line=line, facts=facts, **more), line


def test_an_event_is_for_those_with_its_scope_and_tenant():
    hall = Hall()
    (reader, to_reader), (pairer, to_pairer) = client("a", READ), client("b", PAIRING)
    hall.enter(reader)
    hall.enter(pairer)
    tenant = reader.principal.tenant
    assert hall.tell("x", {}, tenant=tenant, scope=READ) == 1
    assert hall.tell("x", {}, tenant="other", scope=READ) == 0
    assert hall.tell("y", {}, tenant="other", scope=None, lossy=True) == 2
    assert [each["event"] for each in to_reader.events] == ["x", "y"]
    assert [each["lossy"] for each in to_pairer.events] == [True]


def test_who_passes_by_is_not_shown():
    hall, heard = Hall(), list[bool]()
    hall.on_change = lambda *, shown: heard.append(shown)
    (stays, _), (passes, _) = client("a"), client("b", mode="cli")
    hall.enter(stays)
    hall.enter(passes)
    tenant = stays.principal.tenant
    assert [each["host"] for each in hall.presence(tenant)] == ["a"]
    assert (heard, hall.version.presence) == ([True, False], 1)
    hall.leave(stays)
    hall.leave(stays)
    assert (hall.presence(tenant), hall.version.presence, len(hall)) == ([], 2, 1)


def test_the_latest_are_shown():
    hall = Hall(most_present=2)
    for name in "abc":
        hall.enter(client(name)[0])
    tenant = next(iter(hall)).principal.tenant
    assert [each["host"] for each in hall.presence(tenant)] == ["c", "b"]


def test_strangers_are_counted_by_address():
    hall = Hall()
    for address in ("x", "x", "y"):
        hall.knock(address)
    hall.admit_or_leave("x")
    assert (hall.strangers("x"), hall.strangers("y")) == (1, 1)
    hall.admit_or_leave("y")
    assert hall.statistics()["strangers"] == 1


def test_at_the_end_everybody_is_told_and_let_go():
    hall = Hall()
    (one, line), (other, _) = client("a"), client("b", mode="cli")
    hall.enter(one)
    hall.enter(other)
    assert hall.finish("restart", 500) == 2
    assert line.events[0]["payload"] == {"reason": "restart", "restartExpectedMs": 500}
    assert line.closed == (1012, "service restart")


@attrs.define(eq=False)
class SlowBus:
    """A tenant's ledger does not answer."""

    asked: int = 0

    async def call(self, name: object, request: object, *, timeout: float) -> object:
        self.asked += 1
        await trio.sleep(timeout)
        raise supervision.CallTimeout("slow", timeout)


@pytest.fixture
async def told() -> AsyncIterator[tuple[Any, ...]]:
    hall, bus = Hall(), SlowBus()
    one, line = client("a", READ, sessions=True)
    hall.enter(one)
    changes = SessionChanges(hall, cast("Bus", bus), Outside())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(changes.run)
        yield changes, bus, line, one.principal.tenant
        nursery.cancel_scope.cancel()


async def test_a_change_is_told_without_the_session_of_a_slow_tenant(
    autojump_clock, told
):
    changes, bus, line, tenant = told
    for reason in ("patch", "reset"):
        changes.tell(tenant, KEY, {"reason": reason})
    await trio.sleep(0.3)
    await wait_all_tasks_blocked()
    payloads = [each["payload"] for each in line.events]
    assert [each["reason"] for each in payloads] == ["patch", "reset"]
    assert all("session" not in each for each in payloads)
    assert bus.asked == 1  # and is left alone for a while
    await trio.sleep(REST)
    changes.tell(tenant, KEY, {"reason": "patch"})
    await wait_all_tasks_blocked()
    assert bus.asked == 2


async def test_of_too_many_changes_the_oldest_do_not_wait(autojump_clock, told):
    changes, _, line, tenant = told
    for number in range(WAITING + 3):
        changes.tell(tenant, KEY, {"reason": f"{number}"})
    assert [each["payload"]["reason"] for each in line.events] == ["0", "1", "2"]


async def test_what_nobody_hears_of_is_not_looked_up(autojump_clock, told):
    changes, bus, line, _ = told
    changes.tell("other", KEY, {"reason": "patch"})
    await wait_all_tasks_blocked()
    assert (bus.asked, line.events) == (0, [])
