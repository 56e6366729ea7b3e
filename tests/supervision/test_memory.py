"""What a process holds."""

import sys
from collections import deque
from functools import partial

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import supervision
from supervision import Memory
from tests.supervision.stage import Echo, child, tree, wait

MEGABYTE = 2**20


def big() -> bytearray:
    return bytearray(MEGABYTE)


def held(dest, **options) -> Memory:
    *_, found = supervision.memory(dest, **options)
    return found


class Holder(supervision.Server):
    """Holds what it is given."""

    def __init__(self, thing=None):
        self.thing = thing

    async def handle_cast(self, message):
        await trio.sleep_forever()


@attrs.define
class Kept:
    content: bytearray = attrs.field(factory=big)


def closed_over():
    content = big()
    return lambda: content


@pytest.mark.parametrize(
    "thing",
    [
        big,
        lambda: [big()],
        lambda: {"a": {"b": (big(),)}},
        lambda: deque([{1: big()}]),
        Kept,
        closed_over,
        lambda: partial(print, big()),
        lambda: Kept().content.append,
    ],
    ids=["itself", "list", "dict", "deque", "object", "closure", "partial", "method"],
)
async def test_what_a_server_refers_to_is_counted(thing):
    async with tree(
        child("full", lambda: Holder(thing())),
        child("empty", Holder),
    ):
        more = held("full").bytes - held("empty").bytes
        assert MEGABYTE < more < MEGABYTE + 2_000
        assert held("full").whole


async def test_what_is_reached_twice_is_counted_once():
    thing = big()
    own = [thing, thing, [thing]]
    own.append(own)
    async with tree(child("full", lambda: Holder(own))):
        assert held("full").bytes < 2 * MEGABYTE


async def test_a_message_that_waits_is_counted():
    async with tree(child("busy", Holder)):
        supervision.cast("busy", "takes this one, and no other")
        await wait_all_tasks_blocked()
        before = held("busy").bytes
        supervision.cast("busy", big())
        assert held("busy").bytes - before > MEGABYTE


async def test_what_a_function_has_in_its_variables_is_counted():
    async def plain():
        content = big()
        await trio.sleep_forever()
        del content

    async with tree(child("plain", plain), child("w", wait)):
        await wait_all_tasks_blocked()
        assert held("plain").bytes > MEGABYTE
        assert held("w").bytes < 50_000


async def test_others_and_what_is_everybodys_are_not_counted():
    class Module:
        content = big()

    other = Echo()
    other.content = big()  # pyright: ignore[reportAttributeAccessIssue] -- of the test
    everything = [
        Module,
        sys,
        supervision,
        trio,
        Module(),
        trio.lowlevel.current_task(),
    ]
    async with tree(
        child("other", lambda: Holder(big())),
        child("it", lambda: Holder([*everything, other])),
    ):
        supervision.cast("it", supervision.whereis("other"))
        assert held("it").bytes < 50_000


async def test_a_class_may_be_said_to_be_everybodys():
    async with tree(child("it", lambda: Holder(Kept()))):
        assert held("it").bytes > MEGABYTE
        assert held("it", shared=lambda cls: cls is Kept).bytes < MEGABYTE


@pytest.mark.parametrize(
    "thing",
    [
        lambda: list(map(str, range(5_000))),
        lambda: {number: str(number) for number in range(5_000)},
        lambda: set(map(str, range(5_000))),
        lambda: [[str(number)] for number in range(5_000)],
    ],
    ids=["list", "dict", "set", "deep"],
)
async def test_a_count_is_cut_off_and_says_so(thing):
    async with tree(child("it", lambda: Holder(thing()))):
        cut = held("it", most=1_000)
        assert (cut.objects, cut.whole) == (1_000, False)
        assert cut.bytes < held("it").bytes
        assert held("it").whole


async def test_of_a_long_list_no_more_is_taken_at_once_than_may_be_counted():
    """Whoever looks lets others run: between two steps there is little to do."""
    async with tree(child("it", lambda: Holder([object()] * 1_000_000))):
        steps = supervision.memory("it", most=1_000)
        next(steps)
        assert len(steps.gi_frame.f_locals["left"]) <= 1_001  # pyright: ignore[reportAttributeAccessIssue] -- it is a generator


async def test_others_may_run_between_two_steps():
    async with tree(child("it", lambda: Holder(list(map(str, range(5_000)))))):
        counts = [found.objects for found in supervision.memory("it")]
        assert len(counts) > 20
        assert counts == sorted(counts)


async def test_what_ends_meanwhile_is_counted_to_the_end():
    async with tree(
        child(
            "it",
            lambda: Holder(list(map(str, range(5_000)))),
            restart="temporary",
        )
    ):
        steps = supervision.memory("it")
        next(steps)
        supervision.exit("it", supervision.KILL)
        await wait_all_tasks_blocked()
        *_, found = steps
        assert found.objects > 5_000


async def test_code_of_others_is_not_run_for_it():
    class Hostile(dict):
        def __sizeof__(self):
            raise AssertionError

        __len__ = __iter__ = items = __getattribute__ = __hash__ = __eq__ = __sizeof__  # pyright: ignore[reportAssignmentType] -- of the test

    found = Hostile()
    dict.__setitem__(found, "a", big())
    async with tree(child("it", lambda: Holder(found))):
        assert held("it").bytes > MEGABYTE


async def test_a_process_that_is_not_there():
    async with tree():
        with pytest.raises(supervision.NoProcess):
            supervision.memory("nobody")


async def test_a_supervisor_does_not_hold_what_its_children_hold():
    async with tree(child("it", lambda: Holder(big())), name="top"):
        assert held("top").bytes < 50_000
