"""The gateway: HTTP for clients, on Quart-Trio and Hypercorn behind guards of our own.

Order matters and deaths pass downwards only: ``connections`` (one process each) outlive
``listener`` (the sockets) and ``server`` (who accepts).
"""

from functools import partial

import supervision
from beamclaw.config.schema import Config
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.gateway import NAME
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.troubles import Troubles
from beamclaw.gateway import app, honour, sockets
from beamclaw.gateway.admission import Admission, names_of
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.listener import Listener
from beamclaw.gateway.server import CONNECTIONS, serve
from beamclaw.gateway.turns import Limits, Turns
from supervision import ChildSpec

__all__ = ["supervisor"]


def supervisor(
    config: Config, bus: Bus, outside: Outside, troubles: Troubles | None = None
) -> supervision.Supervisor:
    """The gateway's supervisor; its address is the registry value of ``gateway``.

    What stands in *troubles* is why the node is not ready.
    """
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
                partial(_serve, config, bus, outside, floor),
                name="gateway/server",
            ),
        ],
        strategy="rest_for_one",
    )


async def _serve(config: Config, bus: Bus, outside: Outside, floor: Floor) -> None:
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
            token=numbers.auth.token if numbers.auth.mode == "token" else None,
            hosts=names_of(numbers.host, numbers.hosts),
            origins=frozenset(numbers.origins),
            max_body_bytes=numbers.max_body_bytes,
        ),
        turns=turns,
        agents=known,
        created=int(outside.wall()),
        max_messages=numbers.max_messages,
    )
    await serve(numbers, floor, app.build(rooms))
