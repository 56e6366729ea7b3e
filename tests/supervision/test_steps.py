"""A call to an idle server, whose caller takes the first step of the handler.

Whatever the handler does in that step it does as the server, and nobody can tell the
difference from a call over the mailbox, except by the clock. So every test runs with both.
"""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false

import contextvars
import gc
import types

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    KILL,
    KILLED,
    NO_REPLY,
    NORMAL,
    Continue,
    Exited,
    Reply,
    Stop,
    _server,
    _steps,
)
from supervision.testing import wait_exit
from tests.supervision.stage import Ask, Echo, OnPurpose, Trapping, actor, child, tree

pytestmark = pytest.mark.usefixtures("scopes", "way")

variable = contextvars.ContextVar("variable", default="nobody's")


@pytest.fixture(params=["inline", "queued"])
def way(request, monkeypatch):
    monkeypatch.setattr(_server, "INLINE", request.param == "inline")
    return request.param


def dynamic():
    return child("d", supervision.DynamicSupervisor, type="supervisor")


class Does(Echo):
    """Does what it is asked to, with itself as the argument."""

    async def handle_call(self, request, sender):
        return await request.what(self)


class Plain(Echo):
    def handle_call(self, request, sender):
        return request.what(self)


async def start(server, *args, **options):
    return await supervision.start_child("d", child("it", server, *args, **options))


async def once(server, *args):
    return await start(server, *args, restart="temporary")


# --- who one is


async def identity(server=None):
    return (
        supervision.self_pid(),
        trio.lowlevel.current_task(),
        variable.get(),
    )


async def test_a_handler_is_its_server_before_and_after_it_waits():
    class Twice(Does):
        async def init(self):
            variable.set("the server's")
            self.before = await identity()

        async def handle_call(self, request, sender):
            first = await identity()
            variable.set("changed")
            await trio.lowlevel.checkpoint()
            return self.before, first, await identity()

    async with actor() as here, tree(child("it", Twice)):
        variable.set("the caller's")
        await wait_all_tasks_blocked()
        before, first, second = await supervision.call("it", Ask())
        assert before == first
        assert first[:2] == second[:2]
        assert second[2] == "changed"
        assert first[2] == "the server's"
        assert first[0] is supervision.whereis("it")
        assert await identity() == (here, trio.lowlevel.current_task(), "the caller's")


async def test_what_a_handler_starts_is_the_servers():
    class Linking(Echo):
        async def handle_call(self, request, sender):
            supervision.trap_exits(True)
            pid = supervision.spawn_link(trio.sleep_forever)
            supervision.monitor(pid)
            return pid

    log = []
    async with tree(child("it", Linking, log)):
        await wait_all_tasks_blocked()
        pid = await supervision.call("it", Ask())
        supervision.exit(pid, "x")
        await wait_all_tasks_blocked()
        kinds = [type(message).__name__ for _, message in log[1:]]
        assert sorted(kinds) == ["Down", "Exit"]


async def test_plain_functions_are_handlers_too():
    async with tree(child("it", Plain)):
        await wait_all_tasks_blocked()
        asked = Ask(lambda server: (supervision.self_pid(), len(server.log)))
        assert await supervision.call("it", asked) == (supervision.whereis("it"), 1)
        ends = Ask(lambda server: Stop(NORMAL, reply="bye"))
        assert await supervision.call("it", ends) == "bye"


# --- waiting


async def waits_for_a_checkpoint(server):
    await trio.lowlevel.checkpoint()


async def waits_for_the_clock(server):
    await trio.sleep(1)


async def waits_in_a_scope(server):
    with trio.move_on_after(1) as scope:
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def waits_in_a_shield(server):
    with trio.CancelScope(shield=True):
        await trio.sleep(1)


async def waits_in_a_nursery(server):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)
        nursery.start_soon(trio.sleep, 2)


async def waits_for_an_event_that_is_set_at_once(server):
    event = trio.Event()
    trio.lowlevel.current_trio_token().run_sync_soon(event.set)
    await event.wait()


async def waits_for_a_message(server):
    supervision.send_after(1, supervision.self_pid(), "wake up")
    assert await supervision.receive(str) == "wake up"


async def waits_for_a_thread(server):
    assert await trio.to_thread.run_sync(variable.get) == variable.get()


async def waits_for_another_server(server):
    assert await supervision.call("other", Ask(waits_for_a_checkpoint)) is None


