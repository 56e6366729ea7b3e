"""Which events of a journal count: the way back from its end, by their parents.

An event follows the one before it, unless it names another as its ``parent``: then what
lies between counts no more, though it stays readable. Nothing is ever taken out.
"""

from collections.abc import Sequence

from beamclaw.contracts.ledger_rows import Event

# Behind an event of these kinds no turn is in progress: a conversation can go back there.
RESTS = frozenset({"run-over", "session-reset", "rewound", "forked"})


class Unreachable(LookupError):  # noqa: N818 -- a situation
    """The way back leads to before the first of the events; read the whole journal."""


def path(
    events: Sequence[Event], *, after: int = 0, to: int | None = None
) -> Sequence[Event]:
    """Those of *events* that count, in order.

    Args:
        events: A journal's, in order and without a gap, from number *after* + 1 on.
        after: What lies before is known otherwise.
        to: The event to go back from; None: the last one.

    Raises:
        Unreachable: The way leads to before *after*, or to an event that is not there.
    """
    last = after + len(events) if to is None else to
    if last > after + len(events):
        raise Unreachable(f"there is no event {last}")
    straight = events[: last - after]
    if all(event.parent is None for event in straight) and after <= last:
        return straight
    found: list[Event] = []
    while last > after:
        event = events[last - after - 1]
        found.append(event)
        last = event.seq - 1 if event.parent is None else event.parent
    if last < after:
        raise Unreachable(f"the way back leads to event {last}")
    found.reverse()
    return found


def end_of(run_id: str, events: Sequence[Event]) -> int | None:
    """The number of the event that ended this run; None: there is none."""
    for event in reversed(events):
        if event.run_id == run_id and event.kind == "run-over":
            return event.seq
    return None


def rests(events: Sequence[Event]) -> tuple[int, ...]:
    """The numbers to which a conversation can go back, 0 (its beginning) included."""
    return (0, *(event.seq for event in events if event.kind in RESTS))
