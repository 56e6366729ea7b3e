"""State machines, whose events carry their programs.

A program says what to do at each visit of its event (a postponed one is visited again);
the last of them stands for all later visits, too.
"""

from collections import Counter
from typing import Any

import attrs
import trio

import supervision
from supervision import (
    CallEvent,
    CastEvent,
    EventTimedOut,
    EventTimeout,
    GenericTimedOut,
    GenericTimeout,
    InfoEvent,
    InternalEvent,
    KeepState,
    NextEvent,
    NextState,
    RepeatState,
    ReplyTo,
    StateTimedOut,
    StateTimeout,
    StopAndReply,
)

from .words import Info, OnPurpose, Script, die, seconds, term_to_stop
from .world import World

LAST_VISIT = 8


@attrs.define
class Life:
    """What the callbacks of one machine have in common, whoever has them.

    Attributes:
        trap: Whether it traps exits.
        first: What ``init`` does.
        term: What ``terminate`` does.
        enters: What entering a state does, time after time.
        machines: All whose callbacks are or were used.
    """

    world: World
    name: str
    trap: bool
    first: Any
    term: str
    enters: dict[str, list[Any]]
    machines: list[Any] = attrs.field(factory=list[Any])
    stashed: list[supervision.From] = attrs.field(factory=list[supervision.From])
    visits: Counter[int] = attrs.field(factory=Counter[int])


class Callbacks(supervision.StateMachine[str]):
    """The callbacks, apart from how they are found."""

    word = ""

    def __init__(self, life: Life, data: int = 0) -> None:
        self.life = life
        self.data = data
        life.machines.append(self)
        self.trap_exit = life.trap  # pyright: ignore[reportAttributeAccessIssue]

    async def init(self) -> Any:
        life = self.life
        life.world.watch(life.name)
        life.world.ev(("init", life.name, life.first[0]))
        match life.first:
            case ("ok", state, actions):
                return NextState(state, *self.actions(actions, None))
            case ("ignore",):
                return supervision.Ignore()
            case ("stop", reason):
                return supervision.Stop(term_to_stop(reason))
            case ("bad",):
                return "nonsense"
            case (_, reason):
                return die(reason)

    async def on_event(self, event: Any) -> Any:
        match event:
            case CallEvent(Script() as script, sender):
                return await self.run("call", script, sender)
            case CastEvent(script):
                return await self.run("cast", script, None)
            case InfoEvent(Info(script)):
                return await self.run("info", script, None)
            case InfoEvent(message):
                seen = self.life.world.message(message)
                self.life.world.ev(("ev", self.life.name, self.state, "message", seen))
                return KeepState()
            case InternalEvent(script):
                return await self.run("internal", script, None)
            case EventTimedOut(script):
                return await self.run("timeout", script, None)
            case StateTimedOut(script):
                return await self.run("state_timeout", script, None)
            case GenericTimedOut(name, script):
                return await self.run(("timer", name), script, None)
            case _:
                raise ValueError(event)

    async def run(
        self, kind: Any, script: Script, sender: supervision.From | None
    ) -> Any:
        life = self.life
        life.visits[script.id] += 1
        life.world.ev(("ev", life.name, self.state, kind, script.id, self.word))
        if life.visits[script.id] >= LAST_VISIT:
            return KeepState()  # some would go on for ever
        visit = min(life.visits[script.id], len(script.visits))
        effects, result = script.visits[visit - 1]
        for effect in effects:
            await self.effect(effect, sender)
        return self.result(result, sender)

    async def on_enter(self, old: str) -> Any:
        life = self.life
        life.world.ev(("enter", life.name, self.state, old, self.word))
        results = life.enters.get(self.state)
        return self.result(results.pop(0), None) if results else None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        life = self.life
        said = life.world.reason(reason)
        life.world.ev(("term", life.name, said, self.state, self.word))
        if life.term == "crash":
            raise OnPurpose("ouch")

    async def effect(self, effect: Any, sender: supervision.From | None) -> None:
        match effect:
            case ("set", value):
                for machine in self.life.machines:
                    machine.data = value
            case "stash" if sender is not None:
                self.life.stashed.append(sender)
            case ("reply_now", value) if sender is not None:
                supervision.reply(sender, value)
            case ("reply_stashed", value) if self.life.stashed:
                supervision.reply(self.life.stashed.pop(0), value)
            case ("sleep", length):
                await trio.sleep(length / 10)
            case _:
                pass

    def result(self, result: Any, sender: supervision.From | None) -> Any:
        match result:
            case ("next", state, actions):
                return NextState(state, *self.actions(actions, sender))
            case ("keep", actions):
                return KeepState(*self.actions(actions, sender))
            case ("repeat", actions):
                return RepeatState(*self.actions(actions, sender))
            case ("stop_reply", reason, value) if sender is not None:
                return StopAndReply(term_to_stop(reason), ReplyTo(sender, value))
            case ("stop" | "stop_reply", reason, *_):
                return supervision.Stop(term_to_stop(reason))
            case "bad":
                return "nonsense"
            case (_, reason):
                return die(reason)

    def actions(self, actions: Any, sender: supervision.From | None) -> list[Any]:
        made = [self.action(action, sender) for action in actions]
        return [action for action in made if action is not None]

    def action(self, action: Any, sender: supervision.From | None) -> Any:
        match action:
            case "postpone":
                return supervision.Postpone()
            case ("postpone", flag):
                return supervision.Postpone(flag)
            case ("reply", value):
                return None if sender is None else ReplyTo(sender, value)
            case ("event", kind, term):
                return NextEvent(inserted(kind, Script(*term)))
            case ("set", which, length, term):
                return set_timeout(which, seconds(length), Script(*term))
            case ("update", which, term):
                return update_timeout(which, Script(*term))
            case ("cancel", which):
                return cancel_timeout(which)
            case ("change", word):
                return supervision.ChangeCallback(MODES[word](self.life, self.data))
            case ("push", word):
                return supervision.PushCallback(MODES[word](self.life, self.data))
            case _:
                return supervision.PopCallback()


