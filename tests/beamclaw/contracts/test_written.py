"""What is proved: what is told of a journal says where it stands in it."""

import pytest

import supervision
from beamclaw.bus import BusServer, LocalBus
from beamclaw.contracts import names
from beamclaw.contracts.bus import Under
from beamclaw.contracts.journal import Noted, event
from beamclaw.contracts.written import Written, tell_written
from beamclaw.testing.strict_bus import StrictBus

KEY = "agent:main:main"


@pytest.mark.parametrize("bus", [LocalBus(), StrictBus()], ids=["local", "strict"])
async def test_what_was_written_is_told_with_its_place_in_the_journal(bus: LocalBus):
    spec = supervision.ChildSpec("bus", BusServer, name="bus")
    events = [event(Noted(text=text), at=1.0) for text in ("a", "b")]
    async with supervision.open_supervisor([spec]):
        with (
            bus.subscribe(names.journal("default", KEY)) as one,
            bus.subscribe_under(names.journal("default", "")) as all_,
            bus.subscribe(names.journal("default", "agent:main:other")) as other,
        ):
            # Also what can be gone through only once.
            tell_written(bus, "default", KEY, iter(events), after=4)
            written = Written(KEY, 4, tuple(events))
            assert await one.receive() == written
            topic = names.journal("default", KEY)
            assert await all_.receive() == Under(topic, written)
            bus.publish(names.journal("default", "agent:main:other"), None)
            assert await other.receive() is None


async def test_nobody_has_to_listen():
    tell_written(LocalBus(), "default", KEY, (), after=0)
