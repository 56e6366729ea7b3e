"""Children that behave as badly as Python lets them, and loads that are out of scale.

Each test says what is promised all the same: reasons, order, that others live on. That
nothing is left behind is asked after every test, see ``conftest``.
"""

import contextlib
import threading
from functools import partial
from typing import Any, cast

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    BRUTAL_KILL,
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    CoolDown,
    Crash,
    Down,
    Exited,
)
from supervision.testing import Recorder, wait_exit
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    Trapping,
    actor,
    child,
    pid_of,
    tree,
    wait,
)

pytestmark = pytest.mark.usefixtures("scopes")


@pytest.fixture
def fast_clock() -> trio.testing.MockClock:
    """Also moves while somebody is busy, when an autojump would never come."""
    return trio.testing.MockClock(rate=500, autojump_threshold=0)


async def end_of(name: str, reason: object) -> supervision.ExitReason:
    """Send an exit signal; what the end of the process says is its reason."""
    pid = pid_of(name)
    supervision.exit(pid, reason)
    return await wait_exit(pid)


# --- who does not want to end


async def swallow_once() -> None:
    with contextlib.suppress(BaseException):
        await trio.sleep_forever()


async def swallow_often() -> None:
    for _ in range(100):
        with contextlib.suppress(BaseException):
            await trio.sleep_forever()


async def raise_instead() -> None:
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        raise OnPurpose("instead") from None


async def raise_in_cleanup() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise OnPurpose("cleanup")


async def raise_group_in_cleanup() -> None:
    try:
        await trio.sleep_forever()
    except trio.Cancelled as cancelled:
        raise BaseExceptionGroup("both", [cancelled, OnPurpose("one")]) from None


async def leave_in_cleanup() -> None:
    try:
        await trio.sleep_forever()
    finally:
        supervision.exit("another reason")


async def nest() -> None:
    async with trio.open_nursery() as outer:
        outer.start_soon(raise_in_cleanup)
        async with trio.open_nursery() as inner:
            inner.start_soon(swallow_often)
            inner.start_soon(trio.sleep_forever)


async def open_scopes() -> None:
    with trio.CancelScope(), trio.move_on_after(1e9), trio.CancelScope():
        await trio.sleep_forever()


async def be_a_generator_inside() -> None:
    async def generator():
        with trio.CancelScope():
            while True:
                try:
                    yield 1
                finally:
                    with contextlib.suppress(trio.Cancelled):
                        await trio.lowlevel.checkpoint()

    async with contextlib.aclosing(generator()) as numbers:
        async for _ in numbers:
            await trio.sleep_forever()


async def kill_myself_on_the_way() -> None:
    try:
        await trio.sleep_forever()
    finally:
        supervision.exit(supervision.self_pid(), "too late")
        supervision.link(supervision.spawn(wait))


STUBBORN = [
    swallow_once,
    swallow_often,
    raise_instead,
    raise_in_cleanup,
    raise_group_in_cleanup,
    leave_in_cleanup,
    nest,
    open_scopes,
    be_a_generator_inside,
    kill_myself_on_the_way,
]
stubborn = pytest.mark.parametrize("body", STUBBORN, ids=lambda body: body.__name__)


@pytest.mark.otp("T3", "T7", "T8")
@stubborn
@pytest.mark.parametrize("signal, reason", [("why", Exited("why")), (KILL, KILLED)])
async def test_whatever_it_does_the_reason_is_that_of_the_signal(body, signal, reason):
    async with tree(child("it", body, restart="temporary"), child("other", wait)):
        other = pid_of("other")
        await wait_all_tasks_blocked()
        assert await end_of("it", signal) == reason
        assert supervision.whereis("it") is None
        assert pid_of("other") is other


@pytest.mark.otp("55", "57")
@stubborn
async def test_whatever_it_does_the_tree_stops_in_reverse_order(body):
    ends = []

    async def last():
        try:
            await wait()
        finally:
            ends.append("last")

    async def first():
        try:
            await wait()
        finally:
            ends.append(("first", supervision.whereis("it")))

    async with tree(child("first", first), child("it", body), child("last", last)):
        await wait_all_tasks_blocked()
        pid = pid_of("it")
    assert ends == ["last", ("first", None)]
    assert not supervision.is_alive(pid)


