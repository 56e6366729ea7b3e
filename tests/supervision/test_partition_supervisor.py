"""Partition supervisors."""

import subprocess
import sys

import attrs
import pytest

import supervision
from supervision import ChildSpec, DynamicSupervisor, PartitionSupervisor, Via
from supervision._partition_supervisor import checksum
from supervision.testing import settle
from tests.supervision.stage import Ask, Echo, child, listen, tree


def parts(spec, **options):
    def start():
        return PartitionSupervisor(spec, **options)

    return child("parts", start, type="supervisor")


def pid_of(key):
    pid = Via("parts", key).whereis()
    assert pid is not None
    return pid


@pytest.mark.otp("73")
async def test_integers_address_the_partitions_one_by_one():
    async with tree(parts(ChildSpec("echo", Echo), partitions=3)):
        infos = await supervision.which_children("parts")
        by_id = {info.id: info.pid for info in infos}
        assert sorted(by_id) == ["0", "1", "2"]
        assert [pid_of(n) for n in range(3)] == [by_id[str(n)] for n in range(3)]
        assert pid_of(7) is by_id["1"]
        assert pid_of(-7) is by_id["1"]


@pytest.mark.otp("73", "90")
async def test_a_via_key_works_wherever_a_name_does():
    async with tree(parts(ChildSpec("echo", Echo), partitions=2)):
        assert await supervision.call(Via("parts", "ann"), Ask(1)) == 1
        assert pid_of("ann") is pid_of("ann")
        assert {pid_of(str(n)) for n in range(50)} == {pid_of(0), pid_of(1)}


@pytest.mark.otp("73")
async def test_each_key_has_its_dynamic_supervisor():
    spec = ChildSpec("workers", DynamicSupervisor, type="supervisor")
    async with tree(parts(spec, partitions=4)):
        for key in range(8):
            await supervision.start_child(Via("parts", key), ChildSpec("w", listen))
        for key in range(4):
            counts = await supervision.count_children(Via("parts", key))
            assert counts.active == 2


@pytest.mark.otp("73")
async def test_a_partition_that_crashes_is_restarted_alone():
    async with tree(parts(ChildSpec("echo", Echo), partitions=2)):
        before = [pid_of(0), pid_of(1)]
        supervision.exit(before[0], "x")
        await settle()
        assert pid_of(0) is not before[0]
        assert pid_of(1) is before[1]


async def test_a_partition_that_does_not_run_is_nobody():
    temporary = ChildSpec("echo", Echo, restart="temporary")
    async with tree(parts(temporary, partitions=3)):
        last = pid_of(2)
        await supervision.stop(pid_of(1))
        assert Via("parts", 1).whereis() is None
        assert pid_of(2) is last
        with pytest.raises(supervision.NoProcess):
            await supervision.call(Via("parts", 1), Ask())


async def test_partitions_can_differ():
    def spec(number):
        return ChildSpec("any", listen, name=f"part-{number}")

    async with tree(parts(spec, partitions=2)):
        assert supervision.whereis("part-1") is pid_of(1)


async def test_nobody_registers_with_a_partition_supervisor():
    async with tree(parts(ChildSpec("e", listen, restart="temporary"), partitions=1)):
        supervision.exit(pid_of(0), "x")
        await settle()
        with pytest.raises(supervision.SupervisionError, match="nobody can be"):
            async with tree(ChildSpec("e", listen, name=Via("parts", 0))):
                pass


def test_a_spec_for_all_has_no_name():
    spec = ChildSpec("e", listen, name="e")
    with pytest.raises(supervision.BadChildSpec, match="share"):
        PartitionSupervisor(spec, partitions=2)
    with pytest.raises(supervision.BadChildSpec, match="at least one"):
        PartitionSupervisor(attrs.evolve(spec, name=None), partitions=0)


def test_equal_keys_have_equal_checksums():
    assert checksum(3) == checksum(3.0) == 3
    assert checksum((1, "a", b"c")) == checksum((1.0, "a", b"c"))
    assert checksum(("a",)) != checksum(("b",))
    assert checksum(None) == checksum(None)


@pytest.mark.slow
def test_checksums_are_the_same_in_every_run():
    keys = ("ann", b"x", 7, (1, "two"))
    code = (
        "from supervision._partition_supervisor import checksum;"
        f"print([checksum(key) for key in {keys}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([checksum(key) for key in keys])
