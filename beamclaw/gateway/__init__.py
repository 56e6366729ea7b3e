"""The gateway: HTTP for clients, on Quart-Trio and Hypercorn behind guards of our own.

Order matters and deaths pass downwards only: ``connections`` (one process each) outlive
``listener`` (the sockets) and ``server`` (who accepts). ``devices`` owns who is let in.
"""

from functools import partial

import supervision
from beamclaw.config.schema import Config
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.devices import NAME as DEVICES
from beamclaw.contracts.gateway import NAME
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.troubles import Troubles
from beamclaw.gateway import app, honour, sockets
from beamclaw.gateway.admission import Admission, names_of
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.auth.access import Access
from beamclaw.gateway.auth.gate import Gate, gate_of
from beamclaw.gateway.devices import DevicesServer
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.listener import Listener
from beamclaw.gateway.server import CONNECTIONS, serve
from beamclaw.gateway.turns import Limits, Turns
from supervision import ChildSpec

__all__ = ["supervisor"]

DEVICES_COOL_DOWN = supervision.CoolDown(first=0.1, factor=2.0, most=30.0, jitter=0.2)


def supervisor(
    config: Config, bus: Bus, outside: Outside, troubles: Troubles | None = None
) -> supervision.Supervisor:
    """The gateway's supervisor; its address is the registry value of ``gateway``.

    What stands in *troubles* is why the node is not ready.
    """
    access = Access()
    gate = gate_of(config.gateway, access, outside)
    floor = Floor(limit=config.gateway.max_connections, troubles=troubles or Troubles())
    return supervision.Supervisor(
        [
            ChildSpec(
                "connections",
                supervision.DynamicSupervisor,
                name=CONNECTIONS,
                type="supervisor",
                shutdown=None,
            ),
            ChildSpec(
                "listener",
                partial(
                    Listener, config.gateway, floor, outside.listen or sockets.listen
                ),
                name=NAME,
            ),
            ChildSpec(
                "server",
                partial(_serve, config, bus, outside, floor, gate),
                name="gateway/server",
            ),
            # Last: its death ends nobody else. It is tried for ever, for what it stands
            # on, node.db, is, too.
            ChildSpec(
                "devices",
                partial(
                    DevicesServer, access, config.gateway.auth.pairing, bus, outside
                ),
                name=DEVICES,
                cool_down=DEVICES_COOL_DOWN,
            ),
        ],
        strategy="rest_for_one",
    )


async def _serve(
    config: Config, bus: Bus, outside: Outside, floor: Floor, gate: Gate
) -> None:
    known = Agents.of(config.agents)
    numbers = config.gateway
    turns = Turns(
        bus=bus,
        outside=outside,
        limits=Limits(
            max_json_depth=numbers.max_json_depth,
            stream_buffer=numbers.stream_buffer,
            heartbeat_seconds=numbers.heartbeat_seconds,
        ),
        check=partial(honour.check, config),
        reader=outside.worker(),
    )
    rooms = app.Rooms(
        floor=floor,
        admission=Admission(
            hosts=names_of(numbers.host, numbers.hosts),
            origins=frozenset(numbers.origins),
            max_body_bytes=numbers.max_body_bytes,
        ),
        turns=turns,
        gate=gate,
        agents=known,
        created=int(outside.wall()),
        max_messages=numbers.max_messages,
    )
    await serve(numbers, floor, app.build(rooms))