async def waits_for_a_generator(server):
    async def generate():
        for number in range(3):
            await trio.lowlevel.checkpoint()
            yield number

    assert [number async for number in generate()] == [0, 1, 2]


WAITS = [
    waits_for_a_checkpoint,
    waits_in_a_scope,
    waits_for_the_clock,
    waits_in_a_shield,
    waits_in_a_nursery,
    waits_for_an_event_that_is_set_at_once,
    waits_for_a_message,
    waits_for_another_server,
    waits_for_a_generator,
]


@pytest.mark.otp("77")
@pytest.mark.parametrize("how", WAITS)
async def test_a_handler_may_wait_for_anything(how, autojump_clock):
    async def waits(server):
        before = await identity()
        await how(server)
        await how(server)
        assert await identity() == before
        return "waited"

    log = []
    async with tree(child("it", Does, log), child("other", Does)):
        await wait_all_tasks_blocked()
        for _ in range(3):
            assert await supervision.call("it", Ask(waits)) == "waited"
        supervision.cast("it", "after")
        await wait_all_tasks_blocked()
    assert log == ["init", ("cast", "after")]


async def test_a_handler_may_wait_for_a_thread():
    async def waits(server):
        await waits_for_a_thread(server)
        return "waited"

    async with tree(child("it", Does)):
        await wait_all_tasks_blocked()
        assert await supervision.call("it", Ask(waits)) == "waited"


async def test_what_wakes_the_handler_may_come_before_its_task_runs():
    event = trio.Event()

    async def waits(server):
        await event.wait()
        return "woken"

    async def caller():
        assert await supervision.call("it", Ask(waits)) == "woken"
        log.append("woken")

    log = []
    async with tree(child("it", Does)), trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        nursery.start_soon(caller)
        nursery.start_soon(_set, event)
    assert log == ["woken"]


async def _set(event):
    event.set()


@pytest.mark.otp("78")
async def test_a_handler_that_waits_too_long_goes_on(autojump_clock):
    async def waits(server):
        await trio.sleep(6)
        server.log.append("done")
        return "late"

    log = []
    async with actor(), tree(child("it", Does, log)):
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.CallTimeout):
            await supervision.call("it", Ask(waits))
        await trio.sleep(2)
        assert log == ["init", "done"]
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


@pytest.mark.otp("T14")
async def test_a_caller_that_is_cancelled_leaves_the_handler_alone(autojump_clock):
    async def waits(server):
        await trio.sleep(6)
        server.log.append("done")

    log = []
    async with tree(child("it", Does, log)):
        await wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await supervision.call("it", Ask(waits), timeout=None)
        assert scope.cancelled_caught
        await trio.sleep(10)
        assert log == ["init", "done"]


async def test_a_call_is_a_cancellation_point():
    async with tree(child("it", Echo)):
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await supervision.call("it", Ask())
        assert scope.cancelled_caught


@pytest.mark.parametrize("waits", [False, True])
async def test_a_handler_may_cancel_its_caller(waits, autojump_clock):
    log = []

    async def cancels(server):
        scope.cancel()
        if waits:
            await trio.sleep(1)
        server.log.append("done")
        return "nobody gets it"

    async with tree(child("it", Does, log)):
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            log.append(await supervision.call("it", Ask(cancels)))
        assert scope.cancelled_caught
        await trio.sleep(2)
        # Nothing of the cancellation is left with the server.
        assert await supervision.call("it", Ask(identity)) == (
            supervision.whereis("it"),
            supervision.whereis("it").process.task,
            "nobody's",
        )
    assert log == ["init", "done"]


async def test_a_handler_is_not_cancelled_with_its_caller(autojump_clock):
    """What the caller has open is not around what it does as the server."""

    async def waits(server):
        deadlines.append(trio.current_effective_deadline())
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        return "done"

    deadlines = []
    async with tree(child("it", Does)):
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            assert await supervision.call("it", Ask(waits)) == "done"
    assert deadlines == [float("inf")]


async def test_what_ends_the_program_does_not_leave_by_the_caller():
    async def leaves(server):
        raise SystemExit(3)

    async def calls():
        with pytest.raises(supervision.ServerExited):
            await supervision.call("it", Ask(leaves))
        log.append("told")

    log = []
    with pytest.raises(BaseException) as exited:  # noqa: PT011 - a group or not
        async with tree(child("it", Does)):
            await wait_all_tasks_blocked()
            await calls()
            await trio.sleep_forever()
    error = exited.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, SystemExit)
    assert log == ["told"]
    del exited, error


