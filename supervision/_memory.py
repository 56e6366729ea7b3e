"""How much memory a process holds, as far as one can say in Python.

All processes share one heap, in which an object belongs to whoever refers to it. So what
is counted is what can be reached: from the behaviour, from the messages that wait, and
from the local variables of the functions in which the process is. Where that leads to
what is nobody's own (modules, classes, other processes, Trio), it ends.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import islice
from types import (
    CodeType,
    FrameType,
    FunctionType,
    ModuleType,
    TracebackType,
)
from typing import Any, Final, Literal, TypeAlias
from weakref import WeakKeyDictionary

import attrs

from ._engine import Engine
from ._errors import NoProcess
from ._life import Process, Runtime
from ._pid import Dest, Pid, Ref
from ._process import find
from ._runtime import Home
from .abc import Behaviour

# Between two places at which whoever iterates may let others run: some 0.2 ms.
_AT_ONCE: Final = 200

# What an object of a type is for a count: not part of it; a function, which is its
# code's, with what it has closed over, which is not; or one to be looked into.
_Part: TypeAlias = Literal["apart", "function", "inside"]
_APART: Final = (
    type,
    ModuleType,
    CodeType,
    FrameType,
    TracebackType,
    type(None),
    bool,
    Enum,
    Process,
    Runtime,
    Home,
    Engine,
    Pid,
    Ref,
    Behaviour,
)
# Packages whose objects lead to everything else.
_PACKAGES: Final = ("trio", "threading", "_thread", "logging", "_contextvars")
_PARTS: WeakKeyDictionary[type, _Part] = WeakKeyDictionary()
# Containers that may be too long to be listed as a whole.
_LONG: Final[tuple[Any, ...]] = (dict, list, tuple, set, frozenset, deque)


@attrs.frozen
class Memory:
    """What a process holds.

    Attributes:
        bytes: Of all objects that were counted, by `sys.getsizeof`.
        objects: How many these are.
        whole: Whether that is all; if not, it holds more than *bytes*.
    """

    bytes: int
    objects: int
    whole: bool


def memory(
    dest: Dest,
    *,
    most: int = 20_000,
    shared: Callable[[type], bool] = lambda cls: False,  # noqa: ARG005 -- none is
) -> Iterator[Memory]:
    """Count what a process holds; the last of what comes is the result.

    Each of those before is what has been counted so far: between two of them whoever
    iterates may let others run, so that nobody waits for a large state. It is no single
    moment then.

        for held in supervision.memory("stock"):
            await trio.lowlevel.checkpoint()

    Counted is, once each, what can be reached from its behaviour, its mailbox and the
    local variables of the functions in which it is. What two processes can reach is
    counted for both. What the objects of a C library have allocated is counted as far
    as they say so.

    Args:
        dest: The process.
        most: Objects that are counted; behind them it is cut off.
        shared: Says of a class whether its objects are everybody's: these, and what is
            reached through them alone, are left out.

    Raises:
        NoProcess: There is no such process.
    """
    process = find(dest)
    if process is None:
        raise NoProcess(dest)
    return _Count(most, shared).go(_roots(process))


def _roots(process: Process) -> list[object]:
    """What is its own; the behaviour, of which the types are apart, by its parts."""
    roots: list[object] = []
    for own in (process.behaviour, process.engine):
        if own is not None:
            roots += gc.get_referents(own)
    if process.mailbox is not None:
        roots.append(process.mailbox)
    if process.task is not None:
        roots.append(process.task.coro)
    return roots


@attrs.define
class _Count:
    most: int
    shared: Callable[[type], bool]
    bytes: int = 0
    whole: bool = True
    # The objects themselves: an id may be another's when its object is gone.
    _seen: dict[int, object] = attrs.field(factory=dict[int, object])
    _parts: dict[type, _Part] = attrs.field(factory=dict[type, _Part])

    def go(self, left: list[object]) -> Iterator[Memory]:
        """Count *left* and what is reached from there."""
        while left:
            for _ in range(_AT_ONCE):
                if not left:
                    break
                if len(self._seen) >= self.most:
                    self.whole = False
                    left.clear()
                    break
                left += self._count(left.pop())
            if left:
                yield self._now()
        yield self._now()

    def _now(self) -> Memory:
        return Memory(self.bytes, len(self._seen), self.whole)

    def _count(self, found: object) -> Iterable[object]:
        """Count one object; what it refers to."""
        cls = type(found)
        part = self._parts.get(cls) or self._part(cls)
        if part == "apart" or id(found) in self._seen:
            return ()
        self._seen[id(found)] = found
        if part == "function":
            closed: Any = found
            return closed.__closure__ or ()
        self.bytes += _size(found, cls)
        return self._inside(found, cls)

    def _part(self, cls: type) -> _Part:
        part = "apart" if self.shared(cls) else _part_of(cls)
        self._parts[cls] = part
        return part

    def _inside(self, found: Any, cls: type) -> Iterable[object]:
        room = self.most - len(self._seen)
        for kind in _LONG:
            if kind in cls.__mro__ and kind.__len__(found) > room:
                # One more than there is room for, so that it is seen to be cut.
                return list(islice(_through(kind, found), room + 1))
        return gc.get_referents(found)


def _through(kind: Any, found: Any) -> Iterator[object]:
    # By the type itself: what a class below it makes of this is code of others.
    if kind is dict:
        for key, value in dict[object, object].items(found):
            yield key
            yield value
    else:
        yield from kind.__iter__(found)


def _part_of(cls: type) -> _Part:
    part = _PARTS.get(cls)
    if part is None:
        part = _PARTS[cls] = _decided(cls)
    return part


def _decided(cls: type) -> _Part:
    # Not `issubclass`, which a metaclass of others may answer.
    if cls is FunctionType:
        return "function"
    package = str(getattr(cls, "__module__", "")).partition(".")[0]
    if (
        cls is _Count
        or package in _PACKAGES
        or any(base in _APART for base in cls.__mro__)
    ):
        return "apart"
    return "inside"


def _size(found: object, cls: type) -> int:
    # Some classes have a `__sizeof__` of their own, which is code of others.
    if isinstance(getattr(cls, "__sizeof__", None), FunctionType):
        return object.__sizeof__(found)
    return sys.getsizeof(found)
