"""Exit signals for processes that wait anywhere in Trio (T3 to T8, T14)."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import KILL, KILLED, SHUTDOWN, Crash, Exited, _trio_parts
from supervision.testing import wait_exit
from tests.supervision.stage import Ask, Echo, actor, child, keep, tree, wait

pytestmark = pytest.mark.usefixtures("scopes")


async def in_socket():
    one, other = trio.socket.socketpair()
    with one, other:
        await one.recv(1)


async def in_event():
    await trio.Event().wait()


async def in_channel():
    _, receive = trio.open_memory_channel[int](0)
    await receive.receive()


async def in_nursery():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)


async def in_nursery_with_a_body():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait()


async def in_scopes():
    with trio.CancelScope(), trio.move_on_after(1000), trio.CancelScope():
        await wait()


async def in_receive():
    await supervision.receive()


async def in_timed_receive():
    await supervision.receive(int, timeout=1000)


async def in_generator():
    async def generator():
        with trio.CancelScope():
            await wait()
            yield

    async for _ in generator():
        pass


async def in_start():
    async def never_started(task_status=trio.TASK_STATUS_IGNORED):
        await wait()

    async with trio.open_nursery() as nursery:
        await nursery.start(never_started)


async def in_thread():
    stopped = []

    def blocked():
        while not stopped:
            trio.from_thread.check_cancelled()

    await trio.to_thread.run_sync(blocked)


async def in_unshielded_shield():
    with trio.CancelScope(shield=True) as scope:
        scope.shield = False
        await wait()


PLACES = [
    in_socket,
    in_event,
    in_channel,
    in_nursery,
    in_nursery_with_a_body,
    in_scopes,
    in_receive,
    in_timed_receive,
    in_generator,
    in_start,
    in_thread,
    in_unshielded_shield,
]


@pytest.mark.otp("12", "T3")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("reason", [Exited("x"), KILL])
async def test_an_exit_signal_reaches_a_process(place, reason):
    async with tree():
        other = supervision.spawn(wait)
        pid = supervision.spawn(place)
        if place is in_thread:
            await trio.sleep(0.01)
        else:
            await wait_all_tasks_blocked()
        supervision.exit(pid, reason)
        expected = KILLED if reason is KILL else reason
        assert await wait_exit(pid) == expected
        await wait_all_tasks_blocked()
        assert supervision.is_alive(other)


@pytest.mark.otp("T5")
async def test_a_signal_is_level_triggered():
    """Every later await is cancelled too."""
    cancelled = []

    async def clings():
        for _ in range(3):
            try:
                await wait()
            except trio.Cancelled:
                cancelled.append(1)

    async with tree():
        pid = supervision.spawn(clings)
        await wait_all_tasks_blocked()
        supervision.exit(pid, "x")
        # It returned normally, and its reason is the signal's (T7).
        assert await wait_exit(pid) == Exited("x")
    assert cancelled == [1, 1, 1]


@pytest.mark.otp("T6")
async def test_a_shield_holds_against_a_signal():
    """Also against a kill, if it is not one of ours."""
    release = trio.Event()

    async def shielded():
        with trio.CancelScope(shield=True):
            await release.wait()
        await wait()

    async with tree():
        pid = supervision.spawn(shielded)
        await wait_all_tasks_blocked()
        supervision.exit(pid, KILL)
        await wait_all_tasks_blocked()
        assert supervision.is_alive(pid)
        release.set()
        assert await wait_exit(pid) == KILLED


@pytest.mark.otp("T3")
async def test_the_first_reason_wins_except_over_a_kill():
    release = trio.Event()

    async def lingers():
        try:
            await wait()
        finally:
            with trio.CancelScope(shield=True):
                await release.wait()

    async with actor():
        first, second = supervision.spawn(lingers), supervision.spawn(lingers)
        ends = {supervision.monitor(first): "first", supervision.monitor(second): KILL}
        await wait_all_tasks_blocked()
        for pid in (first, second):
            supervision.exit(pid, "first")
            supervision.exit(pid, "second")
        supervision.exit(second, KILL)
        release.set()
        for _ in ends:
            down = await supervision.receive()
            wins = ends[down.ref]
            assert down.reason == (KILLED if wins is KILL else Exited(wins))


@pytest.mark.otp("T4")
async def test_a_signal_ends_a_busy_process_at_its_next_checkpoint():
    steps = []

    async def busy(here):
        supervision.exit(supervision.self_pid(), "enough")
        steps.append("still running")
        await trio.lowlevel.checkpoint()
        steps.append("never")

    async with actor() as here:
        pid = supervision.spawn(busy, here)
        assert await wait_exit(pid) == Exited("enough")
    assert steps == ["still running"]


async def test_an_error_while_unwinding_does_not_hide_the_signal(events):
    async def careless():
        try:
            await wait()
        finally:
            raise ValueError("in finally")

    async with tree():
        pid = supervision.spawn(careless)
        await wait_all_tasks_blocked()
        supervision.exit(pid, "x")
        assert await wait_exit(pid) == Exited("x")
    assert "supervision.process.crash" in events.names()


@pytest.mark.otp("T3")
async def test_a_cancelled_that_is_not_ours_is_a_crash():
    """Neither a signal nor a cancelled nursery explains it."""
    kept = []

    async def leaks():
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                kept.append(error)
        raise kept[0]

    async with tree():
        other = supervision.spawn(wait)
        pid = supervision.spawn(leaks)
        assert isinstance(await wait_exit(pid), Crash)
        await wait_all_tasks_blocked()
        assert supervision.is_alive(other)


@pytest.mark.otp("T3")
async def test_cancelled_from_outside_is_shutdown_and_goes_on():
    reasons = []
    async with tree(child("dynamic", supervision.DynamicSupervisor, type="supervisor")):

        async def adopted():
            async with supervision.adopt("dynamic", "guest") as pid:
                supervision._process.notify_end(pid.process, reasons.append)
                await wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(adopted)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert nursery.cancel_scope.cancelled_caught
    assert [down.reason for down in reasons] == [SHUTDOWN]


@pytest.mark.otp("T3")
async def test_a_whole_nursery_of_ours_that_is_cancelled_ends_as_shutdown():
    """Every process in it, and the supervisor last."""
    ends = []
    async with tree(child("w", wait), child("s", Echo)) as root:
        for name in ("w", "s"):
            pid = supervision.whereis(name)
            supervision._process.notify_end(pid.process, ends.append)
        root.process.nursery.cancel_scope.cancel()
        await wait_exit(root)
    assert [down.reason for down in ends] == [SHUTDOWN, SHUTDOWN]


@pytest.mark.otp("T6")
async def test_a_trapping_process_is_not_cancelled():
    seen = []
    async with tree():
        pid = supervision.spawn(lambda: keep(seen, trap=True))
        await wait_all_tasks_blocked()
        supervision.exit(pid, "x")
        supervision.exit(pid, SHUTDOWN)
        await wait_all_tasks_blocked()
        assert supervision.is_alive(pid)
        assert [exit_.reason for exit_ in seen] == [Exited("x"), SHUTDOWN]
        supervision.exit(pid, KILL)
        assert await wait_exit(pid) == KILLED


@pytest.mark.otp("T14")
async def test_a_cancelled_caller_leaves_no_slot():
    replies = []

    class Slow(Echo):
        async def handle_call(self, request, sender):
            replies.append(sender)
            return supervision.NO_REPLY

    async with tree(child("slow", Slow)):
        with trio.move_on_after(0) as scope:
            await supervision.call("slow", Ask())
        assert scope.cancelled_caught
        pid = supervision.whereis("slow")
        assert not pid.process.pending

        async def caller():
            await supervision.call("slow", Ask())

        caller_pid = supervision.spawn(caller)
        await wait_all_tasks_blocked()
        assert len(pid.process.pending) == 1
        supervision.exit(caller_pid, "x")
        assert await wait_exit(caller_pid) == Exited("x")
        assert not pid.process.pending
        supervision.reply(replies[-1], "late")
        assert supervision.is_alive(pid)


async def test_no_task_keeps_a_spliced_scope():
    """Afterwards the cancel tree is what it was."""
    async with tree() as root:
        nursery = root.process.home.nursery
        before = len(nursery._cancel_status.children)
        for place in (in_event, in_scopes, in_nursery):
            pid = supervision.spawn(place)
            await wait_all_tasks_blocked()
            supervision.exit(pid, "x")
            await wait_exit(pid)
        await wait_all_tasks_blocked()
        assert len(nursery._cancel_status.children) == before


def test_the_private_parts_of_this_trio_are_there():
    """Else every process costs a scope; the pinned Trio must not come to that."""
    assert _trio_parts.splicing_is_possible()
    assert _trio_parts.starting_is_known()
