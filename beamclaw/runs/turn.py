"""The turn machine: what comes next in a turn, decided from the journal alone.

``evolve`` is in :mod:`beamclaw.contracts.transcript`; here is ``decide``. Both are pure,
so that recovery after a crash is the same code as progress without one.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import attrs
import orjson

from beamclaw.contracts import context
from beamclaw.contracts.budgets import dollars
from beamclaw.contracts.context import Window
from beamclaw.contracts.conversation import Conversation
from beamclaw.contracts.ledger_rows import Outcome
from beamclaw.contracts.messages import Message, ModelParams, Usage, said
from beamclaw.contracts.open_turn import Call, Did, OpenTurn, Wait
from beamclaw.contracts.providers import StopReason
from beamclaw.contracts.tools import CallOutcome, ToolSpec
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.turns import TurnLimits

NONE_DENIED: Mapping[str, str] = {}


@attrs.frozen(kw_only=True)
class Ask:
    """Call the model."""

    attempt: int
    messages: Sequence[Message]
    params: ModelParams


@attrs.frozen(kw_only=True)
class Begin:
    """Commit the intent of a tool call, then carry it out.

    With *check* the tool is first asked what became of it.
    """

    call: Call
    spec: ToolSpec
    arguments: Mapping[str, Any]
    attempt: int
    check: bool = False


@attrs.frozen(kw_only=True)
class Act:
    """Commit a tool call together with what it means for other sessions, or for this."""

    call: Call
    spec: ToolSpec
    arguments: Mapping[str, Any]


@attrs.frozen
class Compact:
    """Put a summary in the place of the first *cut* messages.

    With *model* one is asked to write it.
    """

    cut: int
    model: bool


@attrs.frozen
class AskPerson:
    """Commit a question to a person, whether the call may be carried out."""

    call: Call


@attrs.frozen
class Expire:
    """Commit that nobody has answered in time."""

    wait: Wait


@attrs.frozen(kw_only=True)
class Conclude:
    """Commit a result for a tool call that is not carried out, or not any longer."""

    call: Call
    outcome: CallOutcome
    text: str


@attrs.frozen
class Await:
    """Wait for a call in progress to end, for a person's answer or for a sub-agent."""


@attrs.frozen
class Linger:
    """The answer is there, but what sub-agents have to add to it is not: wait for it."""


@attrs.frozen(kw_only=True)
class Finish:
    """Commit the end of the turn.

    *note* is told to the person before; *error* is what went wrong, in words.
    """

    outcome: Outcome
    stop_reason: StopReason
    note: str = ""
    error: str = ""


Step = (
    Ask
    | Act
    | Compact
    | Begin
    | AskPerson
    | Expire
    | Conclude
    | Await
    | Linger
    | Finish
)


class NoOpenTurnError(Exception):
    """There is nothing to decide: the journal has no turn in progress."""


def decide(
    state: Transcript,
    *,
    now: float,
    limits: TurnLimits,
    window: Window,
    system: str | None,
    tools: Mapping[str, ToolSpec],
    running: Collection[str],
    denied: Mapping[str, str] = NONE_DENIED,
) -> tuple[Step, ...]:
    """The next steps of the open turn; those of tool calls are taken together.

    Args:
        state: The journal, added up.
        now: Seconds since the epoch.
        limits: Where the turn is ended in words.
        window: What fits into the model.
        system: The agent's own instructions.
        tools: What the model may ask for, by name.
        running: Ids of calls that have a process, also one that outlived its run.
        denied: Why it may not ask for some others, by name.

    Raises:
        NoOpenTurnError: The turn is over.
    """
    turn = state.turn
    if turn is None:
        raise NoOpenTurnError
    if turn.open_calls:
        return _of_calls(turn, now, limits, _Offer(tools, denied), running)
    if turn.last or (turn.answer is not None and not turn.calls):
        return (_answered(turn, limits, now),)
    reached = _reached(turn, limits, now)
    if reached:
        return (Finish(outcome="limited", stop_reason="limit", note=reached),)
    squeeze = _squeeze(state, turn, window)
    if squeeze is not None:
        return (squeeze,)
    # Also when a call was cut by a crash (``asking``): its answer is nowhere, so it is
    # made again, as the next attempt.
    return (
        Ask(
            attempt=turn.attempt + 1,
            messages=prompt(state.messages, system),
            params=turn.params,
        ),
    )


def _answered(turn: OpenTurn, limits: TurnLimits, now: float) -> Linger | Finish:
    """Nothing more is asked of the model, unless a message comes.

    A sub-agent is over when those below it are: nobody would hear what they announce.
    """
    if turn.depth and turn.open_children:
        if turn.busy_seconds(now) < limits.seconds:
            return Linger()
        note = _words(limits.seconds, "seconds", "seconds")
        return Finish(outcome="limited", stop_reason="limit", note=note)
    reason = turn.stop_reason or "stop"
    return Finish(outcome="ok", stop_reason="stop" if turn.last else reason)


def prompt(messages: Conversation, system: str | None) -> Conversation:
    """What is sent: the agent's own instructions before everything said."""
    return messages if system is None else messages.behind(said("system", system))


# --- what fits


_TOO_LONG = (
    "the conversation does not fit into the model any more, and cannot be made shorter; "
    "begin a new one, or use a model with a larger window"
)


def _squeeze(
    state: Transcript, turn: OpenTurn, window: Window
) -> Compact | Finish | None:
    """What is done about a prompt that is too long; None: it is not, or so it seems.

    A model writes at most one summary before each of its answers. When that was not
    enough, all but the last message is trimmed; then it is the provider's to refuse.
    """
    if not turn.overflow and context.size(state, window.overhead) <= window.room:
        return None
    tried = turn.compactions
    at = None if tried >= _SQUEEZES else context.cut(state, 0 if tried else window.keep)
    if at is not None:
        return Compact(at, model=not tried)
    if turn.overflow:
        return Finish(outcome="error", stop_reason="context_length", error=_TOO_LONG)
    return None


