"""State machines: against real Erlang, the order of events, and what a process does."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import doctest
import enum
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
import supervision.abc
from supervision import (
    CallEvent,
    CastEvent,
    ChangeCallback,
    Crash,
    DynamicSupervisor,
    EventTimedOut,
    EventTimeout,
    Exit,
    Exited,
    GenericTimedOut,
    GenericTimeout,
    Ignore,
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
from supervision.testing import wait_exit
from tests.supervision.erlang import state_machines
from tests.supervision.erlang.state_machines import SCENARIOS, Scenario, canonical
from tests.supervision.stage import Ask, OnPurpose, actor, child, tree, wait

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


# --- a method per state


class Door(StateMachine[str]):
    """Closed, open, or locked; whoever pushes while it is open or locked waits."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    async def init(self) -> Any:
        return NextState("closed")

    async def closed(self, event) -> Any:
        match event:
            case CallEvent(Ask("push"), sender):
                return NextState("open", ReplyTo(sender, "in"), StateTimeout(3.0))
            case CastEvent("lock"):
                return NextState("locked")

    def open(self, event):
        match event:
            case StateTimedOut():
                return NextState("closed")
            case CallEvent():
                return KeepState(Postpone())

    def locked(self, event):
        match event:
            case CastEvent("unlock"):
                return NextState("closed")
            case CallEvent():
                return KeepState(Postpone())
            case InfoEvent(message):
                self.log.append(message)
                return KeepState()

    def enter_locked(self, old):
        self.log.append(f"{old} -> {self.state}")

    async def terminate(self, reason):
        self.log.append(("terminate", self.state, reason))


def door(log=None, **options):
    return child("door", Door, log, **options)


@pytest.mark.otp("95", "96", "97", "98")
async def test_each_state_is_a_method_plain_or_async(autojump_clock):
    log = []
    async with tree(door(log)):
        started = trio.current_time()
        assert await supervision.call("door", Ask("push")) == "in"
        assert await supervision.call("door", Ask("push")) == "in"
        assert trio.current_time() == started + 3.0
        await trio.sleep(5)
        supervision.cast("door", "lock")
        supervision.send("door", "knock")
        await wait_all_tasks_blocked()
        assert supervision.state("door")["state"] == "'locked'"
        supervision.cast("door", "unlock")
        await wait_all_tasks_blocked()
    assert log == ["closed -> locked", "knock"]


@pytest.mark.otp("99")
async def test_an_event_without_a_result_crashes_it_and_its_supervisor_restarts_it():
    log = []
    async with tree(door(log)):
        first = supervision.whereis("door")
        supervision.cast("door", "kick")
        await wait_all_tasks_blocked()
        assert supervision.whereis("door") not in (None, first)
        (info,) = supervision.tree().children
        assert (info.restarts, info.kind) == (1, "state_machine")
    _, state, reason = log[0]
    assert state == "closed"
    assert isinstance(reason.error, supervision.BadReturn)
    assert reason.error.value is None


@pytest.mark.otp("99")
async def test_who_waits_for_a_postponed_call_learns_of_the_end():
    async with actor(), tree(door(restart="temporary")):
        supervision.cast("door", "lock")
        request = supervision.send_request("door", Ask("push"))
        await wait_all_tasks_blocked()
        await supervision.stop("door", "over")
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.receive_response(request)
        assert exited.value.reason == Exited("over")


@pytest.mark.parametrize("state", ["nowhere", "terminate", "__init__", 5, None])
async def test_a_state_without_a_method_crashes_it_and_says_what_to_do(state):
    class Lost(Door):
        async def init(self):
            return NextState(state)

    async with actor():
        pid, _ = supervision.spawn_monitor(Lost)
        supervision.cast(pid, "event")
        down = await supervision.receive(supervision.Down)
        assert isinstance(down.reason, supervision.Crash)
        assert isinstance(down.reason.error, NotImplementedError)
        assert "override handle_event" in str(down.reason.error)


class Light(enum.StrEnum):
    RED = "red"
    GREEN = "green"


async def test_states_may_be_an_enumeration_of_strings():
    log = []

    class Lights(StateMachine[Light]):
        async def init(self):
            return NextState(Light.RED)

        def red(self, event):
            return NextState(Light.GREEN)

        def green(self, event):
            return NextState(Light.RED)

        def enter_green(self, old):
            log.append((old, self.state))

    async with actor():
        supervision.cast(supervision.spawn(Lights), "go")
        await wait_all_tasks_blocked()
    assert log == [(Light.RED, Light.GREEN)]


