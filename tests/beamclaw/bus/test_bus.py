"""The bus may lose values, and then says so; it never carries anything but values."""

from collections.abc import AsyncIterator

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from beamclaw.bus import BusServer, LocalBus
from beamclaw.contracts.bus import Lost, Under
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.messages import Image, Message, Text, said
from beamclaw.contracts.sessions import Delta, RunEnded, Waiting
from beamclaw.testing.strict_bus import NotAValueError, StrictBus, through_the_wire
from supervision.testing import wait_exit


@pytest.fixture
async def bus() -> AsyncIterator[LocalBus]:
    spec = supervision.ChildSpec("bus", BusServer, name="bus")
    async with supervision.open_supervisor([spec]):
        yield LocalBus()


async def test_values_come_in_order_to_those_who_subscribed(bus: LocalBus) -> None:
    with bus.subscribe("t") as one, bus.subscribe("t") as two:
        assert [bus.publish("t", number) for number in range(3)] == [2, 2, 2]
        assert [await one.receive() for _ in range(3)] == [0, 1, 2]
        assert two.receive_nowait() == 0
    assert bus.publish("t", 9) == 0


async def test_another_topic_is_not_heard(bus: LocalBus) -> None:
    with bus.subscribe("t") as subscription:
        bus.publish("u", 1)
        with pytest.raises(trio.WouldBlock):
            subscription.receive_nowait()


async def test_who_does_without_some_values_is_not_given_them(bus: LocalBus) -> None:
    with bus.subscribe("t", without=(int,)) as some, bus.subscribe("t") as every:
        assert [bus.publish("t", value) for value in (1, "a", 2)] == [1, 2, 1]
        assert await some.receive() == "a"
        with pytest.raises(trio.WouldBlock):
            some.receive_nowait()
        assert [every.receive_nowait() for _ in range(3)] == [1, "a", 2]


async def test_a_reader_that_waits_is_woken(bus: LocalBus) -> None:
    got: list[object] = []

    async def read() -> None:
        got.append(await subscription.receive())

    with bus.subscribe("t") as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            bus.publish("t", 1)
    assert got == [1]


async def test_a_cancelled_reader_loses_nothing(bus: LocalBus) -> None:
    with bus.subscribe("t") as subscription:
        with trio.move_on_after(0):
            await subscription.receive()
        bus.publish("t", 1)
        assert await subscription.receive() == 1


async def test_a_slow_reader_is_told_how_many_it_missed(bus: LocalBus) -> None:
    with bus.subscribe("t", buffer=2) as subscription:
        for number in range(5):
            bus.publish("t", number)
        assert [subscription.receive_nowait() for _ in range(3)] == [0, 1, Lost(3)]
        bus.publish("t", 9)
        assert subscription.receive_nowait() == 9


async def test_what_comes_after_a_gap_comes_after_the_notice(bus: LocalBus) -> None:
    with bus.subscribe("t", buffer=2) as subscription:
        for number in range(3):
            bus.publish("t", number)
        assert subscription.receive_nowait() == 0
        bus.publish("t", 3)
        taken = [subscription.receive_nowait() for _ in range(3)]
        assert taken == [1, Lost(1), 3]


async def test_a_restart_of_the_bus_is_a_gap(bus: LocalBus) -> None:
    with bus.subscribe("t") as subscription:
        pid = supervision.whereis("bus")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        assert await subscription.receive() == Lost(1)
        bus.publish("t", 2)
        assert await subscription.receive() == 2


async def test_nothing_is_published_while_the_bus_is_away() -> None:
    bus = LocalBus()
    with bus.subscribe("t"):
        assert bus.publish("t", 1) == 0


@pytest.mark.parametrize(
    "value",
    [
        Delta("r", 1, 0, "x"),
        Waiting("r", "retry", "why", 2.5),
        RunEnded(run_id="r", outcome="ok", stop_reason="stop", text="x"),
        Receipt(inbox_id=1, run_id="r", session_key="k", at=1.5),
        Message("user", (Text("a"), Image(url="https://example.org/x.png"))),
        said("user", ""),
    ],
)
def test_what_the_parts_exchange_are_values(value: object) -> None:
    assert through_the_wire(value) == value


@attrs.frozen
class Carrier:
    what: object


async def test_the_strict_bus_refuses_what_is_no_value(bus: LocalBus) -> None:
    strict = StrictBus()
    pid = supervision.whereis("bus")
    for smuggled in (Carrier(pid), Carrier(print), Carrier(trio.Event())):
        with pytest.raises(NotAValueError):
            strict.publish("t", smuggled)


async def test_whoever_follows_many_topics_hears_which_were_interrupted(
    bus: LocalBus,
) -> None:
    with bus.subscribe_under("t/a/", "t/b/") as wide:
        bus.publish("t/a/1", 1)
        bus.interrupt("t/a/1")
        bus.interrupt("u/")
        assert wide.receive_nowait() == Under("t/a/1", 1)
        assert wide.receive_nowait() == Under("t/a/1", Lost(1))
        with pytest.raises(trio.WouldBlock):
            wide.receive_nowait()
        for whole in ("t/", "t/a/", ""):
            bus.interrupt(whole)
            assert wide.receive_nowait() == Lost(1)


async def test_many_topics_come_in_the_order_in_which_they_were_published(
    bus: LocalBus,
) -> None:
    with bus.subscribe_under("t/a/", "t/b/") as wide, bus.subscribe("t/a/1") as narrow:
        assert bus.publish("t/a/1", 1) == 2
        assert bus.publish("t/b/1", 2) == 1
        assert bus.publish("t/c/1", 3) == 0
        assert bus.publish("t/a/1", 4) == 2
        found = [wide.receive_nowait() for _ in range(3)]
        assert found == [Under("t/a/1", 1), Under("t/b/1", 2), Under("t/a/1", 4)]
        assert [narrow.receive_nowait() for _ in range(2)] == [1, 4]
        with pytest.raises(trio.WouldBlock):
            wide.receive_nowait()
    assert bus.publish("t/a/1", 5) == 0


async def test_a_value_that_two_prefixes_fit_comes_once(bus: LocalBus) -> None:
    with bus.subscribe_under("t/", "t/a/") as wide:
        assert bus.publish("t/a/1", 1) == 1
        assert wide.receive_nowait() == Under("t/a/1", 1)
        with pytest.raises(trio.WouldBlock):
            wide.receive_nowait()


async def test_whoever_follows_many_topics_too_slowly_is_told_how_much_is_missing(
    bus: LocalBus,
) -> None:
    with bus.subscribe_under("t/", buffer=2) as wide, bus.subscribe("t/1") as narrow:
        for number in range(5):
            bus.publish(f"t/{number % 2}", number)
        found = [wide.receive_nowait() for _ in range(3)]
        assert found == [Under("t/0", 0), Under("t/1", 1), Lost(3)]
        # Nobody else has missed anything by that.
        assert [narrow.receive_nowait() for _ in range(2)] == [1, 3]


async def test_a_restart_of_the_bus_is_a_gap_of_all_topics(bus: LocalBus) -> None:
    with bus.subscribe_under("t/a/", "t/b/") as wide:
        pid = supervision.whereis("bus")
        assert pid is not None
        supervision.exit(pid, supervision.KILL)
        await wait_exit(pid)
        assert await wide.receive() == Lost(1)
