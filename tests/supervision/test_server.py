"""Servers: the start protocol, calls, casts, continuations, time-outs, terminate."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    KILL,
    KILLED,
    NORMAL,
    SHUTDOWN,
    Continue,
    Crash,
    Exit,
    Exited,
    Ignore,
    Reply,
    Shutdown,
    Stop,
    Timeout,
)
from supervision.testing import Recorder, wait_exit
from tests.supervision.stage import (
    Ask,
    Echo,
    OnPurpose,
    Trapping,
    actor,
    child,
    tree,
    wait,
)

pytestmark = pytest.mark.usefixtures("scopes")


def dynamic():
    return child("dynamic", supervision.DynamicSupervisor, type="supervisor")


async def start(fn, *args, **options):
    return await supervision.start_child("dynamic", child("it", fn, *args, **options))


# --- the start protocol


@pytest.mark.otp("27")
async def test_the_starter_waits_for_init():
    go = trio.Event()
    order = []

    class Slow(Echo):
        async def init(self):
            await go.wait()
            order.append("init")

    async def starter():
        await start(Slow)
        order.append("started")

    async with tree(dynamic()), trio.open_nursery() as nursery:
        nursery.start_soon(starter)
        await wait_all_tasks_blocked()
        assert order == []
        go.set()
        await wait_all_tasks_blocked()
        assert order == ["init", "started"]


class Init(Echo):
    def __init__(self, log, result):
        super().__init__(log)
        self.result = result

    async def init(self):
        if self.result is OnPurpose:
            raise OnPurpose
        if self.result == "exit":
            supervision.exit("left")
        return self.result

    async def handle_continue(self, term):
        self.log.append(("continue", term))


@pytest.mark.otp("28")
@pytest.mark.parametrize(
    "result, reason",
    [
        (Stop(Exited("no")), Exited("no")),
        ("exit", Exited("left")),
    ],
)
async def test_an_init_that_stops_fails_the_start(result, reason):
    log = []
    async with tree(dynamic()):
        with pytest.raises(supervision.StartFailed) as failed:
            await start(Init, log, result)
        assert failed.value.reason == reason
    assert log == []


@pytest.mark.otp("28")
@pytest.mark.parametrize("result, error", [(OnPurpose, OnPurpose), (5, None)])
async def test_an_init_that_raises_or_returns_nonsense_fails_the_start(result, error):
    """And terminate is not called."""
    log = []
    async with tree(dynamic()):
        with pytest.raises(supervision.StartFailed) as failed:
            await start(Init, log, result)
        assert isinstance(failed.value.reason, Crash)
        expected = error or supervision.BadReturn
        assert isinstance(failed.value.__cause__, expected)
    assert log == []


@pytest.mark.otp("28", "37")
async def test_ignore_is_a_good_start_without_a_process():
    async with tree(dynamic()):
        assert await start(Init, [], Ignore()) is None
        assert supervision.whereis("it") is None


@pytest.mark.otp("29", "Q6")
async def test_the_name_is_free_before_the_starter_learns_of_the_failure():
    async with tree(dynamic()):
        for result in (OnPurpose(), Stop(), 5):
            with pytest.raises(supervision.StartFailed):
                await start(Init, [], result)
            assert supervision.whereis("it") is None
        assert await start(Init, [], None)


@pytest.mark.otp("88")
async def test_the_name_is_taken_before_init():
    async with tree(dynamic()):
        first = await start(Echo)
        with pytest.raises(supervision.AlreadyStarted) as taken:
            await start(Echo)
        assert taken.value.pid is first


@pytest.mark.otp("82")
async def test_a_continuation_runs_before_what_is_queued():
    log = []

    class Hasty(Init):
        async def init(self):
            supervision.send(supervision.self_pid(), "message")
            return await super().init()

    async with tree(dynamic()):
        await start(Hasty, log, Continue("load"))
        await wait_all_tasks_blocked()
    assert log == [("continue", "load"), ("info", "message")]


# --- calls


@pytest.mark.otp("77")
async def test_a_call_returns_the_reply_to_process_and_plain_task():
    async with actor(), tree(child("echo", Echo)):
        assert await supervision.call("echo", Ask(1)) == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervision.call, "echo", Ask(2))


async def test_a_sender_knows_who_calls():
    class Who(Echo):
        async def handle_call(self, request, sender):
            return sender.pid

    async with tree(child("who", Who), dynamic()):
        assert await supervision.call("who", Ask()) is None
        async with supervision.adopt("dynamic", "me") as me:
            assert await supervision.call("who", Ask()) is me


@pytest.mark.otp("77")
async def test_a_call_to_nobody_is_no_process():
    async with tree(dynamic()):
        pid = await start(Echo)
        await supervision.stop(pid)
        for dest in (pid, "nobody"):
            with pytest.raises(supervision.NoProcess):
                await supervision.call(dest, Ask())


@pytest.mark.otp("77", "79")
@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, Exited("x")])
async def test_a_call_to_a_server_that_stops_raises_its_reason(reason):
    async with tree(dynamic()):
        pid = await start(Echo, restart="temporary")
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call(pid, Ask(Stop(reason)))
        assert exited.value.reason == reason


@pytest.mark.otp("76", "77")
async def test_a_handler_that_raises_crashes_the_server_and_terminate_runs():
    log = []
    async with tree(dynamic()):
        pid = await start(Echo, log, restart="temporary")
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call(pid, Ask("crash"))
        assert isinstance(exited.value.reason, Crash)
        assert log == ["init", ("terminate", exited.value.reason)]


@pytest.mark.otp("77", "78")
async def test_a_call_times_out_and_its_late_reply_is_dropped(autojump_clock):

    class Slow(Echo):
        async def handle_call(self, request, sender):
            await trio.sleep(request.what)
            return request.what

    async with actor(), tree(child("slow", Slow)) as _:
        before = trio.current_time()
        with pytest.raises(supervision.CallTimeout):
            await supervision.call("slow", Ask(6))
        assert trio.current_time() - before == pytest.approx(5)
        assert await supervision.call("slow", Ask(1)) == 1
        with pytest.raises(supervision.CallTimeout):
            await supervision.call("slow", Ask(1), timeout=0.5)
        assert await supervision.call("slow", Ask(100), timeout=None) == 100
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("77")
async def test_a_server_that_calls_itself_is_told():

    class Narcissus(Echo):
        async def handle_call(self, request, sender):
            with pytest.raises(supervision.CallingSelf):
                await supervision.call("it", Ask())
            return "told"

    async with tree(dynamic()):
        pid = await start(Narcissus)
        assert await supervision.call(pid, Ask()) == "told"


@pytest.mark.otp("80")
async def test_stop_with_a_reply_terminates_first():
    log = []

    class Ordered(Echo):
        async def terminate(self, reason):
            # Nobody can have had the reply before everybody has had time for it.
            await wait_all_tasks_blocked()
            log.append("terminated")
            raise OnPurpose

    async with tree(dynamic()):
        pid = await start(Ordered, log, restart="temporary")

        async def caller():
            log.append(await supervision.call(pid, Ask(Stop(NORMAL, reply="bye"))))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller)
            # Its own failure replaces the reason; the reply is sent all the same.
            assert isinstance(await wait_exit(pid), Crash)
    assert log == ["init", "terminated", "bye"]


@pytest.mark.otp("81")
async def test_casts_and_messages_never_fail(events: Recorder):
    log = []
    async with tree(dynamic()):
        supervision.cast("nobody", 1)
        pid = await start(Echo, log, restart="temporary")
        supervision.cast(pid, 1)
        supervision.send(pid, 2)
        await supervision.stop(pid)
        supervision.cast(pid, 3)
    assert log == ["init", ("cast", 1), ("info", 2), ("terminate", NORMAL)]


@pytest.mark.otp("81")
async def test_a_message_without_a_handler_is_reported_and_dropped(events: Recorder):

    class Deaf(supervision.Server):
        pass

    async with tree(child("deaf", Deaf)) as _:
        pid = supervision.whereis("deaf")
        supervision.send("deaf", "anything")
        await wait_all_tasks_blocked()
        assert supervision.whereis("deaf") is pid
    assert len(events.named("supervision.message.dropped")) == 1


@pytest.mark.otp("82")
@pytest.mark.parametrize("message", ["none", "early", "late"])
async def test_a_timeout_comes_if_nothing_else_does(message, autojump_clock):
    log = []

    class Timed(Echo):
        async def handle_cast(self, message):
            return Timeout(5)

        async def handle_info(self, message):
            self.log.append((message, trio.current_time()))

    async with tree(child("timed", Timed, log)):
        begin = trio.current_time()
        supervision.cast("timed", "start")
        await wait_all_tasks_blocked()
        await trio.sleep({"none": 0, "early": 2, "late": 7}[message])
        if message != "none":
            supervision.send("timed", message)
        await trio.sleep(20)
    got = [(what, round(when - begin, 3)) for what, when in log[1:]]
    timeout = (supervision.TIMEOUT, 5)
    assert (
        got
        == {
            "none": [timeout],
            "early": [("early", 2)],
            "late": [timeout, ("late", 7)],
        }[message]
    )


@pytest.mark.otp("82")
@pytest.mark.parametrize("kind", ["call", "cast", "message"])
async def test_anything_that_comes_cancels_the_timeout(kind, autojump_clock):
    class Timed(Echo):
        async def handle_cast(self, message):
            return Timeout(5) if message == "start" else None

    log = []
    async with tree(child("timed", Timed, log)):
        supervision.cast("timed", "start")
        await trio.sleep(2)
        match kind:
            case "call":
                await supervision.call("timed", Ask())
            case "cast":
                supervision.cast("timed", "other")
            case _:
                supervision.send("timed", "message")
        await trio.sleep(20)
    assert ("info", supervision.TIMEOUT) not in log


@pytest.mark.otp("82")
async def test_a_zero_timeout_lets_queued_messages_win():
    log = []

    class Zero(Echo):
        async def handle_cast(self, message):
            return Timeout(0)

    async with tree(child("zero", Zero, log)):
        supervision.cast("zero", 1)
        supervision.send("zero", "queued")
        await wait_all_tasks_blocked()
        assert log == ["init", ("info", "queued")]
        supervision.cast("zero", 1)
        await wait_all_tasks_blocked()
    assert log == ["init", ("info", "queued"), ("info", supervision.TIMEOUT)]


@pytest.mark.otp("83")
@pytest.mark.parametrize("kind", ["call", "cast"])
async def test_a_bad_return_ends_the_server_after_terminate(kind):
    log = []

    class Bad(Echo):
        async def handle_call(self, request, sender):
            return Continue()

        async def handle_cast(self, message):
            return 5

    async with actor(), tree(dynamic()):
        pid = await start(Bad, log, restart="temporary")
        supervision.monitor(pid)
        if kind == "cast":
            supervision.cast(pid, 1)
        else:
            with pytest.raises(supervision.ServerExited):
                await supervision.call(pid, Ask())
        down = await supervision.receive(supervision.Down)
        assert isinstance(down.reason, supervision.Crash)
        assert isinstance(down.reason.error, supervision.BadReturn)
        assert log[-1] == ("terminate", down.reason)


@pytest.mark.otp("84")
async def test_a_reply_can_come_later_from_anywhere_once():
    senders = []

    class Later(Echo):
        async def handle_call(self, request, sender):
            senders.append(sender)
            return supervision.NO_REPLY

    got = []

    async def caller():
        got.append(await supervision.call("later", Ask()))

    async with tree(child("later", Later)), trio.open_nursery() as nursery:
        nursery.start_soon(caller)
        await wait_all_tasks_blocked()
        supervision.reply(senders[0], "first")
        supervision.reply(senders[0], "second")
        await wait_all_tasks_blocked()
    assert got == ["first"]


async def test_an_error_reply_is_raised_in_the_caller_only():
    class Refusing(Echo):
        async def handle_call(self, request, sender):
            supervision.reply_error(sender, KeyError("no"))
            return supervision.NO_REPLY

    async with tree(child("refusing", Refusing)):
        pid = supervision.whereis("refusing")
        with pytest.raises(KeyError):
            await supervision.call("refusing", Ask())
        assert supervision.whereis("refusing") is pid


async def test_a_reply_may_go_on_with_a_continuation():
    log = []

    class Goes(Echo):
        async def handle_call(self, request, sender):
            return Reply("now", then=Continue("then"))

        async def handle_continue(self, term):
            self.log.append(term)

    async with tree(child("goes", Goes, log)):
        assert await supervision.call("goes", Ask()) == "now"
        await wait_all_tasks_blocked()
    assert log[1] == "then"


# --- the end


@pytest.mark.otp("75", "76")
@pytest.mark.parametrize("server", [Echo, Trapping])
async def test_the_parents_exit_runs_terminate_only_when_trapping(server):
    log = []
    async with tree(child("it", server, log)):
        pass
    assert (("terminate", SHUTDOWN) in log) is (server is Trapping)


@pytest.mark.otp("75")
async def test_an_exit_of_others_is_a_message_when_trapping():
    log = []
    async with actor() as here, tree(child("it", Trapping, log)):
        pid = supervision.whereis("it")
        supervision.exit(pid, "x")
        await wait_all_tasks_blocked()
        assert log == ["init", ("info", Exit(here, Exited("x")))]


@pytest.mark.otp("76")
@pytest.mark.parametrize("server", [Echo, Trapping])
async def test_a_kill_runs_no_terminate(server):
    log = []
    async with tree(dynamic()):
        pid = await start(server, log, restart="temporary")
        supervision.exit(pid, KILL)
        await wait_exit(pid)
    assert log == ["init"]


@pytest.mark.otp("85")
async def test_stop_goes_through_terminate_and_checks_the_reason():
    log = []
    async with tree(dynamic()):
        pid = await start(Echo, log, restart="temporary")
        await supervision.stop(pid, Shutdown("enough"))
        assert log[-1] == ("terminate", Shutdown("enough"))
        with pytest.raises(supervision.NoProcess):
            await supervision.stop(pid)
        failing = await start(Failing, restart="temporary")
        with pytest.raises(supervision.ServerExited):
            await supervision.stop(failing)
        plain = supervision.spawn(wait)
        await supervision.stop(plain, SHUTDOWN)


class Failing(Echo):
    async def terminate(self, reason):
        raise OnPurpose


@pytest.mark.otp("85")
async def test_stop_gives_up_waiting_but_kills_nobody(autojump_clock):

    class Slow(Echo):
        async def terminate(self, reason):
            await trio.sleep(3)

    async with tree(dynamic()):
        pid = await start(Slow, restart="temporary")
        with pytest.raises(supervision.CallTimeout):
            await supervision.stop(pid, timeout=1)
        assert supervision.is_alive(pid)
        assert await wait_exit(pid) == NORMAL


@pytest.mark.otp("T5")
async def test_terminate_may_await_after_any_end(autojump_clock):
    """Under a shield."""
    log = []

    class Careful(Trapping):
        async def terminate(self, reason):
            await trio.sleep(1)
            self.log.append("done")

    async with tree(child("it", Careful, log)):
        pass
    assert log == ["init", "done"]


@pytest.mark.otp("T5")
async def test_terminate_may_await_when_everything_around_it_is_cancelled():
    log = []

    class Careful(Trapping):
        async def terminate(self, reason):
            await trio.lowlevel.checkpoint()
            self.log.append(reason)

    async with tree(child("it", Careful, log)) as root:
        root.process.nursery.cancel_scope.cancel()
        await wait_exit(root)
    assert log == ["init", SHUTDOWN]


@pytest.mark.otp("T5")
async def test_terminate_that_takes_too_long_is_a_kill(autojump_clock):
    """The shutdown value is the deadline of the shield."""

    class Endless(Echo):
        async def terminate(self, reason):
            await wait()

    async with actor(), tree(dynamic()):
        pid = await start(Endless, shutdown=2, restart="temporary")
        begin = trio.current_time()
        supervision.monitor(pid)
        supervision.cast(pid, Stop())
        assert (await supervision.receive()).reason == KILLED
        assert trio.current_time() - begin == pytest.approx(2)


@pytest.mark.otp("T6")
async def test_a_kill_gets_through_the_shield_of_terminate():
    """Through shields that are ours."""

    class Endless(Echo):
        async def terminate(self, reason):
            await wait()

    async with tree(dynamic()):
        pid = await start(Endless, shutdown=1000, restart="temporary")
        supervision.cast(pid, Stop())
        await wait_all_tasks_blocked()
        supervision.exit(pid, "ignored by now")
        await wait_all_tasks_blocked()
        assert supervision.is_alive(pid)
        supervision.exit(pid, KILL)
        assert await wait_exit(pid) == KILLED


@pytest.mark.otp("12", "75", "76")
@pytest.mark.parametrize("signal, reason", [("x", Exited("x")), (KILL, KILLED)])
async def test_a_signal_in_a_handler_ends_without_terminate(signal, reason):
    log = []

    class Stuck(Echo):
        async def handle_cast(self, message):
            await wait()

    async with tree(dynamic()):
        pid = await start(Stuck, log, restart="temporary")
        supervision.cast(pid, 1)
        await wait_all_tasks_blocked()
        supervision.exit(pid, signal)
        assert await wait_exit(pid) == reason
    assert log == ["init"]


async def test_what_was_queued_before_a_signal_is_not_handled_after_it():
    log = []
    async with tree(dynamic()):
        pid = await start(Echo, log, restart="temporary")
        supervision.send(pid, "late")
        supervision.exit(pid, "x")
        assert await wait_exit(pid) == Exited("x")
    assert log == ["init"]


@pytest.mark.otp("76")
async def test_leaving_a_callback_is_a_reason_and_terminates():
    log = []

    class Leaves(Echo):
        async def handle_cast(self, message):
            supervision.exit("left")

    async with tree(dynamic()):
        pid = await start(Leaves, log, restart="temporary")
        supervision.cast(pid, 1)
        assert await wait_exit(pid) == Exited("left")
    assert log == ["init", ("terminate", Exited("left"))]


# --- falling asleep


class Sleepy(Echo):
    async def handle_cast(self, message):
        if message == "sleep":
            asleep = self.stop_if_idle()
            self.log.append(asleep)
            if asleep:
                return Stop()
        return None

    async def terminate(self, reason):
        await self.slow()

    async def slow(self):
        self.log.append("terminating")
        await trio.lowlevel.checkpoint()


async def test_stop_if_idle_takes_the_name_away_in_one_step():
    log = []
    async with tree(dynamic()):
        pid = await start(Sleepy, log, restart="temporary")
        supervision.join("g", pid=pid)
        supervision.cast(pid, "sleep")
        while "terminating" not in log:
            await trio.lowlevel.checkpoint()
        # It still terminates, and nothing more is accepted.
        with pytest.raises(supervision.NoProcess):
            await supervision.call(pid, Ask())
        assert supervision.members("g") == []
        again = await start(Sleepy, log, restart="temporary")
        assert again is not pid
        assert supervision.whereis("it") is again


async def test_stop_if_idle_stays_when_something_waits():
    log = []
    async with tree(dynamic()):
        pid = await start(Sleepy, log)
        supervision.cast(pid, "sleep")
        supervision.cast(pid, "more")
        await wait_all_tasks_blocked()
        assert log == ["init", False]
        assert supervision.whereis("it") is pid


# --- more


@pytest.mark.otp("T12")
async def test_a_busy_server_lets_others_run():
    turns = []

    async def other():
        while True:
            turns.append(1)
            await trio.lowlevel.checkpoint()

    async with tree(child("echo", Echo)):
        supervision.spawn(other)
        for number in range(2000):
            supervision.cast("echo", number)
        await supervision.call("echo", Ask())
    assert 2 <= len(turns) < 100


@pytest.mark.otp("93")
async def test_a_suspended_server_queues_and_still_ends():
    log = []
    async with tree(child("it", Trapping, log)):
        await supervision.sys.suspend("it")
        supervision.cast("it", 1)
        await wait_all_tasks_blocked()
        assert log == ["init"]
        await supervision.sys.resume("it")
        await wait_all_tasks_blocked()
        assert log == ["init", ("cast", 1)]
        await supervision.sys.suspend("it")
        supervision.cast("it", 2)
    assert log[-1] == ("terminate", SHUTDOWN)


async def test_attrs_classes_are_servers_too():
    @attrs.define
    class Counter(supervision.Server):
        count: int = 0

        async def handle_call(self, request, sender):
            self.count += 1
            return self.count

    async with tree(child("counter", Counter)):
        assert await supervision.call("counter", Ask()) == 1
        assert supervision.state("counter") == {"count": "1"}
