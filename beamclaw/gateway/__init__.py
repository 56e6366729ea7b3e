"""The gateway: HTTP and WebSocket for clients, behind guards of our own.

Order matters and deaths pass downwards only: ``connections`` (one process each) outlive
``broadcast`` (who tells clients what happens), ``listener`` (the sockets) and ``server``
(who accepts). ``devices`` owns who is let in, ``notices`` tell what has to arrive.
"""

import functools
from collections.abc import Mapping
from functools import partial

import beamclaw as about
import supervision
from beamclaw.config.current import Current
from beamclaw.config.schema import Config, GatewayConfig, HooksConfig
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.devices import NAME as DEVICES
from beamclaw.contracts.gateway import NAME
from beamclaw.contracts.listening import Listen
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.looking import METHOD as LOOKING
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.troubles import Troubles
from beamclaw.gateway import app, control_ui, honour, notices, sockets
from beamclaw.gateway.admission import Admission, names_of
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.access import Access
from beamclaw.gateway.auth.gate import Gate, gate_of
from beamclaw.gateway.broadcast import EVENTS, broadcast
from beamclaw.gateway.broadcast import NAME as BROADCAST
from beamclaw.gateway.devices import DevicesServer
from beamclaw.gateway.events.devices import event_of
from beamclaw.gateway.floor import Floor, Ports
from beamclaw.gateway.hall import Hall
from beamclaw.gateway.listener import Listener
from beamclaw.gateway.methods import health
from beamclaw.gateway.methods._method import Method
from beamclaw.gateway.methods._node import Means, Node
from beamclaw.gateway.rest.routes import Rest
from beamclaw.gateway.server import CONNECTIONS, serve
from beamclaw.gateway.socket.client import Reception
from beamclaw.gateway.turns import Limits, Turns
from supervision import ChildSpec

__all__ = ["Means", "Ports", "supervisor"]

DEVICES_COOL_DOWN = supervision.CoolDown(first=0.1, factor=2.0, most=30.0, jitter=0.2)


def supervisor(
    current: Current,
    bus: Bus,
    outside: Outside,
    troubles: Troubles | None = None,
    means: Means | None = None,
    *,
    ports: Ports | None = None,
) -> supervision.Supervisor:
    """The gateway's supervisor; its address is the registry value of ``gateway``.

    What stands in *troubles* is why the node is not ready. *means* is what agents have.
    *ports* is what the incarnation before was given.
    """
    config, access = current.config, Access()
    gate = gate_of(config.gateway, access, outside)
    floor = Floor(
        limit=config.gateway.max_connections,
        troubles=troubles or Troubles(),
        ports=ports or Ports(),
    )
    hall = Hall(
        limit=config.gateway.socket.max_clients,
        most_present=config.gateway.socket.max_present,
        boot_id=outside.new_id(),
    )
    serving = partial(
        _serve,
        current,
        bus,
        outside,
        floor=floor,
        hall=hall,
        gate=gate,
        means=means or Means(),
    )
    # The Control UI's own door, where it has one, is last: nobody stands on it.
    door = partial(serving, apart=True)
    pages = [ChildSpec("control_ui", door, name="gateway/control_ui")]
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
                "broadcast", partial(broadcast, hall, bus, outside), name=BROADCAST
            ),
            ChildSpec(
                "listener",
                partial(
                    current.reading(_listener),
                    floor,
                    hall,
                    outside.listen or sockets.listen,
                ),
                name=NAME,
            ),
            ChildSpec("server", serving, name="gateway/server"),
            # Tried for ever, for what it stands on, node.db, is, too.
            ChildSpec(
                "devices",
                partial(
                    DevicesServer,
                    access,
                    config.gateway.auth,
                    bus,
                    outside,
                    partial(_tell_of_devices, hall),
                ),
                name=DEVICES,
                cool_down=DEVICES_COOL_DOWN,
            ),
            ChildSpec(
                "notices",
                partial(notices.supervisor, hall, bus, outside),
                type="supervisor",
            ),
            *(pages if config.gateway.control_ui.apart else ()),
        ],
        strategy="rest_for_one",
    )


def _tell_of_devices(hall: Hall, value: object) -> None:
    event = event_of(value)
    if event is not None:
        name, payload = event
        hall.tell(name, payload, tenant=DEFAULT_TENANT, scope=scopes.PAIRING)


def _methods() -> Mapping[str, Method]:
    # A node has to be listening soon; nobody asks for a method before it is.
    from beamclaw.gateway.methods.table import METHODS  # noqa: PLC0415

    return METHODS


def _listener(config: Config, floor: Floor, hall: Hall, listen: Listen) -> Listener:
    return Listener(config.gateway, floor, hall, listen)


async def _serve(
    current: Current,
    bus: Bus,
    outside: Outside,
    *,
    floor: Floor,
    hall: Hall,
    gate: Gate,
    means: Means,
    apart: bool = False,
) -> None:
    """Answer whoever connects; *apart*: at the Control UI's own address, with only that."""
    config = current.config
    known = Agents(configured=current.reading(lambda config: config.agents))
    numbers = config.gateway
    check, reader = current.reading(honour.check), outside.worker()
    turns = Turns(
        bus=bus,
        outside=outside,
        limits=Limits(
            max_json_depth=numbers.max_json_depth,
            stream_buffer=numbers.stream_buffer,
            heartbeat_seconds=numbers.heartbeat_seconds,
        ),
        check=check,
        reader=reader,
    )
    admission = Admission(
        hosts=names_of(
            numbers.control_ui_host if apart else numbers.host, numbers.hosts
        ),
        origins=frozenset(numbers.origins),
        max_body_bytes=numbers.max_body_bytes,
    )
    node = Node(
        current=current,
        floor=floor,
        hall=hall,
        agents=known,
        check=check,
        version=functools.cache(lambda: about.__version__),
        reader=reader,
        disk=outside.worker(),
        means=means,
    )
    rooms = app.Rooms(
        floor=floor,
        admission=admission,
        turns=turns,
        gate=gate,
        agents=known,
        created=int(outside.wall()),
        max_messages=numbers.max_messages,
        hooks=HooksConfig() if apart else config.hooks,
        auth_mode=numbers.auth.mode,
        rest=Rest(node=node, bus=bus, outside=outside, turns=turns),
        control_ui=await _control_ui(numbers, outside, node, apart=apart),
        whole=not apart,
    )
    if not apart:
        hall.set_health(health.shape(node, round(outside.wall() * 1000)))
    reception = Reception(
        config=numbers,
        node=node,
        bus=bus,
        outside=outside,
        admission=admission,
        gate=gate,
        access=gate.access,
        loading=Loading(outside.worker(), _methods),
        methods=_methods,
        events=(*EVENTS, *notices.EVENTS, LOOKING),
    )
    listening = floor.pages if apart else floor.listening
    await serve(numbers, floor, listening, app.build(rooms), reception)


async def _control_ui(
    config: GatewayConfig, outside: Outside, node: Node, *, apart: bool
) -> control_ui.ControlUi | None:
    """The Control UI where it is served, which is at one of the two addresses."""
    if config.control_ui.apart != apart:
        return None
    return await control_ui.look(config.control_ui, outside.worker(), node.version())
