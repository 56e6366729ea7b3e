"""The tools for users' tests: each says the truth, and says it well when it is bad."""

import doctest
import os
import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

import supervision
import supervision.testing
from supervision import (
    KILL,
    CoolDown,
    Crash,
    Down,
    Exited,
    Server,
)
from supervision.testing import (
    CrashOnPurpose,
    Leaks,
    NotAtRest,
    Probe,
    Recorder,
    Tap,
    _running,
    as_process,
    assert_no_leaks,
    crash,
    crash_at,
    run,
    run_seeds,
    seeded,
    settle,
    wait_at_rest,
    wait_exit,
    watching,
)
from supervision.testing._leaks import faults_of_dead, faults_of_tables
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    Trapping,
    child,
    info_of,
    listen,
    pid_of,
    tree,
    wait,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("what", [Probe, Tap, Recorder, supervision.testing])
def test_the_examples_in_the_docstrings_are_true(what):
    finder = doctest.DocTestFinder(recurse=False)
    names = {**vars(supervision.testing), "supervision": supervision}
    (example,) = finder.find(what, globs=names)
    runner = doctest.DocTestRunner()
    assert runner.run(example).failed == 0
    assert runner.tries > 1


# --- at rest


class Sleepy(Server):
    """Takes a second for each request."""

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        await trio.sleep(1.0)
        return request.what

    async def handle_cast(self, message: object) -> None:
        await trio.sleep(1.0)


async def test_rest_comes_when_all_is_done_however_long_that_takes(autojump_clock):
    async with tree(child("sleepy", Sleepy)):
        for _ in range(3):
            supervision.cast("sleepy", None)
        await settle()
        assert info_of("sleepy").mailbox == 2
        await wait_at_rest()
        assert info_of("sleepy").mailbox == 0
        assert trio.current_time() == 3.0


async def test_rest_is_not_fooled_by_a_handler_that_calls_another(autojump_clock):
    class Asks(Server):
        async def handle_cast(self, message: object) -> None:
            self.got = await supervision.call("sleepy", Ask(message))

    async with tree(child("sleepy", Sleepy), child("asks", Asks)):
        supervision.cast("asks", 1)
        await wait_at_rest()
        assert supervision.state("asks") == {"got": "1"}


async def test_timers_that_are_still_to_come_are_no_unrest(autojump_clock):
    async with as_process("me") as pid:
        supervision.send_after(1.0, pid, "later")
        supervision.send_interval(0.5, pid, "beat")

        class Ticks(Server):
            async def init(self) -> Any:
                return supervision.Timeout(0.1)

        supervision.spawn(Ticks)
        supervision.spawn(partial(supervision.receive, timeout=9), name="patient")
        await wait_at_rest()
        assert trio.current_time() == 0
        assert info_of("me").mailbox == 0


async def test_messages_that_nobody_takes_are_no_unrest():
    async with tree(child("picky", partial(supervision.receive, int))):
        supervision.send("picky", "no")
        await wait_at_rest()
        assert info_of("picky").mailbox == 1


async def test_a_child_that_cools_down_is_waited_for(autojump_clock):
    rule = CoolDown(after=(0, 5.0), first=60, jitter=0)
    async with tree(child("it", listen, cool_down=rule)):
        supervision.exit(pid_of("it"), KILL)
        await wait_at_rest(timeout=100)
        assert trio.current_time() == 60
        assert supervision.whereis("it") is not None


class SlowToEnd(Trapping):
    async def terminate(self, reason):
        await trio.sleep(2.0)


async def fail_slowly() -> None:
    await supervision.receive()
    with trio.CancelScope(shield=True):
        await trio.sleep(3.0)


