"""Groups."""

import pytest

import supervision
from supervision import GroupJoined, GroupLeft, ReceiveTimeout
from supervision.testing import settle, wait_exit
from tests.supervision.stage import actor, keep, tree, wait


async def nothing_waits() -> None:
    with pytest.raises(ReceiveTimeout):
        await supervision.receive(timeout=0)


@pytest.mark.otp("92")
async def test_joining_twice_is_two_memberships():
    async with actor() as here:
        other = supervision.spawn(wait)
        supervision.join("g")
        supervision.join("g")
        supervision.join("g", pid=other)
        assert sorted(supervision.members("g"), key=repr) == [here, here, other]
        supervision.leave("g")
        assert set(supervision.members("g")) == {here, other}
        supervision.leave("g")
        with pytest.raises(supervision.NotAMember):
            supervision.leave("g")
        supervision.leave("g", pid=other)
        assert supervision.members("g") == []
        assert supervision.statistics().groups == 0
        with pytest.raises(supervision.NotAMember):
            supervision.leave("g")


async def test_a_broadcast_reaches_each_member_once():
    async with tree():
        got = [[], []]
        pids = [supervision.spawn(keep, into) for into in got]
        for pid in (*pids, pids[0]):
            supervision.join("g", pid=pid)
        assert supervision.broadcast("g", "hello") == 2
        await settle()
        assert got == [["hello"], ["hello"]]
        assert supervision.broadcast("nobody", "hello") == 0


@pytest.mark.otp("92")
async def test_the_dead_are_no_members():
    async with tree():
        pid = supervision.spawn(wait)
        supervision.join("g", pid=pid)
        supervision.join("h", pid=pid)
        supervision.exit(pid, "x")
        await wait_exit(pid)
        assert supervision.members("g") == []
        assert supervision.groups() == []
        assert supervision.broadcast("g", "hello") == 0
        with pytest.raises(supervision.NoProcess):
            supervision.join("g", pid=pid)


async def test_groups_are_listed_by_prefix():
    async with actor():
        for group in ("lobby/go", "lobby/chess", "staff"):
            supervision.join(group)
        assert supervision.groups("lobby/") == ["lobby/chess", "lobby/go"]
        assert supervision.groups() == ["lobby/chess", "lobby/go", "staff"]
        supervision.leave("lobby/go")
        assert supervision.groups("lobby/") == ["lobby/chess"]


@pytest.mark.otp("92")
async def test_a_monitor_tells_of_every_membership_that_begins_and_ends():
    async with actor() as here:
        other = supervision.spawn(wait)
        supervision.join("g", pid=other)
        ref = supervision.monitor_group("g")
        assert ref.members == {"g": (other,)}
        supervision.join("g")
        supervision.join("g", pid=other)
        supervision.join("h", pid=other)
        supervision.leave("g")
        assert await supervision.receive() == GroupJoined(ref, "g", (here,))
        assert await supervision.receive() == GroupJoined(ref, "g", (other,))
        assert await supervision.receive() == GroupLeft(ref, "g", (here,))
        await nothing_waits()


@pytest.mark.otp("92")
async def test_a_member_that_ends_leaves_once_for_each_time_it_had_joined():
    async with actor():
        ref = supervision.monitor_group("g")
        assert ref.members == {}
        pid = supervision.spawn(wait)
        supervision.join("g", pid=pid)
        supervision.join("g", pid=pid)
        supervision.exit(pid, "x")
        joined, left = GroupJoined(ref, "g", (pid,)), GroupLeft(ref, "g", (pid,))
        assert [await supervision.receive() for _ in range(4)] == [
            joined,
            joined,
            left,
            left,
        ]


@pytest.mark.otp("92")
async def test_a_prefix_is_a_scope():
    async with actor() as here:
        supervision.join("lobby/go")
        supervision.join("staff")
        ref = supervision.monitor_group("lobby/", prefix=True)
        assert ref.members == {"lobby/go": (here,)}
        supervision.join("lobby/chess")
        supervision.leave("staff")
        supervision.leave("lobby/go")
        assert await supervision.receive() == GroupJoined(ref, "lobby/chess", (here,))
        assert await supervision.receive() == GroupLeft(ref, "lobby/go", (here,))
        await nothing_waits()


@pytest.mark.otp("92")
async def test_a_monitor_can_be_taken_back():
    async with actor() as here:
        first, second = supervision.monitor_group("g"), supervision.monitor_group("g")
        supervision.join("g")
        supervision.join("g")
        supervision.demonitor(first, flush=True)
        supervision.leave("g")
        assert await supervision.receive() == GroupJoined(second, "g", (here,))
        supervision.demonitor(second)
        supervision.demonitor(second)
        supervision.leave("g")
        assert await supervision.receive() == GroupJoined(second, "g", (here,))
        assert await supervision.receive() == GroupLeft(second, "g", (here,))
        await nothing_waits()


async def test_a_watcher_that_ends_is_told_no_more():
    async def watch() -> None:
        supervision.join("g")
        supervision.monitor_group("g")
        supervision.monitor_group("", prefix=True)

    async with actor() as here:
        mine = supervision.monitor_group("g")
        pid = supervision.spawn(watch)
        await wait_exit(pid)
        supervision.join("g")
        assert await supervision.receive() == GroupJoined(mine, "g", (pid,))
        assert await supervision.receive() == GroupLeft(mine, "g", (pid,))
        assert await supervision.receive() == GroupJoined(mine, "g", (here,))
        await nothing_waits()


async def test_a_plain_task_monitors_no_group():
    async with tree():
        with pytest.raises(supervision.NotAProcess):
            supervision.monitor_group("g")


async def test_without_a_runtime_there_are_no_groups():
    assert supervision.members("g") == []
    assert supervision.groups() == []
    assert supervision.broadcast("g", 1) == 0
    with pytest.raises(supervision.NoRuntime):
        supervision.monitor_group("g")
