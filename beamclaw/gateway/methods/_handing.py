"""How words for a session are handed in: kept first, answered then."""

from typing import Any

from beamclaw.contracts.sessions import QueueMode
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._method import Context
from beamclaw.values import frozen


@frozen(kw_only=True)
class HandedIn:
    """What became of it; *again*: it was there already."""

    run_id: str
    session_key: str
    again: bool


async def hand_in(
    context: Context,
    key: str,
    message: str,
    *,
    unique: str | None = None,
    attachments: tuple[Any, ...] = (),
    thinking: str | None = None,
    timeout_ms: int | None = None,
    queue: QueueMode | None = None,
) -> HandedIn:
    """Have *message* answered in the session *key*; when this returns, it is kept.

    Args:
        context: Who asks.
        key: Whole; see :func:`~beamclaw.gateway.methods._sessions.key_of`.
        message: What is said.
        unique: The client's own: a repeat is the same message, and this is its run.
        attachments: Pictures and files, as clients send them.
        thinking: How long the model may think.
        timeout_ms: Milliseconds that the turn may take; None or 0: as configured.
        queue: What to do with it while a turn is in progress.

    Raises:
        MethodError: It cannot be answered here.
        beamclaw.contracts.ledger_errors.LedgerError: It was not taken.
    """
    inbound = talking.inbound(
        context,
        talking.place(context, key, None, writes=True),
        talking.message_of(message, attachments),
        idempotency_key=unique or context.outside.new_id(),
        params=talking.settings(thinking, timeout_ms),
        queue=queue,
    )
    receipt = await talking.hand_in(context, inbound)
    return HandedIn(
        run_id=receipt.run_id, session_key=receipt.session_key, again=receipt.duplicate
    )
