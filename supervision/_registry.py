"""The registry: unique names for processes, each with a value that others can read.

It is a table of the runtime, not a process: looking up is a dictionary access, and a name
is freed in the exit step of its holder, before anybody learns of the death. A process may
hold several names.
"""

from __future__ import annotations

import attrs

from ._errors import NoProcess, NoSuchName
from ._pid import Dest, Pid
from ._process import (
    Process,
    check_free,
    claim_name,
    current_process,
    find,
    runtime,
    runtime_or_none,
)


@attrs.frozen
class Entry:
    """One registered name.

    Attributes:
        name: The name.
        pid: The process that holds it.
        value: What it registered with the name, or ``None``.
    """

    name: str
    pid: Pid
    value: object = None


def register(name: str, *, pid: Pid | None = None, value: object = None) -> None:
    """Register *name* for a process, until it ends or unregisters it.

    Args:
        name: Any string; unique in this Trio run.
        pid: The process; the caller when ``None``.
        value: Anything that others shall find with `lookup`.

    Raises:
        NameTaken: Another process, or the same one, holds the name.
        NoProcess: *pid* has ended.
    """
    process: Process | None = current_process() if pid is None else pid.process
    if process is None:
        assert pid is not None
        raise NoProcess(pid)
    tables = process.home.runtime
    check_free(tables, name)
    claim_name(process, name)
    set_value(process, name, value)


def set_value(process: Process, name: str, value: object) -> None:
    """Store the value of a name that *process* holds."""
    if value is not None:
        process.home.runtime.values[name] = value


def unregister(name: str) -> None:
    """Free *name*; any process may do that, as in Erlang.

    Raises:
        NoSuchName: Nobody holds it.
    """
    tables = runtime()
    process = tables.names.get(name)
    if process is None or process.names is None:
        raise NoSuchName(name)
    del tables.names[name]
    tables.values.pop(name, None)
    process.names.remove(name)


def whereis(dest: Dest) -> Pid | None:
    """Return the process that holds a name, or that a `Via` stands for; or ``None``.

    Of a pid it returns the pid itself, while its process lives.
    """
    process = find(dest)
    return None if process is None else process.pid


def lookup(name: str) -> Entry | None:
    """Return the process that holds *name* and the value it registered."""
    tables = runtime_or_none()
    process = None if tables is None else tables.names.get(name)
    if tables is None or process is None:
        return None
    return Entry(name, process.pid, tables.values.get(name))


def update_value(name: str, value: object) -> None:
    """Replace the value of a name that the calling process holds.

    Raises:
        NoSuchName: The caller does not hold it.
    """
    here = current_process()
    tables = here.home.runtime
    if tables.names.get(name) is not here:
        raise NoSuchName(name)
    tables.values[name] = value


def names(prefix: str = "") -> list[Entry]:
    """Return all registered names that start with *prefix*, sorted."""
    tables = runtime_or_none()
    if tables is None:
        return []
    return [
        Entry(name, tables.names[name].pid, tables.values.get(name))
        for name in sorted(name for name in tables.names if name.startswith(prefix))
    ]
