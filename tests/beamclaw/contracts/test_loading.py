"""What is needed by many is loaded once, and they wait for it without the loop."""

from collections.abc import Callable
from typing import TypeVar

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from beamclaw.contracts.loading import Loading

T = TypeVar("T")


@attrs.define(eq=False)
class SlowWorker:
    """Begins a call at once, and returns from it when the gate is open."""

    gate: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, fn: Callable[[], T]) -> T:
        value = fn()
        await self.gate.wait()
        return value


@attrs.define(eq=False)
class Parts:
    loads: int = 0
    fails: int = 0

    def load(self) -> None:
        self.loads += 1
        if self.loads <= self.fails:
            raise OSError("the disk has gone")


async def test_all_wait_for_one_loading(autojump_clock: object):
    worker, parts, over = SlowWorker(), Parts(), list[int]()
    loading = Loading(worker, parts.load)

    async def one(number: int) -> None:
        await loading.wait()
        over.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(one, number)
        await wait_all_tasks_blocked()
        assert over == []
        worker.gate.set()
    assert sorted(over) == [0, 1, 2]
    assert parts.loads == 1


async def test_what_is_loaded_is_not_waited_for():
    parts = Parts()
    loading = Loading(load=parts.load)
    await loading.wait()
    with trio.CancelScope() as scope:
        scope.cancel()
        await loading.wait()
    assert not scope.cancelled_caught
    assert parts.loads == 1


async def test_nothing_to_load_is_loaded():
    await Loading().wait()


async def test_after_a_failure_the_next_one_tries_again():
    parts = Parts(fails=1)
    loading = Loading(load=parts.load)
    with pytest.raises(OSError, match="gone"):
        await loading.wait()
    await loading.wait()
    assert parts.loads == 2


async def test_who_is_cancelled_leaves_it_to_the_next_one(autojump_clock: object):
    worker, parts = SlowWorker(), Parts()
    loading = Loading(worker, parts.load)
    with trio.move_on_after(1):
        await loading.wait()
    worker.gate.set()
    await loading.wait()
    assert parts.loads == 2


async def test_what_is_given_later_is_loaded():
    parts, loading = Parts(), Loading()
    loading.give(parts.load)
    await loading.wait()
    assert parts.loads == 1
