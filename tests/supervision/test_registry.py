"""The registry."""

# A name or child that is not there fails the test by itself.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import pytest

import supervision
from supervision import Entry
from supervision.testing import wait_exit
from tests.supervision.stage import actor, tree, wait


@pytest.mark.otp("88", "91")
async def test_a_name_has_one_holder():
    async with actor() as here:
        pid = supervision.spawn(wait, name="a")
        for holder in (None, pid):
            with pytest.raises(supervision.NameTaken) as taken:
                supervision.register("a", pid=holder)
            assert taken.value.pid is pid
        with pytest.raises(supervision.NameTaken):
            supervision.spawn(wait, name="a")
        supervision.register("b")
        supervision.register("c", pid=pid)
        assert supervision.whereis("b") is here
        assert supervision.whereis("c") is pid


@pytest.mark.otp("91")
async def test_names_have_values():
    async with actor() as here:
        supervision.register("a/1", value=1)
        assert supervision.lookup("a/1") == Entry("a/1", here, 1)
        supervision.update_value("a/1", 2)
        supervision.register("a/2")
        supervision.register("b")
        assert supervision.names("a/") == [Entry("a/1", here, 2), Entry("a/2", here)]
        assert supervision.lookup("nobody") is None
        supervision.spawn(wait, name="other")
        with pytest.raises(supervision.NoSuchName):
            supervision.update_value("other", 1)


async def test_unregister_frees_a_name():
    async with actor():
        supervision.register("a", value=1)
        supervision.unregister("a")
        assert supervision.whereis("a") is None
        supervision.register("a")
        assert supervision.lookup("a").value is None
        with pytest.raises(supervision.NoSuchName):
            supervision.unregister("nobody")


@pytest.mark.otp("89")
async def test_names_are_freed_before_anybody_learns_of_the_death():
    async with actor():
        pid, _ = supervision.spawn_monitor(wait, name="a")
        supervision.exit(pid, "x")
        await supervision.receive(supervision.Down)
        supervision.register("a")


async def test_the_dead_register_nothing():
    async with actor():
        pid = supervision.spawn(wait)
        supervision.exit(pid, "x")
        await wait_exit(pid)
        with pytest.raises(supervision.NoProcess):
            supervision.register("a", pid=pid)


async def test_a_plain_task_registers_only_for_others():
    async with tree():
        with pytest.raises(supervision.NotAProcess):
            supervision.register("a")
        pid = supervision.spawn(wait)
        supervision.register("a", pid=pid)
        assert supervision.whereis("a") is pid


async def test_a_registry_lives_as_long_as_its_trio_run():
    assert supervision.names() == []
    assert supervision.lookup("a") is None
