"""Names of processes: pids, references, and the destinations that messages go to."""

from __future__ import annotations

from itertools import count
from typing import Any, Protocol, TypeAlias

_serials = count(1)


class Pid:
    """The identity of one process, never used again for another one.

    A pid stays valid as a value after its process has ended; sending to it is then a
    silent no-op. Two pids are equal only if they are the same pid.
    """

    __slots__ = ("__weakref__", "process", "serial")

    # Invariant: the process while it accepts anything, None ever after. Keeping it here
    # rather than in a table makes a send one attribute away.
    # (Any: the process is defined further up than its name.)
    process: Any
    serial: int

    def __init__(self) -> None:
        self.serial = next(_serials)
        self.process = None

    def __repr__(self) -> str:
        return f"<{self.serial}>"


class Ref:
    """A reference: the identity of one monitor.

    Attributes:
        name: The name that was monitored, or ``None`` when it was a pid.
    """

    __slots__ = ("name", "notify", "serial", "target", "watcher")

    # Invariant: target is None once the monitor has fired or was taken back; watcher is
    # the process whose monitor it is, notify the function that is told instead of one.
    target: Any
    watcher: Any
    notify: Any
    name: str | None
    serial: int

    def __init__(self, target: object, watcher: object, name: str | None) -> None:
        self.serial = next(_serials)
        self.target = target
        self.watcher = watcher
        self.notify = None
        self.name = name

    def __repr__(self) -> str:
        return f"#ref{self.serial}"


class Locator(Protocol):
    """Anything that knows which process it stands for at the moment."""

    def whereis(self) -> Pid | None:
        """The process that messages go to now, or ``None`` when there is none."""
        ...


class Claimable(Locator, Protocol):
    """A locator under which a process can be entered as it starts."""

    def claim(self, process: Any) -> None:
        """Enter *process*; raises when that cannot be."""
        ...


Name: TypeAlias = str | Claimable
"""What a process can be registered as while it starts: a string, or a `supervision.Via`."""

Dest: TypeAlias = Pid | str | Locator
"""Where a message or call may go: a pid, the name under which one is registered, or an
object whose ``whereis()`` says which process it stands for."""