# --- one function for all states


@attrs.frozen
class Level:
    number: int


class Counting(StateMachine[Level]):
    def __init__(self, log: list[Any]) -> None:
        self.log = log

    async def init(self):
        return NextState(Level(0))

    async def handle_event(self, event):
        match self.state, event:
            case Level(3), CastEvent("up"):
                return Stop(supervision.SHUTDOWN)
            case Level(number), CastEvent("up"):
                return NextState(Level(number + 1))
            case Level(number), CastEvent("same"):
                return NextState(Level(number))
        return KeepState()

    async def enter(self, old):
        self.log.append((old.number, self.state.number))


@pytest.mark.otp("95", "98")
async def test_states_may_be_any_values_that_compare():
    log = []
    async with actor():
        pid, _ = supervision.spawn_monitor(Counting, log)
        for _ in range(4):
            supervision.cast(pid, "same")
            supervision.cast(pid, "up")
        down = await supervision.receive(supervision.Down)
    assert down.reason == supervision.SHUTDOWN
    assert log == [(0, 0), (0, 1), (1, 2), (2, 3)]


async def test_what_all_states_have_in_common_is_handled_once():
    class Common(Door):
        async def handle_event(self, event):
            match event:
                case CallEvent(Ask("state"), sender):
                    return KeepState(ReplyTo(sender, self.state))
            return await super().handle_event(event)

        async def enter(self, old):
            self.log.append("enter")
            return await super().enter(old)

    log = []
    async with tree(child("door", Common, log)):
        assert await supervision.call("door", Ask("state")) == "closed"
        assert await supervision.call("door", Ask("push")) == "in"
        assert await supervision.call("door", Ask("state")) == "open"
    assert log == ["enter", "enter"]


# --- the start and the end


@pytest.mark.otp("28", "99")
@pytest.mark.parametrize("first", [Stop(Exited("no")), None, KeepState(), OnPurpose])
async def test_an_init_without_a_first_state_fails_the_start(first):
    log = []

    class Bad(Door):
        async def init(self):
            if first is OnPurpose:
                raise OnPurpose
            return first

    async with tree(child("sup", DynamicSupervisor, type="supervisor")):
        with pytest.raises(supervision.StartFailed):
            await supervision.start_child("sup", child("bad", Bad, log))
    assert log == []


@pytest.mark.otp("28")
async def test_an_init_may_choose_not_to_run():
    class Shy(Door):
        async def init(self):
            return Ignore()

    async with tree(child("sup", DynamicSupervisor, type="supervisor")):
        assert await supervision.start_child("sup", child("shy", Shy)) is None


@pytest.mark.otp("95", "99")
async def test_the_starter_is_told_before_the_first_state_is_entered():
    class Late(Door):
        async def enter(self, old):
            raise OnPurpose

    async with tree(child("sup", DynamicSupervisor, type="supervisor")):
        spec = child("late", Late, restart="temporary")
        pid = await supervision.start_child("sup", spec)
        assert isinstance(await wait_exit(pid), Crash | supervision.NoProc)


