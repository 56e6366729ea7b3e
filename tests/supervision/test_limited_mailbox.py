"""Mailboxes with a limit: policies, counts, and what they never hold up."""

import gc
from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Crash,
    Down,
    DynamicSupervisor,
    Exit,
    Exited,
    MailboxLimit,
    Overloaded,
    Pid,
    StateMachine,
)
from supervision._limited_mailbox import LimitedMailbox
from supervision.testing import Recorder, settle, wait_exit
from tests.supervision.stage import Ask, Echo, actor, child, tree, wait

# For what ends a process that waits in Trio.
scopes = pytest.mark.usefixtures("scopes")

OVERLOADED = "supervision.mailbox.overloaded"


class Slow(Echo):
    """Handles nothing until it is let go; then everything at once."""

    def __init__(self, gate: trio.Event, log: list[Any]) -> None:
        super().__init__(log)
        self.gate = gate

    async def init(self) -> None:
        """Not worth a note."""

    async def handle_cast(self, message: Any) -> Any:
        await self.gate.wait()
        self.log.append(message)

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        await self.gate.wait()
        self.log.append(request.what)
        return request.what

    async def handle_info(self, message: Any) -> Any:
        await self.gate.wait()
        self.log.append(message)

    async def terminate(self, reason: Any) -> None:
        self.log.append(reason)


class SlowTrapping(Slow):
    trap_exit = True


def slow(
    gate: trio.Event,
    log: list[Any],
    limit: MailboxLimit | None,
    *,
    trap: bool = False,
    **options: Any,
) -> ChildSpec:
    start = SlowTrapping if trap else Slow
    return child("slow", start, gate, log, mailbox=limit, **options)


def dropped(name: str = "slow") -> int:
    info = supervision.info(name)
    assert info is not None
    return info.dropped


def pid_of(name: str) -> Pid:
    pid = supervision.whereis(name)
    assert pid is not None
    return pid


async def busy_with_the_first(name: str = "slow") -> None:
    """Have it take a first message, in which it stays."""
    supervision.cast(name, "first")
    await wait_all_tasks_blocked()


# --- the policies


async def test_drop_newest_keeps_what_waits():
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, MailboxLimit(3))):
        await busy_with_the_first()
        for number in range(10):
            supervision.cast("slow", number)
        assert dropped() == 7
        gate.set()
        await settle()
        assert log == ["first", 0, 1, 2]
        supervision.cast("slow", "later")
        await settle()
        assert log[-1] == "later"
        assert dropped() == 7


async def test_drop_oldest_keeps_what_comes():
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, MailboxLimit(3, overload="drop_oldest"))):
        await busy_with_the_first()
        for number in range(10):
            supervision.cast("slow", number)
        assert dropped() == 7
        gate.set()
        await settle()
        assert log == ["first", 7, 8, 9]


@scopes
@pytest.mark.parametrize("trap", [False, True])
async def test_exit_ends_the_receiver_and_its_supervisor_decides(trap):
    gate, log = trio.Event(), []
    limit = MailboxLimit(3, overload="exit")
    async with tree(slow(gate, log, limit, trap=trap)):
        await busy_with_the_first()
        before = pid_of("slow")
        for number in range(4):
            supervision.cast("slow", number)
        reason = await wait_exit(before)
        assert isinstance(reason, Crash)
        assert isinstance(reason.error, Overloaded)
        assert reason.error.size == 3
        await settle()
        assert pid_of("slow") is not before
        info = supervision.info("slow")
        assert info is not None
        assert (info.restarts, info.mailbox, info.dropped) == (1, 0, 0)
        # As when it is killed there is no terminate.
        assert log == []


@scopes
async def test_who_is_idle_ends_when_too_much_comes_at_once():
    async with tree(child("it", wait, mailbox=MailboxLimit(1, overload="exit"))):
        before = pid_of("it")
        await wait_all_tasks_blocked()
        supervision.send("it", 1)
        assert supervision.is_alive(before)
        supervision.send("it", 2)
        assert isinstance(await wait_exit(before), Crash)