async def test_what_waits_shows_where():
    async def waits(server):
        await trio.sleep_forever()

    async with tree(child("it", Does, shutdown=0)), trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        nursery.start_soon(supervision.call, "it", Ask(waits))
        await wait_all_tasks_blocked()
        functions = [point.rpartition(" ")[2] for point in supervision.wait_point("it")]
        assert "handle_call" in functions
        assert functions[functions.index("waits") + 1] == "sleep_forever"
        assert supervision.info("it").status == "running"
        nursery.cancel_scope.cancel()


# --- ends


@pytest.mark.otp("76", "77")
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("server", [Does, Plain])
async def test_what_a_handler_raises_ends_the_server_in_its_own_task(server, first):
    async def fails_later(server):
        await trio.lowlevel.checkpoint()
        raise OnPurpose

    def fails(server):
        raise OnPurpose

    async def fails_at_once(server):
        fails(server)

    where = []

    class Ends(server):
        async def terminate(self, reason):
            where.append(await identity())
            await super().terminate(reason)

    how = fails if server is Plain else (fails_at_once if first else fails_later)
    log = []
    async with tree(dynamic()):
        pid = await once(Ends, log)
        task = pid.process.task
        await wait_all_tasks_blocked()
        try:
            raise KeyError("the caller's")  # noqa: TRY301 - to be in its handling
        except KeyError:
            with pytest.raises(supervision.ServerExited) as exited:
                await supervision.call(pid, Ask(how))
        error = exited.value.reason.error
        assert isinstance(error, OnPurpose)
        assert error.__context__ is None
        frames = []
        traceback = error.__traceback__
        while traceback is not None:
            frames.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        assert "call" not in frames
        assert log == ["init", ("terminate", exited.value.reason)]
        assert where == [(pid, task, "nobody's")]
        del error, exited


@pytest.mark.otp("1", "5", "7")
@pytest.mark.parametrize(
    "reason, ended",
    [("x", Exited("x")), (KILL, KILLED), (NORMAL, NORMAL)],
)
async def test_a_server_that_ends_itself_does_not_reply(reason, ended):
    """As in Erlang, where it is gone at once."""

    async def ends(server):
        supervision.exit(supervision.self_pid(), reason)
        return "never"

    log = []
    async with tree(dynamic()):
        pid = await once(Does, log)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call(pid, Ask(ends))
        assert exited.value.reason == ended
    assert log == ["init"]


@pytest.mark.otp("12")
async def test_a_server_that_ends_its_caller():
    async def ends(server):
        supervision.exit(caller, "x")
        return "never seen"

    log = []

    async def calls(ask):
        log.append(await supervision.call("it", ask))

    async with tree(child("it", Does)):
        await wait_all_tasks_blocked()
        caller = supervision.spawn(calls, Ask(ends))
        assert await wait_exit(caller) == Exited("x")
    assert log == []


@pytest.mark.otp("12", "75")
@pytest.mark.parametrize("server", [Does, "trapping"])
async def test_a_signal_reaches_a_handler_that_waits(server):
    class TrappingDoes(Trapping, Does):
        handle_call = Does.handle_call

    async def waits(server):
        await trio.sleep_forever()

    ended = []

    async def caller():
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call("it", Ask(waits))
        ended.append(exited.value.reason)

    log = []
    async with tree(dynamic()), trio.open_nursery() as nursery:
        pid = await once(TrappingDoes if server == "trapping" else Does, log)
        await wait_all_tasks_blocked()
        nursery.start_soon(caller)
        await wait_all_tasks_blocked()
        supervision.exit(pid, "x")
        await wait_all_tasks_blocked()
        if server == "trapping":
            assert ended == []
            supervision.exit(pid, KILL)
    assert ended == [KILLED if server == "trapping" else Exited("x")]
    assert log == ["init"]


@pytest.mark.otp("76")
async def test_leaving_a_handler_is_a_reason_and_terminates():
    async def leaves(server):
        supervision.exit("left")

    log = []
    async with tree(dynamic()):
        pid = await once(Does, log)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call(pid, Ask(leaves))
        assert exited.value.reason == Exited("left")
    assert log == ["init", ("terminate", Exited("left"))]


async def test_a_cancellation_from_outside_reaches_a_handler_that_waits():
    """Somebody cancels the nursery that the server lives in."""

    async def waits(server):
        try:
            await trio.sleep_forever()
        finally:
            server.log.append("unwound")

    log = []
    async with tree(dynamic()) as root, trio.open_nursery() as nursery:
        pid = await once(Does, log)
        await wait_all_tasks_blocked()
        nursery.start_soon(_fails, supervision.call, pid, Ask(waits))
        await wait_all_tasks_blocked()
        await supervision.terminate_child(root, "d")
    assert log == ["init", "unwound"]