class Obedient(StateMachine[str]):
    """Returns what it is told to return."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    async def init(self):
        return NextState("only")

    async def only(self, event):
        match event:
            case CallEvent(Ask(make), sender):
                return make(sender) if callable(make) else KeepState(make)
            case CastEvent(result):
                return result() if callable(result) else result
            case _:
                self.log.append(event)
                return KeepState()

    async def other(self, event):
        self.log.append(event)
        return KeepState()

    async def terminate(self, reason):
        self.log.append("terminate")


@pytest.mark.otp("98")
async def test_replies_of_a_stop_are_sent_before_terminate():
    log = []

    class Waiting(Obedient):
        async def terminate(self, reason):
            await answered.wait()

    answered = trio.Event()
    async with actor():
        pid, _ = supervision.spawn_monitor(Waiting, log)
        make = partial(StopAndReply, supervision.NORMAL)
        ask = Ask(lambda sender: make(ReplyTo(sender, "bye")))
        assert await supervision.call(pid, ask) == "bye"
        assert supervision.is_alive(pid)
        answered.set()
        down = await supervision.receive(supervision.Down)
        assert down.reason == supervision.NORMAL


@pytest.mark.otp("99")
@pytest.mark.parametrize(
    "result",
    [
        None,
        "only",
        Stop(reply=5),
        KeepState(PopCallback()),
        KeepState("action"),
        StopAndReply(supervision.NORMAL, Postpone()),
    ],
    ids=str,
)
async def test_what_is_no_result_ends_it_after_terminate(result):
    log = []
    async with actor():
        pid, _ = supervision.spawn_monitor(Obedient, log)
        supervision.cast(pid, result)
        down = await supervision.receive(supervision.Down)
        assert isinstance(down.reason, supervision.Crash)
        assert isinstance(down.reason.error, supervision.BadReturn)
        assert log == ["terminate"]


@pytest.mark.otp("84", "98")
async def test_a_call_may_be_answered_by_anybody_and_later():
    senders = []

    class Keeping(Obedient):
        async def only(self, event):
            senders.append(event.sender)
            return KeepState()

    async with actor():
        pid = supervision.spawn(Keeping)
        request = supervision.send_request(pid, Ask())
        await wait_all_tasks_blocked()
        supervision.reply(senders[0], "from here")
        assert await supervision.receive_response(request) == "from here"


@pytest.mark.otp("75", "99")
async def test_exits_of_others_and_downs_are_events(scopes):
    class Trapping(Obedient):
        trap_exit = True

        async def only(self, event):
            match event:
                case CastEvent(pid):
                    supervision.link(pid)
                    supervision.monitor(pid)
                    return KeepState()
            return await super().only(event)

    log = []
    async with actor():
        other = supervision.spawn(wait)
        pid = supervision.spawn(Trapping, log)
        supervision.cast(pid, other)
        await wait_all_tasks_blocked()
        supervision.exit(other, "gone")
        await wait_all_tasks_blocked()
        kinds = {type(event.message) for event in log}
        assert kinds == {Exit, supervision.Down}
        assert supervision.is_alive(pid)


@pytest.mark.otp("99")
@pytest.mark.parametrize("where", ["only", "enter_only", "init"])
async def test_a_kill_ends_it_wherever_it_is_and_terminates_nothing(where, scopes):
    log = []

    async def forever(self, *args):
        await trio.sleep_forever()

    machine = type("Stuck", (Obedient,), {where: forever})
    async with actor():
        pid, _ = supervision.spawn_monitor(machine, log)
        supervision.cast(pid, "event")
        await wait_all_tasks_blocked()
        supervision.exit(pid, supervision.KILL)
        down = await supervision.receive(supervision.Down)
        assert down.reason == supervision.KILLED
        assert log == []


@pytest.mark.otp("75", "99")
async def test_a_shutdown_runs_terminate_when_exits_are_trapped():
    log = []

    class Trapping(Door):
        trap_exit = True

    async with tree(child("door", Trapping, log)):
        pass
    assert log == [("terminate", "closed", supervision.SHUTDOWN)]


async def test_a_machine_that_never_runs_out_of_events_lets_others_run(scopes):
    class Endless(Obedient):
        async def only(self, event):
            return KeepState(NextEvent(InternalEvent()))

    async with actor():
        pid, _ = supervision.spawn_monitor(Endless)
        supervision.cast(pid, "go")
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        supervision.exit(pid, supervision.KILL)
        down = await supervision.receive(supervision.Down)
        assert down.reason == supervision.KILLED


# --- time-outs


@pytest.mark.otp("97")
async def test_a_time_out_may_be_a_time(autojump_clock):
    log = []
    async with actor():
        pid = supervision.spawn(Obedient, log)
        when = trio.current_time() + 2
        timeout = GenericTimeout("t", when, "then", absolute=True)
        supervision.cast(pid, KeepState(timeout))
        past = GenericTimeout("past", when - 3, "now", absolute=True)
        supervision.cast(pid, KeepState(past))
        await trio.sleep(1.9)
        assert log == [GenericTimedOut("past", "now")]
        await trio.sleep(0.2)
        assert log[1:] == [GenericTimedOut("t", "then")]


@pytest.mark.otp("97")
async def test_time_outs_end_with_their_machine(autojump_clock, scopes):
    async with actor():
        for how in (supervision.KILL, "reason"):
            pid = supervision.spawn(Obedient)
            for timeout in (StateTimeout(5), GenericTimeout("t", 6)):
                supervision.cast(pid, KeepState(timeout))
            await wait_all_tasks_blocked()
            supervision.exit(pid, how)
            assert await wait_exit(pid)
        await trio.sleep(10)


# --- falling asleep


@pytest.mark.parametrize(
    "before, idle",
    [
        ([], True),
        ([KeepState(StateTimeout(9))], True),
        ([KeepState(NextEvent(CastEvent("asleep")), GenericTimeout("t", 0))], False),
    ],
)
async def test_it_falls_asleep_only_if_no_event_waits(before, idle):
    answers = []

    class Sleepy(Obedient):
        async def only(self, event):
            if event == CastEvent("asleep"):
                answers.append(self.stop_if_idle())
                return Stop() if answers[-1] else KeepState()
            return await super().only(event)

    async with tree(child("it", Sleepy, restart="transient")):
        for result in before:
            supervision.cast("it", result)
        await wait_all_tasks_blocked()
        if not answers:
            supervision.cast("it", "asleep")
        await wait_all_tasks_blocked()
        assert answers == [idle]
        assert (supervision.whereis("it") is None) == idle


async def test_it_does_not_fall_asleep_over_a_postponed_event():
    answers = []

    class Sleepy(Obedient):
        async def only(self, event):
            match event:
                case CallEvent():
                    return KeepState(Postpone())
            answers.append(self.stop_if_idle())
            return KeepState()

    async with actor(), tree(child("it", Sleepy)):
        supervision.send_request("it", Ask())
        supervision.cast("it", "asleep")
        await wait_all_tasks_blocked()
        assert answers == [False]


# --- other callbacks, and looking in


class Modal(StateMachine[str]):
    """Shows a question over a machine, until it is answered."""

    def __init__(self, below: Door) -> None:
        self.below = below

    async def handle_event(self, event):
        match event:
            case CastEvent("answer"):
                self.below.log.append("answered")
                return KeepState(PopCallback())
        return KeepState(Postpone())


@pytest.mark.otp("98")
async def test_pushed_callbacks_have_their_own_data():
    class Asking(Door):
        async def closed(self, event) -> Any:
            match event:
                case CastEvent("ask"):
                    return KeepState(PushCallback(Modal(self)))
            return await super().closed(event)

    log = []
    async with tree(child("door", Asking, log)):
        supervision.cast("door", "ask")
        supervision.send("door", "is not heard")
        await wait_all_tasks_blocked()
        assert list(supervision.state("door")) == ["state", "below"]
        supervision.cast("door", "answer")
        await wait_all_tasks_blocked()
        assert list(supervision.state("door")) == ["state", "log"]
        assert log == ["answered"]


@pytest.mark.otp("93")
async def test_its_state_and_data_can_be_read_replaced_and_watched():
    log = []
    async with actor(), tree(door(log)):
        assert await supervision.sys.get_state("door") == ("closed", {"log": log})
        await supervision.sys.log("door", "start")
        new = ("locked", {"log": [], "key": 1})
        await supervision.sys.replace_state("door", lambda _: new)
        assert await supervision.sys.get_state("door") == new
        with pytest.raises(TypeError):
            await supervision.sys.replace_state("door", lambda _: None)
        assert await supervision.sys.get_state("door") == new
        supervision.cast("door", "unlock")
        assert await supervision.call("door", Ask("push")) == "in"
        seen = await supervision.sys.log("door", "get")
        assert [(event.kind, event.message) for event in seen] == [
            ("cast", "unlock"),
            ("call", Ask("push")),
            ("reply", "in"),
        ]


@pytest.mark.otp("87", "93")
async def test_its_code_can_be_changed_while_it_is_suspended():
    class Newer(Door):
        def locked(self, event):
            return NextState("closed")

    async with actor(), tree(door()):
        supervision.cast("door", "lock")
        await supervision.sys.suspend("door")
        request = supervision.send_request("door", Ask("push"))
        with pytest.raises(TypeError):
            await supervision.sys.change_code("door", lambda _: supervision.Server())
        await supervision.sys.change_code("door", lambda old: Newer(old.log))
        await supervision.sys.resume("door")
        await wait_all_tasks_blocked()
        assert (await supervision.sys.get_state("door"))[0] == "closed"
        await supervision.stop("door")
        del request


def test_the_example_of_the_docstring_runs():
    names = vars(supervision.abc) | vars(supervision)
    test = doctest.DocTestFinder().find(StateMachine, "StateMachine", globs=names)[0]
    assert test.examples
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
