"""Groups."""

import pytest

import supervision
from supervision.testing import settle, wait_exit
from tests.supervision.stage import actor, keep, tree, wait


async def test_joining_twice_is_two_memberships():
    """OTP 92."""
    async with actor() as here:
        other = supervision.spawn(wait)
        supervision.join("g")
        supervision.join("g")
        supervision.join("g", other)
        assert sorted(supervision.members("g"), key=repr) == [here, here, other]
        supervision.leave("g")
        assert set(supervision.members("g")) == {here, other}
        supervision.leave("g")
        with pytest.raises(supervision.NotAMember):
            supervision.leave("g")
        supervision.leave("g", other)
        assert supervision.members("g") == []
        assert supervision.statistics().groups == 0


async def test_a_broadcast_reaches_each_member_once():
    async with tree():
        got = [[], []]
        pids = [supervision.spawn(keep, into) for into in got]
        for pid in (*pids, pids[0]):
            supervision.join("g", pid)
        assert supervision.broadcast("g", "hello") == 2
        await settle()
        assert got == [["hello"], ["hello"]]
        assert supervision.broadcast("nobody", "hello") == 0


async def test_the_dead_are_no_members():
    """OTP 92."""
    async with tree():
        pid = supervision.spawn(wait)
        supervision.join("g", pid)
        supervision.exit(pid, "x")
        await wait_exit(pid)
        assert supervision.members("g") == []
        assert supervision.broadcast("g", "hello") == 0
        with pytest.raises(supervision.NoProcess):
            supervision.join("g", pid)


async def test_without_a_runtime_there_are_no_groups():
    assert supervision.members("g") == []
    assert supervision.broadcast("g", 1) == 0