async def _fails(fn, *args):
    with pytest.raises(supervision.ServerExited):
        await fn(*args)


async def test_a_handler_that_waits_for_another_framework_crashes():
    @types.coroutine
    def foreign():
        yield "a future"

    async def waits(server):
        await foreign()

    async with tree(dynamic()):
        pid = await once(Does)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call(pid, Ask(waits))
        assert isinstance(exited.value.reason.error, TypeError)
        del exited


# --- results


@pytest.mark.otp("80", "82", "83", "84")
async def test_every_result_of_a_handler():
    class All(Echo):
        async def handle_call(self, request, sender):  # noqa: PLR0911 - a table
            match request.what:
                case "reply":
                    supervision.reply(sender, "first")
                    return "second"
                case "no reply":
                    supervision.reply(sender, "itself")
                    return NO_REPLY
                case "later":
                    self.log.append(sender)
                    return NO_REPLY
                case "error":
                    supervision.reply_error(sender, KeyError("no"))
                    return NO_REPLY
                case "then":
                    return Reply("now", then=Continue("more"))
                case "bad":
                    return Continue()
                case stop:
                    return stop

        async def handle_continue(self, term):
            self.log.append(term)

    log = []
    async with tree(dynamic()), trio.open_nursery() as nursery:
        pid = await once(All, log)
        await wait_all_tasks_blocked()
        assert await supervision.call(pid, Ask("reply")) == "first"
        assert await supervision.call(pid, Ask("no reply")) == "itself"
        with pytest.raises(KeyError):
            await supervision.call(pid, Ask("error"))
        assert await supervision.call(pid, Ask("then")) == "now"
        await wait_all_tasks_blocked()
        assert log == ["init", "more"]

        async def later():
            log.append(await supervision.call(pid, Ask("later")))

        nursery.start_soon(later)
        await wait_all_tasks_blocked()
        supervision.reply(log[2], "later")
        await wait_all_tasks_blocked()
        assert log[3] == "later"
        log.clear()
        assert await supervision.call(pid, Ask(Stop(NORMAL, "bye"))) == "bye"
        assert log == [("terminate", NORMAL)]
        bad = await once(All, log)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.ServerExited) as exited:
            await supervision.call(bad, Ask("bad"))
        assert isinstance(exited.value.reason.error, supervision.BadReturn)
        del exited


@pytest.mark.otp("20", "84")
async def test_a_reply_that_comes_after_the_reply_is_dropped():
    log = []

    class Keeps(Echo):
        async def handle_call(self, request, sender):
            self.log.append(sender)
            return 1

    async with actor(), tree(child("it", Keeps, log)):
        await wait_all_tasks_blocked()
        assert await supervision.call("it", Ask()) == 1
        supervision.reply(log[1], 2)
        with pytest.raises(supervision.ReceiveTimeout):
            await supervision.receive(timeout=0)


# --- order


@pytest.mark.otp("21")
async def test_a_call_comes_after_what_was_sent_before_it():
    log = []

    class Logs(Echo):
        async def handle_call(self, request, sender):
            self.log.append("call")

    async with tree(child("it", Logs, log)):
        await wait_all_tasks_blocked()
        supervision.cast("it", 1)
        await supervision.call("it", Ask())
        supervision.send("it", 2)
        await supervision.call("it", Ask())
    assert log == ["init", ("cast", 1), "call", ("info", 2), "call"]


async def test_what_a_handler_sends_to_itself_is_handled_after_it():
    async def sends(server):
        supervision.cast(supervision.self_pid(), "to myself")
        server.log.append("called")

    log = []
    async with tree(child("it", Does, log)):
        await wait_all_tasks_blocked()
        await supervision.call("it", Ask(sends))
        await wait_all_tasks_blocked()
    assert log == ["init", "called", ("cast", "to myself")]


async def test_calls_wait_while_the_handler_of_another_one_waits():
    go = trio.Event()

    async def waits(server):
        server.log.append("first")
        await go.wait()
        server.log.append("first again")

    async def second(server):
        server.log.append("second")

    log = []
    async with tree(child("it", Does, log)), trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        nursery.start_soon(supervision.call, "it", Ask(waits))
        await wait_all_tasks_blocked()
        nursery.start_soon(supervision.call, "it", Ask(second))
        await wait_all_tasks_blocked()
        go.set()
    assert log == ["init", "first", "first again", "second"]


