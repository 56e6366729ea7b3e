"""What one is told who does something wrong: what it was, and what to do instead."""

from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision as typed
from supervision import (
    BadChildSpec,
    Call,
    ChildSpec,
    DynamicSupervisor,
    NextState,
    TaskSupervisor,
)
from supervision import _telemetry as telemetry
from supervision.testing import Recorder, wait_exit

# What is done here is wrong on purpose, and a type checker would say so.
supervision: Any = typed
Server, StateMachine = supervision.Server, supervision.StateMachine


@attrs.frozen
class Ask(Call[int]):
    pass


class Counter(Server):
    async def init(self):
        self.count = 0

    async def handle_call(self, request, sender):
        self.count += 1
        return self.count


async def work():
    await trio.sleep_forever()


COUNTER = ChildSpec("counter", Counter, name="counter")
TASKS = ChildSpec("tasks", TaskSupervisor, name="tasks", type="supervisor")
OTHER = ChildSpec("other", work, name="other")


async def reason_of(start):
    """What a process says that is started by *start*."""
    async with supervision.open_supervisor([TASKS]), supervision.adopt("tasks", "me"):
        supervision.spawn_monitor(start)
        down = await supervision.receive(supervision.Down)
        return str(down.reason.error)


# --- specs


@pytest.mark.parametrize(
    "options, told",
    [
        ({"restart": "permanant"}, "one of permanent, transient, temporary, not 'perm"),
        ({"type": "server"}, "one of worker, supervisor, not 'server'"),
        (
            {"shutdown": "5"},
            "a number of seconds, None for ever, or BRUTAL_KILL, not '5'",
        ),
        ({"shutdown": -1}, "not -1"),
        ({"cool_down": 5}, "cool_down is a CoolDown, not 5"),
        ({"start": Counter()}, "give the class Counter, not an object of it"),
        ({"start": 5}, "a function or a class is needed, not 5"),
        ({"id": 5}, "needs an id, a string, not 5"),
    ],
)
def test_a_spec_that_cannot_be(options, told):
    with pytest.raises(BadChildSpec) as error:
        supervision.ChildSpec(**{"id": "it", "start": Counter, **options})
    assert told in str(error.value)


async def test_a_coroutine_where_a_function_is_wanted():
    for wrong in (
        lambda: supervision.ChildSpec("it", work()),
        lambda: supervision.spawn(work()),
        lambda: supervision.start_task("tasks", work()),
        lambda: supervision.async_nolink("tasks", work()),
    ):
        async with supervision.open_supervisor([TASKS]):
            with pytest.raises((BadChildSpec, TypeError)) as error:
                wrong()
            assert "give the function work itself, not what it returns" in str(
                error.value
            )


@pytest.mark.parametrize(
    "children, told",
    [
        (COUNTER, "put this one into brackets"),
        ([Counter], "wrap it, ChildSpec('its id', what starts it)"),
    ],
)
def test_children_that_are_none(children, told):
    with pytest.raises(BadChildSpec, match=r"brackets|wrap it") as error:
        supervision.Supervisor(children)
    assert told in str(error.value)


async def test_starting_what_is_no_spec():
    async with supervision.open_supervisor() as root:
        with pytest.raises(BadChildSpec, match="is no child spec: wrap it"):
            await supervision.start_child(root, Counter)


@pytest.mark.parametrize(
    "options",
    [{"strategy": "one_for_al"}, {"auto_shutdown": "no"}, {"max_restarts": -1}],
)
def test_options_of_a_supervisor_that_cannot_be(options):
    ((name, value),) = options.items()
    with pytest.raises(BadChildSpec, match=f"{name} .*not .*{value}"):
        supervision.Supervisor([COUNTER], **options)


# --- starts and callbacks


async def test_a_function_that_is_not_async():
    assert "is it an `async def`?" in await reason_of(lambda: 5)
    assert "not None" in await reason_of(lambda: None)
    async with supervision.open_supervisor([TASKS]):
        task = supervision.async_nolink("tasks", len, "abc")
        with pytest.raises(supervision.TaskFailed, match="runs an async function, and"):
            await task.result()