@scopes
async def test_who_floods_itself_ends():
    async def flood() -> None:
        for number in range(10):
            supervision.send(supervision.self_pid(), number)
        await supervision.receive()
        raise AssertionError

    limit = MailboxLimit(3, overload="exit")
    async with tree():
        pid = supervision.spawn(flood, mailbox=limit)
        reason = await wait_exit(pid)
        assert isinstance(reason, Crash)
        assert isinstance(reason.error, Overloaded)


@pytest.mark.parametrize("overload", ["drop_newest", "drop_oldest", "exit"])
async def test_a_call_to_an_overloaded_server_is_refused_at_once(overload):
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, MailboxLimit(2, overload=overload))):
        await busy_with_the_first()
        for number in range(2):
            supervision.cast("slow", number)
        with pytest.raises(Overloaded, match="'slow' is full") as refused:
            await supervision.call("slow", Ask("call"), timeout=None)
        assert (refused.value.dest, refused.value.size) == ("slow", 2)
        request = supervision.send_request("slow", Ask("request"))
        assert request.answered
        with pytest.raises(Overloaded):
            await supervision.receive_response(request)
        assert dropped() == 2
        gate.set()
        await settle()
        assert log == ["first", 0, 1]
        assert await supervision.call("slow", Ask("now")) == "now"


async def test_whoever_is_refused_again_and_again_lets_others_run():
    gate = trio.Event()
    async with tree(slow(gate, [], MailboxLimit(1))):
        await busy_with_the_first()
        supervision.cast("slow", "waits")
        refusals = 0

        async def insist() -> None:
            nonlocal refusals
            while True:
                try:
                    await supervision.call("slow", Ask("in"))
                except Overloaded:
                    refusals += 1
                else:
                    return

        async def open_later() -> None:
            while refusals < 10:
                await trio.lowlevel.checkpoint()
            gate.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(insist)
            nursery.start_soon(open_later)


async def test_a_call_that_is_dropped_for_a_newer_message_is_told_so():
    gate, log = trio.Event(), []
    outcomes: list[object] = []

    async def ask() -> None:
        try:
            outcomes.append(await supervision.call("slow", Ask("call")))
        except Overloaded as error:
            outcomes.append(error.size)

    async with tree(slow(gate, log, MailboxLimit(2, overload="drop_oldest"))):
        await busy_with_the_first()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            request = supervision.send_request("slow", Ask("request"))
            supervision.cast("slow", "one")
            supervision.cast("slow", "two")
        assert outcomes == [2]
        with pytest.raises(Overloaded):
            await supervision.receive_response(request)
        gate.set()
        await settle()
        assert log == ["first", "one", "two"]


async def test_an_idle_server_with_a_limit_takes_calls_as_any_other():
    async with tree(child("echo", Echo, mailbox=MailboxLimit(1))):
        for number in range(1000):
            assert await supervision.call("echo", Ask(number)) == number
        assert dropped("echo") == 0


# --- where a limit can be given


@attrs.frozen
class Got:
    value: int


async def test_every_way_to_start_takes_a_limit():
    limit = MailboxLimit(2)
    dynamic = child("d", DynamicSupervisor, type="supervisor")
    async with tree(child("spec", wait, mailbox=limit), dynamic):
        await supervision.start_child(
            "d", ChildSpec("x", wait, name="child", mailbox=limit)
        )
        supervision.spawn(wait, name="spawned", mailbox=limit)
        async with supervision.adopt("d", "a", name="adopted", mailbox=limit):
            supervision.spawn_link(wait, name="linked", mailbox=limit)
            supervision.spawn_monitor(wait, name="monitored", mailbox=limit)
            names = ["spec", "child", "spawned", "adopted", "linked", "monitored"]
            for name in names:
                for number in range(5):
                    supervision.send(name, number)
                info = supervision.info(name)
                assert info is not None
                assert (info.mailbox, info.dropped) == (2, 3), name