@stubborn
async def test_whatever_it_does_it_is_restarted_once(body):
    async with tree(child("it", body), max_restarts=1):
        for _ in range(2):
            await wait_all_tasks_blocked()
        before = pid_of("it")
        await end_of("it", "why")
        await wait_all_tasks_blocked()
        assert pid_of("it") is not before
        assert supervision.tree().children[0].restarts == 1


async def test_what_it_raises_instead_of_ending_is_told(events: Recorder):
    async with tree(child("it", raise_in_cleanup, restart="temporary")):
        await wait_all_tasks_blocked()
        await end_of("it", "why")
    (crash,) = events.named("supervision.process.crash")
    reason = crash.metadata["reason"]
    assert isinstance(reason, Crash)
    assert isinstance(reason.error, OnPurpose)


@pytest.mark.otp("59", "76")
async def test_a_cleanup_that_raises_replaces_the_reason_and_is_told(events: Recorder):
    class Fails(Trapping):
        async def terminate(self, reason):
            raise OnPurpose("cleanup")

    async with tree(child("it", Fails)) as root:
        pid = pid_of("it")
        await supervision.terminate_child(root, "it")
        assert not supervision.is_alive(pid)
    (told,) = events.named("supervision.child.terminated")
    assert isinstance(told.metadata["reason"], Crash)


@pytest.mark.otp("T8")
@pytest.mark.parametrize(
    "make",
    [
        lambda: ExceptionGroup("two", [OnPurpose(), ValueError()]),
        lambda: ExceptionGroup("deep", [ExceptionGroup("one", [OnPurpose()])]),
        lambda: BaseExceptionGroup("odd", [OnPurpose(), GeneratorExit()]),
    ],
    ids=["two", "deep", "odd"],
)
async def test_groups_of_exceptions_are_crashes_like_any_other(make):
    runs = []

    async def burst():
        runs.append(1)
        if len(runs) == 1:
            raise make()
        await wait()

    async with tree(child("it", burst), child("other", wait)):
        other = pid_of("other")
        await wait_all_tasks_blocked()
        assert len(runs) == 2
        assert pid_of("other") is other
        info = supervision.info("it")
        assert info is not None
        assert isinstance(info.last_reason, Crash)


# --- who never waits


class Feeds(Echo):
    """Has something to do for ever, without ever waiting for it."""

    async def init(self) -> None:
        supervision.cast(supervision.self_pid(), "more")

    async def handle_cast(self, message: Any) -> None:
        supervision.cast(supervision.self_pid(), message)


class FeedsMachine(supervision.StateMachine[str]):
    async def init(self):
        return supervision.NextState("only", self.more())

    @staticmethod
    def more() -> supervision.NextEvent:
        return supervision.NextEvent(supervision.InternalEvent("more"))

    async def only(self, event: Any):
        return supervision.KeepState(self.more())


async def feed_itself() -> None:
    while True:
        supervision.send(supervision.self_pid(), "more")
        assert await supervision.receive() == "more"


async def ask_for_ever() -> None:
    while True:
        assert await supervision.call("echo", Ask(1)) == 1


async def spawn_for_ever() -> None:
    while True:
        spec = ChildSpec("short", trio.lowlevel.checkpoint, restart="temporary")
        await supervision.start_child("sup", spec)


NEVER_WAITS = [Feeds, FeedsMachine, feed_itself, ask_for_ever, spawn_for_ever]


@pytest.mark.otp("T4", "T12", "12")
@pytest.mark.parametrize("body", NEVER_WAITS, ids=lambda body: body.__name__)
@pytest.mark.parametrize("signal, reason", [("why", Exited("why")), (KILL, KILLED)])
async def test_who_never_waits_lets_others_run_and_can_be_ended(body, signal, reason):
    sup = child("sup", supervision.DynamicSupervisor, type="supervisor")
    it = child("it", body, restart="temporary", shutdown=BRUTAL_KILL)
    async with tree(child("echo", Echo), sup, it):
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert supervision.whereis("it") is not None
        assert await end_of("it", signal) == reason


