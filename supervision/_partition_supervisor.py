"""Partition supervisors: one process that too many want, several times over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from zlib import crc32

import attrs

from ._child_spec import ChildSpec, CoolDown
from ._children import Child
from ._errors import BadChildSpec
from ._keys import Directory
from ._pid import Pid
from ._process import Process
from ._supervisor import Supervisor


class PartitionSupervisor(Supervisor, Directory):
    """Keeps a number of copies of one child, and routes to one of them by key.

    As in Elixir. Where one process would be asked by all, each of the copies is asked
    about its part of the keys: ``Via("counters", user)`` is the copy that is responsible
    for that user, wherever a name can stand, always the same one while the number of
    partitions is.

    An integer goes to partition ``abs(key) % partitions``, so that numbers address them
    one by one; strings, bytes, and tuples of all these by a checksum, which is the same
    in every run; anything else by its `hash`.

        >>> import supervision, trio
        >>> async def main():
        ...     workers = supervision.ChildSpec(
        ...         "workers", supervision.DynamicSupervisor, type="supervisor"
        ...     )
        ...     start = lambda: PartitionSupervisor(workers, partitions=4)
        ...     parts = supervision.ChildSpec(
        ...         "parts", start, name="parts", type="supervisor"
        ...     )
        ...     async with supervision.open_supervisor([parts]):
        ...         for_ann = supervision.Via("parts", "ann")
        ...         job = supervision.ChildSpec("job", trio.sleep_forever)
        ...         await supervision.start_child(for_ann, job)
        ...         counts = await supervision.count_children(for_ann)
        ...         assert counts.active == 1
        >>> trio.run(main)

    Args:
        child: The spec of which each partition gets a copy; or, when they shall differ, a
            function from the number of a partition to its spec. In either case the number
            becomes the id: ``"0"``, ``"1"`` and so on.
        partitions: How many copies.
        max_restarts: As for every `Supervisor`; the strategy is ``one_for_one``.
        max_seconds: As for every `Supervisor`.
        cool_down: As for every `Supervisor`.

    Raises:
        BadChildSpec: There is to be no partition; or one spec for all has a name, which
            only one of them could have.
    """

    __slots__ = ("_ids",)

    def __init__(
        self,
        child: ChildSpec | Callable[[int], ChildSpec],
        *,
        partitions: int,
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        cool_down: CoolDown | None = None,
    ) -> None:
        if partitions < 1:
            raise BadChildSpec("there must be at least one partition")
        if isinstance(child, ChildSpec) and child.name is not None:
            raise BadChildSpec(
                f"{child.id!r}: partitions cannot share the name {child.name!r}; give a "
                "function from the number of a partition to its spec",
            )
        self._ids = tuple(map(str, range(partitions)))
        super().__init__(
            [
                attrs.evolve(child if isinstance(child, ChildSpec) else child(n), id=id)
                for n, id in enumerate(self._ids)  # noqa: A001
            ],
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            cool_down=cool_down,
        )

    def locate(self, process: Process, key: Any) -> Pid | None:
        """The copy that is responsible for *key*, unless it does not run right now."""
        if process.engine is None:
            return None
        children = cast("list[Child]", process.engine.children())
        number = checksum(key) % len(self._ids)
        wanted = self._ids[number]
        # Nearly always they are all there, each in its place.
        if number < len(children) and children[number].spec.id == wanted:
            return _alive(children[number])
        return next((_alive(kept) for kept in children if kept.spec.id == wanted), None)


def _alive(child: Child) -> Pid | None:
    pid = child.pid
    return None if pid is None or pid.process is None else pid


def checksum(key: object) -> int:
    """A number for *key*; equal keys have the same one, also an int and a float."""
    match key:
        case int():
            return abs(key)
        case str():
            return crc32(key.encode("utf-8", "surrogatepass"))
        case bytes():
            return crc32(key)
        case tuple():
            parts = cast("tuple[object, ...]", key)
            return crc32(repr([checksum(part) for part in parts]).encode())
        case _:
            return abs(hash(key))
