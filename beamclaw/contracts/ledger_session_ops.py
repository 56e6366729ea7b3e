"""The operations of a commit on a session as a whole, and on its snapshot."""

from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.values import frozen


@frozen
class SetAgent:
    """Whose session this is from now on."""

    agent: str


@frozen(kw_only=True)
class NewSession:
    """The commit makes its session, which has no message yet; the first of its ops.

    Refused with :class:`~beamclaw.contracts.ledger_errors.SessionExists`. *parent* is the key of the one it comes from.
    *ephemeral*: it is of a single request.
    """

    session_id: str
    agent: str
    at: float
    channel: str = ""
    parent: str | None = None
    ephemeral: bool = False


@frozen
class SetMeta:
    """What is set for the session, all of it."""

    meta: SessionMeta


@frozen
class RenewSession:
    """Under its key a new conversation begins, with a purse of its own."""

    session_id: str


@frozen
class ArchiveSession:
    """Put the session away, to be deleted some day; None: it is in use again."""

    at: float | None


@frozen
class DropSession:
    """Its key is free again at once; what it held is erased by :class:`Erase`.

    Refused with :class:`~beamclaw.contracts.ledger_errors.HasWork`. A repeat of one of its messages is still recognised.
    """

    at: float


@frozen
class ForgetSnapshots:
    """What the journal comes to behind event *after* is not what it was.

    A snapshot of later is dropped, and one that was made before this commit and comes
    after it is passed over.
    """

    after: int


@frozen(kw_only=True)
class PutSnapshot:
    """Keep what the session's journal adds up to, as of event *seq*.

    *version* says how *body* is to be read. Of a session only the latest is kept; an
    older one than is there is passed over without a word; see `ForgetSnapshots`, too.
    """

    seq: int
    version: str
    body: bytes
