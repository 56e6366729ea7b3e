"""Dynamic supervisors and adopted tasks."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from functools import partial
from itertools import pairwise

import pytest
import trio
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
    DynamicSupervisor,
    Exit,
    Exited,
    StartFailed,
)
from supervision.testing import settle, wait_exit, wait_name
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    Trapping,
    actor,
    child,
    keep,
    listen,
    tree,
    wait,
)


def dynamic(**options):
    return (
        child("d", DynamicSupervisor, type="supervisor")
        if not options
        else ChildSpec(
            "d", lambda: DynamicSupervisor(**options), name="d", type="supervisor"
        )
    )


async def test_children_start_in_parallel():
    """A dynamic supervisor does not wait for acknowledgements inside its loop."""
    go, inits = trio.Event(), []

    class Slow(Echo):
        async def init(self):
            inits.append(1)
            await go.wait()

    async with tree(dynamic()), trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(
                supervision.start_child, "d", ChildSpec(f"{number}", Slow)
            )
        await wait_all_tasks_blocked()
        assert len(inits) == 3
        assert await supervision.start_child("d", child("quick"))
        go.set()


@pytest.mark.otp("73")
async def test_a_full_supervisor_refuses():
    async with tree(dynamic(max_children=1)):
        pid = await supervision.start_child("d", child("a"))
        with pytest.raises(supervision.MaxChildren):
            await supervision.start_child("d", child("b"))
        with pytest.raises(supervision.MaxChildren):
            async with supervision.adopt("d", "c"):
                pass
        await supervision.terminate_child("d", pid)
        assert await supervision.start_child("d", child("b"))


@pytest.mark.otp("73")
async def test_restarting_children_count(autojump_clock):
    rule = CoolDown(after=(0, 5.0), first=5, jitter=0)
    async with tree(dynamic(max_children=1, cool_down=rule)):
        pid = await supervision.start_child("d", child("a"))
        supervision.exit(pid, "crash")
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.MaxChildren):
            await supervision.start_child("d", child("b"))
        assert (await supervision.which_children("d"))[0].status == "cooling-down"
        await trio.sleep(6)
        assert supervision.whereis("a") is not None


@pytest.mark.otp("71", "73")
async def test_terminate_by_pid_and_by_id():
    async with tree(dynamic()):
        one = await supervision.start_child("d", child("one"))
        await supervision.start_child("d", child("two"))
        await supervision.terminate_child("d", one)
        await supervision.terminate_child("d", "two")
        assert await supervision.which_children("d") == []
        for gone in (one, "two"):
            with pytest.raises(supervision.NotFound):
                await supervision.terminate_child("d", gone)
        for request in (supervision.restart_child, supervision.delete_child):
            with pytest.raises(supervision.ChildError):
                await request("d", "one")


@pytest.mark.parametrize("value, seconds", [(3, 3), (BRUTAL_KILL, 0)])
async def test_terminating_does_not_block_the_supervisor(
    value, seconds, autojump_clock
):
    """It has its shutdown value; meanwhile others start."""

    class Endless(Trapping):
        async def terminate(self, reason):
            await wait()

    async with actor(), tree(dynamic()), trio.open_nursery() as nursery:
        pid = await supervision.start_child("d", child("e", Endless, shutdown=value))
        supervision.monitor(pid)
        begin = trio.current_time()
        for _ in range(2):
            nursery.start_soon(supervision.terminate_child, "d", pid)
        assert await supervision.start_child("d", child("other"))
        assert (await supervision.receive()).reason == KILLED
        assert trio.current_time() - begin == pytest.approx(seconds, abs=0.01)


@pytest.mark.otp("41", "71")
@pytest.mark.parametrize(
    "restart, reason, restarted",
    [
        ("permanent", NORMAL, True),
        ("transient", SHUTDOWN, False),
        ("transient", Exited("x"), True),
        ("temporary", Exited("x"), False),
    ],
)
async def test_a_child_that_is_not_restarted_is_forgotten(restart, reason, restarted):

    async def leaves():
        supervision.exit(await supervision.receive())

    async with tree(dynamic()):
        pid = await supervision.start_child("d", child("c", leaves, restart=restart))
        supervision.send(pid, reason)
        await wait_exit(pid)
        await wait_all_tasks_blocked()
        assert (supervision.whereis("c") is not None) is restarted
        assert len(await supervision.which_children("d")) == restarted


@pytest.mark.otp("71", "Q2")
@pytest.mark.parametrize("first", [True, False])
async def test_failed_and_ignored_starts_are_not_stored(first):
    log = []

    class Later(Echo):
        async def init(self):
            self.log.append(1)
            return supervision.Ignore() if first or len(self.log) > 1 else None

    async with tree(dynamic()):
        pid = await supervision.start_child("d", child("i", Later, log))
        assert (pid is None) is first
        if pid is not None:
            supervision.exit(pid, "crash")
            await wait_all_tasks_blocked()
        assert len(log) == (1 if first else 2)
        assert await supervision.which_children("d") == []
        counts = await supervision.count_children("d")
        assert counts == supervision.ChildCounts(0, 0, 0, 0)


@pytest.mark.otp("49")
async def test_a_failing_restart_counts_each_try(events):
    log = []

    class Broken(Echo):
        async def init(self):
            self.log.append(1)
            if len(self.log) > 1:
                raise OnPurpose

    async with actor(), tree(dynamic(max_restarts=2)):
        supervision.monitor("d")
        before = supervision.whereis("d")
        pid = await supervision.start_child("d", child("b", Broken, log))
        supervision.exit(pid, "crash")
        assert (await supervision.receive(Down)).reason == SHUTDOWN
        assert len(log) == 3
        assert await wait_name("d") is not before
    assert "supervision.supervisor.gave_up" in events.names()


@pytest.mark.otp("60")
async def test_all_children_end_at_once(autojump_clock):

    class Slow(Trapping):
        async def terminate(self, reason):
            await trio.sleep(2)

    async with tree(dynamic()) as root:
        for number in range(5):
            await supervision.start_child("d", ChildSpec(f"{number}", Slow))
        begin = trio.current_time()
        await supervision.terminate_child(root, "d")
        assert trio.current_time() - begin == pytest.approx(2)


@pytest.mark.parametrize("killed", [False, True])
async def test_others_have_their_turns_while_many_end(killed):
    ended, seen = [], [0]

    async def member():
        try:
            await supervision.receive()
        finally:
            ended.append(1)

    async def look():
        while len(ended) < 300:
            await trio.lowlevel.checkpoint()
            seen.append(len(ended))

    async with tree(dynamic()) as root, trio.open_nursery() as nursery:
        for number in range(300):
            await supervision.start_child("d", ChildSpec(f"{number}", member))
        await settle()
        nursery.start_soon(look)
        if killed:
            supervision.exit(supervision.whereis("d"), KILL)
        else:
            await supervision.terminate_child(root, "d")
    assert max(now - before for before, now in pairwise(seen)) < 100


@pytest.mark.otp("60")
async def test_all_children_share_one_grace(autojump_clock):
    async with tree(dynamic()) as root:
        for number in range(3):
            deaf = child(f"{number}", partial(keep, trap=True), [], shutdown=2)
            await supervision.start_child("d", deaf)
        await settle()
        begin = trio.current_time()
        await supervision.terminate_child(root, "d")
        assert trio.current_time() - begin == pytest.approx(2)


@pytest.mark.otp("T9")
async def test_a_killed_one_leaves_nothing_behind():
    async with actor(), tree(dynamic()):
        pid = await supervision.start_child("d", child("t", Trapping))
        supervision.monitor(pid)
        supervision.monitor("d")
        supervision.exit(supervision.whereis("d"), KILL)
        downs = [await supervision.receive(Down) for _ in range(2)]
        assert [down.reason for down in downs] == [KILLED, KILLED]
        assert downs[-1].name == "d"


async def test_a_caller_that_is_cancelled_leaves_the_child():
    go = trio.Event()

    class Slow(Echo):
        async def init(self):
            await go.wait()

    async with tree(dynamic()):
        with trio.move_on_after(0):
            await supervision.start_child("d", child("s", Slow))
        go.set()
        await wait_all_tasks_blocked()
        assert supervision.is_alive(await wait_name("s"))
        assert not supervision.whereis("d").process.pending


async def test_a_start_fails_with_the_supervisor():
    class Slow(Echo):
        async def init(self):
            await wait()

    errors = []

    async def starter():
        try:
            await supervision.start_child("d", child("s", Slow))
        except (supervision.NoProcess, StartFailed) as error:
            errors.append(error)

    async with tree(dynamic()) as root, trio.open_nursery() as nursery:
        nursery.start_soon(starter)
        await wait_all_tasks_blocked()
        await supervision.terminate_child(root, "d")
        await wait_all_tasks_blocked()
        assert len(errors) == 1
        with pytest.raises(supervision.NoProcess):
            await supervision.start_child("d", child("s"))


@pytest.mark.otp("93")
async def test_a_suspended_dynamic_supervisor_still_ends():
    async with tree(dynamic()):
        await supervision.sys.suspend("d")
        pid = await supervision.start_child("d", child("a"))
        supervision.exit(pid, "crash")
        await wait_all_tasks_blocked()
        assert supervision.whereis("a") is None
        await supervision.sys.resume("d")
        await wait_all_tasks_blocked()
        assert supervision.whereis("a") is not None
        await supervision.sys.suspend("d")


async def test_a_dynamic_supervisor_refuses_calls_and_reports_messages(events):
    async with tree(dynamic()):
        with pytest.raises(supervision.ChildError):
            await supervision.call("d", Ask())
        supervision.send("d", "what?")
        await supervision.stop("d", SHUTDOWN)
    assert "supervision.message.dropped" in events.names()


@pytest.mark.otp("72")
async def test_specs_by_id_and_pid():
    async with tree(dynamic()):
        pid = await supervision.start_child("d", child("a"))
        spec = await supervision.get_child_spec("d", "a")
        assert await supervision.get_child_spec("d", pid) is spec
        assert spec.id == "a"


async def test_a_child_may_not_wait_for_its_own_end():
    got = []

    async def suicidal():
        try:
            await supervision.terminate_child("d", supervision.self_pid())
        except supervision.CallingSelf as error:
            got.append(error)

    async with tree(dynamic()):
        await wait_exit(
            await supervision.start_child(
                "d", child("s", suicidal, restart="temporary")
            )
        )
    assert len(got) == 1


# --- adopt


async def test_an_adopted_task_is_a_process_in_the_tree():
    async with tree(dynamic()):
        async with supervision.adopt("d", "guest", name="guest", value=7) as pid:
            assert supervision.self_pid() is pid
            assert supervision.lookup("guest") == supervision.Entry("guest", pid, 7)
            supervision.send("guest", "hello")
            assert await supervision.receive() == "hello"
            (info,) = supervision.tree("d").children
            assert (info.kind, info.id, info.restart) == (
                "adopted",
                "guest",
                "temporary",
            )
        assert not supervision.is_alive(pid)
        assert supervision.whereis("guest") is None
        assert await supervision.which_children("d") == []
        with pytest.raises(supervision.NotAProcess):
            supervision.self_pid()


async def test_a_signal_cancels_the_block_and_control_goes_on_behind_it():
    async with tree(dynamic()):
        async with supervision.adopt("d", "guest") as pid:
            supervision.exit(pid, "enough")
            await wait()
            pytest.fail("it was cancelled")
        assert not supervision.is_alive(pid)


@pytest.mark.parametrize(
    "error, reason",
    [(None, NORMAL), (OnPurpose(), Crash), ("left", Exited("left"))],
)
async def test_how_the_block_ends_is_the_reason(error, reason):
    async with tree(dynamic()):
        got = []

        async def watched():
            async with supervision.adopt("d", "guest") as pid:
                ready.append(pid)
                await go.wait()
                if isinstance(error, str):
                    supervision.exit(error)
                if error is not None:
                    raise error

        async def outer():
            try:
                await watched()
            except BaseException as caught:  # noqa: BLE001 - it is what is asked for
                got.append(caught)

        ready, go = [], trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outer)
            await wait_all_tasks_blocked()
            nursery.start_soon(check, ready[0], reason)
            await wait_all_tasks_blocked()
            go.set()
        # The exception is its owner's.
        assert bool(got) is (error is not None)


async def check(pid, reason):
    got = await wait_exit(pid)
    assert got == reason if not isinstance(reason, type) else isinstance(got, reason)


async def test_the_stop_of_the_tree_cancels_adopted_tasks_and_waits_for_them():
    order = []

    async def guest():
        async with supervision.adopt("d", "guest"):
            try:
                await wait()
            finally:
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                order.append("guest")

    async with trio.open_nursery() as nursery:
        async with tree(dynamic()):
            nursery.start_soon(guest)
            await wait_all_tasks_blocked()
        order.append("tree")
    assert order == ["guest", "tree"]


async def test_an_adopted_task_links_and_traps():
    async with tree(dynamic()), supervision.adopt("d", "guest"):
        supervision.trap_exits(True)
        pid = supervision.spawn_link(listen)
        supervision.exit(pid, "x")
        assert await supervision.receive() == Exit(pid, Exited("x"))


async def test_nobody_is_adopted_twice():
    async with tree(dynamic()) as root:
        async with supervision.adopt("d", "one", name="taken"):
            with pytest.raises(supervision.AlreadyAProcess):
                async with supervision.adopt("d", "two"):
                    pass
            got = []

            async def other():
                with pytest.raises(supervision.AlreadyStarted) as taken:
                    async with supervision.adopt("d", "two", name="taken"):
                        pass
                got.append(taken.value.pid)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
            assert got == [supervision.self_pid()]
        with pytest.raises(supervision.ChildError):
            async with supervision.adopt(root, "three"):
                pass
        with pytest.raises(supervision.NoProcess):
            async with supervision.adopt("nobody", "three"):
                pass


@pytest.mark.otp("56", "60")
async def test_a_brutal_child_is_killed_when_its_supervisor_stops():
    log = []
    async with tree(dynamic()) as root:
        spec = child("t", Trapping, log, shutdown=BRUTAL_KILL)
        await supervision.start_child("d", spec)
        await supervision.terminate_child(root, "d")
    assert log == ["init"]


@pytest.mark.otp("49", "88")
async def test_a_restart_whose_name_was_taken_is_tried_until_it_gives_up():
    async with actor(), tree(dynamic()):
        supervision.monitor("d")
        pid = await supervision.start_child("d", child("a"))
        supervision.unregister("a")
        supervision.register("a")
        supervision.exit(pid, "crash")
        assert (await supervision.receive(Down)).reason == SHUTDOWN


@pytest.mark.otp("51", "67")
async def test_a_cooling_child_can_be_terminated(autojump_clock):
    rule = CoolDown(after=(0, 5.0), first=5, jitter=0)
    async with tree(dynamic(cool_down=rule)):
        supervision.exit(await supervision.start_child("d", child("a")), "crash")
        await wait_all_tasks_blocked()
        await supervision.terminate_child("d", "a")
        await trio.sleep(100)
        assert supervision.whereis("a") is None
        assert await supervision.which_children("d") == []


@pytest.mark.otp("49")
async def test_a_failing_restart_of_a_transient_child_is_tried_again():
    """Whatever the reason of the failure."""
    log = []

    class Moody(Echo):
        async def init(self):
            self.log.append(1)
            return supervision.Stop() if len(self.log) == 2 else None

    async with tree(dynamic()):
        spec = child("m", Moody, log, restart="transient")
        supervision.exit(await supervision.start_child("d", spec), "crash")
        await wait_all_tasks_blocked()
        assert supervision.whereis("m") is not None
    assert len(log) == 3


async def test_an_id_that_several_have_stands_for_the_newest_that_is_left():
    spec = ChildSpec("it", wait)
    async with tree(dynamic(), child("holder")):
        pids = [await supervision.start_child("d", spec) for _ in range(3)]
        with pytest.raises(supervision.AlreadyStarted):
            await supervision.start_child("d", ChildSpec("it", wait, name="holder"))
        for pid in reversed(pids):
            await supervision.terminate_child("d", "it")
            assert not supervision.is_alive(pid)
        with pytest.raises(supervision.NotFound):
            await supervision.terminate_child("d", "it")
