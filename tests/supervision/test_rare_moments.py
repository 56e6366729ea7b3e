"""What hardly ever happens: an end in the middle of a start, of a stop, of a request.

Each test brings the one moment about, and asks for what holds at any other moment, too.
"""

import contextvars
import types
from functools import partial
from typing import Any

import outcome
import pytest
import trio

import supervision
from supervision import (
    BRUTAL_KILL,
    KILL,
    KILLED,
    SHUTDOWN,
    CoolDown,
    Crash,
    Exited,
    Server,
    Stop,
    _process,
    _trio_parts,
)
from supervision.testing import (
    Probe,
    Recorder,
    crash_at,
    run,
    settle,
    wait_at_rest,
    wait_exit,
    watching,
)
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    Trapping,
    actor,
    child,
    info_of,
    listen,
    pid_of,
    tree,
    wait,
)


def dynamic(**options: Any) -> supervision.ChildSpec:
    start = partial(supervision.DynamicSupervisor, **options)
    return child("sup", start, type="supervisor")


def static(*specs: supervision.ChildSpec, **options: Any) -> supervision.ChildSpec:
    start = partial(supervision.Supervisor, specs, **options)
    return child("sup", start, type="supervisor", restart="temporary")


class SlowMachine(supervision.StateMachine[str]):
    async def init(self):
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return supervision.NextState("only")


class SlowInit(Server):
    """Takes a second to start, and cannot be hurried."""

    async def init(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)


class SlowEnd(Trapping):
    async def terminate(self, reason: supervision.ExitReason) -> None:
        await trio.sleep(1)


# --- a supervisor ends while something is asked of it


async def test_nothing_is_started_by_a_dynamic_supervisor_that_stops(autojump_clock):
    async with tree(dynamic()) as root, trio.open_nursery() as nursery:
        await supervision.start_child("sup", child("slow", SlowEnd))
        sup = pid_of("sup")
        nursery.start_soon(supervision.terminate_child, root, "sup")
        await settle()
        assert info_of("sup").status == "stopping"
        with pytest.raises(supervision.NoProcess):
            await supervision.start_child(sup, child("late", wait))


@pytest.mark.otp("28", "61")
@pytest.mark.parametrize("slow_init", [SlowInit, SlowMachine])
@pytest.mark.parametrize("what", [dynamic(), static()], ids=["dynamic", "static"])
async def test_a_killed_supervisor_answers_nobody_who_waits_for_a_start(
    what, slow_init, autojump_clock
):
    async with tree(what), trio.open_nursery() as nursery:
        failures: list[BaseException] = []

        async def start() -> None:
            with pytest.raises((supervision.NoProcess, supervision.ServerExited)) as e:
                await supervision.start_child("sup", child("slow", slow_init))
            failures.append(e.value)

        sup = pid_of("sup")
        nursery.start_soon(start)
        await settle()
        slow = pid_of("slow")
        supervision.exit(sup, KILL)
        assert await wait_exit(sup) == KILLED
        assert not supervision.is_alive(slow)
        await settle()
        assert len(failures) == 1


async def kill_the_supervisor() -> None:
    supervision.exit(pid_of("sup"), KILL)
    await wait()


class KillsInInit(Server):
    async def init(self) -> None:
        supervision.exit(pid_of("sup"), KILL)
        await trio.sleep(1)


@pytest.mark.parametrize("start", [kill_the_supervisor, KillsInInit])
async def test_a_child_that_kills_its_supervisor_in_its_first_step(start):
    async with tree(dynamic(), child("other", wait)):
        other, sup = pid_of("other"), pid_of("sup")
        with pytest.raises((supervision.NoProcess, supervision.ServerExited)):
            await supervision.start_child("sup", child("it", start))
            raise supervision.NoProcess("sup")
        assert await wait_exit(sup) in (KILLED, supervision.NOPROC)
        await wait_at_rest(ignoring=["other"])
        assert pid_of("sup") is not sup
        assert pid_of("other") is other
    async with tree(static(), child("other", wait)):
        sup = pid_of("sup")
        with pytest.raises(supervision.ServerExited):
            await supervision.start_child("sup", child("it", start))
            await supervision.count_children(sup)
        assert not supervision.is_alive(sup)


