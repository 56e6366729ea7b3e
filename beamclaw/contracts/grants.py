"""What persons have allowed for good: read by tools, listed and taken back by persons."""

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.approvals import Grant, GrantRow, ReadGrants, RevokeGrant
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.points import point
from beamclaw.contracts.tools import Order


async def grants_of(order: Order) -> tuple[Grant, ...]:
    """What the agent of *order* was allowed for good with its tool.

    For a tool's ``clear``. It is what counts at this moment: a grant that was revoked
    since is not among them.

    Raises:
        supervision.CallFailed: The tenant's ledger is not up.
    """
    rows = await supervision.call(
        names.of_tenant(order.tenant, "ledger"),
        ReadGrants(agent=order.agent, tool=order.tool),
        timeout=None,
    )
    return tuple(row.grant for row in rows)


async def read_grants(
    bus: Bus, tenant: str, *, agent: str | None = None, revoked: bool = False
) -> tuple[GrantRow, ...]:
    """All grants of a tenant, or of one agent; those of before, too, with *revoked*."""
    request = ReadGrants(agent=agent, revoked=revoked)
    return await bus.call(names.of_tenant(tenant, "ledger"), request)


async def revoke(bus: Bus, tenant: str, number: int, *, at: float, by: str) -> bool:
    """Take a grant back; when this returns, it does not count any more.

    False: there is none of this number, or it was taken back before.
    """
    ledger = names.of_tenant(tenant, "ledger")
    with point("grant.revoke"):
        request = RevokeGrant(id=number, at=at, by=by)
        done = await bus.call(ledger, request, timeout=None)
    if done:
        supervision.emit(
            "beamclaw.approval.revoked",
            {},
            {"tenant": tenant, "grant": number, "by": by},
        )
    return done
