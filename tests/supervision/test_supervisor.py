"""Static supervisors: specs, start, restart, termination, requests."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from functools import partial

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
    BadChildSpec,
    ChildSpec,
    CoolDown,
    Crash,
    Exited,
    Shutdown,
    StartFailed,
    Supervisor,
)
from supervision.testing import Recorder, wait_exit, wait_name
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


def pids(*names):
    return [supervision.whereis(name) for name in names]


async def end(name, reason="crash"):
    """End a child and wait until everything has come to rest."""
    supervision.exit(supervision.whereis(name), reason)
    await wait_all_tasks_blocked()


def sup(id, *children, **options):
    return child(id, partial(Supervisor, children, **options), type="supervisor")


# --- specs


@pytest.mark.otp("33", "34")
def test_defaults_are_otps_and_elixirs():
    spec = ChildSpec("a", wait)
    assert (spec.restart, spec.type, spec.shutdown) == ("permanent", "worker", 5.0)
    assert spec.significant is False
    assert ChildSpec("a", wait, type="supervisor").shutdown is None
    defaults = Supervisor([])
    assert (defaults.max_restarts, defaults.max_seconds) == (3, 5.0)
    assert (defaults.strategy, defaults.auto_shutdown) == ("one_for_one", "never")


@pytest.mark.otp("33", "34", "35")
@pytest.mark.parametrize(
    "make",
    [
        lambda: ChildSpec("", wait),
        lambda: ChildSpec("a", "not callable"),
        lambda: ChildSpec("a", wait, restart="always"),
        lambda: ChildSpec("a", wait, type="boss"),
        lambda: ChildSpec("a", wait, shutdown=-1),
        lambda: ChildSpec("a", wait, shutdown=float("inf")),
        lambda: ChildSpec("a", wait, significant=True),
        lambda: Supervisor([ChildSpec("a", wait), ChildSpec("a", wait)]),
        lambda: Supervisor([], strategy="all_for_one"),
        lambda: Supervisor([], auto_shutdown="sometimes"),
        lambda: Supervisor([], max_restarts=-1),
        lambda: Supervisor([], max_seconds=0),
        lambda: Supervisor(
            [ChildSpec("a", wait, significant=True, restart="transient")],
        ),
        lambda: supervision.DynamicSupervisor(max_children=-1),
    ],
)
def test_contradictions_are_refused(make):
    with pytest.raises(BadChildSpec):
        make()


@pytest.mark.otp("35")
async def test_significant_needs_auto_shutdown_in_start_child_too():
    spec = ChildSpec("a", wait, significant=True, restart="transient")
    async with tree(child("d", supervision.DynamicSupervisor)) as root:
        for dest in (root, "d"):
            with pytest.raises(BadChildSpec):
                await supervision.start_child(dest, spec)


# --- init


@pytest.mark.otp("36")
async def test_children_start_in_order_each_after_the_other():
    log = []

    class Slow(Echo):
        def __init__(self, id):
            super().__init__(log)
            self.id = id

        async def init(self):
            log.append(f"{self.id} begins")
            await wait_all_tasks_blocked()
            log.append(f"{self.id} is ready")

    async with tree(child("a", Slow, "a"), child("b", Slow, "b")):
        log.append("block")
    assert log[:5] == ["a begins", "a is ready", "b begins", "b is ready", "block"]


class Refusing(Echo):
    async def init(self):
        raise OnPurpose


class Ignoring(Echo):
    async def init(self):
        return supervision.Ignore()


@pytest.mark.otp("38")
async def test_a_failed_start_stops_what_had_started_in_reverse():
    logs = []

    class Told(Trapping):
        def __init__(self, id):
            super().__init__()
            self.id = id

        async def terminate(self, reason):
            logs.append(self.id)

    inner = sup(
        "inner", child("a", Told, "a"), child("b", Told, "b"), child("c", Refusing)
    )
    with pytest.raises(StartFailed) as failed:
        async with tree(inner, name="root"):
            pytest.fail("the block began")
    assert failed.value.id == "root > inner > c"
    assert isinstance(failed.value.__cause__, OnPurpose)
    assert logs == ["b", "a"]


@pytest.mark.otp("37")
@pytest.mark.parametrize("restart, kept", [("permanent", True), ("temporary", False)])
async def test_an_ignored_child_keeps_its_spec_unless_temporary(restart, kept):
    async with tree(child("i", Ignoring, restart=restart)) as root:
        infos = await supervision.which_children(root)
        assert [(info.id, info.pid) for info in infos] == (
            [("i", None)] if kept else []
        )


@pytest.mark.otp("40")
async def test_a_supervisor_ignores_exits_of_strangers_and_reports_messages(events):
    async with tree(child("a")) as root:
        before = pids("a")

        async def stranger():
            supervision.link(root)
            supervision.exit("strange")

        await wait_exit(supervision.spawn(stranger))
        supervision.send(root, "what?")
        await wait_all_tasks_blocked()
        assert pids("a") == before
        assert events.names() == ["supervision.message.dropped"]


# --- restarts (the table of strategies is in tests/conformance)


@pytest.mark.otp("46", "53")
async def test_a_restart_keeps_its_place_and_its_arguments():
    log = []
    async with tree(child("a"), child("b", Echo, log), child("c")) as root:
        await end("b")
        await wait_all_tasks_blocked()
        infos = await supervision.which_children(root)
        assert [info.id for info in infos] == ["c", "b", "a"]
        assert log == ["init", "init"]
        info = supervision.info("b")
        assert info.restarts == 1
        assert info.last_reason == Exited("crash")


@pytest.mark.otp("53")
async def test_a_restart_knows_nothing_of_the_old_state():
    class Counting(Echo):
        count = 0

        async def handle_cast(self, message):
            self.count += 1

    async with tree(child("c", Counting)):
        supervision.cast("c", "one more")
        assert (await supervision.sys.get_state("c"))["count"] == 1
        await end("c")
        assert "count" not in await supervision.sys.get_state("c")


@pytest.mark.otp("43")
@pytest.mark.parametrize("allowed", [0, 1, 3])
async def test_more_restarts_than_allowed_and_the_supervisor_gives_up(
    allowed,
    events: Recorder,
    autojump_clock,
):
    log = []
    inner = sup("inner", child("t", Trapping, log), child("a"), max_restarts=allowed)
    async with actor() as _, tree(child("d", supervision.DynamicSupervisor)):
        spec = ChildSpec("inner", inner.start, restart="temporary", type="supervisor")
        pid = await supervision.start_child("d", spec)
        supervision.monitor(pid)
        for _ in range(allowed):
            await end("a")
            assert supervision.is_alive(pid)
        await end("a")
        assert (await supervision.receive()).reason == SHUTDOWN
        assert log[-1] == ("terminate", SHUTDOWN)
    assert events.names().count("supervision.supervisor.gave_up") == 1


@pytest.mark.otp("43", "44")
async def test_restarts_outside_the_window_do_not_count(autojump_clock):
    async with tree(child("a"), max_restarts=1, max_seconds=5) as root:
        for _ in range(5):
            await end("a")
            await trio.sleep(5.5)
        assert supervision.is_alive(root)


@pytest.mark.otp("45")
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_restart_counts_once(strategy, autojump_clock):
    children = [child(id) for id in "abc"]
    async with tree(*children, strategy=strategy, max_restarts=2) as root:
        await end("a")
        await end("a")
        assert supervision.is_alive(root)


class Flaky(Echo):
    """Fails its init as often as it is told."""

    def __init__(self, log, failures):
        super().__init__(log)
        self.failures = failures

    async def init(self):
        self.log.append("init")
        if len(self.log) > 1 and self.failures:
            self.failures.pop()
            raise OnPurpose


@pytest.mark.otp("49")
async def test_a_failing_restart_is_tried_again_and_each_try_counts():
    log = []
    async with tree(child("f", Flaky, log, [1, 2]), max_restarts=3) as root:
        await end("f")
        assert supervision.is_alive(root)
        assert log == ["init"] * 4
    with pytest.raises(supervision.SupervisorGaveUp):
        async with tree(child("f", Flaky, [], [1, 2]), max_restarts=2):
            await end("f")
            await wait()


@pytest.mark.otp("49", "51", "68", "69")
async def test_requests_are_served_between_tries():
    """And a try is void when the child was terminated meanwhile."""
    tries, told = [], []

    async def ask(root):
        for request in ("restart_child", "delete_child"):
            with pytest.raises(supervision.ChildRestarting):
                await getattr(supervision, request)(root, "f")
        await supervision.terminate_child(root, "f")
        (info,) = await supervision.which_children(root)
        told.append((len(tries), info.pid, info.status))

    class Hopeless(Echo):
        async def init(self):
            tries.append(1)
            if len(tries) == 1:
                return
            if len(tries) == 3:
                supervision.spawn(ask, supervision.whereis("root"))
            # Time for whoever has got an answer to ask for the next thing.
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            raise OnPurpose

    async with tree(child("f", Hopeless), max_restarts=100, name="root"):
        await end("f")
        # A try for each request that is served.
        assert told == [(5, None, "undefined")]
        assert len(tries) == 5


@pytest.mark.otp("50")
@pytest.mark.parametrize(
    "strategy, cycled",
    [("one_for_all", ["a", "b"]), ("rest_for_one", [])],
)
async def test_a_failing_group_restart_goes_on_at_the_one_that_failed(strategy, cycled):
    starts, failures = [], [1]

    class Counting(Echo):
        def __init__(self, id):
            super().__init__()
            self.id = id

        async def init(self):
            starts.append(self.id)
            if self.id == "c" and starts.count("c") > 1 and failures:
                failures.pop()
                raise OnPurpose

    children = [child(id, Counting, id) for id in "abcd"]
    async with tree(*children, strategy=strategy):
        first = "a" if strategy == "one_for_all" else "b"
        starts.clear()
        starts.append("c")
        await end(first)
        group = ["a", "b"] if strategy == "one_for_all" else ["b"]
        assert starts[1:] == [*group, "c", *cycled, "c", "d"]
        assert None not in pids(*"abcd")


@pytest.mark.otp("52")
async def test_a_restart_that_is_ignored_leaves_no_process():
    log = []

    class Once(Echo):
        async def init(self):
            self.log.append(1)
            return supervision.Ignore() if len(self.log) > 1 else None

    async with tree(child("o", Once, log)) as root:
        await end("o")
        (info,) = await supervision.which_children(root)
        assert (info.pid, info.status) == (None, "undefined")
        assert len(log) == 2
        assert await supervision.restart_child(root, "o") is None


@pytest.mark.otp("54")
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_two_deaths_before_the_first_is_handled(strategy):
    log = []

    class Counting(Echo):
        async def init(self):
            log.append(1)

    children = [child(id, Counting) for id in "abc"]
    async with tree(*children, strategy=strategy) as root:
        log.clear()
        await supervision.sys.suspend(root)
        for name in ("b", "a"):
            supervision.exit(supervision.whereis(name), "crash")
            await wait_all_tasks_blocked()
        await supervision.sys.resume(root)
        await wait_all_tasks_blocked()
        # one_for_all: the second was cycled already, its end is stale.
        assert len(log) == (2 if strategy == "one_for_one" else 3)
        assert supervision.info(root).children[0].restarts == 1


# --- termination


@pytest.mark.otp("57")
async def test_children_end_in_reverse_each_after_the_other():
    log = []

    class Slow(Trapping):
        def __init__(self, id):
            super().__init__([])
            self.id = id

        async def terminate(self, reason):
            log.append(f"{self.id} begins")
            await wait_all_tasks_blocked()
            log.append(f"{self.id} ends")

    async with tree(child("a", Slow, "a"), child("b", Slow, "b")):
        pass
    assert log == ["b begins", "b ends", "a begins", "a ends"]


class Endless(Trapping):
    async def terminate(self, reason):
        self.log.append(reason)
        await wait()


@pytest.mark.otp("56")
@pytest.mark.parametrize(
    "shutdown, seconds, reason",
    [(3, 3, KILLED), (0, 0, KILLED), (BRUTAL_KILL, 0, KILLED)],
)
async def test_a_child_has_its_shutdown_value_to_end(
    shutdown,
    seconds,
    reason,
    autojump_clock,
):
    log = []
    spec = child("e", Endless, log, shutdown=shutdown)
    async with actor(), tree(spec) as root:
        pid = supervision.whereis("e")
        supervision.monitor(pid)
        begin = trio.current_time()
        await supervision.terminate_child(root, "e")
        assert trio.current_time() - begin == pytest.approx(seconds, abs=0.01)
        assert (await supervision.receive()).reason == reason
    assert (SHUTDOWN in log) is (shutdown is not BRUTAL_KILL)


@pytest.mark.otp("56")
async def test_shutdown_none_waits_for_ever(autojump_clock):

    class Slow(Trapping):
        async def terminate(self, reason):
            await trio.sleep(1000)

    async with tree(child("s", Slow, shutdown=None)) as root:
        begin = trio.current_time()
        await supervision.terminate_child(root, "s")
        assert trio.current_time() - begin == pytest.approx(1000)


@pytest.mark.otp("58")
@pytest.mark.parametrize(
    "request_, arguments",
    [
        (supervision.count_children, ()),
        (supervision.which_children, ()),
        (supervision.get_child_spec, ("s",)),
        (supervision.start_child, (child("new"),)),
    ],
)
async def test_while_it_waits_a_supervisor_serves_nothing(
    request_, arguments, autojump_clock
):
    order = []

    class Slow(Trapping):
        async def terminate(self, reason):
            await trio.sleep(2)
            order.append("ended")

    async with tree(child("s", Slow)) as root, trio.open_nursery() as nursery:
        nursery.start_soon(supervision.terminate_child, root, "s")
        await trio.sleep(1)
        await request_(root, *arguments)
        order.append("answered")
    assert order == ["ended", "answered"]


@pytest.mark.otp("59")
@pytest.mark.parametrize("value", [1, 0, BRUTAL_KILL])
async def test_an_end_that_was_not_orderly_is_reported(value, events, autojump_clock):
    async with tree(child("e", Endless, shutdown=value), child("fine", Trapping)):
        pass
    told = events.named("supervision.child.terminated")
    expected = [] if value is BRUTAL_KILL else ["e"]
    assert [event.metadata["id"] for event in told] == expected


@pytest.mark.otp("59")
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("reason", [NORMAL, Shutdown("busy"), Exited("x")])
async def test_what_counts_as_an_orderly_end(restart, reason, events):
    async def obstinate():
        supervision.trap_exits(True)
        await supervision.receive()
        supervision.exit(reason)

    async with tree(child("o", obstinate, restart=restart)):
        await wait_all_tasks_blocked()
    told = events.named("supervision.child.terminated")
    fine = restart != "permanent" and reason != Exited("x")
    assert [event.metadata["reason"] for event in told] == ([] if fine else [reason])


@pytest.mark.otp("61")
async def test_a_supervisor_ends_with_its_parents_reason():
    async with actor(), tree(sup("inner", child("a"))):
        supervision.monitor("inner")
        await supervision.stop("inner", Shutdown("moving"))
        assert (await supervision.receive()).reason == Shutdown("moving")


@pytest.mark.otp("61", "T9", "Q5")
async def test_a_killed_supervisor_ends_its_children_first(autojump_clock):
    """The stubborn have their grace, then nothing is left."""
    log = []

    class Stubborn(Trapping):
        async def terminate(self, reason):
            log.append(reason)
            await wait()

    inner = sup(
        "inner",
        child("plain"),
        child("polite", Trapping, log),
        child("stubborn", Stubborn, shutdown=2),
        sup("deep", child("low", Trapping, log)),
    )
    async with actor(), tree(inner, max_restarts=5):
        names = ("plain", "polite", "stubborn", "deep", "low")
        old = dict(zip(names, pids(*names), strict=True))
        for name in ("inner", *names):
            supervision.monitor(name)
        begin = trio.current_time()
        supervision.exit(supervision.whereis("inner"), KILL)
        reasons = {}
        for _ in range(6):
            down = await supervision.receive()
            reasons[down.name] = down.reason
        assert list(reasons)[-1] == "inner"
        # To the supervisor below it is the exit of its parent: an orderly stop.
        assert reasons.pop("low") == SHUTDOWN
        assert set(reasons.values()) == {KILLED}
        assert trio.current_time() - begin == pytest.approx(2)
        assert log.count(KILLED) == 1
        assert log.count(("terminate", KILLED)) == 1
        assert log.count(("terminate", SHUTDOWN)) == 1
        await wait_name("low")
        assert all(supervision.whereis(name) is not old[name] for name in names)


@pytest.mark.otp("61", "T9", "Q5")
async def test_a_child_of_a_killed_supervisor_that_traps_exits_has_its_grace(
    autojump_clock,
):
    seen = []
    inner = sup("inner", child("deaf", partial(keep, trap=True), seen))
    async with actor(), tree(inner):
        await wait_all_tasks_blocked()
        supervisor = supervision.whereis("inner")
        supervision.monitor("deaf")
        supervision.monitor("inner")
        begin = trio.current_time()
        supervision.exit(supervisor, KILL)
        downs = [await supervision.receive() for _ in range(2)]
        assert [down.name for down in downs] == ["deaf", "inner"]
        assert [down.reason for down in downs] == [KILLED, KILLED]
        assert trio.current_time() - begin == pytest.approx(5)
        assert seen == [supervision.Exit(supervisor, KILLED)]


@pytest.mark.otp("T4")
async def test_a_child_that_cannot_be_killed_is_reported_and_waited_for(
    events,
    autojump_clock,
):
    release = trio.Event()

    async def shielded():
        with trio.CancelScope(shield=True):
            await release.wait()

    async with tree(child("s", shielded, shutdown=1)) as root:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervision.terminate_child, root, "s")
            await trio.sleep(10)
            (event,) = events.named("supervision.child.unkillable")
            assert any("shielded" in line for line in event.metadata["stack"])
            assert supervision.whereis("s") is not None
            release.set()
        assert supervision.whereis("s") is None


# --- automatic shutdown


def significant(id, restart="transient"):
    return child(id, significant=True, restart=restart)


@pytest.mark.otp("62")
async def test_any_significant_child_takes_the_supervisor_along():
    inner = sup(
        "i", significant("a"), significant("b"), auto_shutdown="any_significant"
    )
    inner = supervision.ChildSpec("i", inner.start, name="i", restart="temporary")
    async with actor(), tree(inner):
        supervision.monitor("i")
        await end("b", Shutdown("done"))
        assert (await supervision.receive()).reason == SHUTDOWN
        assert pids("a", "b", "i") == [None] * 3


@pytest.mark.otp("63")
async def test_all_significant_children_take_the_supervisor_along():
    inner = sup(
        "i",
        significant("a"),
        significant("b"),
        child("c"),
        auto_shutdown="all_significant",
    )
    inner = supervision.ChildSpec("i", inner.start, name="i", restart="temporary")
    async with tree(inner):
        await end("a", SHUTDOWN)
        assert supervision.whereis("i") is not None
        await end("b", SHUTDOWN)
        assert pids("i", "c") == [None, None]


@pytest.mark.otp("64")
async def test_only_ends_of_their_own_trigger_it():
    options = {"auto_shutdown": "any_significant", "strategy": "one_for_all"}
    async with tree(significant("a"), significant("b"), child("c"), **options) as root:
        await end("a")
        await end("c")
        await supervision.terminate_child(root, "b")
        await wait_all_tasks_blocked()
        assert supervision.is_alive(root)
        assert None not in pids("a", "c")


@pytest.mark.otp("65")
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_the_parent_of_a_supervisor_that_ended_itself(restart):
    """Whatever its significant child has ended with."""
    inner = sup("i", significant("a", "temporary"), auto_shutdown="any_significant")
    async with tree(ChildSpec("i", inner.start, name="i", restart=restart)):
        before = supervision.whereis("i")
        await end("a", "crash")
        after = supervision.whereis("i")
        assert after is not before
        assert (after is not None) is (restart == "permanent")


# --- requests


@pytest.mark.otp("66")
async def test_start_child():
    async with tree(child("a"), child("rest", restart="transient")) as root:
        pid = await supervision.start_child(root, child("new"))
        assert supervision.whereis("new") is pid
        infos = await supervision.which_children(root)
        assert infos[0].id == "new"
        with pytest.raises(supervision.AlreadyStarted) as running:
            await supervision.start_child(root, child("a"))
        assert running.value.pid is supervision.whereis("a")
        await end("rest", NORMAL)
        supervision.exit(supervision.whereis("rest"), SHUTDOWN)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.AlreadyPresent):
            await supervision.start_child(root, child("rest"))
        with pytest.raises(StartFailed):
            await supervision.start_child(root, child("bad", Refusing))
        assert await supervision.start_child(root, child("i", Ignoring)) is None
        none = child("t", Ignoring, restart="temporary")
        assert await supervision.start_child(root, none) is None
        ids = [info.id for info in await supervision.which_children(root)]
        assert ids == ["i", "new", "rest", "a"]


@pytest.mark.otp("55", "67", "68", "69")
async def test_terminate_restart_and_delete_child():
    async with tree(
        child("a"), child("t", restart="temporary"), max_restarts=0
    ) as root:
        with pytest.raises(supervision.ChildRunning):
            await supervision.restart_child(root, "a")
        with pytest.raises(supervision.ChildRunning):
            await supervision.delete_child(root, "a")
        await supervision.terminate_child(root, "a")
        await supervision.terminate_child(root, "a")
        await supervision.terminate_child(root, "t")
        assert [info.id for info in await supervision.which_children(root)] == ["a"]
        for _ in range(3):
            assert await supervision.restart_child(root, "a") is not None
            await supervision.terminate_child(root, "a")
        await supervision.delete_child(root, "a")
        for request in ("terminate_child", "restart_child", "delete_child"):
            with pytest.raises(supervision.NotFound):
                await getattr(supervision, request)(root, "a")
        assert supervision.is_alive(root)


@pytest.mark.otp("68", "69")
async def test_a_child_about_to_be_started_is_restarting(autojump_clock):
    rule = CoolDown(after=(0, 5.0), first=10, jitter=0)
    async with tree(child("a", cool_down=rule)) as root:
        await end("a")
        for request in (supervision.restart_child, supervision.delete_child):
            with pytest.raises(supervision.ChildRestarting):
                await request(root, "a")


@pytest.mark.otp("68")
async def test_a_failed_restart_by_hand_is_not_counted():
    log, failures = [], [1, 2]
    async with tree(child("f", Flaky, log, failures), max_restarts=1) as root:
        await supervision.terminate_child(root, "f")
        for _ in range(2):
            with pytest.raises(StartFailed):
                await supervision.restart_child(root, "f")
        assert await supervision.restart_child(root, "f") is not None
        await end("f")
        assert supervision.whereis("f") is not None


@pytest.mark.otp("70", "72")
async def test_counts_and_specs():
    async with tree(child("a"), sup("s"), child("b")) as root:
        await supervision.terminate_child(root, "b")
        counts = await supervision.count_children(root)
        assert counts == supervision.ChildCounts(3, 2, 1, 2)
        infos = await supervision.which_children(root)
        assert [(info.id, info.pid, info.type) for info in infos] == [
            ("b", None, "worker"),
            ("s", supervision.whereis("s"), "supervisor"),
            ("a", supervision.whereis("a"), "worker"),
        ]
        spec = await supervision.get_child_spec(root, "a")
        assert spec.id == "a"
        pid = supervision.whereis("a")
        assert await supervision.get_child_spec(root, pid) is spec
        with pytest.raises(supervision.NotFound):
            await supervision.get_child_spec(root, "nobody")


async def test_what_is_no_supervisor_is_told_so():
    async with tree(child("a")) as root:
        with pytest.raises(supervision.SupervisionError):
            await supervision.start_child("a", child("b"))
        with pytest.raises(supervision.NoProcess):
            await supervision.start_child("nobody", child("b"))
        with pytest.raises(supervision.ChildError):
            await supervision.call(root, Ask())


@pytest.mark.otp("88")
async def test_a_name_that_is_taken_fails_the_start():
    async with tree(child("a")) as root:
        with pytest.raises(supervision.AlreadyStarted):
            await supervision.start_child(root, ChildSpec("other", listen, name="a"))


# --- cooling down


async def test_a_child_that_cools_down_is_tried_for_ever(events, autojump_clock):
    starts = []

    class Down(Echo):
        async def init(self):
            starts.append(trio.current_time())
            if len(starts) > 1:
                raise OnPurpose

    rule = CoolDown(after=(2, 5.0), first=1, factor=2, most=4, jitter=0)
    async with tree(child("d", Down, cool_down=rule)) as root:
        begin = trio.current_time()
        supervision.exit(supervision.whereis("d"), "crash")
        await trio.sleep(20)
        assert supervision.is_alive(root)
        assert supervision.tree().children[0].status == "cooling-down"
    times = [round(when - begin, 3) for when in starts[1:]]
    assert times == [0, 0, 1, 3, 7, 11, 15, 19]
    alarms = events.named("supervision.child.cooling_down")
    assert [event.measurements["seconds"] for event in alarms[:4]] == [1, 2, 4, 4]


async def test_a_child_that_cools_down_may_fail_its_first_start(autojump_clock):
    open_ = []

    class Late(Echo):
        async def init(self):
            if not open_:
                raise OnPurpose

    rule = CoolDown(after=(1, 5.0), first=1, jitter=0)
    async with tree(child("l", Late), child("b"), cool_down=rule):
        assert supervision.whereis("b") is not None
        await trio.sleep(10)
        open_.append(1)
        assert await wait_name("l")


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_what_depends_on_a_cooling_child_waits_with_it(strategy, autojump_clock):
    rule = CoolDown(after=(0, 5.0), first=3, jitter=0)
    children = [child("a"), child("b", cool_down=rule), child("c")]
    async with tree(*children, strategy=strategy):
        await end("b")
        assert pids("b", "c") == [None, None]
        assert (pids("a") == [None]) is (strategy == "one_for_all")
        await trio.sleep(4)
        assert None not in pids("a", "b", "c")


async def test_a_cooling_child_can_be_terminated(autojump_clock):
    rule = CoolDown(after=(0, 5.0), first=3, jitter=0)
    async with tree(child("a", cool_down=rule)) as root:
        await end("a")
        await supervision.terminate_child(root, "a")
        await trio.sleep(100)
        assert supervision.whereis("a") is None


@pytest.mark.otp("Q1", "Q4")
async def test_many_restarts_cost_the_same_each():
    async with tree(child("a"), max_restarts=10**9) as root:
        for _ in range(300):
            await end("a")
        assert supervision.info("a").restarts == 300
        assert supervision.statistics().restarts == 300
        assert supervision.is_alive(root)


async def test_start_must_give_something_that_runs():
    async with tree() as root:
        with pytest.raises(StartFailed) as failed:
            await supervision.start_child(root, ChildSpec("x", lambda: 5))
        assert isinstance(failed.value.reason, Crash)
