"""What of a message from outside becomes part of a transcript."""

from beamclaw.contracts.messages import Message
from beamclaw.contracts.sessions import Inbound


def taken(inbound: Inbound, *, fresh: bool) -> tuple[Message, ...]:
    """Which of the given messages become part of the transcript.

    All of them where the session is new; the last message of the user where it has a
    history of its own, which the sender's copy of it must not repeat.
    """
    if fresh:
        return inbound.messages
    for message in reversed(inbound.messages):
        if message.role == "user":
            return (message,)
    return inbound.messages[-1:]
