"""From events to spans: one request through gateway, turn, models and tools. Pure.

A turn tells what it cost when it is over, and only then to which trace it belongs. Until
then its spans wait here: so many turns, and so many spans of each.
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

import attrs

import supervision
from beamclaw.contracts import news, sessions
from beamclaw.contracts.tracing import Parent, parent_of
from beamclaw.values import frozen

Kind = Literal["internal", "server", "client"]
Value = str | int | float
# Turns that wait at once, and spans of one: what comes beyond is counted as lost.
MOST_TURNS: Final = 10_000
MOST_SPANS: Final = 1_000
_FINE: Final = frozenset({"ok", ""})
_ENDS: Final = 0xFFFFFFFF


@frozen(kw_only=True)
class Span:
    """One step of a request; times in seconds since the epoch.

    Attributes:
        parent: Of a span; empty: nobody's.
        error: The kind of what went wrong; empty: nothing.
    """

    trace: str
    id: str
    parent: str
    name: str
    kind: Kind
    begun: float
    ended: float
    attributes: Mapping[str, Value]
    error: str = ""


@attrs.define
class _Turn:
    """What is known of a turn in progress."""

    source: str = ""
    handed_in: float | None = None
    spans: list[Span] = attrs.Factory(list[Span])
    left_out: int = 0


@attrs.define
class Spans:
    """Takes events, and gives the spans of a turn when that is over.

    Attributes:
        sample: Share of traces that are kept, where nobody before us has decided.
        providers: Of each provider its protocol, which is how others know it.
        lost: Spans that there was no room for.
    """

    sample: float = 1.0
    providers: Mapping[str, str] = attrs.field(factory=dict[str, str])
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
                self._add(told["run"], self._model(event, now))
            case news.TOOL_ENDED:
                self._add(told["run"], self._tool(event, now))
            case news.TURN_ENDED:
                return self._whole(event, now)
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

    def _add(self, run: str, span: Span) -> None:
        turn = self._turn(run)
        if len(turn.spans) < MOST_SPANS:
            turn.spans.append(span)
        else:
            turn.left_out += 1

    def _model(self, event: supervision.Event, now: float) -> Span:
        told, measured = event.metadata, event.measurements
        provider, model = str(told["provider"]), str(told["model"])
        run, outcome = str(told["run"]), str(told["outcome"])
        return Span(
            trace="",
            id=_id(run, "model", self._number(run)),
            parent=_id(run, "turn"),
            name=f"chat {model}",
            kind="client",
            begun=now - measured["seconds"],
            ended=now,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": self.providers.get(provider, provider),
                "gen_ai.request.model": model,
                "gen_ai.usage.input_tokens": int(measured["input"]),
                "gen_ai.usage.output_tokens": int(measured["output"]),
                "gen_ai.usage.cache_read.input_tokens": int(measured["cached"]),
                "beamclaw.provider": provider,
                "beamclaw.waited_seconds": measured["waited"],
                "beamclaw.first_token_seconds": measured["first"],
                "beamclaw.cost_dollars": measured["cost"],
            },
            error="" if outcome in _FINE else outcome,
        )

    def _tool(self, event: supervision.Event, now: float) -> Span:
        told = event.metadata
        run, tool, outcome = str(told["run"]), str(told["tool"]), str(told["outcome"])
        return Span(
            trace="",
            id=_id(run, "tool", self._number(run)),
            parent=_id(run, "turn"),
            name=f"execute_tool {tool}",
            kind="internal",
            begun=now - event.measurements["seconds"],
            ended=now,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool,
                "gen_ai.tool.call.id": str(told["call"]),
                "gen_ai.tool.type": "function",
            },
            error="" if outcome in _FINE else outcome,
        )

    def _number(self, run: str) -> str:
        turn = self._turn(run)
        return str(len(turn.spans) + turn.left_out)

    def _whole(self, event: supervision.Event, now: float) -> list[Span]:
        told, measured = event.metadata, event.measurements
        run, session = str(told["run"]), str(told["session"])
        turn = self._turns.pop(run, None) or _Turn()
        outside = parent_of(str(told["traceparent"]))
        trace = outside.trace if outside else _id(run, "trace", size=32)
        if not self._kept(trace, outside):
            return []
        self.lost += turn.left_out
        above = outside.span if outside else ""
        begun = now - measured["seconds"]
        error = str(told["error"]) or str(told["outcome"])
        common = {
            "beamclaw.tenant": str(told["tenant"]),
            "beamclaw.run": run,
            "gen_ai.conversation.id": session,
        }
        found: list[Span] = []
        if turn.handed_in is not None:
            top = _id(run, "gateway")
            found.append(
                Span(
                    trace=trace,
                    id=top,
                    parent=above,
                    name=f"message {turn.source}",
                    kind="server",
                    begun=min(turn.handed_in, begun),
                    ended=now,
                    attributes={**common, "beamclaw.source": turn.source},
                    error="" if error in _FINE else error,
                )
            )
            above = top
        found.append(
            Span(
                trace=trace,
                id=_id(run, "turn"),
                parent=above,
                name=f"invoke_agent {told['agent']}",
                kind="internal",
                begun=begun,
                ended=now,
                attributes={
                    **common,
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.agent.id": str(told["agent"]),
                    "beamclaw.outcome": str(told["outcome"]),
                    "beamclaw.tokens": int(measured["tokens"]),
                    "beamclaw.cost_dollars": measured["cost"],
                },
                error="" if error in _FINE else error,
            )
        )
        return found + [attrs.evolve(span, trace=trace) for span in turn.spans]

    def _kept(self, trace: str, outside: Parent | None) -> bool:
        """By whoever began the trace; else by its id, so that all who see it agree."""
        if outside is not None and not outside.sampled:
            return False
        return outside is not None or int(trace[-8:], 16) < self.sample * (_ENDS + 1)


def _id(*words: str, size: int = 16) -> str:
    """The same each time: a turn that goes on after a start goes on in its trace."""
    return sha256("\0".join(words).encode()).hexdigest()[:size]