@pytest.mark.parametrize("make", [dynamic, static])
@pytest.mark.parametrize("start", [kill_the_supervisor, KillsInInit])
async def test_a_restarted_child_that_kills_its_supervisor(start, make):
    starts: list[int] = []

    def first_waits() -> Any:
        starts.append(1)
        return listen() if len(starts) == 1 else start()

    async with tree(make()):
        sup = pid_of("sup")
        await supervision.start_child("sup", child("it", first_waits))
        # Not idle, so that its loop does the restart.
        await supervision.sys.suspend("sup")
        it = pid_of("it")
        supervision.exit(it, KILL)
        await wait_exit(it)
        await supervision.sys.resume(sup)
        assert await wait_exit(sup) in (KILLED, supervision.NOPROC)
        assert len(starts) == 2


# --- requests that wait for each other


async def test_what_is_asked_during_a_restart_is_answered_after_it(autojump_clock):
    async with tree(child("it", SlowInit)) as root:
        supervision.exit(pid_of("it"), KILL)
        await settle()
        (it,) = await supervision.which_children(root)
        assert it.status == "running"
        assert trio.current_time() == 2


@pytest.mark.otp("43", "49")
async def test_a_name_that_was_given_away_uses_up_the_restarts(events: Recorder):
    async def gives_away() -> None:
        supervision.unregister("prize")
        supervision.send("thief", supervision.self_pid())
        await listen()

    spec = supervision.ChildSpec("it", gives_away, name="prize")
    with pytest.raises(supervision.SupervisorGaveUp, match="already started"):
        async with tree(max_restarts=2) as root:
            thief = Probe("thief")
            await supervision.start_child(root, spec)
            it = await thief.expect(supervision.Pid)
            Probe("prize")
            supervision.exit(it, KILL)
            await trio.sleep_forever()
    # The restart that the death asked for was counted, and so was each new try.
    restarts = events.named("supervision.child.restart")
    assert [event.metadata["id"] for event in restarts] == ["it"] * 2


@pytest.mark.parametrize("make", [dynamic, static])
async def test_a_retry_that_nobody_wants_any_more_is_void(make):
    starts: list[int] = []

    def fails_but_first() -> Any:
        starts.append(1)
        if len(starts) > 1:
            raise OnPurpose
        return listen()

    async with tree(make()), trio.open_nursery() as nursery:
        await supervision.start_child("sup", child("it", fails_but_first))
        await supervision.sys.suspend("sup")
        it = pid_of("it")
        supervision.exit(it, KILL)
        await wait_exit(it)
        nursery.start_soon(supervision.terminate_child, "sup", "it")
        await settle()
        await supervision.sys.resume("sup")
        await settle()
        assert (await supervision.count_children("sup")).active == 0
        assert info_of("sup").status == "waiting"
    assert len(starts) == (1 if make is dynamic else 2)


@pytest.mark.parametrize("make", [dynamic, static])
async def test_messages_that_a_supervisor_has_no_use_for_are_told(
    make, events: Recorder
):
    async with tree(make()):
        for _ in range(1100):
            supervision.send("sup", "nonsense")
        supervision.send("sup", supervision.Exit(supervision.Pid(), SHUTDOWN))
        with pytest.raises(supervision.ChildError, match="no answer"):
            await supervision.call("sup", Ask())
        assert len(events.named("supervision.message.dropped")) == 1100


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("at_once", [0, 1])
async def test_a_first_start_that_fails_cools_down(strategy, at_once, autojump_clock):
    starts: list[float] = []

    def fails_once() -> Any:
        starts.append(trio.current_time())
        if len(starts) == 1:
            raise OnPurpose
        return listen()

    rule = CoolDown(after=(at_once, 5.0), first=60, jitter=0)
    specs = (child("a", listen), child("it", fails_once, cool_down=rule))
    async with tree(*specs, child("z", listen), strategy=strategy):
        await wait_at_rest(timeout=100)
        assert [info_of(name).status for name in ("a", "it", "z")] == ["waiting"] * 3
        assert starts == [0, 0 if at_once else 60]


