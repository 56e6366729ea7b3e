"""Everything that can go wrong with a request, as the client is told. Pure.

The one place where faults of the subsystems become answers of the protocol.
"""

from typing import Final

import supervision
from beamclaw.contracts.keys import BadKey
from beamclaw.contracts.ledger_errors import (
    HasWork,
    IdempotencyConflict,
    LedgerError,
    Overloaded,
    SessionExists,
    StorageFull,
)
from beamclaw.contracts.lifecycle import NoRest, NoSuchSession, TurnInProgress
from beamclaw.contracts.session_meta import BadSetting
from beamclaw.gateway.errors import MethodError, invalid, unavailable

# Seconds after which a part that was restarted is back in any case.
BACK_SOON: Final = 1.0


def told(error: Exception) -> MethodError | None:  # noqa: C901 -- a table
    """*error* as an answer; None: it is a fault of this program."""
    match error:
        case MethodError():
            found = error
        case IdempotencyConflict():
            found = invalid(
                "this idempotencyKey came before with another message",
                reason="chat-request-conflict",
            )
        case Overloaded():
            found = unavailable(
                str(error), retry_after=error.retry_after, reason="overloaded"
            )
        case StorageFull():
            found = unavailable(
                "the disk of this node is full, and nothing was accepted; ask again when "
                "there is room on it",
                retry_after=error.retry_after,
                reason="storage-full",
            )
        case NoSuchSession():
            found = invalid(str(error), reason="session-not-found")
        case NoRest() | SessionExists() | BadSetting():
            found = invalid(str(error))
        case HasWork():
            found = unavailable(
                "work of this session is still being stopped; ask again",
                retry_after=BACK_SOON,
                reason="turn-in-progress",
            )
        case TurnInProgress():
            found = unavailable(
                f"{str(error).partition('; stop it first')[0]}; stop it first "
                "(sessions.abort)",
                reason="turn-in-progress",
            )
        case BadKey():
            found = invalid(str(error))
        case LedgerError() | supervision.CallFailed():
            found = unavailable(
                "a part of this node is being restarted; ask again",
                retry_after=BACK_SOON,
                reason="restarting",
            )
        case _:
            return None
    return found


BROKEN: Final = MethodError(
    "UNAVAILABLE",
    "something in this node broke; its log says what",
    details={"reason": "internal"},
    retryable=False,
)
