"""What of a message from outside becomes part of a transcript."""

from collections.abc import Mapping, Sequence

from beamclaw.contracts.messages import Message, ToolCall, ToolResult
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
    if inbound.follows is not None:
        return _behind(inbound.messages, owed, results)
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


def _behind(
    given: tuple[Message, ...], owed: Sequence[str], results: Mapping[str, ToolResult]
) -> tuple[Message, ...]:
    """All that is said behind a run, what its calls came to first."""
    settled = [
        Message(
            "tool", (results.get(id_) or ToolResult(id_, NOT_GIVEN, is_error=True),)
        )
        for id_ in owed
    ]
    rest = [m for m in given if m.role != "tool" or _id(m) not in owed]
    return (*settled, *rest)


def _id(message: Message) -> str:
    return next((p.id for p in message.parts if isinstance(p, ToolResult)), "")


def unasked(inbound: Inbound, owed: Sequence[str]) -> bool:
    """Whether it brings results of tool calls that nobody waits for.

    Of what repeats the whole conversation only the end counts: none of the results there
    is waited for.
    """
    given = _results(inbound).keys()
    if inbound.follows is None:
        return inbound.brings_results and given.isdisjoint(owed)
    asked = {
        part.id
        for message in inbound.messages
        for part in message.parts
        if isinstance(part, ToolCall)
    }
    return not given <= {*owed, *asked}


def _results(inbound: Inbound) -> dict[str, ToolResult]:
    return {
        part.id: part
        for message in inbound.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    }
