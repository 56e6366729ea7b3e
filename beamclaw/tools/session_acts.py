"""What an agent does with other sessions; the run carries it out, see its children."""

from typing import Annotated, Literal

from beamclaw.config.schema import ENDLESS, Range
from beamclaw.contracts.subagents import (
    HandOver,
    Mode,
    Request,
    Send,
    SessionTool,
    Spawn,
    Yield,
)
from beamclaw.toolkit import Length, SessionAct
from beamclaw.values import frozen

_Count = Annotated[int, Range(1, ENDLESS)]
_Amount = Annotated[float, Range(0, ENDLESS, above=True)]
_Words = Annotated[str, Length(1)]


@frozen(kw_only=True)
class _Spawn:
    """Have a sub-agent work on a task, in a session of its own.

    It begins at once. With mode announce you go on meanwhile and its result comes as a
    message; end your turn with sessions_yield if you have nothing else to do. With mode
    wait its result is what this call gives. It knows nothing but the task, unless
    context is fork.

    Attributes:
        task: What it has to do, with all it needs to know.
        label: How it is called in lists.
        agent_id: Which agent does it; without one, the same as you. See agents_list.
        model: provider/model in place of the agent's.
        mode: Whether you wait for the result.
        context: isolated: it knows the task only. fork: also what was said here so far.
        run_timeout_seconds: How long it may work.
        model_calls: How many answers it may ask of a model.
        tool_calls: How many tool calls it may make.
        tokens: How many tokens it may use.
        cost: How many dollars it may cost.
    """

    task: _Words
    label: str | None = None
    agent_id: str | None = None
    model: str | None = None
    mode: Mode = "announce"
    context: Literal["isolated", "fork"] = "isolated"
    run_timeout_seconds: Annotated[float, Range(0, ENDLESS)] | None = None
    model_calls: _Count | None = None
    tool_calls: _Count | None = None
    tokens: _Count | None = None
    cost: _Amount | None = None

    def means(self) -> Request:
        return Spawn(
            task=self.task,
            agent=self.agent_id,
            model=self.model,
            label=self.label,
            mode=self.mode,
            context=self.context,
            model_calls=self.model_calls,
            tool_calls=self.tool_calls,
            tokens=self.tokens,
            seconds=self.run_timeout_seconds or None,
            cost=self.cost,
        )


@frozen(kw_only=True)
class _Send:
    """Say something in another session. Its answer comes here later, as a message.

    Attributes:
        session_key: Which session, see sessions_list.
        message: What to say.
        reply: false: nobody waits for an answer.
    """

    session_key: _Words
    message: _Words
    reply: bool = True

    def means(self) -> Request:
        return Send(session_key=self.session_key, text=self.message, reply=self.reply)


@frozen(kw_only=True)
class _HandOver:
    """Hand this conversation to another agent, who answers from the next message on.

    Attributes:
        agent_id: To whom, see agents_list.
    """

    agent_id: _Words

    def means(self) -> Request:
        return HandOver(self.agent_id)


@frozen(kw_only=True)
class _Yield:
    """End your turn now: what you wait for comes as messages and begins a new one.

    Attributes:
        message: What you wait for, for whoever reads this.
    """

    message: str | None = None

    def means(self) -> Request:
        return Yield()


def session_acts(*, asks: bool = False) -> tuple[SessionTool, ...]:
    """``sessions_spawn``, ``sessions_send``, ``sessions_hand_over``, ``sessions_yield``.

    With *asks* a person has to agree before any of them is done.
    """
    return (
        SessionAct("sessions_spawn", "spawn", _Spawn, _Spawn.means, asks),
        SessionAct("sessions_send", "send", _Send, _Send.means, asks),
        SessionAct("sessions_hand_over", "hand-over", _HandOver, _HandOver.means, asks),
        SessionAct("sessions_yield", "yield", _Yield, _Yield.means, asks),
    )
