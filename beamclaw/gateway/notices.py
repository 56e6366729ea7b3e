"""Two processes that tell clients what is rare and has to arrive.

What is told follows from what is written down, never from the value that came by the
bus: that one only says when to look. Their deaths end nobody else, and what they have
told stands in a table that outlives them.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar

import attrs
import trio

import supervision
from beamclaw.config import server as config
from beamclaw.contracts import waits
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.outside import Outside
from beamclaw.gateway.auth.scopes import APPROVALS, READ
from beamclaw.gateway.events import approvals as shown
from beamclaw.gateway.hall import Hall
from supervision import ChildSpec

T = TypeVar("T")
APPROVAL_NOTICES: Final = "gateway/notices/approvals"
CONFIG_NOTICES: Final = "gateway/notices/config"
EVENTS: Final = ("config.changed", "exec.approval.requested", "exec.approval.resolved")
COOL_DOWN: Final = supervision.CoolDown(first=0.1, factor=2.0, most=5.0, jitter=0.2)
# Seconds between two looks at a tenant that is being restarted.
LOOK_AGAIN: Final = 0.2


@attrs.define(eq=False)
class Asked:
    """The questions that clients were told of and that are open, by their ids."""

    rows: dict[str, WaitRow] = attrs.field(factory=dict[str, WaitRow])


def supervisor(hall: Hall, bus: Bus, outside: Outside) -> supervision.Supervisor:
    """Of both; each is tried for ever."""
    shared = hall, bus, outside, DEFAULT_TENANT
    return supervision.Supervisor(
        [
            ChildSpec(
                "config",
                partial(tell_config, *shared),
                name=CONFIG_NOTICES,
                cool_down=COOL_DOWN,
            ),
            ChildSpec(
                "approvals",
                partial(tell_approvals, *shared, Asked()),
                name=APPROVAL_NOTICES,
                cool_down=COOL_DOWN,
            ),
        ],
    )


async def tell_config(hall: Hall, bus: Bus, outside: Outside, tenant: str) -> None:
    """Tell of each change of the configuration file: that there is one, not which."""
    with bus.subscribe(config.TOPIC) as changes:
        while True:
            value = await changes.receive()
            if isinstance(value, config.Changed):
                payload = {
                    "path": value.path,
                    "hash": value.hash,
                    "ts": shown.ms(outside.wall()),
                }
                hall.tell("config.changed", payload, tenant=tenant, scope=READ)


async def tell_approvals(
    hall: Hall, bus: Bus, outside: Outside, tenant: str, asked: Asked
) -> None:
    """Tell of each question that is asked, and of each that is over."""

    def tell(name: str, payload: object) -> None:
        hall.tell(name, payload, tenant=tenant, scope=APPROVALS)

    with bus.subscribe(waits.topic(tenant)) as changes:
        while True:
            rows = await _insist(lambda: waits.read_waits(bus, tenant))
            now = outside.wall()
            is_open = {row.wait_id: row for row in rows if not shown.is_over(row, now)}
            for row in [row for key, row in asked.rows.items() if key not in is_open]:
                ask = partial(waits.read_wait, bus, tenant, row.wait_id)
                # One that is erased with its session is over, too.
                over = await _insist(ask) or row
                del asked.rows[row.wait_id]
                tell("exec.approval.resolved", shown.resolved(over, outside.wall()))
            for wait_id, row in is_open.items():
                if wait_id not in asked.rows:
                    asked.rows[wait_id] = row
                    tell("exec.approval.requested", shown.pending(row))
            with trio.move_on_after(_patience(is_open, now)):
                await changes.receive()


def _patience(rows: Mapping[str, WaitRow], now: float) -> float:
    """Seconds until the first of them is over without anybody's doing."""
    return min((row.expires_at - now for row in rows.values()), default=float("inf"))


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await ask()
        except supervision.CallFailed:
            await trio.sleep(LOOK_AGAIN)