async def test_callbacks_that_never_wait_may_be_plain_functions():
    class Plain(Server):
        trap_exit = True

        def init(self):
            self.got = []
            return supervision.Continue("go")

        def handle_continue(self, term):
            self.got.append(term)

        def handle_cast(self, message):
            self.got.append(message)

        def handle_info(self, message):
            self.got.append(message)

        def terminate(self, reason):
            ended.append((self.got, reason))

    derived: Any = Plain

    class Both(derived):
        async def handle_cast(self, message):
            self.got.append("async")
            await super().handle_cast(message)

    ended = []
    for plain in (Plain, Both):
        async with supervision.open_supervisor([ChildSpec("it", plain, name="it")]):
            supervision.cast("it", 1)
            supervision.send("it", 2)
            await wait_all_tasks_blocked()
    assert ended == [
        (["go", 1, 2], supervision.SHUTDOWN),
        (["go", "async", 1, 2], supervision.SHUTDOWN),
    ]


async def test_plain_callbacks_of_a_state_machine():
    class Lamp(StateMachine):
        def init(self):
            return NextState("off")

        def handle_event(self, event):
            return NextState("on", supervision.ReplyTo(event.sender, self.state))

        def enter(self, old):
            entered.append((old, self.state))

    entered = []
    async with supervision.open_supervisor([ChildSpec("it", Lamp, name="it")]):
        assert await supervision.call("it", Ask()) == "off"
    assert entered == [("off", "off"), ("off", "on")]


async def test_bad_results_name_the_good_ones():
    class Init(Server):
        async def init(self):
            return {"count": 0}

    class Cast(Server):
        async def init(self):
            supervision.cast(supervision.self_pid(), 1)

        async def handle_cast(self, message):
            return 5

    class Calls(Server):
        async def handle_call(self, request, sender):
            return supervision.Continue()

    class Machine(StateMachine):
        async def init(self):
            return NextState("open")

        async def open(self, event):
            return None

    class NoState(StateMachine):
        async def init(self):
            return "open"

    assert "init returned {'count': 0}" in await reason_of(Init)
    assert "return None, Continue, Timeout, Ignore or Stop" in await reason_of(Init)
    assert "NextState, Ignore or Stop" in await reason_of(NoState)
    assert "return None, Continue, Timeout or Stop" in await reason_of(Cast)
    for server, told in (
        (Calls, "return the reply, or Reply, NO_REPLY or Stop"),
        (Machine, "handle_event in 'open' returned None.* return NextState, KeepState"),
    ):
        async with supervision.open_supervisor([ChildSpec("it", server, name="it")]):
            with pytest.raises(supervision.ServerExited, match=told):
                await supervision.call("it", Ask())


async def test_callbacks_that_are_not_there():
    class Empty(Server):
        async def init(self):
            return self.first

    class Continues(Empty):
        first = supervision.Continue("go")

    class Casts(Empty):
        first = None

        async def init(self):
            supervision.cast(supervision.self_pid(), "hi")

    class NoInit(StateMachine):
        pass

    assert await reason_of(Casts) == "Casts got the cast 'hi', but has no handle_cast"
    assert "has no handle_continue" in await reason_of(Continues)
    assert "write an async def init(self)" in await reason_of(NoInit)
    async with supervision.open_supervisor([ChildSpec("it", Server, name="it")]):
        with pytest.raises(supervision.ServerExited, match="no handle_call") as error:
            await supervision.call("it", Ask())
        assert isinstance(error.value.__cause__, NotImplementedError)


# --- names and destinations


async def test_a_name_that_nobody_has():
    async with supervision.open_supervisor([COUNTER]):
        told = "no process is registered as 'countr' .* lists those that are"
        with pytest.raises(supervision.NoProcess, match=told):
            await supervision.call("countr", Ask())
        for wrong in (
            lambda: supervision.send("countr", 1),
            lambda: supervision.exit("countr", supervision.KILL),
        ):
            with pytest.raises(supervision.NoSuchName, match=told):
                wrong()


