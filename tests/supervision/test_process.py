"""Processes: reasons, links, monitors, exit signals, mailboxes."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import contextvars
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Exited,
    Shutdown,
)
from supervision.testing import wait_exit
from tests.supervision.stage import OnPurpose, actor, crash, keep, listen, tree, wait

pytestmark = pytest.mark.usefixtures("scopes")


async def leave(reason):
    supervision.exit(reason)


async def nothing():
    pass


@pytest.mark.otp("1", "6")
@pytest.mark.parametrize(
    "fn, args, reason",
    [
        (nothing, (), NORMAL),
        (leave, ("x",), Exited("x")),
        (leave, (Shutdown(3),), Shutdown(3)),
        (leave, (NORMAL,), NORMAL),
        (leave, (KILL,), Exited(KILL)),
    ],
)
async def test_a_process_ends_with_one_reason(fn, args, reason):
    async with actor():
        pid, ref = supervision.spawn_monitor(fn, *args)
        assert await supervision.receive() == Down(ref, pid, reason)


@pytest.mark.otp("1")
async def test_an_error_is_a_crash_with_the_exception():
    async with actor():
        supervision.spawn_monitor(crash, "why")
        down = await supervision.receive(Down)
        assert isinstance(down.reason, Crash)
        assert isinstance(down.reason.error, OnPurpose)
        assert down.reason.error.__traceback__ is not None


@pytest.mark.otp("2")
async def test_a_link_is_one_link_however_often_it_is_made():
    async with actor():
        pid = supervision.spawn(wait)
        supervision.link(pid)
        supervision.link(pid)
        supervision.unlink(pid)
        supervision.link(supervision.self_pid())
        supervision.exit(pid, "gone")
        await wait_exit(pid)
        await wait_all_tasks_blocked()
        await trio.lowlevel.checkpoint()


@pytest.mark.otp("3")
@pytest.mark.parametrize("how", ["normal", "crash"])
async def test_an_exit_spreads_over_links_unless_normal(how):
    async with actor():

        async def first():
            message = await supervision.receive()
            if message == "crash":
                raise OnPurpose

        async def second(first):
            supervision.link(first)
            await wait()

        one = supervision.spawn(first)
        two = supervision.spawn(second, one)
        await wait_all_tasks_blocked()
        supervision.send(one, how)
        assert (how == "crash") is isinstance(await wait_exit(one), Crash)
        await wait_all_tasks_blocked()
        assert supervision.is_alive(two) is (how == "normal")


@pytest.mark.otp("4", "21")
async def test_a_trapping_process_gets_every_exit_as_a_message_in_order():
    async with actor(trap=True) as here:

        async def child():
            supervision.send(here, "before")
            supervision.exit(NORMAL)

        pid = supervision.spawn_link(child)
        assert await supervision.receive() == "before"
        assert await supervision.receive() == Exit(pid, NORMAL)
        supervision.exit(here, "x")
        assert await supervision.receive() == Exit(here, Exited("x"))


@pytest.mark.otp("5")
async def test_kill_cannot_be_trapped_and_arrives_as_killed():
    async with actor(trap=True):
        seen = []
        victim = supervision.spawn(lambda: keep(seen, trap=True))
        supervision.link(victim)
        ref = supervision.monitor(victim)
        await wait_all_tasks_blocked()
        supervision.exit(victim, KILL)
        assert await supervision.receive(Exit) == Exit(victim, KILLED)
        assert await supervision.receive(Down) == Down(ref, victim, KILLED)
        assert seen == []


@pytest.mark.otp("6")
async def test_kill_over_a_link_can_be_trapped():
    async with actor(trap=True):
        pid = supervision.spawn_link(leave, KILL)
        assert await supervision.receive() == Exit(pid, Exited(KILL))


@pytest.mark.otp("7")
async def test_a_normal_signal_is_ignored_by_others_and_ends_oneself(autojump_clock):
    async with actor() as here:
        other = supervision.spawn(wait)
        supervision.exit(other, NORMAL)
        seen = []
        trapping = supervision.spawn(partial(keep, seen, trap=True))
        await wait_all_tasks_blocked()
        supervision.exit(trapping, NORMAL)
        await wait_all_tasks_blocked()
        assert supervision.is_alive(other)
        assert seen == [Exit(here, NORMAL)]

        async def oneself():
            supervision.exit(supervision.self_pid(), NORMAL)
            await wait()

        pid, ref = supervision.spawn_monitor(oneself)
        assert await supervision.receive() == Down(ref, pid, NORMAL)


@pytest.mark.otp("8")
async def test_a_link_to_the_dead_is_noproc():
    async with actor() as here:
        dead = supervision.spawn(nothing)
        await wait_exit(dead)
        with pytest.raises(supervision.NoProcess):
            supervision.link(dead)
        supervision.trap_exits(True)
        supervision.link(dead)
        assert await supervision.receive() == Exit(dead, NOPROC)
        assert supervision.is_alive(here)


@pytest.mark.otp("9")
async def test_unlink_and_flush_leaves_nothing():
    async with actor(trap=True):
        pid = supervision.spawn_link(crash)
        await wait_exit(pid)
        supervision.unlink(pid, flush=True)
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("2", "9")
@pytest.mark.parametrize("mine", [True, False])
async def test_after_unlink_neither_end_hears_of_the_other(mine, autojump_clock):
    async with actor(trap=True):
        seen = []
        other = supervision.spawn(partial(keep, seen, trap=True))
        await wait_all_tasks_blocked()

        async def briefly():
            supervision.link(other)
            supervision.link(other)
            supervision.unlink(other)
            supervision.exit("by itself")

        if mine:
            supervision.link(other)
            supervision.unlink(other)
            supervision.exit(other, KILL)
            await wait_exit(other)
        else:
            await wait_exit(supervision.spawn(briefly))
        await wait_all_tasks_blocked()
        assert seen == []
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("10")
async def test_spawn_link_and_spawn_monitor_leave_no_gap():
    async with actor(trap=True):
        linked = supervision.spawn_link(nothing)
        watched, ref = supervision.spawn_monitor(nothing)
        both = {await supervision.receive(), await supervision.receive()}
        assert both == {Exit(linked, NORMAL), Down(ref, watched, NORMAL)}
        also = supervision.spawn(nothing, link=True, monitor=True)
        got = [await supervision.receive(), await supervision.receive()]
        assert {type(message) for message in got} == {Exit, Down}
        assert {message.pid for message in got} == {also}


@pytest.mark.otp("11")
async def test_trapping_says_what_it_was_and_keeps_what_is_queued():
    async with actor() as here:
        assert supervision.trap_exits(True) is False
        supervision.exit(here, "x")
        assert supervision.trap_exits(False) is True
        assert await supervision.receive() == Exit(here, Exited("x"))


@pytest.mark.otp("12")
async def test_an_exit_reaches_a_process_that_waits_for_something_else():
    async with actor():

        async def picky():
            await supervision.receive(int)

        pid = supervision.spawn(picky)
        await wait_all_tasks_blocked()
        supervision.exit(pid, "now")
        assert await wait_exit(pid) == Exited("now")


@pytest.mark.otp("13")
async def test_a_dead_pid_swallows_and_an_unknown_name_does_not():
    async with actor():
        pid = supervision.spawn(nothing)
        await wait_exit(pid)
        supervision.send(pid, "anything")
        supervision.exit(pid, KILL)
        assert supervision.spawn(nothing) != pid
        with pytest.raises(supervision.NoSuchName):
            supervision.send("nobody", "anything")


@pytest.mark.otp("14")
async def test_monitors_stack():
    async with actor():
        pid = supervision.spawn(wait)
        refs = {supervision.monitor(pid) for _ in range(3)}
        supervision.exit(pid, SHUTDOWN)
        downs = [await supervision.receive(Down) for _ in range(3)]
        assert {down.ref for down in downs} == refs


@pytest.mark.otp("15")
async def test_a_monitor_of_the_dead_says_noproc_at_once():
    async with actor():
        pid = supervision.spawn(nothing)
        await wait_exit(pid)
        ref = supervision.monitor(pid)
        assert await supervision.receive(timeout=0) == Down(ref, pid, NOPROC)
        ref = supervision.monitor("nobody")
        assert await supervision.receive(timeout=0) == Down(ref, None, NOPROC, "nobody")


@pytest.mark.otp("15")
async def test_a_monitor_says_it_once():
    async with actor():
        pid = supervision.spawn(wait)
        ref = supervision.monitor(pid)
        supervision.exit(pid, "x")
        assert await supervision.receive() == Down(ref, pid, Exited("x"))
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("16")
@pytest.mark.parametrize("flush", [False, True])
async def test_demonitor_keeps_a_queued_down_unless_it_flushes(flush):
    async with actor():
        pid = supervision.spawn(wait)
        early, late = supervision.monitor(pid), supervision.monitor(pid)
        assert supervision.demonitor(early)
        supervision.exit(pid, "x")
        await wait_exit(pid)
        assert supervision.demonitor(late, flush=flush)
        assert supervision.demonitor(late)
        if not flush:
            assert (await supervision.receive(timeout=0)).ref is late
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("17")
@pytest.mark.parametrize("body", [wait, partial(leave, "why"), crash])
async def test_a_down_has_the_reason_of_the_exit_and_kills_nobody(body):
    async with actor(trap=True):
        pid = supervision.spawn_link(body)
        supervision.monitor(pid)
        if body is wait:
            supervision.exit(pid, "why")
        one, other = [(await supervision.receive()).reason for _ in range(2)]
        assert one == other
        assert isinstance(one, Crash) if body is crash else one == Exited("why")


@pytest.mark.otp("18")
async def test_a_monitor_by_name_sticks_to_the_process():
    async with actor():
        pid = supervision.spawn(wait, name="n")
        ref = supervision.monitor("n")
        supervision.unregister("n")
        other = supervision.spawn(wait, name="n")
        supervision.exit(other, "other")
        await wait_exit(other)
        supervision.exit(pid, "it")
        assert await supervision.receive() == Down(ref, pid, Exited("it"), "n")


async def test_the_watcher_that_ends_leaves_no_monitor_behind():
    async with actor():
        target = supervision.spawn(wait)

        async def watcher():
            supervision.monitor(target)

        await wait_exit(supervision.spawn(watcher))
        assert not target.process.monitors


@pytest.mark.otp("21")
async def test_messages_of_one_sender_keep_their_order():
    async with actor() as here:

        async def sender():
            for number in range(100):
                supervision.send(here, number)
            supervision.exit("done")

        pid, ref = supervision.spawn_monitor(sender)
        got = [await supervision.receive() for _ in range(101)]
        assert got == [*range(100), Down(ref, pid, Exited("done"))]


@pytest.mark.otp("22")
async def test_a_selective_receive_leaves_the_others_in_order():
    async with actor() as here:
        for message in (1, "a", 2, "b", 3.0):
            supervision.send(here, message)
        assert await supervision.receive(str) == "a"
        assert await supervision.receive((float, str)) == "b"
        assert await supervision.receive(lambda got: got == 2) == 2
        assert [await supervision.receive() for _ in range(2)] == [1, 3.0]


@pytest.mark.otp("22", "26")
async def test_a_waiting_receive_never_looks_twice_at_a_message():
    async with actor() as here:
        looked = []

        def picky(message):
            looked.append(message)
            return message == "it"

        async def sender():
            for message in (3, 4, "it", 5):
                supervision.send(here, message)
                await wait_all_tasks_blocked()

        supervision.send(here, 1)
        supervision.send(here, 2)
        supervision.spawn(sender)
        assert await supervision.receive(picky) == "it"
        assert looked == [1, 2, 3, 4, "it"]
        assert [await supervision.receive() for _ in range(5)] == [1, 2, 3, 4, 5]


@pytest.mark.otp("23")
async def test_a_receive_that_times_out_loses_nothing(autojump_clock):
    async with actor() as here:
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)
        supervision.send(here, "kept")
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(int, timeout=0)
        before = trio.current_time()
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(int, timeout=7)
        assert trio.current_time() - before == pytest.approx(7)
        assert await supervision.receive(timeout=0) == "kept"


@pytest.mark.otp("23")
async def test_a_poll_finds_what_is_there_and_only_that():
    async with actor() as here:
        for message in ("a", 1, "b"):
            supervision.send(here, message)
        assert await supervision.receive(int, timeout=0) == 1
        assert await supervision.receive(lambda m: m == "b", timeout=0) == "b"
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(int, timeout=0)
        assert await supervision.receive(timeout=0) == "a"


@pytest.mark.otp("24")
async def test_mailboxes_are_unbounded_and_send_never_waits():
    async with actor():
        pid = supervision.spawn(wait)
        for number in range(10_000):
            supervision.send(pid, number)
        info = supervision.info(pid)
        assert info is not None
        assert info.mailbox == 10_000


async def test_who_one_is_belongs_to_the_task():
    """Tasks inside a process may send but not receive; threads are nobody."""
    async with actor() as here:
        found = []

        async def inner():
            with pytest.raises(supervision.NotAProcess):
                supervision.self_pid()
            with pytest.raises(supervision.NotAProcess):
                await supervision.receive()
            supervision.send(here, "from inside")
            found.append("inner")

        def thread():
            with pytest.raises(supervision.NotAProcess):
                supervision.self_pid()
            trio.from_thread.run_sync(supervision.send, here, "from a thread")
            found.append("thread")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(inner)
        await trio.to_thread.run_sync(thread)
        assert found == ["inner", "thread"]
        assert await supervision.receive() == "from inside"
        assert await supervision.receive() == "from a thread"


async def test_without_a_supervisor_there_is_no_process():
    with pytest.raises(supervision.NoRuntime):
        supervision.spawn(nothing)
    with pytest.raises(supervision.NotAProcess):
        supervision.self_pid()
    with pytest.raises(supervision.NoProcess):
        await supervision.stop("nobody")
    assert supervision.whereis("nobody") is None


async def test_what_only_a_process_can_do_is_refused_to_others():
    async with tree():
        pid = supervision.spawn(wait)
        ref = supervision._process.notify_end(pid.process, lambda down: None)
        for refused in (
            partial(supervision.exit, "x"),
            partial(supervision.trap_exits, True),
            partial(supervision.link, pid),
            partial(supervision.unlink, pid),
            partial(supervision.monitor, pid),
            partial(supervision.demonitor, ref),
            partial(supervision.spawn_link, wait),
            partial(supervision.spawn_monitor, wait),
            partial(supervision.join, "g"),
        ):
            with pytest.raises(supervision.NotAProcess):
                refused()


@pytest.mark.otp("T2")
async def test_a_childs_exception_never_reaches_a_nursery():
    async with tree() as root:
        pids = [supervision.spawn(crash) for _ in range(3)]
        other = supervision.spawn(wait)
        for pid in pids:
            await wait_exit(pid)
        assert supervision.is_alive(other)
        assert supervision.is_alive(root)


@pytest.mark.otp("T13", "89")
async def test_all_effects_of_a_death_come_in_one_step():
    """Name free, group left, link, monitor and table, all at once."""
    async with actor(trap=True) as here:
        release = trio.Event()

        async def lingers():
            try:
                await wait()
            finally:
                with trio.CancelScope(shield=True):
                    await release.wait()

        pid = supervision.spawn_link(lingers, name="held")
        supervision.monitor(pid)
        supervision.join("g", pid=pid)
        await wait_all_tasks_blocked()
        supervision.exit(pid, "x")
        await wait_all_tasks_blocked()
        assert supervision.is_alive(pid)
        assert supervision.whereis("held") is pid
        assert supervision.members("g") == [pid]
        supervision.exit(pid, "too late")
        supervision.send(pid, "vanishes")
        seen = []
        dying = pid.process.task

        class AtTheEnd(trio.abc.Instrument):
            def task_exited(self, task):
                if task is dying:
                    told = supervision.info(here).mailbox
                    name, group = supervision.whereis("held"), supervision.members("g")
                    seen.append((supervision.is_alive(pid), name, group, told))

        trio.lowlevel.add_instrument(AtTheEnd())
        release.set()
        exit_ = await supervision.receive()
        assert seen == [(False, None, [], 2)]
        supervision.register("held")
        down = await supervision.receive()
        assert {exit_.reason, down.reason} == {Exited("x")}


@pytest.mark.otp("T8")
async def test_groups_of_one_unwrap_and_larger_ones_stay():

    async def nested(*errors):
        async with trio.open_nursery() as outer, trio.open_nursery() as inner:
            for error in errors:
                inner.start_soon(fail, error)
            outer.start_soon(wait)

    async def fail(error):
        raise error

    async with actor():
        supervision.spawn_monitor(nested, OnPurpose())
        down = await supervision.receive(Down)
        assert isinstance(down.reason, supervision.Crash)
        assert isinstance(down.reason.error, OnPurpose)
        supervision.spawn_monitor(nested, OnPurpose(), ValueError())
        down = await supervision.receive(Down)
        assert isinstance(down.reason, supervision.Crash)
        assert isinstance(down.reason.error, ExceptionGroup)
        assert len(down.reason.error.exceptions) in (1, 2)


@pytest.mark.otp("T20")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_ends_the_whole_tree_in_order(error):
    ends = []

    async def tidy():
        try:
            await wait()
        finally:
            ends.append("tidy")

    async def interrupted():
        raise error

    with pytest.raises(error):
        async with tree(supervision.ChildSpec("tidy", tidy)):
            await wait_all_tasks_blocked()
            supervision.spawn(interrupted)
            await wait()
    assert ends == ["tidy"]


@pytest.mark.otp("T12")
async def test_a_busy_receiver_lets_others_run():
    async with actor() as here:
        turns = []

        async def other():
            while True:
                turns.append(1)
                await trio.lowlevel.checkpoint()

        supervision.spawn(other)
        for number in range(2000):
            supervision.send(here, number)
        for _ in range(2000):
            await supervision.receive()
        assert 2 <= len(turns) < 100


@pytest.mark.otp("T18")
async def test_restarted_children_have_the_context_of_their_supervisor():
    var = contextvars.ContextVar("var", default="outside")
    seen = []

    async def child():
        seen.append(var.get())
        var.set("child")
        await supervision.receive()
        raise OnPurpose

    async with tree(supervision.ChildSpec("c", child, name="c")):
        for _ in range(2):
            await wait_all_tasks_blocked()
            pid = supervision.whereis("c")
            assert pid is not None
            supervision.send(pid, "crash")
        await wait_all_tasks_blocked()
    assert seen == ["outside"] * 3


async def test_a_process_that_was_signalled_before_its_first_step_never_runs():
    ran = []

    async def never():
        ran.append(1)

    async with actor():
        pid, ref = supervision.spawn_monitor(never)
        supervision.exit(pid, "early")
        assert await supervision.receive() == Down(ref, pid, Exited("early"))
    assert ran == []


async def test_a_listener_ends_with_the_tree():
    async with tree():
        pid = supervision.spawn(listen)
    assert not supervision.is_alive(pid)