async def test_what_is_no_limit_is_refused_before_anything_starts():
    with pytest.raises(supervision.BadChildSpec, match="MailboxLimit, not 5"):
        ChildSpec("it", wait, mailbox=5)  # type: ignore[arg-type]
    async with tree():
        before = supervision.statistics()
        with pytest.raises(TypeError, match="MailboxLimit, not 5"):
            supervision.spawn(wait, mailbox=5)  # type: ignore[arg-type]
        assert supervision.statistics() == before


async def test_a_supervisor_with_a_limit_does_its_work_and_refuses_requests():
    started, ended = trio.Event(), trio.Event()

    class Late(Echo):
        async def init(self) -> None:
            await started.wait()

    inner = child(
        "inner",
        supervision.Supervisor,
        [child("a", ended.wait, restart="transient")],
        type="supervisor",
        mailbox=MailboxLimit(1),
    )
    async with tree(inner):
        async with trio.open_nursery() as nursery:
            late = child("late", Late)
            nursery.start_soon(supervision.start_child, "inner", late)
            await wait_all_tasks_blocked()
            nursery.start_soon(supervision.which_children, "inner")
            await wait_all_tasks_blocked()
            with pytest.raises(Overloaded):
                await supervision.which_children("inner")
            # However full it is, it hears of this.
            ended.set()
            await wait_all_tasks_blocked()
            started.set()
        statuses = {
            info.id: info.status for info in await supervision.which_children("inner")
        }
        assert statuses == {"a": "undefined", "late": "running"}


# --- selective receive


async def test_a_selective_receive_finds_what_it_wants_in_a_full_mailbox():
    got: list[object] = []

    async def pick() -> None:
        await trio.lowlevel.checkpoint()
        got.append(await supervision.receive(Got))
        got.append(await supervision.receive(str))
        while True:
            got.append(await supervision.receive(timeout=0))

    async with tree():
        pid = supervision.spawn(pick, mailbox=MailboxLimit(3))
        for message in ("text", Got(1), 5, 6, 7):
            supervision.send(pid, message)
        await wait_exit(pid)
        assert got == [Got(1), "text", 5]


@pytest.mark.parametrize("match", [Got, lambda message: isinstance(message, Got)])
async def test_a_waiting_receive_misses_nothing_while_the_oldest_are_dropped(match):
    got: list[object] = []

    async def pick() -> None:
        while True:
            got.append(await supervision.receive(match))

    limit = MailboxLimit(5, overload="drop_oldest")
    async with tree():
        pid = supervision.spawn(pick, mailbox=limit)
        wanted = []
        for number in range(100):
            supervision.send(pid, number)
            if number % 3 == 0:
                supervision.send(pid, Got(number))
                wanted.append(Got(number))
                await wait_all_tasks_blocked()
        assert got == wanted


async def test_a_waiting_receive_looks_at_each_message_once():
    seen: list[object] = []

    def never(message: object) -> bool:
        seen.append(message)
        return False

    async with actor(trap=True):
        limit = MailboxLimit(4, overload="drop_oldest")
        pid = supervision.spawn(supervision.receive, never, mailbox=limit)
        sent: list[object] = []
        for number in range(20):
            sent += [number, Exit(pid, Exited(number))]
            for message in sent[-2:]:
                supervision.send(pid, message)
                await wait_all_tasks_blocked()
        assert seen == sent


async def test_the_message_for_which_one_waits_is_dropped_like_any_other():
    """Who waits for one kind of message only fills its mailbox with the others."""
    async with actor():
        pid = supervision.spawn(supervision.receive, Got, mailbox=MailboxLimit(2))
        await wait_all_tasks_blocked()
        for message in (1, 2, Got(1)):
            supervision.send(pid, message)
        await wait_all_tasks_blocked()
        assert supervision.is_alive(pid)


# --- signals