_SQUEEZES = 2


# --- tool calls


@attrs.frozen
class _Offer:
    """What the model may ask for, and why not for some others."""

    tools: Mapping[str, ToolSpec]
    denied: Mapping[str, str]

    def refusal(self, name: str) -> str:
        have = ", ".join(sorted(self.tools)) or "there are none"
        if name in self.denied:
            return f"{name} is not allowed here: {self.denied[name]}; tools: {have}"
        return f"there is no tool {name!r}; tools: {have}"


def _of_calls(
    turn: OpenTurn,
    now: float,
    limits: TurnLimits,
    offer: _Offer,
    running: Collection[str],
) -> tuple[Step, ...]:
    if turn.busy_seconds(now) >= limits.seconds:
        return tuple(map(_too_late, turn.open_calls))
    steps: list[Step] = []
    for place, call in enumerate(turn.open_calls, turn.used.tool_calls + 1):
        if call.asked.id in running or call.child is not None:
            continue
        if call.begun is not None:
            steps.append(_again(call, offer.tools.get(call.asked.name), limits))
        elif place > limits.tool_calls:
            steps.append(_refused(call, _LIMIT))
        else:
            step = _first(call, offer, now)
            if step is not None:
                steps.append(step)
    return tuple(steps) or (Await(),)


_LIMIT = "it was not carried out: the turn has come to a limit"


def _first(call: Call, offer: _Offer, now: float) -> Step | None:
    """What is done with a call that was not begun; None: a person is thinking."""
    spec = offer.tools.get(call.asked.name)
    if spec is None:
        return _refused(call, offer.refusal(call.asked.name))
    arguments = parse(call.asked.arguments)
    if isinstance(arguments, str):
        return _refused(call, arguments)
    if spec.asks == "always" and not _is_allowed(call):
        return _with_person(call, now)
    if spec.kind == "session":
        return Act(call=call, spec=spec, arguments=arguments)
    return Begin(call=call, spec=spec, arguments=arguments, attempt=1)


def _is_allowed(call: Call) -> bool:
    return call.wait is not None and call.wait.verdict == "allow"


def _with_person(call: Call, now: float) -> Step | None:
    wait = call.wait
    if wait is None:
        return AskPerson(call)
    if wait.verdict is None:
        return Expire(wait) if now >= wait.expires_at else None
    if wait.verdict == "expired":
        words = "nobody answered in time whether it may be carried out"
    else:
        words = f"{wait.by} said no" + (f": {wait.text}" if wait.text else "")
    return _refused(call, f"it was not carried out: {words}")


def _again(call: Call, spec: ToolSpec | None, limits: TurnLimits) -> Step:
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
    )


def _too_late(call: Call) -> Conclude:
    if call.begun is None:
        return _refused(call, _LIMIT)
    text = "stopped: the turn has come to its limit of time; what it did is not known"
    if call.child is not None:
        text = "stopped: the turn has come to its limit of time, its sub-agent with it"
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


# --- limits


def _reached(turn: OpenTurn, limits: TurnLimits, now: float) -> str:
    """Which limit the turn has come to, in words for a person; else nothing."""
    used = turn.used
    figures = (
        (used.model_calls, limits.model_calls, "calls of the model", "model_calls"),
        (used.tool_calls, limits.tool_calls, "tool calls", "tool_calls"),
        (used.tokens, limits.tokens, "tokens", "tokens"),
        (turn.busy_seconds(now), limits.seconds, "seconds", "seconds"),
    )
    for figure, limit, what, key in figures:
        if figure >= limit:
            return _words(limit, what, key)
    times = _repeated(turn.done)
    if times >= limits.repeats:
        return (
            f"I stopped: I made the same call of {turn.done[-1].tool} {times} times "
            "and always got the same (limits.turn.repeats). What should I try instead?"
        )
    return ""


_GO_ON = "Say that I should go on, and I do."


def _words(limit: float, what: str, key: str) -> str:
    return (
        f"I stopped: this turn has come to its limit of {limit:,.0f} {what} "
        f"(limits.turn.{key}). {_GO_ON}"
    )


def beyond(turn: OpenTurn, limits: TurnLimits, bound: Usage, cost: int) -> str:
    """Which limit a call could go beyond that may use so much, in words; else nothing.

    *cost* is what *bound* is worth, in millionths of a dollar.
    """
    used, spent = turn.used.tokens, turn.used.cost
    if used + bound.input + bound.output > limits.tokens:
        return (
            f"I stopped: this turn may take {limits.tokens:,} tokens "
            f"(limits.turn.tokens), {used:,} are used, and the next step could "
            f"go beyond. {_GO_ON}"
        )
    if limits.cost is not None and spent + cost > limits.cost:
        return (
            f"I stopped: this turn may cost {dollars(limits.cost)} (limits.turn.cost), "
            f"{dollars(spent)} are used, and the next step could go beyond. {_GO_ON}"
        )
    return ""


def unpriced(provider: str, model: str, name: str) -> str:
    """Why a model is not asked of which nobody knows what it costs."""
    return (
        f"I cannot ask {provider}/{model}: money is limited here ({name}), and what "
        "this model costs is not known. Set input_price and output_price in "
        f"providers.{provider}.models.{model}, or limit tokens in place of money."
    )


def _repeated(done: tuple[Did, ...]) -> int:
    """How often the last call came to the same as now, of those remembered."""
    return done.count(done[-1]) if done else 0