@pytest.mark.parametrize(
    "start, act, said",
    [
        (trio.sleep_forever, None, "it <PID> does not wait for messages"),
        (
            fail_slowly,
            partial(supervision.exit, "bye"),
            "it <PID> is ending: exited: bye",
        ),
        (Sleepy, partial(supervision.cast, "it", 1), "it <PID> does not wait"),
    ],
    ids=["sleeps", "ends", "handles"],
)
async def test_who_is_not_at_rest_is_named_with_the_place(
    start, act, said, autojump_clock
):
    async with tree(child("it", start, restart="temporary"), child("ok", listen)):
        pid = pid_of("it")
        if start is fail_slowly:
            supervision.send(pid, "go")
            await settle()
            supervision.exit(pid, "bye")
        elif act is not None:
            act()
        with pytest.raises(NotAtRest) as failed:
            await wait_at_rest(timeout=0.5)
        assert trio.current_time() == 0.5
        lines = str(failed.value).splitlines()
        assert lines[0] == "after 0.5 s these are not at rest:"
        assert said.replace("<PID>", str(pid)) in lines[1]
        assert all(" at /" in line and "_core" not in line for line in lines[2:])
        assert " sleep" in lines[-1]
        assert "ok" not in str(failed.value).split()


async def test_supervisors_with_children_on_their_way_are_named(autojump_clock):
    class Slow(Server):
        async def init(self) -> None:
            await trio.sleep(1.0)

    rule = CoolDown(after=(0, 5.0), first=60, jitter=0)
    cools = child("cools", wait, cool_down=rule, restart="transient")
    async with tree(cools, child("ends", SlowToEnd)) as root:
        supervision.exit(pid_of("cools"), KILL)
        await settle()
        dynamic = supervision.DynamicSupervisor
        await supervision.start_child(root, child("sup", dynamic))
        supervision.start_task("sup", wait)
        async with trio.open_nursery() as nursery:
            slow = child("slow", Slow, restart="temporary")
            nursery.start_soon(supervision.start_child, "sup", slow)
            nursery.start_soon(supervision.terminate_child, root, "ends")
            with pytest.raises(NotAtRest) as failed:
                await wait_at_rest(timeout=0.5)
        said = str(failed.value)
        for line in (
            "the child 'cools', which is cooling-down",
            "the child 'ends', which is stopping",
            "the child 'slow', which is starting",
            "is ending: shutdown",
            "is starting",
        ):
            assert line in said, said
        supervision.exit(pid_of("sup"), KILL)


async def test_some_may_be_left_out_and_the_caller_is():
    async with as_process():
        never = supervision.spawn(wait)
        supervision.spawn(wait, name="neither")
        await settle()
        await wait_at_rest(ignoring=[never, "neither"])


async def test_rest_needs_a_runtime():
    with pytest.raises(supervision.NoRuntime):
        await wait_at_rest()


async def test_rest_comes_with_a_real_clock_and_a_thread_too():
    class Threads(Server):
        async def handle_cast(self, message: object) -> None:
            self.got = await trio.to_thread.run_sync(lambda: message)

    async with tree(child("threads", Threads)):
        supervision.cast("threads", 1)
        await wait_at_rest()
        assert supervision.state("threads") == {"got": "1"}


# --- running


def test_run_has_a_clock_that_jumps():
    async def scenario(hours: int) -> float:
        async with tree(child("it", listen)):
            await trio.sleep(3600 * hours)
            return trio.current_time()

    assert run(scenario, 5) == 5 * 3600


