"""open_supervisor, and run() with signals and exit codes."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import os
import signal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    KILL,
    SHUTDOWN,
    Application,
    ChildSpec,
    StartFailed,
    Supervisor,
    SupervisorGaveUp,
)
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    Trapping,
    child,
    crash,
    tree,
    wait,
)

# --- open_supervisor


async def test_the_block_begins_with_everything_up_and_leaves_nothing():
    async with tree(child("echo", Echo), name="top") as root:
        assert supervision.whereis("top") is root
        assert await supervision.call("echo", Ask(1)) == 1
        spawned = supervision.spawn(wait)
    assert not supervision.is_alive(root)
    assert not supervision.is_alive(spawned)
    assert supervision.names() == []


async def test_an_exception_of_the_block_stops_the_tree_and_goes_on_unwrapped():
    log = []
    with pytest.raises(OnPurpose):
        async with tree(child("t", Trapping, log)):
            raise OnPurpose
    assert log[-1] == ("terminate", SHUTDOWN)


async def test_a_cancellation_from_outside_is_an_orderly_stop(autojump_clock):
    order = []

    class Slow(Trapping):
        def __init__(self, id):
            super().__init__()
            self.id = id

        async def terminate(self, reason):
            await trio.sleep(1)
            order.append(self.id)

    with trio.move_on_after(1) as scope:
        async with tree(child("a", Slow, "a"), child("b", Slow, "b")):
            await wait()
    assert scope.cancelled_caught
    assert order == ["b", "a"]


async def test_after_the_grace_everything_is_killed(autojump_clock):
    class Endless(Trapping):
        async def terminate(self, reason):
            await wait()

    begin = trio.current_time()
    async with tree(child("e", Endless, shutdown=None), grace=3):
        pass
    assert trio.current_time() - begin == pytest.approx(3)


async def test_a_tree_that_gives_up_ends_the_block():
    with pytest.raises(SupervisorGaveUp) as gave_up:
        async with tree(child("c", crash)):
            await wait()
    assert gave_up.value.reason == SHUTDOWN
    with pytest.raises(SupervisorGaveUp):
        async with tree() as root:
            supervision.exit(root, KILL)
            await wait()


async def test_a_tree_that_ends_on_purpose_does_not():
    done = child("done", wait, restart="transient", significant=True)
    async with tree(done, auto_shutdown="any_significant") as root:
        supervision.exit(supervision.whereis("done"), SHUTDOWN)
        await wait_all_tasks_blocked()
        assert not supervision.is_alive(root)
    async with tree() as root:
        await supervision.stop(root, SHUTDOWN)


async def test_spawned_processes_end_after_the_tree():
    order = []

    class Told(Trapping):
        async def terminate(self, reason):
            order.append("child")

    async def spawned():
        try:
            await wait()
        finally:
            order.append("spawned")

    async with tree(child("t", Told)):
        supervision.spawn(spawned)
        await wait_all_tasks_blocked()
    assert order == ["child", "spawned"]


async def test_trees_nest_and_share_the_registry():
    async with tree(child("outer", Echo)):
        async with tree(child("inner", Echo)):
            assert await supervision.call("outer", Ask(1)) == 1
            assert await supervision.call("inner", Ask(2)) == 2
        assert supervision.whereis("inner") is None
        assert await supervision.call("outer", Ask(3)) == 3


async def test_a_start_that_hangs_can_be_cancelled(autojump_clock):
    class Hanging(Echo):
        async def init(self):
            await wait()

    with trio.move_on_after(1) as scope:
        async with tree(child("h", Hanging), grace=1):
            pytest.fail("the block began")
    assert scope.cancelled_caught


def test_every_trio_run_has_its_own_runtime():
    async def main():
        assert supervision.statistics().spawned == 0
        async with tree(child("a")):
            assert supervision.statistics().spawned == 2

    trio.run(main)
    trio.run(main)


# --- run


class App(Application):
    def __init__(self, *children, **options):
        self.children = children
        self.options = options
        self.log = []

    def root(self):
        return Supervisor(self.children, **self.options)

    async def ready(self):
        self.log.append("ready")
        await self.act()

    async def act(self):
        os.kill(os.getpid(), signal.SIGTERM)

    async def drain(self, signum):
        self.log.append(("drain", signal.Signals(signum).name))


def told(app, id):
    class Told(Trapping):
        async def init(self):
            app.log.append(f"+{id}")

        async def terminate(self, reason):
            app.log.append(f"-{id}")

    return child(id, Told)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_then_stops_in_reverse(signum):
    class Signalled(App):
        async def act(self):
            os.kill(os.getpid(), signum)

    app = Signalled()
    app.children = (told(app, "a"), told(app, "b"))
    assert supervision.run(app) == 0
    assert app.log == ["+a", "+b", "ready", ("drain", signum.name), "-b", "-a"]


def test_a_tree_that_gives_up_is_exit_code_1(events):
    class Unlucky(App):
        async def act(self):
            pass

    assert supervision.run(Unlucky(child("c", crash))) == 1


def test_a_tree_that_ends_on_purpose_is_exit_code_0():
    class Done(App):
        async def act(self):
            supervision.exit(supervision.whereis("d"), SHUTDOWN)

    done = child("d", wait, restart="transient", significant=True)
    app = Done(done, auto_shutdown="any_significant")
    assert supervision.run(app) == 0
    assert app.log == ["ready"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(signum):
    class Impatient(App):
        async def drain(self, signum):
            os.kill(os.getpid(), second)
            await wait()

    second, log = signum, []

    class Endless(Trapping):
        async def terminate(self, reason):
            await wait()

    app = Impatient(child("e", Endless, log, shutdown=None))
    assert supervision.run(app, grace=1000) == 128 + signum


def test_a_drain_that_fails_does_not_keep_the_tree_from_stopping(events):
    class Clumsy(App):
        async def drain(self, signum):
            raise OnPurpose

    app = Clumsy()
    app.children = (told(app, "a"),)
    assert supervision.run(app) == 0
    assert app.log[-1] == "-a"
    assert events.named("supervision.process.crash")[0].metadata["id"] == "drain"


def test_a_failed_start_is_raised_to_the_caller():
    class Refusing(Echo):
        async def init(self):
            raise OnPurpose

    app = App(child("a"), child("r", Refusing))
    with pytest.raises(StartFailed) as failed:
        supervision.run(app)
    assert failed.value.id == "root > r"
    assert isinstance(failed.value.__cause__, OnPurpose)
    assert app.log == []


def test_an_error_in_ready_stops_the_tree_and_is_raised():
    class Unready(App):
        async def act(self):
            raise OnPurpose

    app = Unready()
    app.children = (told(app, "a"),)
    with pytest.raises(OnPurpose):
        supervision.run(app)
    assert app.log == ["+a", "ready", "-a"]


def test_a_signal_during_the_start_stops_without_a_drain():
    class Slow(Echo):
        async def init(self):
            os.kill(os.getpid(), signal.SIGTERM)
            await wait()

    app = App(ChildSpec("slow", Slow))
    assert supervision.run(app, grace=0.1) == 0
    assert app.log == []


@pytest.mark.otp("T20")
def test_a_system_exit_in_a_process_stops_the_tree_and_is_raised():

    class Exiting(App):
        async def act(self):
            async def leaves():
                raise SystemExit(7)

            supervision.spawn(leaves)
            await wait()

    app = Exiting()
    app.children = (told(app, "a"),)
    with pytest.raises(SystemExit) as left:
        supervision.run(app)
    assert left.value.code == 7


def test_a_clock_can_be_given():
    class Patient(App):
        async def act(self):
            await trio.sleep(10_000)
            await super().act()

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert supervision.run(Patient(), clock=clock) == 0