async def test_children_of_dynamic_supervisors_end_as_their_shutdown_says(
    autojump_clock,
):
    async with tree(dynamic(), grace=100):
        for shutdown, seconds in ((None, 1), (BRUTAL_KILL, 0), (0.5, 0.5)):
            spec = child("it", SlowEnd, shutdown=shutdown)
            await supervision.start_child("sup", spec)
            before = trio.current_time()
            await supervision.terminate_child("sup", "it")
            assert trio.current_time() - before == seconds
        inner = child("inner", supervision.Supervisor, type="supervisor", shutdown=1)
        pid = await supervision.start_child("sup", inner)
        assert pid is not None
        await supervision.terminate_child("sup", pid)
        assert not supervision.is_alive(pid)


# --- ends in the middle


async def test_a_handler_that_ends_its_own_process_while_it_is_watched():
    class Ends(Server):
        def handle_call(self, request: Any, sender: supervision.From) -> Any:
            return request.what

        async def handle_cast(self, message: object) -> None:
            supervision.exit(supervision.self_pid(), message)

    async with tree(child("it", Ends, restart="temporary")):
        pid = pid_of("it")
        await supervision.sys.log("it", "start")
        assert await supervision.call("it", Ask(1)) == 1
        supervision.cast("it", "enough")
        assert await wait_exit(pid) == Exited("enough")


async def test_a_machine_that_ends_its_own_process_handles_no_further_event():
    log: list[Any] = []

    class Ends(supervision.StateMachine[str]):
        async def init(self):
            return supervision.NextState("only")

        async def only(self, event: Any):
            log.append(event)
            supervision.exit(supervision.self_pid(), "enough")
            never = supervision.NextEvent(supervision.InternalEvent("never"))
            return supervision.KeepState(never)

    async with tree(child("it", Ends, restart="temporary")):
        pid = pid_of("it")
        supervision.cast("it", "go")
        assert await wait_exit(pid) == Exited("enough")
    assert len(log) == 1


async def test_a_stop_with_a_reply_needs_no_terminate():
    class Stops(Server):
        async def handle_call(self, request: Any, sender: supervision.From) -> Any:
            return Stop(Exited("done"), reply=request.what)

    async with tree(child("it", Stops, restart="temporary")):
        pid = pid_of("it")
        assert await supervision.call("it", Ask(1)) == 1
        assert await wait_exit(pid) in (Exited("done"), supervision.NOPROC)


async def test_a_kill_counts_more_than_a_terminate_that_fails():
    class Fails(Trapping):
        async def terminate(self, reason: supervision.ExitReason) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise OnPurpose

    async with tree(child("it", Fails, restart="temporary")):
        pid = pid_of("it")
        supervision.send(pid, supervision.Exit(pid.process.parent_pid, SHUTDOWN))
        await settle()
        assert info_of("it").status == "stopping"
        supervision.exit(pid, KILL)
        assert await wait_exit(pid) == KILLED


def test_an_interrupt_in_the_first_start_ends_the_program():
    def interrupts() -> Any:
        raise KeyboardInterrupt

    async def main() -> None:
        async with tree(child("it", interrupts)):
            raise AssertionError("it never began")

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_an_exit_of_the_program_while_it_stops_is_raised():
    async def exits() -> None:
        try:
            await wait()
        finally:
            raise SystemExit(3)

    async def main() -> None:
        async with tree(child("it", exits)):
            await settle()

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 3


