"""The table of faults, in the order of the items."""

from collections.abc import Iterator

from tests.mutation.fault import Fault

from . import machines, processes, requests, servers, supervisors, tasks, trio_parts

FAULTS: tuple[Fault, ...] = (
    *processes.FAULTS,
    *supervisors.FAULTS,
    *requests.FAULTS,
    *servers.FAULTS,
    *machines.FAULTS,
    *tasks.FAULTS,
    *trio_parts.FAULTS,
)


def faults_of(item: str) -> Iterator[Fault]:
    """The faults that break *item*."""
    return (fault for fault in FAULTS if item in fault.items)
