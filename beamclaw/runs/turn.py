"""The turn machine: what comes next in a turn, decided from the journal alone.

``evolve`` is in :mod:`beamclaw.contracts.transcript`; here is ``decide``. Both are pure,
so that recovery after a crash is the same code as progress without one.
"""

from collections import Counter
from collections.abc import Collection, Mapping

import attrs

from beamclaw.contracts import context
from beamclaw.contracts.approvals import Clearance
from beamclaw.contracts.budgets import Cap, Spent, dollars, in_words
from beamclaw.contracts.context import Window
from beamclaw.contracts.conversation import Conversation
from beamclaw.contracts.messages import Usage, said
from beamclaw.contracts.open_turn import Did, OpenTurn
from beamclaw.contracts.tools import ToolSpec
from beamclaw.contracts.transcript import Transcript
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs.turn_calls import Known, of_calls
from beamclaw.runs.turn_steps import Ask, Compact, Finish, Linger, Step

NOTHING: Mapping[str, str] = {}


class NoOpenTurnError(Exception):
    """There is nothing to decide: the journal has no turn in progress."""


def decide(  # noqa: PLR0911 -- a table
    state: Transcript,
    *,
    now: float,
    limits: TurnLimits,
    window: Window,
    system: str | None,
    tools: Mapping[str, ToolSpec],
    running: Collection[str],
    clearances: Mapping[str, Clearance],
    denied: Mapping[str, str] = NOTHING,
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
        clearances: What tools have said of calls, by their ids, as far as the run knows:
            after a crash they are asked again.
        denied: Why it may not ask for some others, by name.

    Raises:
        NoOpenTurnError: The turn is over.
    """
    turn = state.turn
    if turn is None:
        raise NoOpenTurnError
    if turn.open_calls:
        return of_calls(
            turn,
            Known(
                now=now,
                limits=limits,
                tools=tools,
                running=running,
                denied=denied,
                clearances=clearances,
            ),
        )
    if turn.ordered:
        return (_carried_out(turn),)
    if turn.compacts:
        return (_summed_up(state, turn, window),)
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
            messages=prompt(
                state.messages, with_instructions(system, turn.params.instructions)
            ),
            params=turn.params,
        ),
    )


def _carried_out(turn: OpenTurn) -> Finish:
    """A client has ordered a call: what that came to is what the turn comes to."""
    outcome = next((call.outcome for call in turn.calls), "refused")
    if outcome == "ok":
        return Finish(outcome="ok", stop_reason="stop")
    return Finish(
        outcome="error", stop_reason="error", error=turn.text, kind=f"tool_{outcome}"
    )


def _summed_up(state: Transcript, turn: OpenTurn, window: Window) -> Compact | Finish:
    """A client wants what was said to be shorter: once, and nothing is answered."""
    leaves = context.left(window.keep, context.to_share(state, window))
    over = turn.compactions or context.keeps_all(state, window.keep)
    at = None if over else context.cut(state, leaves)
    if at is None:
        return Finish(outcome="ok", stop_reason="stop")
    # It was ordered, so it is worth one as soon as that is shorter by some.
    short = attrs.evolve(leaves, summary=min(leaves.summary, state.sums[at - 1] // 3))
    model = short.is_worth(context.fresh(state, at))
    return Compact(at, model=model, summary=leaves.summary, quotes=False)


def _answered(turn: OpenTurn, limits: TurnLimits, now: float) -> Linger | Finish:
    """Nothing more is asked of the model, unless a message comes.

    A sub-agent is over when those below it are: nobody would hear what they announce.
    """
    if turn.depth and turn.open_children:
        if turn.busy_seconds(now) < limits.seconds:
            return Linger()
        note = out_of_time(turn, limits, now)
        return Finish(outcome="limited", stop_reason="limit", note=note)
    reason = turn.stop_reason or "stop"
    return Finish(outcome="ok", stop_reason="stop" if turn.last else reason)


def prompt(messages: Conversation, system: str | None) -> Conversation:
    """What is sent: the agent's own instructions before everything said."""
    return messages if system is None else messages.behind(said("system", system))


def with_instructions(system: str | None, more: str) -> str | None:
    """The agent's own instructions, and those of a client behind them."""
    return "\n\n".join(filter(None, (system, more))) or None


# --- what fits


_TOO_LONG = (
    "the conversation does not fit into the model any more, and cannot be made shorter; "
    "begin a new one, or use a model with a larger window"
)


def _squeeze(
    state: Transcript, turn: OpenTurn, window: Window
) -> Compact | Finish | None:
    """What is done about a prompt that is too long; None: it is not, or so it seems.

    A model writes at most one summary before each of its answers, and only for what is
    worth one. When that was not enough, all but the last message is trimmed; then it is
    the provider's to refuse.
    """
    if not window.room:
        return Finish(
            outcome="error",
            stop_reason="context_length",
            error=_no_room(window, turn.agent),
        )
    if not turn.overflow and context.size(state, window.overhead) <= window.room:
        return None
    tried = turn.compactions
    room = context.to_share(state, window, refused=turn.overflow)
    leaves = context.left(window.keep, room)
    if tried:
        leaves = attrs.evolve(leaves, keep=0, most=0)
    at = None if tried >= _SQUEEZES else context.cut(state, leaves)
    if at is not None:
        model = not tried and leaves.is_worth(context.fresh(state, at))
        return Compact(at, model=model, summary=leaves.summary)
    if turn.overflow:
        return Finish(outcome="error", stop_reason="context_length", error=_TOO_LONG)
    return None


def _no_room(window: Window, agent: str) -> str:
    """That nothing can be said to this model, and which keys decide about that."""
    return (
        f"there is no room for a conversation: of the {window.tokens:,} tokens that "
        f"{window.model} reads and writes, its answer may take {window.output:,}, the "
        f"system's words take {window.system:,} and its tools "
        f"{window.tools:,}. Set {window.key}.context_window if it reads "
        f"more, {window.key}.max_output (or agents.{agent}.max_tokens) lower, or give the agent "
        f"fewer tools (agents.{agent}.tools) or another model (agents.{agent}.model)"
    )


_SQUEEZES = 2


# --- limits


def _reached(turn: OpenTurn, limits: TurnLimits, now: float) -> str:
    """Which limit the turn has come to, in words for a person; else nothing."""
    used = turn.used
    figures = (
        (used.model_calls, limits.model_calls, "calls of the model", "model_calls"),
        (used.tool_calls, limits.tool_calls, "tool calls", "tool_calls"),
        (used.tokens, limits.tokens, "tokens", "tokens"),
    )
    for figure, limit, what, key in figures:
        if figure >= limit:
            return _words(limit, what, f"limits.turn.{key}")
    if turn.busy_seconds(now) >= limits.seconds:
        return out_of_time(turn, limits, now)
    times, tools = _repeated(turn.done)
    if times >= limits.repeats:
        calls = "call" if len(tools) == 1 else "calls"
        return (
            f"I stopped: I made the same {calls} of {' and '.join(tools)} {times} times "
            "and always got the same (limits.turn.repeats). What should I try instead?"
        )
    return ""


_GO_ON = "Say that I should go on, and I do."


def _words(limit: float, what: str, where: str) -> str:
    return (
        f"I stopped: this turn has come to its limit of {limit:,.10g} {what} "
        f"({where}). {_GO_ON}"
    )


def out_of_time(turn: OpenTurn, limits: TurnLimits, now: float) -> str:
    """That the turn has taken as long as it may, and who said so."""
    if limits.short is not None:
        # It had all that was left.
        return in_words(limits.short, Spent(ms=limits.short.limit), now)
    asked = turn.params.seconds
    by_client = asked is not None and asked <= limits.seconds
    where = "as was asked for with the message" if by_client else "limits.turn.seconds"
    return _words(limits.seconds, "seconds", where)


def too_long_at_once(seconds: float, cap: Cap) -> str:
    """That a call of a model has taken all the time that is reserved for one."""
    return (
        f"I stopped: where time is limited ({cap.name}), a call of the model may take "
        f"{seconds:,.10g} seconds. {_GO_ON}"
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


def _repeated(done: tuple[Did, ...]) -> tuple[int, list[str]]:
    """How often the calls of the last answer came to the same as now; which tools'.

    Counted by answers: what was asked for twice in one of them is no repetition yet. The
    call that came to it least often counts: while one of them gets something new, what
    the others get again is no circle.
    """
    if not done:
        return 0, []
    came = set(done)
    times = Counter((each.tool, each.arguments, each.digest) for each in came)
    last = [each for each in came if each.answer == done[-1].answer]
    seldom = min(times[each.tool, each.arguments, each.digest] for each in last)
    return seldom, sorted({each.tool for each in last})
