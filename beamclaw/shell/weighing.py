"""Memory per process, for ``top`` and ``info``: what it holds, see `supervision.memory`.

To count all processes at each look would cost seconds in a large node. So each look has a
time for it, a fiftieth of what passes: whoever has taken no message since it was counted
is not counted again, and of the others those first whose figure is the oldest.
"""

from collections.abc import Mapping
from typing import Final

import attrs

import supervision
from beamclaw.shell.slices import Ranking, Slices
from beamclaw.values import frozen

# Objects of one process that are counted: some 20 ms.
OBJECTS: Final = 20_000
# Seconds that the first look of a `top` works, and share of the time that each later one.
FIRST: Final = 0.25
SHARE: Final = 0.02
# Processes that one look counts at most.
_MOST: Final = 2_000
# What all processes refer to, and none holds.
_EVERYBODYS: Final = (
    "beamclaw.config",
    "beamclaw.bus",
    "beamclaw.contracts.outside",
    "beamclaw.contracts.toolbox",
    "beamclaw.contracts.loading",
    # Of the gateway: by each of these every process of it reaches all connections.
    "beamclaw.gateway.app",
    "beamclaw.gateway.floor.Floor",
    "beamclaw.gateway.hall.Hall",
    "beamclaw.gateway.methods._node.Node",
    "beamclaw.gateway.socket.client.Reception",
)


def everybodys(cls: type) -> bool:
    """Whether objects of *cls* are the whole node's."""
    module, name = getattr(cls, "__module__", ""), getattr(cls, "__qualname__", "")
    return f"{module}.{name}".startswith(_EVERYBODYS)


async def weighed(pid: supervision.Pid, slices: Slices) -> supervision.Memory | None:
    """What *pid* holds, in turns with others; None: it has ended."""
    held = None
    try:
        for counted in supervision.memory(pid, most=OBJECTS, shared=everybodys):
            held = counted
            await slices.pause()
    except supervision.NoProcess:
        return None
    return held


def show_memory(found: supervision.Memory | None) -> Mapping[str, object] | None:
    """As JSON; None: it was not counted yet."""
    return None if found is None else {"bytes": found.bytes, "whole": found.whole}


@frozen
class _Figure:
    """What somebody held, in which *turn* that was counted, and how it stood then."""

    held: supervision.Memory
    turn: int
    mark: int


def _mark(info: supervision.ProcessInfo) -> int:
    """Another one when it has taken a message, or got one."""
    return 2 * info.messages + info.mailbox


@attrs.define
class Scales:
    """What is known of all processes of a `top`, and who is counted next."""

    _known: dict[supervision.Pid, _Figure] = attrs.field(
        factory=dict[supervision.Pid, _Figure]
    )
    _seen: dict[supervision.Pid, _Figure] = attrs.field(
        factory=dict[supervision.Pid, _Figure]
    )
    _due: Ranking[supervision.ProcessInfo] = attrs.field(
        factory=lambda: Ranking[supervision.ProcessInfo](_MOST)
    )
    _turn: int = 0

    def of(self, info: supervision.ProcessInfo) -> supervision.Memory | None:
        """What it held when it was counted last."""
        found = None if info.pid is None else self._known.get(info.pid)
        return None if found is None else found.held

    def see(self, info: supervision.ProcessInfo) -> None:
        """It is there; for each process of a look."""
        if info.pid is None:
            return
        known = self._known.get(info.pid)
        if known is not None:
            self._seen[info.pid] = known
        # Who is in its own code may hold more than a moment ago without any message.
        if known is None or info.status != "waiting" or known.mark != _mark(info):
            self._due.add(info, -1 if known is None else known.turn)

    async def weigh(self, seconds: float, slices: Slices) -> None:
        """When all were seen: count for *seconds*, and forget who is not there any more."""
        due, self._due = self._due, Ranking[supervision.ProcessInfo](_MOST)
        self._known, self._seen = self._seen, {}
        self._turn += 1
        until = slices.over() + seconds
        for info in due.ranked():
            if slices.over() >= until:
                return
            held = None if info.pid is None else await weighed(info.pid, slices)
            if held is not None and info.pid is not None:
                self._known[info.pid] = _Figure(held, self._turn, _mark(info))