async def test_a_process_that_is_abandoned_tells_nobody(events: Recorder):
    """As when the program drops a whole Trio run: no exit step is done."""
    async with tree(child("it", listen)):
        home = pid_of("it").process.home
        keeper: Any = None
        process = _process.Process(home, keeper, home.pid, "dropped", None)
        life = process.run(listen_behind_a_behaviour, ())
        life.send(None)
        life.close()
        assert not supervision.is_alive(process.pid)
        assert process not in home.processes
        assert events.names() == []
        with pytest.raises(supervision.NotAProcess):
            supervision.self_pid()


class Acknowledges(Server):
    async def init(self) -> None:
        await trio.sleep_forever()


def listen_behind_a_behaviour() -> Server:
    return Acknowledges()


# --- what is refused


async def test_one_does_not_stop_oneself():
    async with actor() as pid:
        with pytest.raises(supervision.CallingSelf):
            await supervision.stop(pid)


@pytest.mark.parametrize("what", [3, None, object()])
async def test_a_start_that_returns_no_process_fails(what):
    with pytest.raises(supervision.StartFailed, match="must return"):
        async with tree(child("it", lambda: what)):
            raise AssertionError("it never began")


def test_who_has_no_callback_for_something_crashes_at_it(events: Recorder):
    class Nothing(Server):
        async def init(self) -> Any:
            return supervision.Continue("with what?") if going_on else None

    class NoState(supervision.StateMachine[str]):
        """Forgets its first state."""

    async def main() -> None:
        nonlocal going_on
        async with tree(child("it", Nothing), max_restarts=9):
            with pytest.raises(supervision.ServerExited, match="NotImplementedError"):
                await supervision.call("it", Ask())
            supervision.cast("it", "what?")
            await settle()
            going_on = True
            supervision.exit(pid_of("it"), KILL)
            await settle()
        with pytest.raises(supervision.StartFailed, match="NotImplementedError"):
            async with tree(child("it", NoState)):
                raise AssertionError("it never began")
        with pytest.raises(NotImplementedError):
            supervision.Application().root()

    going_on = False
    with pytest.raises(supervision.SupervisorGaveUp):
        run(main)
    said = [str(event.metadata["reason"]) for event in events.events]
    for callback in ("handle_call", "handle_cast", "handle_continue"):
        assert any(callback in each for each in said), said


async def test_a_state_may_lose_attributes():
    class Keeps(Server):
        async def init(self) -> None:
            self.one, self.other = 1, 2

    async with tree(child("it", Keeps)):
        await supervision.sys.replace_state("it", lambda _: {"one": 3})
        assert await supervision.sys.get_state("it") == {"one": 3}


async def test_a_monitor_of_somebody_else_can_be_taken_back_by_anybody():
    async with tree():
        probe = Probe()
        pid = supervision.spawn(wait)
        ref = probe.monitor(pid)

        async def take_back() -> None:
            assert supervision.demonitor(ref)

        await wait_exit(supervision.spawn(take_back))
        supervision.exit(pid, KILL)
        await wait_exit(pid)
        assert probe.messages == []


async def test_who_hears_of_an_end_may_have_another_not_hear_of_it():
    async with tree():
        pid = supervision.spawn(wait)
        heard: list[str] = []

        def first(_: supervision.Down) -> None:
            heard.append("first")
            _process.forget(other)

        def second(_: supervision.Down) -> None:
            heard.append("second")

        _process.notify_end(pid.process, first)
        other = _process.notify_end(pid.process, second)
        supervision.exit(pid, ValueError("why"))
        assert isinstance(await wait_exit(pid), Crash)
        assert heard == ["first"]


