"""What of a message from outside becomes part of a transcript."""

from collections.abc import Sequence

from beamclaw.contracts.messages import Message, ToolResult
from beamclaw.contracts.sessions import Inbound

NOT_GIVEN = (
    "the client went on without saying what this call came to; whether it was carried "
    "out is not known"
)


def taken(
    inbound: Inbound, *, fresh: bool, owed: Sequence[str] = ()
) -> tuple[Message, ...]:
    """Which of the given messages become part of the transcript.

    All of them where the session is new. Where it has a history of its own, which the
    sender's copy of it must not repeat: the last message of the user, and before it one
    result for each of the tool calls in *owed*, which the client was to carry out.
    """
    if fresh:
        return inbound.messages
    results = _results(inbound)
    settled = tuple(
        Message(
            "tool", (results.get(id_) or ToolResult(id_, NOT_GIVEN, is_error=True),)
        )
        for id_ in owed
    )
    if settled and inbound.brings_results:
        return settled
    for message in reversed(inbound.messages):
        if message.role == "user":
            return (*settled, message)
    return (*settled, *inbound.messages[-1:])


def unasked(inbound: Inbound, owed: Sequence[str]) -> bool:
    """Whether it only brings results of tool calls, for none of which anybody waits."""
    return inbound.brings_results and _results(inbound).keys().isdisjoint(owed)


def _results(inbound: Inbound) -> dict[str, ToolResult]:
    return {
        part.id: part
        for message in inbound.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    }