def flood(name: str, count: int = 1000) -> None:
    for number in range(count):
        supervision.cast(name, number)


LIMITS = [
    MailboxLimit(100),
    MailboxLimit(100, overload="drop_oldest"),
]
limits = pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.overload)


@limits
async def test_data_never_delays_the_order_to_stop(limit):
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, limit, restart="temporary")):
        await busy_with_the_first()
        flood("slow")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervision.stop, "slow")
            await wait_all_tasks_blocked()
            flood("slow")
            gate.set()
    assert log == ["first", NORMAL]


@limits
async def test_data_never_delays_the_shutdown_of_who_traps_exits(limit):
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, limit, trap=True)) as root:
        await busy_with_the_first()
        flood("slow")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervision.terminate_child, root, "slow")
            await wait_all_tasks_blocked()
            gate.set()
    assert log == ["first", SHUTDOWN]


@scopes
@limits
@pytest.mark.parametrize("reason, end", [(KILL, KILLED), ("why", Exited("why"))])
async def test_data_never_delays_an_exit_signal(limit, reason, end):
    async with tree(slow(trio.Event(), [], limit, restart="temporary")):
        await busy_with_the_first()
        flood("slow")
        pid = pid_of("slow")
        supervision.exit(pid, reason)
        flood("slow")
        assert await wait_exit(pid) == end


@limits
async def test_signals_are_neither_dropped_nor_held_up(limit):
    got: list[object] = []
    ready = trio.Event()

    async def watch() -> None:
        supervision.trap_exits(True)
        supervision.link(other)
        supervision.monitor(other)
        ready.set()
        await gate.wait()
        while True:
            got.append(await supervision.receive())

    gate = trio.Event()
    async with tree():
        other = supervision.spawn(wait)
        pid = supervision.spawn(watch, name="watcher", mailbox=limit)
        await ready.wait()
        for number in range(1000):
            supervision.send(pid, number)
        supervision.exit(other, KILL)
        await wait_exit(other)
        info = supervision.info("watcher")
        assert info is not None
        assert info.mailbox == 102
        gate.set()
        await settle()
        assert {type(signal) for signal in got[:2]} == {Down, Exit}
        assert len(got) == 102
        supervision.exit(pid, KILL)


async def test_what_one_sender_sends_stays_in_order_within_each_lane():
    got: list[object] = []

    async def end(number: int) -> None:
        supervision.send(keeper, number)
        supervision.exit(number)

    async def keep() -> None:
        for number in range(3):
            supervision.spawn_monitor(end, number)
        await gate.wait()
        while True:
            got.append(await supervision.receive())

    gate = trio.Event()
    async with tree():
        keeper = supervision.spawn(keep, mailbox=MailboxLimit(10))
        await wait_all_tasks_blocked()
        gate.set()
        await settle()
    downs = [each.reason for each in got if isinstance(each, Down)]
    assert [type(each) for each in got] == [Down, Down, Down, int, int, int]
    assert downs == [Exited(each) for each in got if isinstance(each, int)]


async def test_timers_are_data_but_those_that_tell_themselves_apart_are_not(
    autojump_clock,
):
    async with tree(child("it", wait, mailbox=MailboxLimit(1))):
        supervision.send("it", "full")
        supervision.send_after(1, "it", "dropped")
        supervision.start_timer(1, "it", "kept")
        await trio.sleep(2)
        info = supervision.info("it")
        assert info is not None
        assert (info.mailbox, info.dropped) == (2, 1)


# --- while it is suspended


@limits
async def test_a_suspended_server_obeys_while_it_is_overloaded(limit):
    gate, log = trio.Event(), []
    gate.set()
    async with tree(slow(gate, log, limit)):
        await supervision.sys.suspend("slow")
        flood("slow")
        with pytest.raises(Overloaded):
            await supervision.call("slow", Ask("call"))
        state = await supervision.sys.get_state("slow", timeout=None)
        assert state["log"] is log
        await supervision.sys.resume("slow")
        await settle()
        kept = range(100) if limit.overload == "drop_newest" else range(900, 1000)
        assert log == [*kept]


