"""What is said of a child that does not end: what holds it, where, and who waits."""

import contextlib
import threading
from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import BRUTAL_KILL, DynamicSupervisor
from supervision.testing import Recorder
from tests.supervision.stage import child, listen, tree

pytestmark = pytest.mark.usefixtures("scopes")

UNKILLABLE = "supervision.child.unkillable"


@pytest.fixture
def fast_clock() -> trio.testing.MockClock:
    """Also moves while somebody is busy, when an autojump would never come."""
    return trio.testing.MockClock(rate=500, autojump_threshold=0)


class Hold:
    """What holds a child, until the test lets go."""

    def __init__(self) -> None:
        self.ready = trio.Event()
        self.over = trio.Event()
        self._gate = threading.Event()

    def release(self) -> None:
        self.over.set()
        self._gate.set()

    def hold_a_thread(self) -> None:
        trio.from_thread.run_sync(self.ready.set)
        self._gate.wait()

    # --- children

    async def busy(self) -> None:
        # It lets others run, but never in a way that could be cancelled.
        while not self.over.is_set():
            self.ready.set()
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def swallow(self) -> None:
        while not self.over.is_set():
            self.ready.set()
            with contextlib.suppress(trio.Cancelled):
                await trio.sleep_forever()

    async def shield(self) -> None:
        self.ready.set()
        with trio.CancelScope(shield=True):
            await self.over.wait()

    async def thread(self) -> None:
        await trio.to_thread.run_sync(self.hold_a_thread)

    async def named_thread(self) -> None:
        await trio.to_thread.run_sync(self.hold_a_thread, thread_name="disk")

    async def thread_under_a_shield(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self.hold_a_thread)

    async def shield_inside(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.shield, name="inner")

    async def busy_around_an_idle_task(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.shield, name="inner")
            await self.busy()

    async def thread_and_shield(self) -> None:
        async def shielded() -> None:
            with trio.CancelScope(shield=True):
                await self.over.wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shielded)
            await self.thread()


HELD = {
    "busy": (["busy"], " busy"),
    "swallow": (["busy"], " swallow"),
    "shield": (["shield"], " shield"),
    "thread": (["thread"], "in thread hold_a_thread from it: "),
    "named_thread": (["thread"], "in thread disk: "),
    "thread_under_a_shield": (["thread"], " hold_a_thread"),
    "shield_inside": (["shield"], "in task inner: "),
    "busy_around_an_idle_task": (["busy", "shield"], " busy"),
    "thread_and_shield": (["shield", "thread"], " hold_a_thread"),
}


async def report(events: Recorder, count: int = 1) -> supervision.Event:
    """Wait for that many reports of something that cannot be ended."""
    while len(events.named(UNKILLABLE)) < count:
        told = trio.Event()
        detach = supervision.telemetry.attach(
            lambda event, told=told: event.name == UNKILLABLE and told.set()
        )
        await told.wait()
        detach()
    return events.named(UNKILLABLE)[count - 1]


@pytest.mark.otp("T4", "T6")
@pytest.mark.parametrize("how", HELD)
async def test_what_holds_a_child_is_told_apart(how, events: Recorder, fast_clock):
    held_by, where = HELD[how]
    hold = Hold()
    it = child("it", getattr(hold, how), restart="temporary", shutdown=BRUTAL_KILL)
    async with tree(it) as root, trio.open_nursery() as nursery:
        await hold.ready.wait()
        pid = supervision.whereis("it")
        assert pid is not None
        nursery.start_soon(supervision.terminate_child, root, "it")
        told = (await report(events)).metadata
        assert supervision.is_alive(pid)
        hold.release()
    assert (told["pid"], told["name"], told["id"]) == (pid, "it", "it")
    assert told["held_by"] == held_by
    stack = told["stack"]
    assert isinstance(stack, list)
    assert any(where in line for line in stack), stack
    # Nothing of the thread that looks.
    assert "unrolled_run" not in repr(stack)