@pytest.mark.otp("7", "T4", "T7")
async def test_who_never_reaches_a_checkpoint_still_ends_with_its_signal():
    async def never_waits() -> None:
        supervision.exit(supervision.self_pid(), "why")
        for _ in range(1000):
            supervision.send("other", "still here")

    async with actor(), tree(child("other", wait)):
        pid, ref = supervision.spawn_monitor(never_waits)
        assert await supervision.receive() == Down(ref, pid, Exited("why"))
        info = supervision.info("other")
        assert info is not None
        assert info.mailbox == 1000


# --- who cannot be ended


async def shield(release: trio.Event, ready: trio.Event) -> None:
    ready.set()
    with trio.CancelScope(shield=True):
        await release.wait()


async def shield_of_a_task_inside(release: trio.Event, ready: trio.Event) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shield, release, ready)


async def busy(release: trio.Event, ready: trio.Event) -> None:
    # It lets others run, but never in a way that could be cancelled.
    while not release.is_set():
        ready.set()
        await trio.lowlevel.cancel_shielded_checkpoint()


async def thread(release: trio.Event, ready: trio.Event) -> None:
    gate = threading.Event()

    def hold_a_thread() -> None:
        trio.from_thread.run_sync(ready.set)
        gate.wait()

    async def open_gate() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()
        gate.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_gate)
        await trio.to_thread.run_sync(hold_a_thread)


async def unkillable(events: Recorder) -> supervision.Event:
    """Wait for the report that the child cannot be ended.

    There may be one about its supervisor as well, and on a busy machine, where this
    clock outruns everybody, that may be the first.
    """

    def of_child() -> list[supervision.Event]:
        reports = events.named("supervision.child.unkillable")
        return [report for report in reports if report.metadata["id"] == "it"]

    told = trio.Event()
    detach = supervision.telemetry.attach(lambda _: of_child() and told.set())
    await told.wait()
    detach()
    return of_child()[0]


# What the report has to name: the frame that keeps the child, wherever that is.
UNKILLABLE = {
    shield: " shield",
    shield_of_a_task_inside: "shield: ",
    busy: " busy",
    thread: " hold_a_thread",
}


@pytest.mark.otp("T4", "T6")
@pytest.mark.parametrize("body", UNKILLABLE, ids=lambda body: body.__name__)
@pytest.mark.parametrize("how", ["stop", "brutal", "dynamic", "killed", "spawned"])
async def test_what_cannot_be_ended_is_reported_and_never_said_to_be_dead(
    body, how, events: Recorder, fast_clock
):
    release, ready = trio.Event(), trio.Event()
    reports: list[supervision.Event] = []
    done = trio.Event()

    async def end() -> None:
        spec = child("it", body, release, ready, restart="temporary", shutdown=0.01)
        dynamic = child("sup", supervision.DynamicSupervisor, type="supervisor")
        static = child("sup", supervision.Supervisor, [spec], type="supervisor")
        match how:
            case "stop":
                async with tree(spec):
                    await report_of("it")
            case "brutal":
                brutal = child("it", body, release, ready, shutdown=BRUTAL_KILL)
                async with tree(brutal) as root:
                    await report_of("it", supervision.terminate_child, root, "it")
            case "dynamic":
                async with tree(dynamic):
                    await supervision.start_child("sup", spec)
                    await report_of("it", supervision.terminate_child, "sup", "it")
            case "killed":
                async with tree(static):
                    await ready.wait()
                    supervision.exit(pid_of("sup"), KILL)
                    await report_of("it")
            case _:
                async with tree(grace=0.01):
                    supervision.spawn(body, release, ready, name="it")
                    await report_of("it")
        done.set()

    async def report_of(name: str, *ending: Any) -> None:
        # The report comes while the end is being waited for.
        await ready.wait()
        pid = pid_of(name)
        nursery.start_soon(watch_for_report, pid)
        if ending:
            await ending[0](*ending[1:])

    async def watch_for_report(pid: supervision.Pid) -> None:
        reports.append(await unkillable(events))
        assert supervision.is_alive(pid)
        assert supervision.whereis("it") is pid
        release.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
    assert done.is_set()
    stack = cast("list[str]", reports[0].metadata["stack"])
    assert any(UNKILLABLE[body] in line for line in stack), stack