def inserted(kind: str, script: Script) -> Any:
    match kind:
        case "internal":
            return InternalEvent(script)
        case "cast":
            return CastEvent(script)
        case _:
            return InfoEvent(Info(script))


def set_timeout(which: str, length: float | None, script: Script) -> Any:
    length = float("inf") if length is None else length
    match which:
        case "event":
            return EventTimeout(length, script)
        case "state":
            return StateTimeout(length, script)
        case _:
            return GenericTimeout(which, length, script)


def update_timeout(which: str, script: Script) -> Any:
    match which:
        case "event":
            return EventTimeout.update(script)
        case "state":
            return StateTimeout.update(script)
        case _:
            return GenericTimeout.update(which, script)


def cancel_timeout(which: str) -> Any:
    match which:
        case "event":
            return EventTimeout.cancel()
        case "state":
            return StateTimeout.cancel()
        case _:
            return GenericTimeout.cancel(which)


class Functions(Callbacks):
    """A method for each state."""

    word = "m_functions"

    async def a(self, event: Any) -> Any:
        return await self.on_event(event)

    async def b(self, event: Any) -> Any:
        return await self.on_event(event)

    async def c(self, event: Any) -> Any:
        return await self.on_event(event)


class FunctionsEnter(Functions):
    """A method for each state, and one for entering it."""

    word = "m_functions_enter"

    async def enter_a(self, old: str) -> Any:
        return await self.on_enter(old)

    async def enter_b(self, old: str) -> Any:
        return await self.on_enter(old)

    async def enter_c(self, old: str) -> Any:
        return await self.on_enter(old)


class Events(Callbacks):
    """One callback for all states."""

    word = "m_events"

    async def handle_event(self, event: Any) -> Any:
        return await self.on_event(event)


class EventsEnter(Events):
    """One callback for all states, and one for entering them."""

    word = "m_events_enter"

    async def enter(self, old: str) -> Any:
        return await self.on_enter(old)


MODES: dict[str, type[Callbacks]] = {
    kind.word: kind for kind in (Functions, FunctionsEnter, Events, EventsEnter)
}


def machine_of(world: World, action: Any) -> Callbacks:
    """Make the machine that an action describes."""
    _, name, word, trap, first, term, enters = action
    states = {state: list(results) for state, results in enters}
    return MODES[word](Life(world, name, trap, first, term, states))
