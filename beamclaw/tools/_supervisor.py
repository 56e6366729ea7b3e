"""The supervisor of a tenant's tool calls, and how one is begun."""

from functools import partial

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.points import point
from beamclaw.contracts.tools import Bounds, Order, Tool
from beamclaw.tools.call import CallServer

CALL_SECONDS = 1_800.0


def supervisor(max_calls: int) -> supervision.DynamicSupervisor:
    """At most *max_calls* calls at a time; a call that dies is not begun again."""
    return supervision.DynamicSupervisor(max_children=max_calls)


async def begin_call(
    bounds: Bounds,
    tool: Tool,
    order: Order,
    *,
    check: bool,
    seconds: float = CALL_SECONDS,
) -> supervision.Pid:
    """Begin the process of *order*; see :class:`beamclaw.contracts.tools.BeginCall`.

    It may take so many *seconds*, if the tool does not say how many.

    Raises:
        supervision.MaxChildren: Too many calls are in progress.
        supervision.AlreadyStarted: This one is in progress already.
    """
    with point("tool.begin"):
        pid = await supervision.start_child(
            names.of_tenant(order.tenant, "tools"),
            supervision.ChildSpec(
                order.call_id,
                partial(CallServer, tool, order, bounds, check=check, seconds=seconds),
                name=names.call(order.tenant, order.run_id, order.call_id),
                restart="temporary",
            ),
        )
    assert pid is not None
    return pid
