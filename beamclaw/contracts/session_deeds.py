"""What is told of those who undo what was said, or have another agent answer.

The audit log has it: the journal has what was done with a conversation, not who wanted it,
and that of one that was deleted is gone.
"""

from collections.abc import Generator
from contextlib import contextmanager

import supervision
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.values import frozen


@frozen
class Person:
    """Who asks: a name for the audit, and their program where the system tells of it."""

    by: str
    uid: int | None = None
    pid: int | None = None


@frozen
class Deed:
    """What is asked for: in one word, and where to."""

    action: str
    what: str = ""


@contextmanager
def told(tenant: str, session_key: str, person: Person, deed: Deed) -> Generator[None]:
    """Tell of *deed*, which is what happens inside, once it is over; a refusal is none."""
    try:
        yield
    except LedgerError:
        raise
    except BaseException:
        # Nobody waits any more, or who did it has died over it: it may be done.
        _tell(tenant, session_key, person, deed, "unclear")
        raise
    _tell(tenant, session_key, person, deed, "done")


def _tell(
    tenant: str, session_key: str, person: Person, deed: Deed, outcome: str
) -> None:
    supervision.emit(
        "beamclaw.session.changed",
        {},
        {
            "tenant": tenant,
            "session": session_key,
            "action": deed.action,
            "what": deed.what,
            "outcome": outcome,
            "by": person.by,
            "uid": person.uid,
            "pid": person.pid,
        },
    )
