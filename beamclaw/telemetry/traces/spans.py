"""From events to spans: one request through gateway, turn, models and tools. Pure.

A turn tells what it cost when it is over, and only then to which trace it belongs. Until
then its spans wait here: so many turns, and so many spans of each.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import attrs

import supervision
from beamclaw.contracts import news, sessions
from beamclaw.contracts.tracing import Peer, Tracing
from beamclaw.telemetry.traces import steps
from beamclaw.telemetry.traces.steps import Span

# Turns that wait at once, and spans of one: what comes beyond is counted as lost.
MOST_TURNS: Final = 10_000
MOST_SPANS: Final = 1_000


@attrs.define
class _Turn:
    """What is known of a turn in progress."""

    source: str = ""
    handed_in: float | None = None
    # Whose parent is not known yet: right below the turn.
    spans: list[Span] = attrs.Factory(list[Span])
    left_out: int = 0
    # Where the last call of a model is: it may be made again.
    call: int | None = None

    @property
    def provider(self) -> steps.Value | None:
        """Who was asked last."""
        if self.call is None:
            return None
        return self.spans[self.call].attributes["gen_ai.provider.name"]

    def add(self, span: Span) -> bool:
        """Whether there was room."""
        if len(self.spans) < MOST_SPANS:
            self.spans.append(span)
            return True
        self.left_out += 1
        return False

    def add_call(self, call: Span, *, again: bool) -> str:
        """The id of the span of *call*, which is the one before if it is made *again*."""
        if again and self.call is not None:
            call = steps.joined(self.spans[self.call], call)
            self.spans[self.call] = call
        else:
            place = len(self.spans)
            self.call = place if self.add(call) else None
        return call.id


@attrs.define
class Spans:
    """Takes events, and gives the spans of a turn when that is over.

    Attributes:
        tracing: What is kept, where nobody before us has decided.
        peers: Whom the names of providers stand for.
        lost: Spans that there was no room for.
    """

    tracing: Tracing
    peers: Mapping[str, Peer]
    lost: int = attrs.field(default=0, init=False)
    _turns: OrderedDict[str, _Turn] = attrs.field(
        factory=OrderedDict[str, _Turn], init=False
    )

    def take(self, event: supervision.Event, now: float) -> list[Span]:
        """What can be sent after *event*."""
        told: Mapping[str, Any] = event.metadata
        match event.name:
            case sessions.ACCEPTED if not told["duplicate"]:
                turn = self._turn(told["run"])
                if turn.handed_in is None:
                    turn.handed_in = now - event.measurements["seconds"]
                    turn.source = str(told["source"])
            case news.CALLED:
                self._called(event, now)
            case news.TOOL_ENDED:
                self._turn(told["run"]).add(steps.tool(event, now))
            case news.TURN_ENDED:
                return self._over(told, steps.turn(event, now))
            case news.ORDER_ENDED:
                return self._over(told)
            case _:
                pass
        return []

    def _turn(self, run: str) -> _Turn:
        turn = self._turns.get(run)
        if turn is None:
            turn = self._turns[run] = _Turn()
            if len(self._turns) > MOST_TURNS:  # of a turn that died, most likely
                _, oldest = self._turns.popitem(last=False)
                self.lost += len(oldest.spans)
        return turn

    def _called(self, event: supervision.Event, now: float) -> None:
        told = event.metadata
        turn, name = self._turn(str(told["run"])), str(told["provider"])
        peer = self.peers.get(name) or Peer(name)
        again = event.measurements["resends"] > 0
        id_ = turn.add_call(steps.call(event, peer, now), again=again)
        request = steps.request(event, peer, id_, now)
        if request is not None:
            turn.add(request)

    def _over(self, told: Mapping[str, Any], own: Span | None = None) -> list[Span]:
        """All spans of a run that is over; *own* is the turn's."""
        run = str(told["run"])
        turn = self._turns.pop(run, None) or _Turn()
        outside = self.tracing.above(run, str(told["traceparent"]))
        if not outside.sampled:
            return []
        self.lost += turn.left_out
        above, known = list[Span](), steps.common(told)
        if own is not None:
            if turn.provider is not None:
                named = {**own.attributes, "gen_ai.provider.name": turn.provider}
                own = attrs.evolve(own, attributes=named)
            if turn.handed_in is not None:
                above.append(steps.message(own, run, turn.source, turn.handed_in))
            above.append(own)
        parents = [outside.span, *(span.id for span in above)]
        whole = [
            *map(_below, above, parents),
            *(_below(span, span.parent or parents[-1]) for span in turn.spans),
        ]
        state = str(told["tracestate"])
        return [
            attrs.evolve(
                span,
                trace=outside.trace,
                state=state,
                attributes={**known, **span.attributes},
            )
            for span in whole
        ]


def _below(span: Span, parent: str) -> Span:
    return attrs.evolve(span, parent=parent)
