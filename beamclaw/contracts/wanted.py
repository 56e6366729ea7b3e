"""For whom a turn was begun, as far as its other fields do not say it.

Kept with the turn, so that whoever decides later whether a message may be part of it
knows where its answer goes and by which model, also after a death.
"""

from beamclaw.values import frozen


@frozen(kw_only=True)
class Wanted:
    """What the message that began a turn has asked for.

    Attributes:
        source: By which edge it came; *account* at that, and *conversation* there: where
            the answer goes.
        model: ``provider/model`` in place of the agent's, of the message or of what is
            set for the session.
        ephemeral: Nobody reads the answer when the client has left.
    """

    source: str
    account: str
    conversation: str
    model: str | None = None
    ephemeral: bool = False