@scopes
async def test_a_suspended_server_ends_when_that_is_the_policy():
    limit = MailboxLimit(5, overload="exit")
    async with tree(child("echo", Echo, mailbox=limit)):
        before = pid_of("echo")
        await supervision.sys.suspend("echo")
        flood("echo", 6)
        assert isinstance(await wait_exit(before), Crash)
        await settle()
        assert await supervision.call("echo", Ask(1)) == 1


@limits
async def test_a_suspended_server_stops_in_order_while_it_is_overloaded(limit):
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, limit)):
        await supervision.sys.suspend("slow")
        flood("slow")
        await supervision.stop("slow", "why")
        assert log == [Exited("why")]


# --- state machines


class Counter(StateMachine[str]):
    """Notes every event; goes off after a second."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    async def init(self) -> Any:
        return supervision.NextState("on", supervision.StateTimeout(1.0, "over"))

    async def handle_event(self, event: Any) -> Any:
        match event:
            case supervision.StateTimedOut(content):
                self.log.append(content)
            case supervision.CallEvent(_, sender):
                return supervision.KeepState(supervision.ReplyTo(sender, "yes"))
            case _:
                self.log.append(event.message)
        return supervision.KeepState()


async def test_a_state_machine_keeps_its_time_outs_in_a_full_mailbox(autojump_clock):
    log: list[Any] = []
    async with tree(child("machine", Counter, log, mailbox=MailboxLimit(3))):
        await supervision.sys.suspend("machine")
        flood("machine")
        await trio.sleep(2)
        with pytest.raises(Overloaded):
            await supervision.call("machine", Ask())
        await supervision.sys.resume("machine")
        await settle()
        assert log == ["over", 0, 1, 2]
        assert await supervision.call("machine", Ask()) == "yes"


# --- what is told


async def test_drops_are_told_once_a_second_and_counted(
    events: Recorder, autojump_clock
):
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, MailboxLimit(10))):
        await busy_with_the_first()
        flood("slow", 110)
        await trio.sleep(0.5)
        flood("slow", 50)
        await trio.sleep(0.6)
        flood("slow", 40)
        told = [event.measurements["dropped"] for event in events.named(OVERLOADED)]
        assert told == [1, 150]
        gate.set()
        await settle()
        # What was not told yet is told as soon as the mailbox is empty.
        told = [event.measurements["dropped"] for event in events.named(OVERLOADED)]
        assert told == [1, 150, 39]
        assert dropped() == 190
        (first, *_) = events.named(OVERLOADED)
        assert first.measurements["size"] == 10
        assert first.metadata == {
            "pid": pid_of("slow"),
            "name": "slow",
            "id": "slow",
            "overload": "drop_newest",
        }


async def test_refused_calls_are_told_like_dropped_messages(events: Recorder):
    gate = trio.Event()
    async with tree(slow(gate, [], MailboxLimit(1))):
        await busy_with_the_first()
        supervision.cast("slow", "waits")
        for _ in range(5):
            with pytest.raises(Overloaded):
                await supervision.call("slow", Ask())
        gate.set()
        await settle()
        told = [event.measurements["dropped"] for event in events.named(OVERLOADED)]
        assert sum(told) == 5


# --- against a naive model


@attrs.define
class Naive:
    """Two lists, and the policy in one place."""

    limit: MailboxLimit
    signals: list[Any] = attrs.field(factory=list[Any])
    messages: list[Any] = attrs.field(factory=list[Any])
    dropped: int = 0
    ended: bool = False
    seen: list[Any] = attrs.field(factory=list[Any])

    def append(self, message: Any) -> None:
        if isinstance(message, Exit):
            self.signals.append(message)
        elif len(self.messages) < self.limit.size:
            self.messages.append(message)
        else:
            self.dropped += 1
            if self.limit.overload == "drop_oldest":
                self.messages = [*self.messages[1:], message]
            self.ended = self.ended or self.limit.overload == "exit"

    def popleft(self) -> Any:
        return (self.signals or self.messages).pop(0)

    def mark(self) -> None:
        self.seen = [*self.signals, *self.messages]

    def take(self, accepts: Callable[[Any], bool], *, unseen: bool) -> Any:
        for lane in (self.signals, self.messages):
            for at, message in enumerate(lane):
                known = unseen and any(message is each for each in self.seen)
                if not known and accepts(message):
                    return lane.pop(at)
        return None


@attrs.define(eq=False)
class Owner:
    """The process, as far as its mailbox knows it."""

    name: str = "owner"
    label: str = "owner"
    pid: Pid = attrs.field(factory=Pid)
    ended: bool = False

    def end(self, reason: Any) -> None:
        self.ended = True


@attrs.frozen(eq=False)
class Number:
    value: int


async def play(limit: MailboxLimit, steps: list[tuple[str, int]]) -> None:
    owner = Owner()
    box, naive = LimitedMailbox(cast("Any", owner), limit), Naive(limit)
    start = 0
    for what, number in steps:
        match what:
            case "message" | "signal":
                message: Any = Number(number)
                if what == "signal":
                    message = Exit(owner.pid, Exited(number))
                box.append(message)
                naive.append(message)
            case "pop" if len(naive.signals) + len(naive.messages):
                assert box.popleft() is naive.popleft()
                start = 0  # who takes one begins anew
            case "mark":
                start = box.mark()
                naive.mark()
            case "take":

                def accepts(got: Any, number: int = number) -> bool:
                    value = got.value if isinstance(got, Number) else got.reason.term
                    return value == number

                found = naive.take(accepts, unseen=bool(start))
                assert box.take(accepts, start) == (found is not None, found)
                if found is not None:
                    start = 0
            case _:
                pass
        assert list(box) == [*naive.signals, *naive.messages]
        assert (len(box), bool(box)) == (len(list(box)), bool(list(box)))
        assert (box.dropped, owner.ended) == (naive.dropped, naive.ended)


@pytest.mark.slow
@given(
    st.builds(
        lambda size, overload: MailboxLimit(size, overload=overload),
        st.integers(1, 4),
        st.sampled_from(["drop_newest", "drop_oldest", "exit"]),
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["message", "message", "signal", "pop", "mark", "take"]),
            st.integers(0, 3),
        ),
        max_size=40,
    ),
)
def test_a_limited_mailbox_is_what_a_naive_one_is(limit, steps):
    trio.run(play, limit, steps)


# --- loads that are out of scale


class Counted:
    """A message; counts how many of them there are."""

    alive = 0
    most = 0

    def __init__(self) -> None:
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


@pytest.mark.slow
@limits
async def test_a_million_messages_to_a_slow_receiver_stay_in_bounded_memory(limit):
    async def drink() -> None:
        while True:
            await supervision.receive()
            await trio.lowlevel.checkpoint()

    Counted.most = 0
    async with tree(child("slow", drink, mailbox=limit)):
        send: Callable[[Pid, object], None] = supervision.send
        pid = pid_of("slow")
        for number in range(1_000_000):
            send(pid, Counted())
            if not number % 1000:
                await trio.lowlevel.checkpoint()
        info = supervision.info("slow")
        assert info is not None
        assert info.mailbox <= limit.size
        assert info.dropped > 890_000
        # What waits, what was just taken, and what is on its way.
        assert Counted.most <= limit.size + 2
        supervision.exit(pid, KILL)
        await wait_exit(pid)
    gc.collect()
    assert Counted.alive == 0


async def test_nobody_without_a_limit_is_limited():
    gate, log = trio.Event(), []
    async with tree(slow(gate, log, None)):
        await busy_with_the_first()
        flood("slow", 10_000)
        info = supervision.info("slow")
        assert info is not None
        assert (info.mailbox, info.dropped) == (10_000, 0)
