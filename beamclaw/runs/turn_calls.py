"""What comes next for the tool calls of a turn: a part of `beamclaw.runs.turn`."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import orjson

from beamclaw.config.structure import nearest
from beamclaw.contracts import approvals
from beamclaw.contracts.approvals import Clear, Clearance, Deny, digest_of
from beamclaw.contracts.open_turn import Call, OpenTurn
from beamclaw.contracts.tools import ToolSpec
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs.turn_steps import (
    Act,
    AskPerson,
    AskTool,
    Await,
    Begin,
    Conclude,
    Expire,
    Finish,
    Step,
)
from beamclaw.values import frozen


@frozen(kw_only=True)
class Known:
    """What is known beside the journal; see :func:`beamclaw.runs.turn.decide`."""

    now: float
    limits: TurnLimits
    tools: Mapping[str, ToolSpec]
    denied: Mapping[str, str]
    running: Collection[str]
    clearances: Mapping[str, Clearance]

    def refusal(self, name: str) -> str:
        """Why the model may not ask for the tool *name*."""
        have = ", ".join(sorted(self.tools)) or "there are none"
        if name in self.denied:
            return f"{name} is not allowed here: {self.denied[name]}; tools: {have}"
        hint = nearest(name, self.tools)
        return f"there is no tool {name!r}{hint}; tools: {have}"


def of_calls(turn: OpenTurn, known: Known) -> tuple[Step, ...]:
    """The next steps for the calls of *turn* that have no result.

    Where only such are left as the client carries out, the turn is over.
    """
    limits = known.limits
    owed = turn.owed
    # What the client carries out is no work of ours, but for what it cannot read.
    ours = [call for call in turn.open_calls if call.asked not in owed]
    unclear = [call for call in turn.open_calls if call.asked in owed and _why(call)]
    steps: list[Step] = [_refused(call, _why(call)) for call in unclear]
    if not ours:
        over = Finish(outcome="ok", stop_reason="tool_calls")
        return tuple(steps) or (over,)
    if turn.busy_seconds(known.now) >= limits.seconds:
        short = limits.short
        which = "limits.turn.seconds" if short is None else short.name
        return (*steps, *(_too_late(call, which) for call in ours))
    for place, call in enumerate(ours, turn.used.tool_calls + 1):
        if call.asked.id in known.running or call.child is not None:
            continue
        if call.begun is not None:
            steps.append(_again(turn, call, known.tools.get(call.asked.name), limits))
        elif place > limits.tool_calls:
            steps.append(_refused(call, _LIMIT.format("limits.turn.tool_calls")))
        else:
            step = _first(turn, call, known)
            if step is not None:
                steps.append(step)
    # Tools are asked when all is under way that needs nobody's leave.
    steps.sort(key=lambda step: isinstance(step, AskTool))
    return tuple(steps) or (Await(),)


def _why(call: Call) -> str:
    """What is wrong with the arguments of a call; nothing: nothing is."""
    arguments = parse(call.asked.arguments)
    return arguments if isinstance(arguments, str) else ""


_LIMIT = "it was not carried out: the turn has come to its limit ({})"


def _first(turn: OpenTurn, call: Call, known: Known) -> Step | None:
    """What is done with a call that was not begun; None: a person is thinking."""
    spec = known.tools.get(call.asked.name)
    if spec is None:
        return _refused(call, known.refusal(call.asked.name))
    arguments = parse(call.asked.arguments)
    if isinstance(arguments, str):
        return _refused(call, arguments)
    begin = Begin(
        call=call, spec=spec, arguments=arguments, attempt=1, tainted=turn.tainted
    )
    if call.wait is None and _asks_itself(spec):
        return _cleared(begin, known.clearances.get(call.asked.id))
    if spec.asks != "never" and not _is_allowed(call):
        return _with_person(call, arguments, known.now)
    if spec.kind == "session":
        return Act(call=call, spec=spec, arguments=arguments)
    return begin


def _asks_itself(spec: ToolSpec) -> bool:
    """What is done with sessions has no process that could look again before it works."""
    return spec.asks == "by-call" and spec.kind == "process"


def _cleared(begin: Begin, cleared: Clearance | None) -> Step:
    """What follows from what the tool has said; None: it was not asked yet."""
    match cleared:
        case None:
            return AskTool(
                call=begin.call,
                spec=begin.spec,
                arguments=begin.arguments,
                tainted=begin.tainted,
            )
        case Clear():
            return begin
        case approvals.Ask():
            return AskPerson(begin.call, cleared)
        case Deny(text):
            return _refused(begin.call, f"it was not carried out: {text}")


def _is_allowed(call: Call) -> bool:
    return call.wait is not None and call.wait.verdict == "allow"


def _with_person(call: Call, arguments: Mapping[str, Any], now: float) -> Step | None:
    wait = call.wait
    if wait is None:
        return AskPerson(call, _whatever_it_is(call, arguments))
    if wait.verdict is None:
        return Expire(wait) if now >= wait.expires_at else None
    if wait.verdict == "expired":
        words = "nobody answered in time whether it may be carried out"
    else:
        words = f"{wait.by} said no" + (f": {wait.text}" if wait.text else "")
    return _refused(call, f"it was not carried out: {words}")


def _whatever_it_is(call: Call, arguments: Mapping[str, Any]) -> approvals.Ask:
    """The question about a call that is always asked for: its arguments are all of it."""
    asked = call.asked
    return approvals.Ask(
        question=f"{asked.name}({asked.arguments})",
        digest=digest_of(asked.name, arguments),
        details={"tool": asked.name, "arguments": asked.arguments},
    )


def _again(
    turn: OpenTurn, call: Call, spec: ToolSpec | None, limits: TurnLimits
) -> Step:
    """A call was begun, has no process any more, and no result in the journal."""
    begun = call.begun
    assert begun is not None
    if begun.effect == "unsafe" or spec is None:
        text = (
            "the node died while this was carried out. Whether it was done is not "
            "known; it was not tried again. Look before you repeat it"
        )
        return Conclude(call=call, outcome="unknown", text=text)
    arguments = parse(call.asked.arguments)
    if begun.attempt >= limits.begins or isinstance(arguments, str):
        harmless = begun.effect == "pure"
        text = f"it was begun {begun.attempt} times and never came to an end"
        return Conclude(
            call=call, outcome="error" if harmless else "unknown", text=text
        )
    return Begin(
        call=call,
        spec=spec,
        arguments=arguments,
        attempt=begun.attempt + 1,
        check=begun.effect == "checkable",
        tainted=turn.tainted,
    )


def _too_late(call: Call, which: str) -> Conclude:
    if call.begun is None:
        return _refused(call, _LIMIT.format(which))
    text = f"stopped: the turn has come to its limit ({which})"
    text += (
        "; what it did is not known"
        if call.child is None
        else ", its sub-agent with it"
    )
    return Conclude(call=call, outcome="stopped", text=text)


def _refused(call: Call, text: str) -> Conclude:
    return Conclude(call=call, outcome="refused", text=text)


def parse(text: str) -> dict[str, Any] | str:
    """The arguments of a call; or, in words for the model, why they are none."""
    try:
        found: object = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        return f"the arguments are no JSON: {error}"
    if not isinstance(found, dict):
        return "the arguments have to be a JSON object"
    return cast("dict[str, Any]", found)
