"""State machines: against real Erlang, the order of events, and what a process does."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    CallEvent,
    CastEvent,
    ChangeCallback,
    Crash,
    EventTimedOut,
    EventTimeout,
    Exit,
    Exited,
    GenericTimedOut,
    GenericTimeout,
    InfoEvent,
    InternalEvent,
    KeepState,
    NextEvent,
    NextState,
    PopCallback,
    Postpone,
    PushCallback,
    RepeatState,
    ReplyTo,
    StateMachine,
    StateTimedOut,
    StateTimeout,
    Stop,
    StopAndReply,
)
from supervision._runtime import find
from tests.supervision.erlang import state_machines
from tests.supervision.erlang.state_machines import SCENARIOS, Scenario, canonical
from tests.supervision.stage import Ask, OnPurpose, actor

# --- the scenarios that Erlang has run, too

TIMERS = {"timeout": EventTimeout, "state_timeout": StateTimeout}


class Run:
    """One scenario on our side: what it has used of its rules, and its trace."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rules = {key: list(results) for key, results in scenario.rules.items()}
        self.trace: list[str] = []
        self.senders: dict[Any, supervision.From] = {}
        self.machines = {name: self.machine(name) for name in ("first", "second")}

    def machine(self, name: str) -> StateMachine[str]:
        members: dict[str, Any] = {"trap_exit": self.scenario.trap}
        if self.scenario.mode == "event":
            members["handle_event"] = Scripted.on_event
        else:
            members |= dict.fromkeys(self.scenario.states, Scripted.on_event)
        if self.scenario.enter:
            members["enter"] = Scripted.on_enter
        machine = type("Scripted", (Scripted,), members)()
        machine.run, machine.who = self, "" if name == "first" else f"{name}: "
        return machine

    def rule(self, key: Any) -> Any:
        """The first result of a rule is used once, the last one again and again."""
        results = self.rules.get(key, [("keep", [])])
        return results.pop(0) if len(results) > 1 else results[0]

    def result(self, result: Any) -> Any:
        match result:
            case "raise":
                raise OnPurpose
            case "nonsense":
                return "nonsense"
            case ("next", state, actions):
                return NextState(state, *map(self.action, actions))
            case ("keep", actions):
                return KeepState(*map(self.action, actions))
            case ("repeat", actions):
                return RepeatState(*map(self.action, actions))
            case ("stop", reason):
                return Stop(reason_of(reason))
            case ("stop_and_reply", reason, replies):
                return StopAndReply(reason_of(reason), *map(self.action, replies))
        raise ValueError(result)

    def action(self, action: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table
        match action:
            case ("reply", call, value):
                return ReplyTo(self.senders[call], value)
            case "postpone":
                return Postpone()
            case ("postpone", flag):
                return Postpone(flag)
            case ("event" | "next_event", kind, content):
                return NextEvent(EVENTS[kind](content))
            case ("event_timeout", time, content):
                return EventTimeout(seconds(time), content)
            case ("state_timeout", time, content):
                return StateTimeout(seconds(time), content)
            case ("timer", name, time, content):
                return GenericTimeout(name, seconds(time), content)
            case ("update_event_timeout", content):
                return EventTimeout.update(content)
            case ("update_state_timeout", content):
                return StateTimeout.update(content)
            case ("update_timer", name, content):
                return GenericTimeout.update(name, content)
            case "cancel_event_timeout":
                return EventTimeout.cancel()
            case "cancel_state_timeout":
                return StateTimeout.cancel()
            case ("cancel_timer", name):
                return GenericTimeout.cancel(name)
            case ("change", name):
                return ChangeCallback(self.machines[name])
            case ("push", name):
                return PushCallback(self.machines[name])
            case "pop":
                return PopCallback()
        raise ValueError(action)


EVENTS = {"internal": InternalEvent, "cast": CastEvent, "info": InfoEvent}


def seconds(time: Any) -> float:
    return float("inf") if time == "infinity" else time / 1000


def reason_of(word: str) -> supervision.ExitReason:
    known = {"normal": supervision.NORMAL, "shutdown": supervision.SHUTDOWN}
    return known.get(word) or Exited(word)


def word_of(reason: supervision.ExitReason) -> str:
    match reason:
        case Crash():
            return "crash"
        case Exited(term):
            return str(term)
        case _:
            return str(reason)


class Scripted(StateMachine[str]):
    """Does what the rules of a scenario say."""

    run: Run
    who: str

    async def init(self):
        _, state, _, *actions = self.run.scenario.init
        return NextState(state, *map(self.run.action, actions[0] if actions else ()))

    async def on_event(self, event):
        match event:
            case CallEvent(request, sender):
                self.run.senders[request.what] = sender
                kind, content = "call", request.what
            case CastEvent(content):
                kind = "cast"
            case InfoEvent(Exit(reason=reason)):
                kind, content = "exit", word_of(reason)
            case InfoEvent(content):
                kind = "info"
            case InternalEvent(content):
                kind = "internal"
            case EventTimedOut(content):
                kind = "timeout"
            case StateTimedOut(content):
                kind = "state_timeout"
            case GenericTimedOut(name, content):
                kind = f"timer:{name}"
            case _:
                raise ValueError(event)
        self.run.trace.append(f"{self.who}{self.state} {kind} {content}")
        return self.run.result(self.run.rule((self.state, kind, content)))

    async def on_enter(self, old):
        self.run.trace.append(f"{self.who}enter {self.state} from {old}")
        return self.run.result(self.run.rule((self.state, "enter")))

    async def terminate(self, reason):
        state, word = self.state, word_of(reason)
        self.run.trace.append(f"{self.who}terminate in {state}: {word}")
        if self.run.rule("terminate") == "raise":
            raise OnPurpose


@contextmanager
def frozen(process):
    """Keep an idle process from running, as Erlang's suspend_process does."""
    assert process.waiting
    waiting, process.waiting = process.waiting, 0
    yield
    process.waiting = waiting
    process.wake()


async def call(run, pid, content):
    try:
        value = await supervision.call(pid, Ask(content), timeout=None)
    except supervision.ServerExited as error:
        run.trace.append(f"> call of {content} fails: {word_of(error.reason)}")
    else:
        run.trace.append(f"> {content} is answered {value}")


async def ours(scenario: Scenario) -> list[str]:  # noqa: C901 - a table
    """What we do with a scenario."""
    run = Run(scenario)
    downs = []

    async def step(pid, what):  # noqa: C901 - a table
        match what:
            case ("cast", content):
                supervision.cast(pid, content)
            case ("send", content):
                supervision.send(pid, content)
            case ("call", content):
                nursery.start_soon(call, run, pid, content)
                await wait_all_tasks_blocked()
            case ("exit", word):
                process = find(pid)
                process.signal(process.parent_pid, reason_of(word))
            case ("stop", word):
                nursery.start_soon(supervision.stop, pid, reason_of(word))
                await wait_all_tasks_blocked()
            case "suspend":
                await supervision.sys.suspend(pid)
            case "resume":
                await supervision.sys.resume(pid)
            case ("replace", state):
                await supervision.sys.replace_state(pid, lambda old: (state, old[1]))
            case ("wait", time):
                await trio.sleep(seconds(time))
            case ("burst", steps):
                process = find(pid)
                with frozen(process):
                    for one in steps:
                        await step(pid, one)
        await wait_all_tasks_blocked()

    async with actor():
        pid, _ = supervision.spawn_monitor(lambda: run.machines["first"])
        async with trio.open_nursery() as nursery:
            await wait_all_tasks_blocked()
            for what in scenario.script:
                await step(pid, what)
            await wait_all_tasks_blocked()
            if supervision.is_alive(pid):
                supervision.exit(pid, supervision.KILL)
            else:
                downs.append(await supervision.receive(supervision.Down, timeout=0))
    return run.trace + [f"down {word_of(down.reason)}" for down in downs]


@pytest.mark.otp("93", "95", "96", "97", "98", "99")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_it_does_what_erlang_did(scenario, autojump_clock):
    expected = state_machines.traces()[scenario.name]
    assert canonical(await ours(scenario)) == expected


@pytest.mark.peer("erlang")
@pytest.mark.slow
def test_erlang_still_does_what_it_did():
    assert state_machines.on_erlang(SCENARIOS) == state_machines.traces()
