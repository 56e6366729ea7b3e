"""Which turn an event belongs to, and so which trace a line of the log is about. Pure.

Most events say it themselves, by their run; others say in which session they happened, or
to which process, and that has one turn at a time.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

import supervision
from beamclaw.contracts import names, news
from beamclaw.contracts.tracing import Parent, Tracing, span_of

# Turns in progress that are known at once; an older one's lines are without a trace.
MOST_TURNS: Final = 10_000

Place = tuple[str, str]
_NOTHING: Final[Mapping[str, str]] = {}


@attrs.define
class Belonging:
    """Follows turns from beginning to end; *tracing* says to which trace they belong."""

    tracing: Tracing
    _runs: OrderedDict[str, Parent] = attrs.field(
        init=False, factory=OrderedDict[str, Parent]
    )
    # Invariant: each value is a key of the table above, or was dropped there.
    _places: dict[Place, str] = attrs.field(init=False, factory=dict[Place, str])

    def take(self, event: supervision.Event) -> Mapping[str, str]:
        """What the line of *event* says of its trace.

        Nothing where it belongs to no turn, or there are no traces. The names are those that OpenTelemetry has for logs that are not its own.
        """
        if self.tracing.sample is None:
            return _NOTHING
        told: Mapping[str, Any] = event.metadata
        if event.name == news.TURN_STARTED:
            self._begin(told)
        run = self._run(told)
        above = None if run is None else self._runs.get(run)
        if run is None or above is None:
            return _NOTHING
        found = {
            "trace_id": above.trace,
            "span_id": span_of(run, *_step(event)),
            "trace_flags": f"{above.sampled:02x}",
        }
        if event.name == news.TURN_ENDED:
            self._end(run, told)
        return found

    def _begin(self, told: Mapping[str, Any]) -> None:
        run = str(told["run"])
        self._runs[run] = self.tracing.above(run, str(told["traceparent"]))
        for place in _places(told):
            self._places[place] = run
        if len(self._runs) > MOST_TURNS:
            self._runs.popitem(last=False)
            self._places = {p: r for p, r in self._places.items() if r in self._runs}

    def _end(self, run: str, told: Mapping[str, Any]) -> None:
        del self._runs[run]
        for place in _places(told):
            self._places.pop(place, None)

    def _run(self, told: Mapping[str, Any]) -> str | None:
        if "run" in told:
            return str(told["run"])
        if "session" in told:
            return self._places.get((str(told.get("tenant")), str(told["session"])))
        return self._places.get(("", str(told["name"]))) if "name" in told else None


def _places(told: Mapping[str, Any]) -> Iterator[Place]:
    """Where a turn is: in its session, and in its process."""
    tenant = str(told["tenant"])
    yield tenant, str(told["session"])
    yield "", names.run(tenant, str(told["run"]))


def _step(event: supervision.Event) -> tuple[str, ...]:
    told = event.metadata
    if "call" in told:
        return news.tool_step(str(told["call"]))
    if event.name == news.CALLED:
        return news.model_step(int(event.measurements["attempt"]))
    return news.TURN_STEP
