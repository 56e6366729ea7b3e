"""What the annotations of `supervision` promise, as sentences that pyright checks.

Nothing here runs. `assert_type` says what a type must be; an ignore says what must be an
error, because one that is not needed is an error itself.
"""

from functools import partial
from typing import assert_type

import attrs

import supervision
import supervision.testing


@attrs.frozen
class Get(supervision.Call[int]):
    key: str


class Shelf(supervision.Server):
    def __init__(self, size: int) -> None:
        self.size = size


async def a_call_has_the_type_that_its_request_names() -> None:
    assert_type(await supervision.call("shelf", Get("a")), int)


async def only_a_request_can_be_called() -> None:
    await supervision.call("shelf", "a")  # pyright: ignore[reportArgumentType]


async def an_option_of_call_is_named() -> None:
    await supervision.call("shelf", Get("a"), 5.0)  # pyright: ignore[reportCallIssue]


def a_child_is_made_by_a_factory() -> None:
    supervision.ChildSpec("shelf", partial(Shelf, 3))
    supervision.ChildSpec("shelf", Shelf(3))  # pyright: ignore[reportArgumentType]


def what_cannot_be_is_no_restart() -> None:
    start = partial(Shelf, 3)
    supervision.ChildSpec(
        "shelf",
        start,
        restart="always",  # pyright: ignore[reportArgumentType]
    )


async def a_supervisor_in_a_program_gives_its_pid() -> None:
    children = [supervision.ChildSpec("shelf", partial(Shelf, 3))]
    async with supervision.open_supervisor(children) as pid:
        assert_type(pid, supervision.Pid)


async def a_receive_has_the_type_that_it_names() -> None:
    assert_type(await supervision.receive(supervision.Down), supervision.Down)
    both = (supervision.Down, supervision.Exit)
    got = await supervision.receive(both, timeout=1.0)
    assert_type(got, supervision.Down | supervision.Exit)
    await supervision.receive("stop")  # pyright: ignore[reportArgumentType, reportCallIssue]


def a_destination_is_a_pid_a_name_or_a_via(pid: supervision.Pid) -> None:
    supervision.exit("shelf", supervision.KILL)
    assert_type(supervision.whereis(pid), supervision.Pid | None)
    assert_type(
        supervision.whereis(supervision.Via("shelves", 1)), supervision.Pid | None
    )
    supervision.exit(None, supervision.KILL)  # pyright: ignore[reportArgumentType]


async def a_probe_gives_what_was_expected(probe: supervision.testing.Probe) -> None:
    assert_type(await probe.expect(supervision.Down), supervision.Down)
    both = (supervision.Down, supervision.Exit)
    assert_type(await probe.expect(both), supervision.Down | supervision.Exit)


async def count(to: int) -> str:
    return str(to)


def a_run_has_the_arguments_and_the_result_of_its_function() -> None:
    assert_type(supervision.testing.run(count, 3, seed=1), str)
    assert_type(supervision.testing.run_seeds(count, 3), list[str])
    supervision.testing.run(count, "3")  # pyright: ignore[reportArgumentType]