async def order_of_steps() -> list[int]:
    order: list[int] = []

    async def step(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(step, number)
    return order


def test_a_seed_decides_the_order_and_nothing_else_changes():
    before = random.getstate()
    assert run(order_of_steps, seed=7) == run(order_of_steps, seed=7)
    assert len({tuple(run(order_of_steps, seed=seed)) for seed in range(9)}) > 5
    with seeded(3):
        first = trio.run(order_of_steps), random.random()
    with seeded(3):
        assert (trio.run(order_of_steps), random.random()) == first
    assert random.getstate() == before


async def where_calls_wait() -> list[int]:
    """Which of many calls had to wait for the server's own task."""
    waited: list[int] = []
    switched = False

    async def note() -> None:
        nonlocal switched
        switched = True

    spec = supervision.ChildSpec("echo", Echo, name="echo")
    async with supervision.open_supervisor([spec]), trio.open_nursery() as nursery:
        for number in range(600):
            switched = False
            nursery.start_soon(note)
            await supervision.call("echo", Ask(number))
            if switched:
                waited.append(number)
    return waited


@pytest.mark.parametrize("before", [0, 1, 200])
def test_a_seed_means_the_same_whatever_ran_before(before: int):
    first = run(where_calls_wait, seed=7)
    assert first

    async def others() -> None:
        async with supervision.open_supervisor(
            [supervision.ChildSpec("e", Echo, name="e")]
        ):
            for number in range(before):
                await supervision.call("e", Ask(number))

    run(others)
    assert run(where_calls_wait, seed=7) == first


REPEATED = """
import sys, trio, supervision
from supervision import ChildSpec
from supervision.testing import Recorder, run

async def tell():
    supervision.link("hub")
    supervision.join("group")
    await supervision.receive()
    supervision.broadcast("group", supervision.self_pid().serial)
    raise ValueError

async def hub():
    supervision.trap_exits(True)
    while True:
        heard.append(getattr(await supervision.receive(), "pid", None))

heard = []
async def scenario():
    specs = [ChildSpec("hub", hub, name="hub")]
    specs += [ChildSpec(str(n), tell, name=str(n)) for n in range(20)]
    async with supervision.open_supervisor(specs, max_restarts=1000) as root:
        for n in range(20):
            supervision.send(str(n), "go")
        for n in range(500):
            await trio.lowlevel.checkpoint()
    return heard

with Recorder.attached() as recorder:
    print(run(scenario, seed=int(sys.argv[1])))
print([event.metadata.get("id") for event in recorder.events])
"""


@pytest.mark.slow
def test_a_seed_means_the_same_in_another_process():
    def once(seed: int, hashes: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", REPEATED, str(seed)],
            env={**os.environ, "PYTHONHASHSEED": str(hashes), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    outcomes = {seed: {once(seed, hashes) for hashes in (1, 2, 3)} for seed in (1, 2)}
    assert all(len(each) == 1 for each in outcomes.values())
    assert outcomes[1] != outcomes[2]


def test_the_seed_that_fails_is_named():
    async def race(limit: int) -> list[int]:
        order = await order_of_steps()
        assert order[0] < limit
        return order

    assert len(run_seeds(race, 5, seeds=4)) == 4
    with pytest.raises(AssertionError) as failed:
        run_seeds(race, 4, seeds=50)
    (note,) = failed.value.__notes__
    seed = int(note.split()[2].rstrip(";"))
    assert f"race, 4, seed={seed})" in note
    with pytest.raises(AssertionError):
        run(race, 4, seed=seed)
    with pytest.raises(AssertionError):
        run_seeds(race, 4, seeds=[seed])


async def test_a_test_can_be_a_process():
    async with as_process("me") as pid:
        assert supervision.self_pid() is pid is supervision.whereis("me")
        _, ref = supervision.spawn_monitor(trio.lowlevel.checkpoint)
        assert (await supervision.receive(Down)).ref is ref


async def test_a_test_that_is_ended_by_a_signal_fails():
    with pytest.raises(AssertionError, match="trap_exits"):
        async with as_process():
            supervision.exit(supervision.spawn_link(wait), "fall")
            await trio.sleep_forever()
    async with as_process(trap_exits=True):
        supervision.exit(supervision.spawn_link(wait), "fall")
        assert (await supervision.receive()).reason == Exited("fall")


# --- crashing


@pytest.mark.parametrize("start", [listen, wait, Echo, Trapping])
async def test_a_child_is_crashed_now(start, events: Recorder):
    async with tree(child("it", start)):
        pid = pid_of("it")
        await settle()
        error = OnPurpose("now")
        crash("it", error)
        assert await wait_exit(pid) == Crash(error)
        (event,) = events.named("supervision.process.crash")
        assert event.metadata["id"] == "it"
        await settle()
        assert supervision.whereis("it") is not None


async def test_a_crash_comes_before_what_waits_and_calls_terminate():
    log: list[Any] = []
    async with tree(child("it", Echo, log, restart="temporary")):
        pid = pid_of("it")
        await supervision.sys.suspend("it")
        supervision.cast("it", "never")
        crash("it")
        reason = await wait_exit(pid)
        assert isinstance(reason, Crash)
        assert isinstance(reason.error, CrashOnPurpose)
    assert log[0] == "init"
    assert [what for what, _ in log[1:]] == ["terminate"]


async def test_a_process_that_traps_exits_crashes_too():
    async def traps() -> None:
        supervision.trap_exits(True)
        await listen()

    async with tree(child("it", traps, restart="temporary")):
        pid = pid_of("it")
        await settle()
        crash("it")
        assert isinstance(await wait_exit(pid), Crash)


async def test_supervisors_and_the_dead_are_not_crashed():
    async with tree() as root:
        with pytest.raises(ValueError, match="KILL"):
            crash(root)
        with pytest.raises(ValueError, match="supervisor"), crash_at(root, int):
            pass
    with pytest.raises(supervision.NoProcess):
        crash(root)


class Points(Server):
    trap_exit = True

    async def init(self) -> Any:
        return supervision.Continue("go on")

    async def handle_continue(self, term: object) -> None:
        supervision.emit("points.went_on")

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        return await self.answer(request.what)

    async def answer(self, what: object) -> Any:
        supervision.emit("points.answered")
        return what

    async def handle_cast(self, message: object) -> None:
        """Have no use for it."""

    async def handle_info(self, message: object) -> None:
        """Have no use for it."""

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Clean nothing up."""


ACTS = {
    "call": lambda: supervision.call("it", Ask(1)),
    "cast": lambda: supervision.cast("it", "cast"),
    "send": lambda: supervision.send("it", 3),
    "stop": lambda: supervision.stop("it"),
    "start": lambda: supervision.exit(pid_of("it"), KILL),
}


@pytest.mark.parametrize(
    "point, act",
    [
        ("handle_call", "call"),
        (Ask, "call"),
        ("answer", "call"),
        ("points.answered", "call"),
        ("handle_cast", "cast"),
        (str, "cast"),
        ("handle_info", "send"),
        ((float, int), "send"),
        ("terminate", "stop"),
        ("handle_continue", "start"),
        ("points.went_on", "start"),
        ("init", "start"),
    ],
)
async def test_a_server_crashes_at_each_of_its_points(point, act, events: Recorder):
    async with tree(child("it", Points)):
        await settle()
        before = info_of("it").restarts
        with crash_at("it", point) as found:
            done = ACTS[act]()
            if done is not None:
                with pytest.raises(supervision.ServerExited) as failed:
                    await done
                assert isinstance(failed.value.reason, Crash)
                assert isinstance(failed.value.reason.error, CrashOnPurpose)
            await wait_at_rest()
            assert found.hits == 1
        again = 2 if act == "start" else 1
        assert info_of("it").restarts == before + again
        # And never again.
        assert await supervision.call("it", Ask(2)) == 2
        supervision.send("it", 3)
        supervision.cast("it", "cast")
        await wait_at_rest()
        assert info_of("it").restarts == before + again
    crashes = events.named("supervision.process.crash")
    assert [event.metadata["id"] for event in crashes] == ["it"]


async def test_a_plain_process_crashes_at_a_message():
    took: list[Any] = []

    async def takes() -> None:
        while True:
            took.append(await supervision.receive((int, str)))

    async with tree(child("it", takes)):
        pid = pid_of("it")
        with crash_at("it", str):
            supervision.send("it", 1)
            supervision.send("it", "two")
            supervision.send("it", 3)
            assert isinstance(await wait_exit(pid), Crash)
    assert took == [1]


async def test_a_state_machine_crashes_at_a_request():
    class Machine(supervision.StateMachine[str]):
        async def init(self):
            return supervision.NextState("only")

        async def only(self, event):
            return supervision.KeepState(supervision.ReplyTo(event.sender, "fine"))

    async with tree(child("it", Machine)):
        for point in (Ask, "only"):
            with crash_at("it", point), pytest.raises(supervision.ServerExited):
                await supervision.call("it", Ask())
            await settle()
        assert await supervision.call("it", Ask()) == "fine"


async def test_it_crashes_as_often_as_it_is_asked_to():
    async with tree(child("it", Points), max_restarts=9):
        with crash_at("it", Ask, times=3) as point:
            for _ in range(3):
                with pytest.raises(supervision.ServerExited):
                    await supervision.call("it", Ask(1))
                await settle()
            assert await supervision.call("it", Ask(1)) == 1
        assert point.hits == 3
        with crash_at("it", "init", times=2, error=OnPurpose("no")):
            crash("it")
            await settle()
        assert info_of("it").restarts == 6


async def test_starts_that_fail_use_up_the_intensity(events: Recorder):
    inner = partial(supervision.Supervisor, [child("it", Echo)], max_restarts=2)
    async with tree(child("sup", inner, type="supervisor")):
        with crash_at("it", "init", times=3), watching() as watched:
            crash("it")
            await settle()
        watched.assert_restarted("sup")
        assert "supervision.supervisor.gave_up" in events.names()


async def test_a_point_that_is_never_reached_fails_the_test():
    async with tree(child("it", Points)):
        never = pytest.raises(AssertionError, match="'it' never came to 'terminate'")
        with never, crash_at("it", "terminate"):
            assert await supervision.call("it", Ask(1)) == 1
        # What fails anyway keeps its own exception.
        with pytest.raises(OnPurpose), crash_at("it", "terminate"):
            raise OnPurpose


@pytest.mark.parametrize(
    "start, point, said",
    [
        (Points, "no_such", "no method 'no_such'"),
        (listen, "handle_call", "no method"),
        (Points, "supervision.process.crash", "by supervision"),
    ],
)
async def test_a_point_that_cannot_be_is_refused(start, point, said):
    async with tree(child("it", start)):
        with pytest.raises(ValueError, match=said), crash_at("it", point):
            pass


async def test_of_who_is_not_supervised_no_start_can_fail():
    async with tree():
        supervision.spawn(listen, name="free")
        with pytest.raises(ValueError, match="no supervisor"), crash_at("free", "init"):
            pass
        with crash_at("free", int):
            supervision.send("free", 1)
            await settle()


async def test_other_messages_are_handled_as_always_meanwhile():
    log: list[Any] = []
    async with tree(child("it", Echo, log)):
        with crash_at("it", str) as point:
            assert await supervision.call("it", Ask(1)) == 1
            supervision.cast("it", 2)
            await settle()
            assert point.hits == 0
            supervision.cast("it", "three")
            await settle()
    assert log[1] == ("cast", 2)
    assert log[2][0] == "terminate"


def test_in_another_trio_a_seed_decides_less(monkeypatch):
    monkeypatch.setattr(_running, "_scheduler", object())
    before = random.getstate()
    with seeded(1):
        first = random.random()
    with seeded(1):
        assert random.random() == first
    assert random.getstate() == before


async def test_who_waits_for_the_same_name_is_told_together():
    async with tree(), trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(supervision.testing.wait_name, "late")
        await settle()
        supervision.spawn(listen, name="late")


async def test_only_the_process_itself_crashes_at_its_event():
    async with tree(child("it", Points), child("other", Points)):
        never = pytest.raises(AssertionError, match="never came")
        with never, crash_at("it", "points.answered"):
            supervision.emit("points.answered")
            assert await supervision.call("other", Ask(1)) == 1
            await trio.to_thread.run_sync(supervision.emit, "points.answered")


async def test_methods_in_slots_cannot_be_replaced():
    class Slotted(Server):
        __slots__ = ()

    async with tree(child("it", Slotted)):
        with pytest.raises(ValueError, match="slots"), crash_at("it", "handle_cast"):
            pass


# --- probes and taps


async def test_a_probe_keeps_what_it_gets_and_waits_for_what_it_should_get():
    async with tree():
        probe = Probe("sink")
        supervision.send("sink", "one")
        supervision.send("sink", 2)
        assert probe.messages == ["one", 2]
        assert await probe.expect(int) == 2
        assert await probe.expect("one") == "one"
        assert probe.unexpected == []
        supervision.send_after(0.01, "sink", ("a", 1))
        assert await probe.expect(lambda got: got[0] == "a") == ("a", 1)
        supervision.send("sink", 2.5)
        assert await probe.expect((float, str)) == 2.5
        assert probe.messages == ["one", 2, ("a", 1), 2.5]


async def test_a_probe_answers_calls():
    async with tree():
        probe = Probe("server")
        replies: list[int] = []

        async def ask() -> None:
            replies.append(await supervision.call("server", Ask("how many")))

        supervision.spawn(ask)
        sender = await probe.expect(supervision.From)
        assert sender.request == Ask("how many")
        supervision.reply(sender, 3)
        await settle()
        assert replies == [3]


async def test_a_probe_says_what_came_instead(autojump_clock):
    async with tree():
        probe = Probe()
        with pytest.raises(
            AssertionError, match=r"got no int, not within 5 s; .*else$"
        ):
            await probe.expect(int)
        supervision.send(probe.pid, "text")
        with pytest.raises(AssertionError, match=r"got no 7, .*; it got:\n  'text'$"):
            await probe.expect(7, timeout=1)
        assert trio.current_time() == 6
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def stop_it():
                await settle()
                probe.stop()

            with pytest.raises(AssertionError, match="and has ended"):
                await probe.expect(int)
        probe.stop()


async def test_a_probe_hears_of_ends():
    async with tree():
        probe = Probe(trap_exits=True)
        one, other = supervision.spawn(wait, name="one"), supervision.spawn(wait)
        ref = probe.monitor("one")
        probe.link(other)
        supervision.exit(one, "a")
        supervision.exit(other, "b")
        assert await probe.expect(Down) == Down(ref, one, Exited("a"), "one")
        got = await probe.expect(supervision.Exit)
        assert got == supervision.Exit(other, Exited("b"))
        with pytest.raises(supervision.NoProcess):
            probe.link(other)


@pytest.mark.parametrize("start", [Echo, listen])
async def test_a_tap_hears_everything_and_changes_nothing(start):
    log: list[Any] = []
    args = (log,) if start is Echo else ()
    async with tree(child("it", start, *args)):
        supervision.send("it", "before")
        await settle()
        with Tap.attached("it") as tap:
            if start is Echo:
                # It is idle: its caller would take the first step of the handler.
                assert await supervision.call("it", Ask(0)) == 0
            supervision.send("it", 1)
            supervision.cast("it", 2)
            if start is Echo:
                assert await supervision.call("it", Ask(3)) == 3
                assert await supervision.sys.get_state("it")
            supervision.send("it", 4)
            await settle()
        supervision.send("it", "after")
        await settle()
        wanted: list[Any] = [("info", 1), ("cast", 2), ("call", Ask(3)), ("info", 4)]
        if start is listen:
            del wanted[2]
        else:
            wanted.insert(0, ("call", Ask(0)))
        assert [(event.kind, event.message) for event in tap.events] == wanted
        assert tap.messages == [message for _, message in wanted]
    if start is Echo:
        assert [each[1] for each in log[1:]] == ["before", 1, 2, 4, "after"]


async def test_taps_and_points_of_one_process_do_not_disturb_each_other():
    async with tree(child("it", listen)):
        tap = Tap.attached("it")
        with tap as one, crash_at("it", int), Tap.attached("it") as other:
            supervision.send("it", "x")
            supervision.send("it", 1)
            await settle()
        assert one.messages == other.messages == ["x", 1]
    with pytest.raises(supervision.NoProcess), Tap.attached(supervision.Pid()):
        pass


async def test_a_mailbox_with_a_limit_keeps_it_while_somebody_listens():
    limit = supervision.MailboxLimit(2)
    async with tree(
        child("it", wait, mailbox=limit), child("echo", Echo, mailbox=limit)
    ):
        for number in range(2):
            supervision.send("it", number)
        with Tap.attached("it") as tap, Tap.attached("it"):
            supervision.send("it", 2)
            assert tap.messages == [2]
        assert info_of("it").mailbox == 2
        assert info_of("it").dropped == 1
        await supervision.sys.suspend("echo")
        with crash_at("echo", int):
            supervision.cast("echo", "one")
            supervision.cast("echo", 2)
            supervision.cast("echo", "too many")
            await supervision.sys.resume("echo")
            await settle()
        assert isinstance(info_of("echo").last_reason, Crash)
        await supervision.sys.suspend("echo")
        supervision.cast("echo", "never")
        crash("echo")
        await settle()
        assert info_of("echo").restarts == 2


# --- who was restarted


def static(*specs: supervision.ChildSpec, **options: Any) -> Any:
    return partial(supervision.Supervisor, specs, **options)


async def test_who_was_restarted_and_who_was_not():
    inner = static(*(child(name, listen) for name in "abc"), strategy="rest_for_one")
    async with tree(child("sup", inner, type="supervisor"), child("d", listen)):
        with watching() as watched:
            crash("b")
            await settle()
            watched.assert_restarted("b", "sup/c", only=True)
        crash("d")
        await settle()
        # Behind the block it is what it was at its end.
        watched.assert_restarted("b", "c", only=True)
        watched.assert_unchanged("a", "d", "sup")
        assert watched.restarted() == ["sup/b", "sup/c"]
        with pytest.raises(AssertionError, match="was not restarted: sup/a"):
            watched.assert_restarted("a", "b")
        with pytest.raises(AssertionError, match="has changed, too: sup/c") as failed:
            watched.assert_restarted("b", only=True)
        assert "sup/b <" in str(failed.value)
        assert "restarted, it ended with: crash: CrashOnPurpose" in str(failed.value)
        with pytest.raises(AssertionError, match="has changed: sup/b, sup/c"):
            watched.assert_unchanged()
        with pytest.raises(AssertionError, match="no 'x', there is: sup, sup/a"):
            watched.assert_unchanged("x")


async def test_who_is_gone_new_or_does_not_run_is_said_to_be():
    sup = child("sup", supervision.DynamicSupervisor, type="supervisor")
    async with tree(sup, child("t", listen, restart="transient")) as root:
        await supervision.start_child("sup", child("old", wait, restart="temporary"))
        with watching() as watched:
            await supervision.start_child("sup", child("new", wait))
            await supervision.terminate_child(root, "t")
            supervision.exit(pid_of("old"), KILL)
            await settle()
        said = [str(change).partition(": ")[2] for change in watched.changes()]
        assert said == [
            "unchanged",
            "gone",
            "now undefined, it ended with: shutdown",
            "new",
        ]
        for who in ("old", "new", "t"):
            with pytest.raises(AssertionError, match="was not restarted"):
                watched.assert_restarted(who)
        with watching() as watched:
            pass
        watched.assert_unchanged()


async def test_children_of_the_same_id_are_counted_and_a_root_may_be_given():
    sup = child("sup", supervision.DynamicSupervisor, type="supervisor")
    async with tree(sup, child("other", listen)):
        for name in ("first", "second", "third"):
            spec = supervision.ChildSpec("w", wait, name=name)
            await supervision.start_child("sup", spec)
        with watching("sup") as watched:
            supervision.exit(pid_of("second"), KILL)
            crash("other")
            await settle()
        assert [change.path for change in watched.changes()] == ["w", "w[2]", "w[3]"]
        watched.assert_restarted("w[2]", only=True)


async def test_an_id_that_two_have_needs_its_path():
    inner = static(child("x", listen))
    same = supervision.ChildSpec("x", listen)
    async with tree(child("sup", inner, type="supervisor"), same):
        with watching() as watched:
            crash("x")
            await settle()
        assert watched.restarted() == ["sup/x"]
        watched.assert_unchanged("x")  # it is a path, too
        one, other = supervision.ChildSpec("y", listen), child("z", listen)
        async with tree(child("a", static(one, other), type="supervisor")) as a:
            await supervision.start_child(a, child("b", static(one)))
            with watching(a) as watched:
                pass
            with pytest.raises(AssertionError, match="'y' may be any of: a/y, b/y"):
                watched.assert_unchanged("y")
            watched.assert_unchanged("z", "b/y")


async def test_a_tree_that_has_ended_is_gone():
    watched: list[supervision.testing.Watched] = []
    with pytest.raises(supervision.SupervisorGaveUp):
        async with tree(child("it", listen)) as root:
            with watching(root) as found:
                watched.append(found)
                supervision.exit(root, KILL)
                await wait_exit(root)
    with pytest.raises(AssertionError, match="has changed: it"):
        watched[0].assert_unchanged()


# --- leaks


class Standing:
    """Stands in for a process, with what the check looks at."""

    def __init__(self) -> None:
        self.alive = True
        self.names = ["it"]
        self.links: Any = None
        self.monitors: Any = None
        self.watching: Any = None
        self.pending: Any = ()


def spoil_name(process: Any, other: Any, home: Any) -> None:
    process.names = []


def spoil_value(process: Any, other: Any, home: Any) -> None:
    home.runtime.values["free"] = 1


def spoil_home(process: Any, other: Any, home: Any) -> None:
    other.alive = False


def spoil_link(process: Any, other: Any, home: Any) -> None:
    process.links = {other}


def spoil_monitor(process: Any, other: Any, home: Any) -> None:
    process.monitors = {supervision.Ref(other, None, None): None}


def spoil_watcher(process: Any, other: Any, home: Any) -> None:
    process.monitors = {supervision.Ref(process, other, None): None}


def spoil_watching(process: Any, other: Any, home: Any) -> None:
    process.watching = {supervision.Ref(other, process, None): None}


def spoil_calls(process: Any, other: Any, home: Any) -> None:
    process.pending = {supervision.From(None, "ask", process, None)}


@pytest.mark.parametrize(
    "spoil, said",
    [
        (spoil_name, "the name 'it' belongs to"),
        (spoil_value, "a value of the free name 'free' is left"),
        (spoil_home, "is dead and still in its tree"),
        (spoil_link, "who knows nothing of it"),
        (spoil_monitor, "of somebody else"),
        (spoil_watcher, "is watched by"),
        (spoil_watching, "which watches nobody"),
        (spoil_calls, "for which nobody waits"),
    ],
)
def test_tables_that_contradict_themselves_are_found(spoil, said):
    process, other = Standing(), Standing()
    process.links, other.links = {other}, {process}
    ref = supervision.Ref(process, other, None)
    process.monitors, other.watching = {ref: None}, {ref: None}
    process.watching = {supervision.GroupRef(None, process, "group"): None}
    process.pending = {supervision.From(None, "ask", process, cast("Any", "a task"))}
    runtime = SimpleNamespace(names={"it": process}, values={"it": 1})
    home: Any = SimpleNamespace(runtime=runtime, processes={process, other})
    assert list(faults_of_tables(home)) == []
    other.links = {process}
    if spoil is spoil_link:
        other.links = None
    else:
        process.links = other.links = None
    spoil(process, other, home)
    assert said in "\n".join(faults_of_tables(home))


@pytest.mark.parametrize("kept", ["links", "mailbox", "names", "pending", "pid"])
def test_what_the_dead_have_kept_is_found(kept):
    dead: Any = SimpleNamespace(pid=supervision.Pid(), pending=())
    assert list(faults_of_dead(dead)) == []
    if kept == "pid":
        dead.pid.process = dead
    else:
        setattr(dead, kept, ["something"])
    (said,) = faults_of_dead(dead)
    assert "has ended" in said


def leaves(what: str, *, memory: bool = True) -> str:
    """What is said of a run that leaves something; '' when it is nothing."""
    with pytest.raises(AssertionError) as failed, assert_no_leaks(memory=memory):
        run(LEAVING[what])
    return str(failed.value)


kept: list[Any] = []


async def keep_a_process() -> None:
    async with tree(child("it", listen)):
        kept.append(pid_of("it").process)


async def keep_a_link() -> None:
    async with tree(child("it", listen), child("other", listen)):
        one, other = (pid_of(name).process for name in ("it", "other"))
        one.links = {other}
        await settle()


async def keep_a_name() -> None:
    async with tree(child("it", listen)):
        process = pid_of("it").process
        process.home.runtime.names["stolen"] = process


async def keep_a_timer() -> None:
    async with tree():
        supervision.send_after(1000, "nobody", "late")


LEAVING = {
    "a process": keep_a_process,
    "a link": keep_a_link,
    "a name": keep_a_name,
    "a timer": keep_a_timer,
}


@pytest.mark.parametrize(
    "what, said",
    [
        ("a process", "still in memory: <process"),
        ("a link", "who knows nothing of it"),
        ("a name", "the name 'stolen' belongs to"),
        ("a timer", "a timer for 1000.0 is left"),
    ],
)
def test_what_is_left_behind_is_found(what, said, leaks: Leaks):
    assert said in leaves(what)
    kept.clear()
    leaks.ignore = True  # the inner one has told of it


def test_memory_need_not_be_looked_at_and_a_failure_comes_first(leaks: Leaks):
    with assert_no_leaks(memory=False):
        run(keep_a_process)
    kept.clear()
    with pytest.raises(OnPurpose), assert_no_leaks():
        run(keep_a_timer)
        raise OnPurpose
    leaks.ignore = True


async def test_leaks_are_looked_for_inside_a_run_too():
    with assert_no_leaks(memory=False):
        async with tree(child("it", Echo)):
            assert await supervision.call("it", Ask(1)) == 1
            supervision.send_after(3, pid_of("it"), "late")
    async with tree(name="outer"):
        left = pytest.raises(AssertionError, match="was never closed")
        inner = tree()
        with left, assert_no_leaks(memory=False):
            await inner.__aenter__()
        await inner.__aexit__(None, None, None)
