"""What there is in the node's memory, and what of it has grown since a mark."""

import gc
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import attrs

from beamclaw.values import frozen

MOST: Final = 30
# Of Python's collector.
_GENERATIONS: Final = 3
_AT_ONCE: Final = 10_000


@frozen(kw_only=True)
class Count:
    """Counts at one moment, on Trio's clock.

    Attributes:
        objects: By type: those that Python's collector knows, also garbage that it has
            not come to. What the start has imported is not among them.
        resident: Bytes of memory, as the system counts; None where it does not say.
        descriptors: Open files and sockets; the same.
    """

    at: float
    objects: Mapping[str, int]
    processes: int = 0
    messages: int = 0
    resident: int | None = None
    descriptors: int | None = None


@attrs.define
class Marks:
    """The last mark; kept by the node, so that it outlives the command that made it."""

    last: Count | None = None


def objects() -> dict[str, int]:
    """How many there are of each type; for a thread, it takes a while."""
    counted: Counter[type[object]] = Counter()
    for generation in range(_GENERATIONS):
        found = gc.get_objects(generation)
        while found:
            # Piece by piece, letting go of them, too: in one call it would hold the
            # interpreter, and with it the loop, for as long as all of them take.
            counted.update(map(type, found[-_AT_ONCE:]))
            del found[-_AT_ONCE:]
    named: Counter[str] = Counter()
    for cls, number in counted.items():
        named[f"{cls.__module__}.{cls.__qualname__}"] += number
    return dict(named)


def grown(now: Count, mark: Count | None, most: int = MOST) -> dict[str, Any]:
    """What there is, and by how much more than at the *mark*; most grown first."""
    before: Mapping[str, int] = {} if mark is None else mark.objects
    changes = {
        name: number - before.get(name, 0) for name, number in now.objects.items()
    }
    ranked = sorted(changes, key=lambda name: -changes[name])
    rows = [
        {"type": name, "count": now.objects[name], "grown": changes[name]}
        for name in ranked
        if mark is None or changes[name] > 0
    ]
    return {
        "since": None if mark is None else now.at - mark.at,
        "figures": {
            name: {"now": value, "grown": _difference(value, mark, name)}
            for name, value in (
                ("objects", sum(now.objects.values())),
                ("processes", now.processes),
                ("messages", now.messages),
                ("resident", now.resident),
                ("descriptors", now.descriptors),
            )
        },
        "types": rows[:most],
        "more": max(0, len(rows) - most),
    }


def _difference(value: int | None, mark: Count | None, name: str) -> int | None:
    if mark is None or value is None:
        return None
    before = sum(mark.objects.values()) if name == "objects" else getattr(mark, name)
    return None if before is None else value - before
