"""What a tool is given of a call, and what is said where it makes a fault of its own."""

from typing import Final

import supervision
from beamclaw.contracts.tools import Order
from beamclaw.runs.record import Record
from beamclaw.runs.turn_steps import Act, AskTool, Begin

FAULT: Final = "the tool failed by a fault of its own, which is in the log of the node"


def call_key(run_id: str, call_id: str) -> str:
    """What stands for a call of a run and for no other, however often it is begun."""
    return f"{run_id}/{call_id}"


def order_of(
    tenant: str,
    record: Record,
    agent: str,
    step: AskTool | Begin | Act,
    *,
    tainted: bool,
    variables: tuple[tuple[str, str], ...] = (),
) -> Order:
    """The call as its tool gets it: for the first time, and agreed to by nobody."""
    id_ = step.call.asked.id
    return Order(
        tenant=tenant,
        session_key=record.key,
        run_id=record.id,
        call_id=id_,
        tool=step.spec.name,
        arguments=step.arguments,
        key=call_key(record.id, id_),
        tainted=tainted,
        agent=agent,
        variables=variables,
    )


def crashed(order: Order, error: Exception) -> str:
    """A tool's fault is not the turn's: tell whoever looks, and say it to the model."""
    supervision.emit(
        "beamclaw.tool.crashed",
        {},
        {
            "tenant": order.tenant,
            "session": order.session_key,
            "tool": order.tool,
            "error": error,
        },
    )
    return FAULT