async def test_a_process_that_has_ended():
    async with supervision.open_supervisor([COUNTER]):
        pid = supervision.whereis("counter")
        supervision.exit("counter", supervision.KILL)
        await wait_exit(pid)
        with pytest.raises(supervision.NoProcess, match=f"the process {pid} has ended"):
            await supervision.call(pid, Ask())


@pytest.mark.parametrize("wrong", [None, 5, Counter()])
async def test_what_is_no_destination(wrong):
    async with supervision.open_supervisor([COUNTER]):
        for use in (
            partial(supervision.send, wrong, 1),
            partial(supervision.cast, wrong, 1),
            partial(supervision.exit, wrong, supervision.KILL),
            partial(supervision.is_alive, wrong),
        ):
            with pytest.raises(TypeError, match="by a pid, a name or a Via, not by"):
                use()


async def test_what_is_started_twice_is_named():
    async with supervision.open_supervisor([COUNTER]) as root:
        holder = "<.*> .id 'counter', registered as 'counter'"
        with pytest.raises(supervision.AlreadyStarted, match=holder):
            await supervision.start_child(root, COUNTER)
        with pytest.raises(supervision.AlreadyStarted, match=holder):
            await supervision.start_child(root, attrs.evolve(COUNTER, id="second"))
        pid = supervision.spawn(work)
        with pytest.raises(supervision.NameTaken, match=f"registered by {holder}"):
            supervision.register("counter", pid=pid)


# --- where one is


async def test_who_is_no_process_hears_how_to_become_one():
    async with supervision.open_supervisor([COUNTER]):
        for wrong in (
            supervision.self_pid,
            partial(supervision.monitor, "counter"),
            partial(supervision.link, "counter"),
        ):
            with pytest.raises(supervision.NotAProcess, match="ChildSpec or spawn"):
                wrong()


async def test_outside_of_a_tree():
    with pytest.raises(supervision.NoRuntime, match="open_supervisor"):
        supervision.spawn(work)


async def test_in_a_thread():
    async with supervision.open_supervisor([COUNTER]):
        for wrong in (
            partial(supervision.send, "counter", 1),
            partial(supervision.cast, "counter", 1),
            partial(supervision.whereis, "counter"),
        ):
            with pytest.raises(supervision.NoRuntime, match="from_thread"):
                await trio.to_thread.run_sync(wrong)


# --- supervisors and tasks


async def test_requests_that_are_refused():
    dynamic = ChildSpec("dynamic", DynamicSupervisor, name="dynamic", type="supervisor")
    async with supervision.open_supervisor([COUNTER, dynamic], name="root") as root:
        with pytest.raises(
            supervision.NotFound, match=r"has no child 'countr'.* lists"
        ):
            await supervision.terminate_child(root, "countr")
        with pytest.raises(supervision.ChildRunning, match="terminate_child"):
            await supervision.restart_child(root, "counter")
        await supervision.terminate_child(root, "counter")
        with pytest.raises(
            supervision.AlreadyPresent, match=r"restart_child.* or delete"
        ):
            await supervision.start_child(root, COUNTER)
        with pytest.raises(supervision.ChildError, match="'dynamic' is a dynamic sup"):
            await supervision.restart_child("dynamic", "it")
        with pytest.raises(supervision.ChildError, match="'root' takes no tasks"):
            supervision.start_task("root", work)
        with pytest.raises(supervision.ChildError, match="'root' adopts nobody"):
            async with supervision.adopt("root", "it"):
                pass


async def test_who_gave_up_says_over_whom():
    async def breaks():
        raise ValueError("on purpose")

    with pytest.raises(supervision.SupervisorGaveUp) as error:
        async with supervision.open_supervisor([ChildSpec("bad", breaks)]):
            await trio.sleep_forever()
    told = "too many restarts of 'bad' (crash: ValueError: on purpose)"
    assert told in str(error.value)
    assert error.value.id == "bad"
    assert error.value.child_reason == supervision.Crash(error.value.__cause__)
    assert isinstance(error.value.__cause__, ValueError)