async def test_a_response_is_waited_for_among_others(autojump_clock):
    async with tree(child("sleepy", SlowInit), child("later", Later)):
        ids: supervision.RequestIds[Any] = supervision.RequestIds()
        for number in range(2):
            ids.send("later", Ask(number), label=number)
        with pytest.raises(supervision.CallTimeout):
            await ids.receive(timeout=0.5)
        got = [(await ids.receive(timeout=9)).label for _ in range(2)]
        assert got == [0, 1]
        assert trio.current_time() == 1 + 2


class Later(Server):
    """Takes a second for each request."""

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        await trio.sleep(1)
        return request.what


def test_values_that_have_no_content_show_what_they_are():
    call = supervision.From(None, "ask", None, None)
    shown = {
        repr(BRUTAL_KILL): "BRUTAL_KILL",
        repr(supervision.TIMEOUT): "TIMEOUT",
        repr(supervision.Cast(1)): "Cast(1)",
        repr(call): "<From None 'ask'>",
        str(supervision.NOPROC): "noproc",
        repr(supervision.Ref(None, None, None))[:4]: "#ref",
    }
    assert all(got == wanted for got, wanted in shown.items()), shown


# --- tasks that are begun by hand


async def begun(*args: Any) -> list[BaseException]:
    """What leaves the nursery of a task whose first step was taken at once."""
    context = contextvars.copy_context()
    try:
        async with trio.open_nursery() as nursery:
            _trio_parts.begin_task(nursery, context, "begun", *args)
    except BaseExceptionGroup as group:
        return list(group.exceptions)
    return []


async def fail() -> None:
    raise OnPurpose


async def fail_later() -> None:
    await trio.lowlevel.checkpoint()
    raise OnPurpose


async def confuse() -> None:
    await nonsense()


@types.coroutine
def nonsense():
    yield "nonsense"


async def detach() -> None:
    await trio.lowlevel.permanently_detach_coroutine_object(outcome.Value(None))


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    "fn, left",
    [(trio.lowlevel.checkpoint, ()), (fail, OnPurpose), (fail_later, OnPurpose)],
)
async def test_a_task_that_is_begun_is_like_any_other(fn, left, plain, monkeypatch):
    monkeypatch.setattr(_trio_parts, "PLAIN_TASKS", plain)
    assert [type(error) for error in await begun(fn)] == ([left] if left else [])


async def test_what_a_begun_task_yields_is_what_trio_understands():
    assert [type(error) for error in await begun(confuse)] == [TypeError]
    with pytest.MonkeyPatch.context():
        assert await begun(detach) == []


async def test_instruments_hear_of_tasks_that_are_made():
    class Hears(trio.abc.Instrument):
        def __init__(self) -> None:
            self.names: list[str] = []

        def task_spawned(self, task: trio.lowlevel.Task) -> None:
            self.names.append(task.name)

    hears = Hears()
    async with tree(dynamic()):
        trio.lowlevel.add_instrument(hears)
        await supervision.start_child("sup", child("it", wait))
        supervision.start_task("sup", wait)
        trio.lowlevel.remove_instrument(hears)
    assert hears.names[0] == "it"
    assert len(hears.names) == 2


@pytest.mark.parametrize(
    "name, broken",
    [
        ("CancelStatus", None),
        ("CancelStatus", object),
        ("_run", object()),
        ("Task", object),
    ],
)
def test_in_another_trio_private_parts_are_left_alone(name, broken, monkeypatch):
    monkeypatch.setattr(_trio_parts, name, broken)
    possible = _trio_parts.splicing_is_possible, _trio_parts.starting_is_known
    assert not possible[name != "CancelStatus"]()
    assert _trio_parts._find("trio.no_such_module") is None


async def test_a_watched_tree_is_unchanged_by_all_this():
    """The points of the test tools leave nothing behind in a process."""
    async with tree(child("it", Echo)):
        with watching() as watched:
            with pytest.raises(AssertionError), crash_at("it", "handle_cast"):
                await settle()
            assert await supervision.call("it", Ask(1)) == 1
        watched.assert_unchanged()