# --- who is parked in a library


async def silent_server(nursery: trio.Nursery, left: trio.Event) -> int:
    """Takes connections, answers nothing, and notes when a client has gone."""

    async def serve(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass
        left.set()

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    return listeners[0].socket.getsockname()[1]


@pytest.mark.parametrize("reason", ["why", KILL])
async def test_a_child_parked_in_an_http_client_ends_and_closes(reason):
    httpx2 = pytest.importorskip("httpx2")
    left, connected = trio.Event(), trio.Event()

    async def ask(port: int) -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            connected.set()
            await client.get(f"http://127.0.0.1:{port}/", timeout=None)

    async with trio.open_nursery() as nursery:
        port = await silent_server(nursery, left)
        async with tree(child("it", ask, port, restart="temporary")):
            await connected.wait()
            await wait_all_tasks_blocked(0.01)
            expected = KILLED if reason is KILL else Exited("why")
            assert await end_of("it", reason) == expected
            await left.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reason", ["why", KILL])
@pytest.mark.parametrize("parked", ["receiving", "connecting"])
async def test_a_child_parked_in_a_websocket_ends_and_closes(reason, parked):
    websockets = pytest.importorskip("trio_websocket")
    left, connected = trio.Event(), trio.Event()

    async def listen(port: int) -> None:
        # open_websocket() loses its socket when it is cancelled in the handshake; who
        # opens the stream closes it.
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        connected.set()
        async with stream, trio.open_nursery() as nursery:
            ws = await websockets.wrap_client_stream(nursery, stream, "127.0.0.1", "/")
            await ws.get_message()

    async def never_say_anything(request) -> None:
        ws = await request.accept()
        with contextlib.suppress(websockets.ConnectionClosed):
            await ws.get_message()
        left.set()

    async with trio.open_nursery() as nursery:
        if parked == "connecting":
            port = await silent_server(nursery, left)
        else:
            serve = partial(
                websockets.serve_websocket,
                never_say_anything,
                "127.0.0.1",
                0,
                ssl_context=None,
            )
            port = (await nursery.start(serve)).port
        async with tree(child("it", listen, port, restart="temporary")):
            await connected.wait()
            await wait_all_tasks_blocked(0.01)
            expected = KILLED if reason is KILL else Exited("why")
            assert await end_of("it", reason) == expected
            await left.wait()
        nursery.cancel_scope.cancel()


# --- who is cancelled from outside


@pytest.mark.otp("T3")
async def test_a_child_that_cancels_the_nursery_it_lives_in_takes_one_supervisor():
    """That is beyond what a supervisor can stand; the one above it can."""
    starts = []

    async def saw_off_the_branch():
        starts.append(1)
        if len(starts) == 1:
            await supervision.receive()
            here = trio.lowlevel.current_task()
            assert here.parent_nursery is not None
            here.parent_nursery.cancel_scope.cancel()
        await wait()

    specs = [child("saw", saw_off_the_branch), child("sibling", wait)]
    inner = child("inner", supervision.Supervisor, specs, type="supervisor")
    async with tree(inner, child("outer", wait)):
        outer, sibling = pid_of("outer"), pid_of("sibling")
        supervision.send("saw", "now")
        await wait_all_tasks_blocked()
        assert pid_of("outer") is outer
        assert pid_of("sibling") is not sibling
        assert len(starts) == 2


async def test_a_scope_of_a_child_that_somebody_cancels_is_its_own_affair():
    scopes = []

    async def scoped():
        with trio.CancelScope() as scope:
            scopes.append(scope)
            await trio.sleep_forever()
        supervision.exit("it was cancelled")

    async with tree(child("it", scoped, restart="temporary")):
        pid = pid_of("it")
        await wait_all_tasks_blocked()
        scopes[0].cancel()
        assert await wait_exit(pid) == Exited("it was cancelled")


# --- a supervisor that is killed at the worst moment


class Slow(Echo):
    """Takes its time: to start from its second start on, or to end."""

    trap_exit = True
    starts = 0

    def __init__(self, which: str, counts: list[int]) -> None:
        super().__init__()
        self.which = which
        self.counts = counts

    async def init(self) -> None:
        self.counts.append(1)
        first = len(self.counts) == 1
        if (self.which == "starting" and first) or (
            self.which == "restarting" and not first
        ):
            await trio.sleep(1000)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        if self.which in ("stopping", "cycling"):
            await trio.sleep(3)


async def stop_in_vain(pid: supervision.Pid) -> None:
    with pytest.raises(supervision.ServerExited):
        await supervision.stop(pid, SHUTDOWN)


@pytest.mark.otp("T9", "Q5", "61")
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize(
    "moment", ["starting", "restarting", "stopping", "cycling", "cooling down"]
)
async def test_a_supervisor_killed_at_any_moment_leaves_nothing(
    moment, strategy, autojump_clock
):
    counts: list[int] = []
    rule = CoolDown(after=(0, 5.0), first=60, jitter=0)
    specs = [
        child("first", wait),
        child("slow", Slow, moment, counts, shutdown=10.0),
        child("last", wait, cool_down=rule if moment == "cooling down" else None),
    ]
    options: dict[str, Any] = {"strategy": strategy, "max_restarts": 9}
    start = partial(supervision.Supervisor, specs, **options)
    sup = ChildSpec("sup", start, name="sup", type="supervisor", restart="temporary")

    async with actor(), trio.open_nursery() as nursery:
        supervisors = supervision.tree().children[0].pid
        assert supervisors is not None
        if moment == "starting":

            async def start_it() -> None:
                with pytest.raises(supervision.StartFailed):
                    await supervision.start_child(supervisors, sup)

            nursery.start_soon(start_it)
        else:
            await supervision.start_child(supervisors, sup)
        await wait_all_tasks_blocked()
        pid = pid_of("sup")
        match moment:
            case "restarting":
                supervision.exit(pid_of("slow"), KILL)
            case "stopping":
                nursery.start_soon(stop_in_vain, pid)
            case "cycling" | "cooling down":
                supervision.exit(
                    pid_of("last" if moment != "cycling" else "first"), KILL
                )
        await wait_all_tasks_blocked()
        ref = supervision.monitor(pid)
        supervision.exit(pid, KILL)
        down = await supervision.receive(Down)
        assert down == Down(ref, pid, KILLED)
        assert supervision.names() == []


@pytest.mark.otp("T9", "Q5", "61")
@pytest.mark.parametrize("moment", ["starting", "restarting", "stopping", "cooling"])
@pytest.mark.parametrize(
    "kind", [supervision.DynamicSupervisor, supervision.TaskSupervisor]
)
async def test_a_dynamic_supervisor_killed_at_any_moment_leaves_nothing(
    kind, moment, autojump_clock
):
    rule = CoolDown(after=(0, 5.0), first=60, jitter=0) if moment == "cooling" else None
    which = "restarting" if moment == "starting" else moment
    counts: list[int] = []
    slow = child("slow", Slow, which, counts, shutdown=10.0, cool_down=rule)
    sup = ChildSpec("sup", kind, name="sup", type="supervisor", restart="temporary")

    async with actor(), trio.open_nursery() as nursery:
        supervisors = supervision.tree().children[0].pid
        assert supervisors is not None
        pid = await supervision.start_child(supervisors, sup)
        assert pid is not None
        await supervision.start_child("sup", child("other", wait))
        supervision.start_task("sup", wait)
        if moment == "starting":
            counts.append(0)

            async def start_it() -> None:
                with pytest.raises(supervision.NoProcess):
                    await supervision.start_child(pid, slow)

            nursery.start_soon(start_it)
        else:
            await supervision.start_child("sup", slow)
        await wait_all_tasks_blocked()
        match moment:
            case "restarting" | "cooling":
                supervision.exit(pid_of("slow"), KILL)
            case "stopping":
                nursery.start_soon(stop_in_vain, pid)
        await wait_all_tasks_blocked()
        ref = supervision.monitor(pid)
        supervision.exit(pid, KILL)
        assert await supervision.receive(Down) == Down(ref, pid, KILLED)
        assert supervision.names() == []


async def test_a_killed_supervisor_is_restarted_with_all_of_its_children():
    specs = [child("a", wait), child("b", raise_in_cleanup)]
    inner = child("inner", supervision.Supervisor, specs, type="supervisor")
    async with tree(inner):
        await wait_all_tasks_blocked()
        before = {name: pid_of(name) for name in ("inner", "a", "b")}
        supervision.exit(before["inner"], KILL)
        await wait_all_tasks_blocked()
        assert all(pid_of(name) is not pid for name, pid in before.items())


# --- too many at once


@pytest.mark.otp("88", "89")
async def test_a_name_that_many_race_for_has_one_holder_at_any_time():
    winners, losers = [], []

    async with actor():

        async def race(number: int) -> None:
            try:
                supervision.register("prize")
            except supervision.NameTaken as taken:
                losers.append(supervision.is_alive(taken.pid))
            else:
                winners.append(number)
                await trio.lowlevel.checkpoint()

        for _ in range(20):
            refs = [supervision.spawn_monitor(race, each)[1] for each in range(50)]
            assert {(await supervision.receive(Down)).ref for _ in refs} == set(refs)
            assert len(winners) >= 1
            assert len(winners) + len(losers) == 50
            assert all(losers)
            winners.clear()
            losers.clear()
            assert supervision.whereis("prize") is None


@pytest.mark.otp("91")
async def test_a_key_that_many_race_for_has_one_holder_at_any_time():
    async with tree(child("keys", supervision.Registry, "unique")):
        key = supervision.Via("keys", "prize")
        outcomes: list[Any] = []

        async def race() -> None:
            try:
                outcomes.append(supervision.spawn(wait, name=key))
            except supervision.NameTaken as taken:
                outcomes.append(taken)
            await trio.lowlevel.checkpoint()

        for _ in range(20):
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(race)
            (winner,) = [each for each in outcomes if isinstance(each, supervision.Pid)]
            assert key.whereis() is winner
            losers = [each for each in outcomes if each is not winner]
            assert [each.pid for each in losers] == [winner] * 49
            outcomes.clear()
            supervision.exit(winner, KILL)
            await wait_exit(winner)
            assert key.whereis() is None


async def test_children_of_one_name_race_for_it_and_one_wins():
    async with tree(child("sup", supervision.DynamicSupervisor, type="supervisor")):
        outcomes: list[Any] = []

        async def start(number: int) -> None:
            spec = ChildSpec(f"c{number}", wait, name="prize", restart="temporary")
            try:
                outcomes.append(await supervision.start_child("sup", spec))
            except supervision.AlreadyStarted as there:
                outcomes.append(there)

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(start, number)
        (winner,) = [each for each in outcomes if isinstance(each, supervision.Pid)]
        assert winner is pid_of("prize")
        assert all(each.pid is winner for each in outcomes if each is not winner)
        assert (await supervision.count_children("sup")).specs == 1


# The full size is for those who wait; a tenth of it finds the same faults.
many = pytest.mark.parametrize(
    "number", [1000, pytest.param(10_000, marks=pytest.mark.slow)]
)


@pytest.mark.otp("3")
@many
async def test_an_end_goes_through_a_long_chain_of_links(number):
    ended = []

    async def linked(to: supervision.Pid | None) -> None:
        if to is not None:
            supervision.link(to)
        try:
            await wait()
        finally:
            ended.append(1)

    async with actor():
        first = last = supervision.spawn(linked, None)
        for _ in range(number - 1):
            last = supervision.spawn(linked, last)
        await wait_all_tasks_blocked()
        ref = supervision.monitor(last)
        supervision.exit(first, "fall")
        assert (await supervision.receive(Down)) == Down(ref, last, Exited("fall"))
        assert len(ended) == number


@pytest.mark.otp("3", "14")
@many
async def test_an_end_reaches_many_at_once(number):
    """A star of links, and of monitors."""
    async with actor(trap=True):
        hub = supervision.spawn_link(wait)

        async def spoke() -> None:
            supervision.link(hub)
            supervision.monitor(hub)
            await wait()

        spokes = [supervision.spawn_monitor(spoke) for _ in range(number)]
        await wait_all_tasks_blocked()
        supervision.exit(hub, "burst")
        assert (await supervision.receive(supervision.Exit)).reason == Exited("burst")
        downs = [await supervision.receive(Down) for _ in spokes]
        assert {down.ref for down in downs} == {ref for _, ref in spokes}
        assert {down.reason for down in downs} == {Exited("burst")}


@pytest.mark.otp("54", "60")
@many
@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_children_that_all_die_in_one_moment(restart, number):
    sup = partial(supervision.DynamicSupervisor, max_restarts=number, max_seconds=1e6)
    async with tree(child("sup", sup, type="supervisor"), max_restarts=0):
        before = [
            await supervision.start_child("sup", ChildSpec("it", wait, restart=restart))
            for _ in range(number)
        ]
        for pid in before:
            assert pid is not None
            supervision.exit(pid, "burst")
        await wait_all_tasks_blocked()
        counts = await supervision.count_children("sup")
        assert counts.active == (number if restart == "permanent" else 0)
        assert not any(pid is not None and supervision.is_alive(pid) for pid in before)


@pytest.mark.otp("43", "54")
@pytest.mark.parametrize(
    "strategy, number",
    [
        ("one_for_one", 200),
        ("one_for_all", 200),
        ("rest_for_one", 200),
        pytest.param("one_for_one", 10_000, marks=pytest.mark.slow),
        pytest.param("one_for_all", 10_000, marks=pytest.mark.slow),
        # Each of them may cycle all that follow it.
        pytest.param("rest_for_one", 1000, marks=pytest.mark.slow),
    ],
)
async def test_a_static_supervisor_is_back_after_a_burst(strategy, number):
    specs = [child(f"c{each}", wait) for each in range(number)]
    start = partial(
        supervision.Supervisor, specs, strategy=strategy, max_restarts=number
    )
    async with tree(child("sup", start, type="supervisor"), max_restarts=0):
        before = [pid_of(f"c{each}") for each in range(number)]
        for pid in before:
            supervision.exit(pid, "burst")
        await wait_all_tasks_blocked()
        after = [pid_of(f"c{each}") for each in range(number)]
        assert not set(before) & set(after)
        assert supervision.tree().children[0].restarts == 0


@pytest.mark.slow
async def test_a_hundred_thousand_children_start_and_stop():
    number = 100_000
    async with tree(child("sup", supervision.DynamicSupervisor, type="supervisor")):
        for _ in range(number):
            supervision.start_task("sup", wait)
        await wait_all_tasks_blocked()
        assert (await supervision.count_children("sup")).active == number
    assert supervision.statistics().processes == 0


@pytest.mark.slow
@pytest.mark.otp("21", "24", "T12")
async def test_a_million_messages_to_a_slow_receiver_all_arrive_in_order():
    number = 1_000_000
    took = []

    async def slow() -> None:
        for expected in range(number):
            if not expected % 100_000:
                # Slow: others run in between, and send.
                await trio.lowlevel.checkpoint()
            assert await supervision.receive() == expected
        took.append(number)

    async with actor():
        pid, ref = supervision.spawn_monitor(slow)
        for start in range(0, number, 10_000):
            for each in range(start, start + 10_000):
                supervision.send(pid, each)
            await trio.lowlevel.checkpoint()
        assert await supervision.receive() == Down(ref, pid, NORMAL)
    assert took == [number]


@pytest.mark.slow
@pytest.mark.otp("26")
async def test_a_call_does_not_look_at_a_backlog():
    async with actor():
        here = supervision.self_pid()
        for each in range(100_000):
            supervision.send(here, each)
        supervision.spawn(Echo, name="echo")
        before = trio.current_time()
        for each in range(1000):
            assert await supervision.call("echo", Ask(each)) == each
        assert trio.current_time() - before < 10
        info = supervision.info(here)
        assert info is not None
        assert info.mailbox == 100_000