@pytest.mark.parametrize("length", [3, 100])
async def test_a_chain_of_servers(length):
    class Link(Echo):
        def __init__(self, number):
            super().__init__()
            self.number = number

        async def handle_call(self, request, sender):
            if self.number == request.what:
                return [supervision.self_pid()]
            behind = await supervision.call(f"{self.number + 1}", request)
            return [supervision.self_pid(), *behind]

    async with tree(*(child(f"{number}", Link, number) for number in range(length))):
        await wait_all_tasks_blocked()
        for _ in range(3):
            pids = await supervision.call("0", Ask(length - 1))
            expected = [supervision.whereis(f"{number}") for number in range(length)]
            assert pids == expected


async def test_servers_that_call_each_other_run_into_their_time_outs(autojump_clock):
    async def calls_back(server):
        with pytest.raises(supervision.CallTimeout):
            await supervision.call("a", Ask(calls_back), timeout=1)
        return "told"

    async def calls(server):
        return await supervision.call("b", Ask(calls_back))

    async with tree(child("a", Does), child("b", Does)):
        await wait_all_tasks_blocked()
        assert await supervision.call("a", Ask(calls)) == "told"


async def test_a_server_may_call_a_process_that_calls_it(autojump_clock):
    """The caller serves while its request is handled."""

    async def plain():
        request = await supervision.receive(supervision.From)
        supervision.reply(request, "answer")

    async def asks(server):
        pid = supervision.spawn(plain)
        return await supervision.call(pid, Ask())

    async with tree(child("it", Does)):
        await wait_all_tasks_blocked()
        assert await supervision.call("it", Ask(asks)) == "answer"


@pytest.mark.otp("T12")
async def test_one_who_calls_without_end_lets_others_run():
    turns = []

    async def other():
        while True:
            turns.append(1)
            await trio.lowlevel.checkpoint()

    async with tree(*(child(f"{number}", Echo) for number in range(3))):
        await wait_all_tasks_blocked()
        supervision.spawn(other)
        for number in range(5000):
            await supervision.call(f"{number % 3}", Ask())
        assert len(turns) >= 8


async def test_an_idle_server_that_was_called_ends_as_ever():
    log = []
    async with tree(child("it", Trapping, log)):
        await wait_all_tasks_blocked()
        for _ in range(3):
            await supervision.call("it", Ask(1))
    assert log == ["init", ("terminate", supervision.SHUTDOWN)]


async def test_falling_asleep_in_a_call():
    class Sleepy(Echo):
        async def handle_call(self, request, sender):
            return Stop(NORMAL, reply=self.stop_if_idle())

    async with tree(dynamic()):
        pid = await once(Sleepy)
        await wait_all_tasks_blocked()
        assert await supervision.call(pid, Ask()) is True
        with pytest.raises(supervision.NoProcess):
            await supervision.call(pid, Ask())


# --- the private parts


async def test_an_idle_server_is_called_without_a_switch(way, monkeypatch):
    monkeypatch.setattr(_steps._turns, "taken", 0)
    steps = []

    class Count(trio.abc.Instrument):
        def before_task_step(self, task):
            steps.append(task)

    async with tree(child("it", Echo)):
        await wait_all_tasks_blocked()
        await supervision.call("it", Ask())
        instrument = Count()
        trio.lowlevel.add_instrument(instrument)
        for _ in range(10):
            await supervision.call("it", Ask())
        trio.lowlevel.remove_instrument(instrument)
    # One call in 512 is queued, so that others run; it may be one of these.
    assert (len(steps) <= 4) is (way == "inline")


async def test_a_run_that_is_abandoned_unwinds():
    """Trio closes coroutines of a run that crashed; so does a rest."""
    closed = []

    async def waits():
        try:
            await trio.sleep_forever()
        finally:
            closed.append(1)

    rest = _steps.Rest(lambda _: trio.lowlevel.Abort.SUCCEEDED)

    async def rests():
        await rest

    for how in ("close", "throw", "nothing"):
        parked = rests()
        parked.send(None)
        if how != "nothing":
            rest._going_on = waits()
            rest._going_on.send(None)
        if how != "close":
            with pytest.raises(OnPurpose):
                parked.throw(OnPurpose())
        parked.close()
        assert rest._going_on is None
    assert closed == [1, 1]
    assert iter(rest) is rest
    gc.collect()
