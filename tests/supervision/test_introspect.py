"""Looking in."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from functools import partial

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import Crash
from supervision.testing import wait_exit
from tests.supervision.stage import Ask, Echo, Trapping, actor, child, crash, tree, wait


async def test_the_tree_shows_everything_below_the_root():
    """P8."""
    children = [
        child("echo", Echo),
        child("plain", wait, restart="temporary"),
        child("d", supervision.DynamicSupervisor, type="supervisor"),
    ]
    async with tree(*children, strategy="rest_for_one", name="top"):
        await supervision.start_child("d", child("deep", Echo))
        await wait_all_tasks_blocked()
        top = supervision.tree()
        assert (top.id, top.name, top.kind) == ("top", "top", "supervisor")
        assert (top.strategy, top.status) == ("rest_for_one", "waiting")
        echo, plain, dynamic = top.children
        assert (echo.kind, echo.restart, echo.status) == (
            "server",
            "permanent",
            "waiting",
        )
        assert (plain.kind, plain.restart, plain.status) == (
            "process",
            "temporary",
            "running",
        )
        assert [info.id for info in dynamic.children] == ["deep"]
        assert supervision.tree("d") == dynamic
        with pytest.raises(supervision.NoProcess):
            supervision.tree("nobody")


def flat(info):
    """What `walk` shows of the same, in another order."""
    yield attrs.evolve(info, children=(), hidden=len(info.children) + info.hidden)
    for each in info.children:
        yield from flat(each)


async def test_a_walk_shows_what_the_tree_shows_level_by_level():
    below = child("d", supervision.DynamicSupervisor, type="supervisor")
    async with tree(below, child("echo", Echo), child("plain", wait), name="top"):
        for number in range(3):
            await supervision.start_child("d", child(f"deep{number}", Echo))
        await wait_all_tasks_blocked()
        walked = list(supervision.walk())
        assert [(above, info.id) for above, info in walked] == [
            (None, "top"),
            (0, "d"),
            (0, "echo"),
            (0, "plain"),
            (1, "deep0"),
            (1, "deep1"),
            (1, "deep2"),
        ]
        by_pid = {info.pid: info for _, info in walked}
        assert by_pid == {info.pid: info for info in flat(supervision.tree())}
        part = list(supervision.walk("top", depth=1, most=2))
        assert [(info.id, info.hidden) for _, info in part] == [
            ("top", 3),
            ("d", 3),
            ("echo", 0),
        ]
        assert [info.id for _, info in supervision.walk("d", depth=0)] == ["d"]
        with pytest.raises(supervision.NoProcess):
            supervision.walk("nobody")


async def test_a_walk_goes_on_while_the_tree_changes():
    first, second = (
        child(name, supervision.DynamicSupervisor, type="supervisor")
        for name in ("first", "second")
    )
    async with tree(first, second, child("echo", Echo), name="top"):
        for number in range(3):
            await supervision.start_child("first", child(f"a{number}", Echo))
            spec = child(f"b{number}", Echo, restart="temporary")
            await supervision.start_child("second", spec)
        walking = supervision.walk()
        shown = [next(walking)[1].id for _ in range(5)]
        assert shown == ["top", "first", "second", "echo", "a0"]
        # One ends for good, one is started again, one comes to whom it has begun with,
        # one to whom it has not: that one is shown.
        await supervision.terminate_child("first", supervision.whereis("a1"))
        before = supervision.whereis("a2")
        supervision.exit(before, supervision.KILL)
        await wait_exit(before)
        await supervision.start_child("first", child("late", Echo))
        await supervision.start_child("second", child("early", Echo))
        rest = [info for _, info in walking]
        assert [info.id for info in rest] == ["a2", "b0", "b1", "b2", "early"]
        assert rest[0].pid not in (None, before)


async def test_a_walk_leaves_out_what_is_below_a_supervisor_that_has_ended():
    below = child("d", supervision.DynamicSupervisor, type="supervisor")
    async with tree(below):
        await supervision.start_child("d", child("deep", Echo))
        walking = supervision.walk()
        assert [next(walking)[1].id for _ in range(2)][1] == "d"
        await supervision.terminate_child(supervision.tree().pid, "d")
        assert list(walking) == []


async def test_registered_names():
    assert supervision.registered() == []
    async with tree(child("part/a", Echo), child("b", Echo)):
        assert {"part/a", "b"} <= set(supervision.registered())
        known = [entry.name for entry in supervision.names()]
        assert sorted(supervision.registered()) == known


async def test_children_are_found_by_their_ids_and_say_where_they_stand():
    assert supervision.ids() == supervision.identified("a") == []
    below = child(
        "b", partial(supervision.Supervisor, [supervision.ChildSpec("a", Echo)])
    )
    async with tree(child("a", Echo), below):
        spawned = supervision.spawn(trio.sleep_forever)
        assert sorted(supervision.ids()) == ["a", "a", "b"]
        paths = [supervision.path(pid) for pid in supervision.identified("a", "x")]
        assert sorted(paths) == [("root", "a"), ("root", "b", "a")]
        assert supervision.path(supervision.tree().pid) == ("root",)
        assert supervision.path(spawned) == supervision.path("nobody") == ()
        await supervision.terminate_child(supervision.tree().pid, "a")
        assert len(supervision.identified("a")) == 1


async def test_one_process_at_a_time():
    async with tree(child("echo", Echo)):
        await supervision.call("echo", Ask(1))
        await supervision.sys.suspend("echo")
        supervision.cast("echo", 1)
        info = supervision.info("echo")
        assert (info.messages, info.mailbox, info.restarts) == (2, 1, 0)
        assert info.started_at is not None
        assert supervision.info("nobody") is None


async def test_why_the_last_one_ended():
    async with tree(child("c", Echo)):
        with pytest.raises(supervision.ServerExited):
            await supervision.call("c", Ask("crash"))
        await wait_all_tasks_blocked()
        info = supervision.info("c")
        assert isinstance(info.last_reason, Crash)
        assert info.restarts == 1


async def test_a_server_describes_itself_while_it_is_busy():
    @attrs.define
    class Busy(supervision.Server):
        secret: str = attrs.field(default="x", repr=False)

        async def handle_cast(self, message):
            await wait()

        def describe(self):
            return {"shown": 1}

    async with tree(child("busy", Busy), child("echo", Echo)) as root:
        supervision.cast("busy", 1)
        await wait_all_tasks_blocked()
        assert supervision.state("busy") == {"shown": 1}
        assert supervision.info("busy").status == "running"
        assert supervision.state("echo") == {"log": "['init']"}
        assert supervision.state(supervision.spawn(wait)) == {}
        assert supervision.state(root) == {}


async def test_where_a_process_waits():
    async with tree():
        pid = supervision.spawn(wait)
        assert supervision.wait_point(pid) == []
        await wait_all_tasks_blocked()
        points = supervision.wait_point(pid)
        assert any(point.endswith(" wait") and "stage.py:" in point for point in points)
        with pytest.raises(supervision.NoProcess):
            supervision.wait_point("nobody")


async def test_what_ends_is_stopping(autojump_clock):
    class Slow(Trapping):
        async def terminate(self, reason):
            await trio.sleep(1)

    seen = []
    async with tree(child("s", Slow)) as root, trio.open_nursery() as nursery:
        nursery.start_soon(supervision.terminate_child, root, "s")
        await wait_all_tasks_blocked()
        seen.append(supervision.info("s").status)
        await trio.sleep(2)
        (child_info,) = supervision.tree(root).children
        seen.append((child_info.pid, child_info.status))
    assert seen == ["stopping", (None, "undefined")]


async def test_statistics_count():
    assert supervision.statistics().processes == 0
    async with actor():
        pid = supervision.spawn(wait, name="n")
        supervision.join("g", pid=pid)
        supervision.send(pid, 1)
        counts = supervision.statistics()
        assert (counts.processes, counts.names, counts.groups) == (4, 1, 1)
        assert (counts.messages, counts.spawned) == (1, 4)
        await wait_exit(supervision.spawn(crash))
        assert supervision.statistics().processes == 4
        assert supervision.statistics().spawned == 5


async def test_all_processes_also_those_without_a_supervisor():
    assert supervision.processes() == []
    async with tree(child("it", wait)) as root:
        spawned = supervision.spawn(wait)
        assert supervision.processes() == [root, supervision.whereis("it"), spawned]
        supervision.exit("it", supervision.KILL)
        await wait_all_tasks_blocked()
        first, second, third = supervision.processes()
        assert (first, second) == (root, spawned)
        assert third == supervision.whereis("it")
    assert supervision.processes() == []
