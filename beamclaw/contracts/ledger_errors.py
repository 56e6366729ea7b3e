"""How the ledger refuses: a commit, a message, an answer; and how its disk fails it."""

from beamclaw.contracts.budgets import Cap


class LedgerError(Exception):
    """The ledger refused; nothing of the commit was written."""


class StaleClaim(LedgerError):  # noqa: N818 -- a situation
    """A newer owner or a newer run has taken over; stop writing."""


class SequenceConflict(LedgerError):  # noqa: N818 -- a situation
    """The journal is further than the writer knew; read again."""


class Overloaded(LedgerError):  # noqa: N818 -- a situation
    """The inbox is full; *limit* is the number that holds it.

    With a *session* it is that one's share of the inbox.
    """

    def __init__(self, depth: int, limit: int, *, session: str | None = None) -> None:
        where = "" if session is None else f" in {session}"
        key = "inbox_limit" if session is None else "session_inbox_limit"
        super().__init__(
            f"{depth} messages are waiting already{where} (sessions.{key}: {limit})"
        )
        self.retry_after = 1.0


class IdempotencyConflict(LedgerError):  # noqa: N818 -- a situation
    """The same sender id came before with another content."""


class RunIdTaken(LedgerError):  # noqa: N818 -- a situation
    """The run id was given to another message; nothing was taken."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run id {run_id} was given to another message")
        self.run_id = run_id


class SessionExists(LedgerError):  # noqa: N818 -- a situation
    """A session was to be new, and there is one with this key."""


class HasWork(LedgerError):  # noqa: N818 -- a situation
    """The session has a turn in progress or messages that wait."""


class NotWaiting(LedgerError):  # noqa: N818 -- a situation
    """A message was to be taken that does not wait any more: somebody has, or stopped it."""

    def __init__(self, inbox_id: int, session_key: str) -> None:
        super().__init__(f"message {inbox_id} does not wait for session {session_key}")
        self.inbox_id = inbox_id


class NoSuchWait(LedgerError):  # noqa: N818 -- a situation
    """Nothing waits for an answer under this id, or not any more."""


class AnsweredTooLate(NoSuchWait):
    """The time to answer was over."""


class NotForGood(LedgerError):  # noqa: N818 -- a situation
    """What was asked can be allowed once, not for good."""


class TooManyGrants(NotForGood):
    """So much is allowed for good that nothing can be added; *limit* of it may be."""

    def __init__(self, held: int, limit: int) -> None:
        super().__init__(
            f"{held} things are allowed for good already (tools.max_grants: {limit}); "
            "allow this once, or take one of them back first (beamclaw approvals grants)"
        )


class AnsweredAlready(LedgerError):  # noqa: N818 -- a situation
    """Somebody has answered before."""


class BudgetReached(LedgerError):  # noqa: N818 -- a situation
    """The call could go beyond a cap; the message says in words which."""


class TimeReached(BudgetReached):
    """The turn may not reserve so much time, but *left*, in milliseconds, under *cap*.

    *paid* are those of its own that it has worked or reserved so far.
    """

    def __init__(self, words: str, cap: Cap, left: int, paid: int) -> None:
        super().__init__(words)
        self.cap = cap
        self.left = left
        self.paid = paid


class TooManyChildren(LedgerError):  # noqa: N818 -- a situation
    """So many sub-agents work already; the message says in words which limit that is."""


class StorageFull(LedgerError):  # noqa: N818 -- a situation
    """The disk has no room. Nothing was written; later it may be."""

    retry_after = 5.0


class StorageFailed(LedgerError):  # noqa: N818 -- a situation
    """The disk failed at commit: whether it was written is unknown until read again."""
