"""Where the time of a turn went, from its events in the journal: without I/O.

One line per thing that took time: waiting in the queue, each call of a model, each tool,
each question to a person, and the rest until the answer was handed out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import attrs

from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    Compacted,
    InboundTaken,
    Revived,
    RunOver,
    RunStarted,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
    read,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.values import frozen

Kind = Literal["queue", "model", "tool", "person", "death", "delivery"]
OPEN: Final = "in progress"


@frozen(kw_only=True)
class Span:
    """One thing that took time, from *begun* to *ended*, in seconds since the epoch.

    Attributes:
        ended: None: it has not.
        outcome: ``ok``, or in a word what became of it.
    """

    kind: Kind
    what: str
    begun: float
    ended: float | None = None
    outcome: str = OPEN


@frozen(kw_only=True)
class Waterfall:
    """The spans of a turn in the order of their beginnings."""

    run_id: str
    spans: tuple[Span, ...]
    outcome: str = OPEN


def last_run(events: Sequence[Event]) -> str | None:
    """The run that began last; None: none has."""
    for event in reversed(events):
        if event.kind == "run-started":
            return event.run_id
    return None


def waterfall(
    run_id: str, events: Sequence[Event], queued_at: float | None = None
) -> Waterfall:
    """The turn *run_id*, from all events of its journal.

    Raises:
        UnreadableEventError: A kind or version of a later release.
    """
    drawing = _Drawing(queued_at)
    for event in events:
        if event.run_id == run_id:
            drawing.add(read(event), event.at)
    return Waterfall(run_id=run_id, spans=tuple(drawing.spans), outcome=drawing.outcome)


@attrs.define
class _Drawing:
    queued_at: float | None
    spans: list[Span] = attrs.field(factory=list[Span])
    outcome: str = OPEN
    # What is open: the place of its span, by what ends it.
    _open: dict[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])
    _last: float = 0.0

    def add(self, body: Body, at: float) -> None:  # noqa: C901, PLR0912 -- a table
        """One case per kind that begins or ends something."""
        match body:
            case InboundTaken():
                self._queue(at)
            case RunStarted():
                if body.epoch == 1:
                    self._queue(at)
                else:
                    self._end(("death", ""), at, f"taken over, {body.epoch} in all")
            case Revived():
                self._died(at)
            case Asked():
                words = f"{body.provider}/{body.model}"
                if body.purpose == "summary":
                    words += ", for a summary"
                self._begin("model", "", f"{words}, call {body.attempt}", at)
            case Answered() | Compacted():
                self._end(("model", ""), at, "ok")
            case AttemptFailed():
                self._end(("model", ""), at, str(body.kind))
            case ToolBegun():
                self._begin("tool", body.call_id, body.tool, at)
            case ToolEnded():
                self._end(("tool", body.result.id), at, str(body.outcome))
            case WaitBegun():
                self._begin("person", body.wait_id, body.question, at)
            case WaitOver():
                self._end(("person", body.wait_id), at, str(body.verdict))
            case RunOver():
                self._over(body, at)
            case _:
                pass
        self._last = at

    def _queue(self, at: float) -> None:
        if self.spans:
            return
        begun = at if self.queued_at is None else min(self.queued_at, at)
        self.spans.append(
            Span(kind="queue", what="the session", begun=begun, ended=at, outcome="ok")
        )

    def _begin(self, kind: Kind, key: str, what: str, at: float) -> None:
        self._open[kind, key] = len(self.spans)
        self.spans.append(Span(kind=kind, what=what, begun=at))

    def _end(self, key: tuple[str, str], at: float, outcome: str) -> None:
        place = self._open.pop(key, None)
        if place is not None:
            self.spans[place] = attrs.evolve(
                self.spans[place], ended=at, outcome=outcome
            )

    def _died(self, at: float) -> None:
        """Nothing is known of what was open, and nobody worked since the last event."""
        if ("death", "") not in self._open:
            self._end(("model", ""), self._last or at, "cut off")
            self._begin("death", "", "the process of the turn", self._last or at)

    def _over(self, body: RunOver, at: float) -> None:
        for key in tuple(self._open):
            self._end(key, at, "cut off")
        self.outcome = body.outcome
        self.spans.append(
            Span(
                kind="delivery",
                what="the answer, with the end of the turn",
                begun=self._last or at,
                ended=at,
                outcome=body.outcome,
            )
        )


def shown(found: Waterfall, now: float) -> Mapping[str, Any]:
    """The waterfall for commands: seconds from its beginning on."""
    begun = found.spans[0].begun if found.spans else now
    return {
        "run_id": found.run_id,
        "outcome": found.outcome,
        "at": begun,
        "seconds": max((span.ended or now) for span in found.spans) - begun
        if found.spans
        else 0.0,
        "spans": [
            {
                "kind": span.kind,
                "what": span.what,
                "after": span.begun - begun,
                "seconds": (now if span.ended is None else span.ended) - span.begun,
                "outcome": span.outcome,
            }
            for span in found.spans
        ],
    }
