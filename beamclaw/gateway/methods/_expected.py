"""What a client expects to find when it says something; where it is not so, it looks again.

It is looked at before the message is handed in. What happens between the two is not
noticed: the message then stands behind it, as any message that comes a moment later.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from beamclaw.contracts import names
from beamclaw.contracts.ledger_reads import ReadJournal, ReadSessionRow
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.path import path
from beamclaw.contracts.sessions import read_run
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.messages import messages
from beamclaw.gateway.methods._method import Context
from beamclaw.values import frozen

# Events that are read on the loop; a longer conversation is read in a thread.
FEW: Final = 50


@frozen(kw_only=True)
class Expected:
    """What a message says that it expects.

    Attributes:
        leaf: Id of the last message; None: there is none.
        has_leaf: Whether *leaf* is said at all.
        session_id: Of the conversation; with it, *leaf* may be an earlier message.
        permission_mode: None is what every session here has.
        tool_overrides: An empty one is what every session here has.
        routing_contract: There is nothing of the kind here.
    """

    leaf: str | None = None
    has_leaf: bool = False
    session_id: str | None = None
    permission_mode: str | None = None
    tool_overrides: Mapping[str, Any] | None = None
    routing_contract: str | None = None


async def check(context: Context, key: str, run_id: str, expected: Expected) -> None:
    """Whether the session *key* is as *expected*.

    A message that was taken before (its run is *run_id*) is not asked about again.

    Raises:
        MethodError: It is not; ``details.reason`` says what is different.
    """
    settings = expected.permission_mode, expected.tool_overrides
    contract = expected.routing_contract
    if not expected.has_leaf and not any(settings) and contract is None:
        return
    if await read_run(context.bus, context.tenant, run_id) is not None:
        return
    if contract is not None:
        raise invalid(
            "sessions have no routing contract here; "
            "leave out expectedSessionRoutingContract",
            reason="session-routing-changed",
        )
    if any(settings):
        raise invalid(
            "sessions have neither permission modes nor tool overrides here; "
            "leave out expectedPermissionMode and expectedToolOverrides",
            reason="session-settings-changed",
        )
    if not await _is_leaf(context, key, expected):
        raise invalid(
            "the conversation has gone on or back meanwhile; look again",
            reason="active-leaf-changed",
        )


async def _is_leaf(context: Context, key: str, expected: Expected) -> bool:
    ledger = names.of_tenant(context.tenant, "ledger")
    row = await context.bus.call(ledger, ReadSessionRow(key), timeout=None)
    if row is None or row.deleted_at is not None:
        return expected.leaf is None and expected.session_id is None
    if expected.session_id not in (None, row.session_id):
        return False
    events = await context.bus.call(ledger, ReadJournal(key), timeout=None)
    work = partial(_ids, events)
    few = len(events) <= FEW
    ids = work() if few else await context.node.reader.run(work)
    if expected.leaf == (ids[-1] if ids else None):
        return True
    return expected.session_id is not None and expected.leaf in ids


def _ids(events: Sequence[Event]) -> list[str]:
    return [row["__openclaw"]["id"] for row in messages(path(events))]