@pytest.mark.parametrize("inner", ["static", "dynamic"])
async def test_who_gave_up_over_somebody_who_gave_up_names_the_first(inner):
    async def breaks():
        raise ValueError("on purpose")

    bad = ChildSpec("bad", breaks)

    async def start():
        while True:
            with suppress(supervision.CallFailed, supervision.ChildError):
                await supervision.start_child("branch", bad)
            await trio.lowlevel.checkpoint()

    if inner == "static":
        branch = ChildSpec("branch", partial(supervision.Supervisor, [bad]))
        specs = [branch]
    else:
        branch = ChildSpec("branch", DynamicSupervisor, name="branch")
        specs = [branch, ChildSpec("starts", start)]
    with pytest.raises(supervision.SupervisorGaveUp) as error:
        async with supervision.open_supervisor(specs):
            await trio.sleep_forever()
    assert error.value.id == "branch > bad"
    assert isinstance(error.value.__cause__, ValueError)


async def test_a_root_that_was_killed_has_nobody_to_blame():
    with pytest.raises(supervision.SupervisorGaveUp, match=r"killed.$") as error:
        async with supervision.open_supervisor([COUNTER]) as root:
            supervision.exit(root, supervision.KILL)
            await trio.sleep_forever()
    assert error.value.id is None


# --- receiving


@pytest.mark.parametrize(
    "match, told",
    [
        (None, "no message came within 1 s"),
        (int, "no message for int came within 1 s"),
        ((int, supervision.Down), "no message for int or Down came within 1 s"),
    ],
)
async def test_a_receive_that_waited_in_vain(match, told, autojump_clock):
    async with supervision.open_supervisor([TASKS]), supervision.adopt("tasks", "it"):
        with pytest.raises(supervision.ReceiveTimeout) as error:
            await supervision.receive(match, timeout=1)
    assert str(error.value) == told


async def test_receiving_a_value():
    async with supervision.open_supervisor([TASKS]), supervision.adopt("tasks", "it"):
        with pytest.raises(TypeError, match="lambda got: got == 'stop'"):
            await supervision.receive("stop", timeout=0.1)


async def test_a_message_that_nobody_handles_is_logged(caplog, monkeypatch):
    monkeypatch.setattr(telemetry, "_handlers", ())
    monkeypatch.setattr(telemetry, "_rate", telemetry._Rate())
    async with supervision.open_supervisor([ChildSpec("it", Server, name="it")]):
        supervision.send("it", "hello")
        await wait_all_tasks_blocked()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "supervision.message.dropped" in record.message
    assert "name=it message=str" in record.message


async def test_the_log_has_an_event_even_if_nobody_reads_it_as_one():
    with Recorder.attached() as recorder:
        async with supervision.open_supervisor([ChildSpec("it", Server, name="it")]):
            supervision.send("it", "hello")
            await wait_all_tasks_blocked()
    assert recorder.names() == ["supervision.message.dropped"]


# --- what need not be said


@pytest.mark.parametrize(
    "start, type_, shutdown",
    [
        (Counter, "worker", 5.0),
        (work, "worker", 5.0),
        (TaskSupervisor, "supervisor", None),
        (partial(DynamicSupervisor, max_children=3), "supervisor", None),
        (partial(partial(supervision.Supervisor), [COUNTER]), "supervisor", None),
        (lambda: supervision.Supervisor([]), "worker", 5.0),
    ],
)
def test_a_class_of_supervisors_says_its_type_itself(start, type_, shutdown):
    spec = ChildSpec("it", start)
    assert (spec.type, spec.shutdown) == (type_, shutdown)
    assert ChildSpec("it", start, type="worker").shutdown == 5.0
    assert attrs.evolve(spec, id="other").type == type_
