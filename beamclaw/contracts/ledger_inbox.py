"""The inbox of a session: what the edge puts there before anybody is told it is taken.

``Accept`` is the one way to write besides a ``Commit``.
"""

import supervision
from beamclaw.values import frozen


@frozen(kw_only=True)
class InboxRow:
    """A message that waits for its session since *at*. *body* is an Inbound as JSON."""

    id: int
    session_key: str
    run_id: str
    at: float
    body: bytes


@frozen(kw_only=True)
class Accept(supervision.Call["Receipt"]):
    """Commit an inbound to the inbox; when the reply is there, it will be answered.

    Unique on (source, account, conversation, external_id); *fingerprint* tells a
    repeat (same content: a duplicate receipt with the first one's run and session)
    from a reuse (:class:`~beamclaw.contracts.ledger_errors.IdempotencyConflict`). If it creates its session, that is of
    this *channel*; an *ephemeral* one is of this request alone. *about* is kept with the run.

    Raises (in the caller): :class:`~beamclaw.contracts.ledger_errors.Overloaded`, :class:`~beamclaw.contracts.ledger_errors.IdempotencyConflict`.
    """

    source: str
    account: str
    conversation: str
    external_id: str
    fingerprint: str
    session_key: str
    agent: str
    run_id: str
    at: float
    body: bytes
    channel: str = ""
    ephemeral: bool = False
    about: bytes = b""


@frozen(kw_only=True)
class Receipt:
    """The message is durable since *at*. *fresh*: this message created its session."""

    inbox_id: int
    run_id: str
    session_key: str
    at: float
    duplicate: bool = False
    fresh: bool = False