async def test_a_thread_of_a_sibling_is_not_told(events: Recorder, fast_clock):
    """Trio names threads after tasks, and children of one kind have one name."""
    mine, other = Hold(), Hold()
    dynamic = child("d", DynamicSupervisor, type="supervisor")
    spec = partial(child, shutdown=BRUTAL_KILL, restart="temporary")
    async with tree(dynamic), trio.open_nursery() as nursery:
        named = supervision.ChildSpec("same", other.thread, restart="temporary")
        await supervision.start_child("d", named)
        await supervision.start_child("d", spec("same", mine.shield))
        await mine.ready.wait()
        await other.ready.wait()
        pid = supervision.whereis("same")
        assert pid is not None
        nursery.start_soon(supervision.terminate_child, "d", pid)
        told = (await report(events)).metadata
        assert told["held_by"] == ["shield"]
        assert "hold_a_thread" not in repr(told["stack"])
        mine.release()
        other.release()


async def test_a_thread_that_may_be_abandoned_holds_nobody(events: Recorder):
    gate = threading.Event()
    ready = trio.Event()

    def work() -> None:
        trio.from_thread.run_sync(ready.set)
        gate.wait()

    async def abandons() -> None:
        await trio.to_thread.run_sync(work, abandon_on_cancel=True)

    async with tree(child("it", abandons, shutdown=BRUTAL_KILL)) as root:
        await ready.wait()
        await supervision.terminate_child(root, "it")
        assert supervision.whereis("it") is None
    gate.set()
    assert not events.named(UNKILLABLE)


# --- what the supervisor does meanwhile


async def test_the_supervisor_waits_and_those_before_it_go_on(
    events: Recorder, autojump_clock
):
    hold = Hold()
    done = trio.Event()

    async def run() -> None:
        async with tree(
            child("first", listen),
            child("it", hold.shield, shutdown=0.1),
            child("last", listen),
            grace=1e6,
        ):
            await hold.ready.wait()
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await report(events)
        await wait_all_tasks_blocked()
        assert supervision.whereis("last") is None
        assert supervision.whereis("it") is not None
        # Whatever it needs to end is still there.
        assert supervision.whereis("first") is not None
        (first, it, last) = supervision.tree().children
        assert (first.status, it.status, last.status) == (
            "waiting",
            "stopping",
            "undefined",
        )
        assert len(events.named(UNKILLABLE)) == 1
        assert not done.is_set()
        hold.release()
    assert done.is_set()


async def test_when_the_grace_of_the_root_is_over_the_others_are_killed(
    events: Recorder, autojump_clock
):
    hold = Hold()
    done = trio.Event()

    async def run() -> None:
        async with tree(
            child("first", listen), child("it", hold.shield, shutdown=0.1), grace=5.0
        ):
            await hold.ready.wait()
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await report(events, 2)
        await wait_all_tasks_blocked()
        assert supervision.whereis("first") is None
        # But the block is not left, because something of it still runs.
        assert supervision.whereis("it") is not None
        assert not done.is_set()
        hold.release()
    assert done.is_set()


async def test_other_branches_of_the_tree_are_not_held_up(
    events: Recorder, autojump_clock
):
    hold = Hold()
    inner = child(
        "branch",
        supervision.Supervisor,
        [child("it", hold.shield, shutdown=0.1)],
        type="supervisor",
    )
    async with tree(inner, child("other", listen)), trio.open_nursery() as nursery:
        await hold.ready.wait()
        nursery.start_soon(supervision.terminate_child, "branch", "it")
        await report(events)
        other = supervision.whereis("other")
        assert other is not None
        supervision.exit(other, "why")
        await wait_all_tasks_blocked()
        assert supervision.whereis("other") not in (None, other)
        # Who asks the supervisor that waits has to wait, too.
        with trio.move_on_after(10) as scope:
            await supervision.which_children("branch")
        assert scope.cancelled_caught
        # Who only looks has not.
        assert supervision.tree("branch").children[0].status == "stopping"
        hold.release()
