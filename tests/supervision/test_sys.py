"""Looking into a behaviour, and steering it, through its own loop."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import logging

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import (
    NORMAL,
    SHUTDOWN,
    Exited,
    Reply,
    Timeout,
    sys,
)
from supervision import _telemetry as telemetry
from supervision._life import Process
from supervision.testing import wait_exit
from tests.supervision.stage import Ask, Echo, Trapping, actor, child, tree, wait

pytestmark = pytest.mark.usefixtures("scopes")


@attrs.define
class Counter(supervision.Server):
    count: int = 0

    async def handle_call(self, request, sender):
        self.count += 1
        return self.count


class Plain(supervision.Server):
    def __init__(self):
        self.count = 1


def dynamic():
    return child("d", supervision.DynamicSupervisor, type="supervisor")


# --- the state


@pytest.mark.otp("93")
@pytest.mark.parametrize("server", [Counter, Plain])
async def test_the_state_of_a_server_can_be_read_and_replaced(server):
    async with tree(child("it", server)):
        before = await sys.get_state("it")
        assert before == {"count": before["count"]}
        assert await sys.replace_state("it", lambda _: {"count": 10}) == {"count": 10}
        assert await sys.get_state("it") == {"count": 10}
        if server is Counter:
            assert await supervision.call("it", Ask()) == 11


@pytest.mark.otp("93")
async def test_what_raises_leaves_the_state_as_it_was():
    def fails(state):
        raise KeyError(state["count"])

    @attrs.define
    class Picky(Counter):
        count: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))
        other: int = 1

    async with tree(child("it", Picky)):
        pid = supervision.whereis("it")
        with pytest.raises(KeyError):
            await sys.replace_state("it", fails)
        with pytest.raises(TypeError):
            await sys.replace_state("it", lambda _: {"other": 2, "count": "x"})
        with pytest.raises(AttributeError):
            await sys.replace_state("it", lambda _: None)
        assert await sys.get_state("it") == {"count": 0, "other": 1}
        assert await supervision.call("it", Ask()) == 1
        assert supervision.whereis("it") is pid


@pytest.mark.otp("93")
async def test_a_state_is_seen_between_two_messages():
    go = trio.Event()
    log = []

    class Slow(Echo):
        async def handle_cast(self, message):
            await go.wait()
            self.log.append(message)

    async def look():
        state = await sys.get_state("it")
        log.append(len(state["log"]))

    async with tree(child("it", Slow)), trio.open_nursery() as nursery:
        supervision.cast("it", 1)
        nursery.start_soon(look)
        await wait_all_tasks_blocked()
        assert log == []
        go.set()
    assert log == [2]


@pytest.mark.otp("93")
async def test_supervisors_answer_too():
    async with tree(child("a", Echo), dynamic(), max_restarts=7) as root:
        state = await sys.get_state(root)
        assert (state["strategy"], state["max_restarts"]) == ("one_for_one", 7)
        assert [spec.id for spec in state["children"]] == ["a", "d"]
        for sup in (root, "d"):
            await sys.replace_state(sup, lambda state: {**state, "max_restarts": 0})
            assert (await sys.get_state(sup))["max_restarts"] == 0
            with pytest.raises(supervision.SupervisionError):
                await sys.replace_state(sup, lambda state: {**state, "children": None})
            await sys.statistics(sup, "start")
            supervision.send(sup, "what?")
            assert (await sys.statistics(sup, "get")).messages_in == 1
            assert (await sys.get_status(sup)).watched == ("statistics",)


@pytest.mark.otp("93")
async def test_who_cannot_be_asked(autojump_clock):
    told = []

    class Narcissus(Echo):
        async def handle_call(self, request, sender):
            with pytest.raises(supervision.CallingSelf):
                await sys.get_state("it")
            return "told"

        async def handle_cast(self, message):
            await trio.sleep(10)

    async with tree(child("it", Narcissus)):
        assert await supervision.call("it", Ask()) == "told"
        with pytest.raises(supervision.NoProcess):
            await sys.get_state("nobody")
        plain = supervision.spawn(wait)
        await wait_all_tasks_blocked()
        with pytest.raises(supervision.SupervisionError):
            await sys.get_state(plain)
        supervision.cast("it", 1)
        with pytest.raises(supervision.CallTimeout):
            await sys.get_state("it")
        assert told == []


# --- suspension


@pytest.mark.otp("93")
async def test_a_suspended_server_lets_calls_time_out(autojump_clock):
    log = []
    async with tree(child("it", Echo, log)):
        supervision.cast("it", "before")
        await sys.suspend("it")
        supervision.cast("it", 1)
        supervision.send("it", 2)
        with pytest.raises(supervision.CallTimeout):
            await supervision.call("it", Ask())
        assert log == ["init", ("cast", "before")]
        assert (await sys.get_status("it")).suspended
        assert (await sys.get_state("it"))["log"] is log
        await sys.resume("it")
        await wait_all_tasks_blocked()
        assert log[2:] == [("cast", 1), ("info", 2)]
        assert not (await sys.get_status("it")).suspended


@pytest.mark.otp("75", "93")
@pytest.mark.parametrize("end", ["parent", "stop", "terminate", "signal", "kill"])
async def test_what_ends_a_suspended_server(end):
    log = []
    async with tree(dynamic()):
        spec = child("it", Trapping, log, restart="temporary")
        pid = await supervision.start_child("d", spec)
        await sys.suspend(pid)
        match end:
            case "parent":
                await supervision.terminate_child("d", pid)
            case "stop":
                await supervision.stop(pid, Exited("enough"))
            case "terminate":
                await sys.terminate(pid, Exited("enough"))
                await wait_exit(pid)
            case "signal":
                # A message to one that traps, and messages wait.
                supervision.exit(pid, "x")
                await wait_all_tasks_blocked()
                assert supervision.is_alive(pid)
            case "kill":
                supervision.exit(pid, supervision.KILL)
                await wait_exit(pid)
    ends = {
        "parent": [("terminate", SHUTDOWN)],
        "stop": [("terminate", Exited("enough"))],
        "terminate": [("terminate", Exited("enough"))],
        "signal": [("terminate", SHUTDOWN)],
        "kill": [],
    }
    assert log[1:] == ends[end]


@pytest.mark.otp("93")
async def test_an_untrapped_signal_ends_a_suspended_server():
    async with tree(dynamic()):
        pid = await supervision.start_child("d", child("it", Echo, restart="temporary"))
        await sys.suspend(pid)
        supervision.exit(pid, "x")
        assert await wait_exit(pid) == Exited("x")


@pytest.mark.otp("82", "93")
async def test_a_system_message_lets_a_time_out_begin_anew(autojump_clock):
    log = []

    class Timed(Echo):
        async def handle_cast(self, message):
            return Timeout(5)

        async def handle_info(self, message):
            self.log.append(trio.current_time())

    async with tree(child("it", Timed, log)):
        supervision.cast("it", 1)
        await wait_all_tasks_blocked()
        await trio.sleep(3)
        asked = trio.current_time()
        await sys.get_state("it")
        await trio.sleep(20)
        assert log[1:] == [pytest.approx(asked + 5)]


@pytest.mark.otp("94")
async def test_a_suspended_server_does_not_look_at_its_backlog_again(monkeypatch):
    async with tree(child("it", Echo)):
        await sys.suspend("it")
        await wait_all_tasks_blocked()
        process = supervision.whereis("it").process
        for number in range(1000):
            supervision.cast("it", number)
        # It is not even woken.
        assert process.waiting
        await sys.resume("it")


# --- code


@attrs.define
class Doubling(Counter):
    async def handle_call(self, request, sender):
        self.count *= 2
        return self.count


@pytest.mark.otp("87", "93", "T21")
async def test_code_changes_while_suspended_only():
    def new(old):
        return Doubling(old.count + 10)

    async with tree(child("it", Counter)):
        pid = supervision.whereis("it")
        await supervision.call("it", Ask())
        with pytest.raises(supervision.NotSuspended):
            await sys.change_code("it", new)
        await sys.suspend("it")
        with pytest.raises(TypeError):
            await sys.change_code("it", lambda _: None)
        with pytest.raises(ZeroDivisionError):
            await sys.change_code("it", lambda _: 1 / 0)
        await sys.change_code("it", new)
        await sys.resume("it")
        assert await supervision.call("it", Ask()) == 22
        assert supervision.whereis("it") is pid
        assert supervision.state("it") == {"count": "22"}
        assert (await sys.get_status("it")).behaviour == "Doubling"


@pytest.mark.otp("74", "93")
async def test_a_supervisor_takes_over_new_specs_by_id():
    old = [child(name, Echo) for name in "abcd"]
    new = [
        child("n", Echo),
        child("c", Counter),
        child("a", Echo),
    ]
    async with tree(*old) as root:
        pids = {name: supervision.whereis(name) for name in "abcd"}
        await sys.suspend(root)
        with pytest.raises(TypeError):
            await sys.change_code(root, lambda _: Counter())
        await sys.change_code(
            root,
            lambda _: supervision.Supervisor(
                new, strategy="rest_for_one", auto_shutdown="any_significant"
            ),
        )
        await sys.resume(root)
        assert {name: supervision.whereis(name) for name in "abcd"} == pids
        assert supervision.whereis("n") is None
        infos = (await supervision.which_children(root))[::-1]
        assert [info.id for info in infos] == ["n", "c", "a", "b", "d"]
        assert supervision.tree(root).strategy == "rest_for_one"
        supervision.exit(pids["c"], "x")
        await wait_all_tasks_blocked()
        assert await sys.get_state("c") == {"count": 0}
        # Refused under the flags that were given up.
        last = child("last", Echo, restart="temporary", significant=True)
        assert await supervision.start_child(root, last) is not None


@pytest.mark.otp("93")
@pytest.mark.parametrize("senseless", [{"max_restarts": -1}, {"max_seconds": 0.0}])
async def test_a_supervisor_takes_no_limits_that_make_no_sense(senseless):
    async with tree(child("a")) as root:
        before = await sys.get_state(root)
        with pytest.raises(supervision.BadChildSpec):
            await sys.replace_state(root, lambda state: {**state, **senseless})
        assert await sys.get_state(root) == before


@pytest.mark.otp("43", "74")
async def test_with_other_limits_a_supervisor_still_counts_earlier_restarts():
    def start():
        return supervision.Supervisor([child("a", Echo)], max_restarts=2)

    tighter = supervision.Supervisor([child("a", Echo)], max_restarts=1)
    spec = child("s", start, type="supervisor", restart="temporary")
    async with tree(spec):
        supervision.exit(supervision.whereis("a"), "x")
        await wait_all_tasks_blocked()
        await sys.suspend("s")
        await sys.change_code("s", lambda _: tighter)
        await sys.resume("s")
        assert supervision.whereis("a") is not None
        supervision.exit(supervision.whereis("a"), "x")
        await wait_all_tasks_blocked()
        assert supervision.whereis("s") is None


@pytest.mark.otp("74")
async def test_a_dynamic_supervisor_takes_over_new_limits():
    async with tree(dynamic()):
        pid = await supervision.start_child("d", child("a"))
        await sys.suspend("d")
        with pytest.raises(TypeError):
            await sys.change_code("d", lambda _: Counter())
        await sys.change_code(
            "d", lambda _: supervision.DynamicSupervisor(max_children=1)
        )
        await sys.resume("d")
        with pytest.raises(supervision.MaxChildren):
            await supervision.start_child("d", child("b"))
        assert supervision.whereis("a") is pid


# --- watching


@pytest.mark.otp("93")
async def test_statistics_count_what_comes_in_and_goes_out(autojump_clock):
    async with tree(child("it", Echo)):
        assert await sys.statistics("it", "get") is None
        await supervision.call("it", Ask())
        await sys.statistics("it", "start")
        supervision.cast("it", 1)
        supervision.send("it", 2)
        await supervision.call("it", Ask(3))
        await supervision.call("it", Ask(Reply(4)))
        await trio.sleep(2)
        counts = await sys.statistics("it", "get")
        assert (counts.messages_in, counts.messages_out) == (4, 2)
        assert counts.now - counts.started_at == pytest.approx(2)
        await sys.statistics("it", "stop")
        assert await sys.statistics("it", "get") is None
        assert supervision.whereis("it").process.debug is None


class Returns(Echo):
    async def handle_call(self, request, sender):
        return request.what


@pytest.mark.otp("93")
async def test_a_log_keeps_the_last_events():
    async with actor() as here, tree(child("it", Returns)):
        assert await sys.log("it", "get") == ()
        await sys.log("it", "start", size=3)
        supervision.cast("it", "forgotten")
        supervision.cast("it", 1)
        await supervision.call("it", Ask(2))
        assert await sys.log("it", "get") == (
            sys.SysEvent("cast", 1),
            sys.SysEvent("call", Ask(2), here),
            sys.SysEvent("reply", 2, here),
        )
        await sys.log("it", "stop")
        assert await sys.log("it", "get") == ()


@pytest.mark.otp("93")
async def test_a_trace_is_telemetry(events, caplog):
    async with tree(child("it", Echo)):
        await sys.trace("it", True)
        await supervision.call("it", Ask(1))
        await sys.trace("it", False)
        await supervision.call("it", Ask(2))
    traced = events.named("supervision.process.trace")
    assert [event.metadata["kind"] for event in traced] == ["call", "reply"]
    assert [event.metadata["message"] for event in traced] == ["Ask(what=1)", "1"]
    caplog.set_level(logging.INFO, "supervision")
    telemetry._log(traced[0])
    assert "supervision.process.trace" in caplog.text


@pytest.mark.otp("93")
async def test_an_installed_function_hears_until_it_has_enough():
    heard = []
    failed = []

    def two(event):
        heard.append(event.message)
        return sys.DONE if len(heard) == 2 else None

    def fails(event):
        failed.append(event)
        raise KeyError

    async with tree(child("it", Echo)):
        await sys.install("it", two)
        await sys.install("it", fails)
        status = await sys.get_status("it")
        assert [name.rpartition(".")[2] for name in status.watched] == ["two", "fails"]
        for number in range(4):
            supervision.cast("it", number)
        assert (await sys.get_status("it")).watched == ()
        assert heard == [0, 1]
        assert len(failed) == 1
        await sys.install("it", heard.append)
        await sys.remove("it", heard.append)
        supervision.cast("it", 5)
        await wait_all_tasks_blocked()
        assert heard == [0, 1]
    assert repr(sys.DONE) == "DONE"


@pytest.mark.otp("93")
async def test_the_status_of_a_server():
    async with tree(child("it", Echo)) as root:
        await sys.log("it", "start")
        await sys.trace("it", True)
        status = await sys.get_status("it")
        assert (status.pid, status.name) == (supervision.whereis("it"), "it")
        assert (status.parent, status.behaviour) == (root, "Echo")
        assert status.watched == ("log", "trace")
        assert (status.suspended, status.mailbox) == (False, 0)
        assert status.state == {"log": "['init']"}


@pytest.mark.otp("76", "83", "93")
@pytest.mark.parametrize("kind", ["call", "cast", "info", "continue", "stop"])
async def test_a_watched_server_does_what_it_always_does(kind):
    log = []

    class Busy(Echo):
        async def handle_cast(self, message):
            return supervision.Continue("on")

        async def handle_info(self, message):
            raise KeyError

        async def handle_continue(self, term):
            self.log.append(term)

    async with tree(dynamic()):
        pid = await supervision.start_child(
            "d", child("it", Busy, log, restart="temporary")
        )
        await sys.install(pid, lambda event: None)
        match kind:
            case "call":
                with pytest.raises(supervision.ServerExited):
                    await supervision.call(pid, Ask("crash"))
            case "cast":
                supervision.cast(pid, 1)
                await wait_all_tasks_blocked()
                assert log == ["init", "on"]
            case "info":
                supervision.send(pid, 1)
                assert isinstance(await wait_exit(pid), supervision.Crash)
            case "continue":
                supervision.exit(pid, "x")
                assert await wait_exit(pid) == Exited("x")
            case "stop":
                answer = supervision.Stop(NORMAL, reply="bye")
                assert await supervision.call(pid, Ask(answer)) == "bye"
                assert log[-1] == ("terminate", NORMAL)


@pytest.mark.otp("T12")
async def test_a_busy_watched_server_lets_others_run():
    turns = []

    async def other():
        while True:
            turns.append(1)
            await trio.lowlevel.checkpoint()

    async with tree(child("echo", Echo)):
        await sys.statistics("echo", "start")
        supervision.spawn(other)
        for number in range(2000):
            supervision.cast("echo", number)
        await supervision.call("echo", Ask())
        assert (await sys.statistics("echo", "get")).messages_in == 2001
    assert 2 <= len(turns) < 200


# --- what it costs


@pytest.mark.otp("94")
async def test_nobody_pays_who_does_not_look(monkeypatch):
    """In the loop that runs while nobody watches, nothing is looked up per message."""
    looked = []

    def counted(name):
        slot = getattr(Process, name)

        def read(process):
            looked.append(name)
            return slot.__get__(process)

        return property(read, slot.__set__)

    async with tree(child("it", Echo)):
        for name in ("debug", "suspended"):
            monkeypatch.setattr(Process, name, counted(name))
        for number in range(10):
            supervision.cast("it", number)
            supervision.send("it", number)
        await supervision.call("it", Ask())
        assert looked == []
        await sys.get_state("it")
        assert set(looked) == {"debug", "suspended"}
        monkeypatch.undo()


@pytest.mark.otp("70")
async def test_a_child_whose_end_waits_in_the_mailbox_is_not_counted_as_active():
    def start():
        return supervision.Supervisor([child("a", Echo), child("b", Echo)])

    counts = []

    async def count():
        counts.append(await supervision.count_children("s"))

    async with tree(child("s", start, type="supervisor")):
        await sys.suspend("s")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await wait_all_tasks_blocked()
            supervision.exit(supervision.whereis("a"), "x")
            await wait_all_tasks_blocked()
            await sys.resume("s")
        assert (counts[0].specs, counts[0].active) == (2, 1)
