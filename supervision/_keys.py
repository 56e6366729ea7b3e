"""Keyed registries, and names that are looked up in one.

The names of ``_registry`` are strings, one holder each, in one table of the Trio run. A
`Registry` is a child of a supervisor with a table of its own: any hashable key, one
holder or many, a value with each entry. A `Via` is such a key where a name could stand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar, cast

import attrs

from ._errors import NameTaken, NoProcess, NoSuchName, SupervisionError
from ._pid import Dest, Pid
from ._process import Process, current_process, find, notify_end
from ._signals import Down, From, Signal
from .abc import NO_REPLY, Call, NoReply, Server

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Directory:
    """What a `Via` can point to: a behaviour that knows processes by key."""

    __slots__ = ()

    def locate(self, process: Process, key: Any) -> Pid | None:
        """The process that *key* stands for now; *process* is the directory's own."""
        raise NotImplementedError

    def claim(self, process: Process, key: Any, value: Any) -> None:
        """Enter *process* under *key*.

        Raises:
            NameTaken: Another process is.
            SupervisionError: Nobody can be entered here.
        """
        del process, key, value
        raise SupervisionError(f"nobody can be registered in a {type(self).__name__}")


@attrs.frozen
class Via:
    """A key in a registry or partition supervisor, wherever a name can stand.

    It is looked up anew each time, as a name is; when nothing is found, it is as with a
    name that nobody holds. As the ``name`` of a child spec or of `supervision.spawn` it
    registers the new process, with the value, before its first step.

    Attributes:
        registry: The registry or partition supervisor.
        key: The key.
        value: Registered with the key.
    """

    registry: Dest
    key: Any
    value: Any = attrs.field(default=None, eq=False, repr=False)

    def whereis(self) -> Pid | None:
        """Look up the process.

        Raises:
            SupervisionError: ``registry`` is another kind of process.
        """
        process = find(self.registry)
        if process is None:
            return None
        return _directory(process, self.registry).locate(process, self.key)

    def claim(self, process: Any) -> None:
        """Register *process*; called by the runtime as it starts one with this name."""
        where = find(self.registry)
        if where is None:
            raise NoProcess(self.registry)
        _directory(where, self.registry).claim(process, self.key, self.value)


def _directory(process: Process, dest: Dest) -> Directory:
    body = process.behaviour
    if isinstance(body, Directory):
        return body
    raise SupervisionError(f"{dest!r} is no registry and no partition supervisor")


@attrs.frozen
class KeyEntry(Generic[K, V]):
    """One entry of a `Registry`.

    Attributes:
        key: The key.
        pid: The process that is registered under it.
        value: What was registered with it.
    """

    key: K
    pid: Pid
    value: V


@attrs.frozen
class KeyRegistered(Signal):
    """What a listener of a `Registry` is sent when a process was registered.

    Attributes:
        registry: The name of the registry, or its pid if it has none.
        key: The key.
        pid: The process.
        value: What was registered with it.
    """

    registry: str | Pid
    key: Any
    pid: Pid
    value: Any


@attrs.frozen
class KeyUnregistered(Signal):
    """What a listener of a `Registry` is sent when a process is not registered any more.

    Attributes:
        registry: The name of the registry, or its pid if it has none.
        key: The key.
        pid: The process, which may have ended.
    """

    registry: str | Pid
    key: Any
    pid: Pid


class Registry(Server, Directory, Generic[K, V]):
    """A table of processes by key, as in Elixir, as a child of a supervisor.

    With ``"unique"`` keys it finds the one process for a key; with ``"duplicate"`` keys,
    under each of which any number of processes may be registered, any number of times, it
    serves for publishing and subscribing.

    Its functions read and write the table at once, in the calling task; they wait for
    nobody. A process is taken out in the step in which it ends, before anybody learns of
    it, so what is found is alive. When the registry itself ends its table is lost, and
    everybody who was in it gets its reason as an exit signal: their supervisors start
    them again, and they register again. So it belongs before them in the tree, under
    ``rest_for_one``.

        >>> import supervision, trio
        >>> from functools import partial
        >>> async def main():
        ...     rooms = supervision.ChildSpec(
        ...         "rooms", partial(Registry, "unique"), name="rooms"
        ...     )
        ...     async with supervision.open_supervisor([rooms]):
        ...         room = supervision.Via("rooms", ("chess", 7))
        ...         pid = supervision.spawn(trio.sleep_forever, name=room)
        ...         assert Registry.at("rooms").whereis(("chess", 7)) is pid
        ...         supervision.send(room, "hello")
        >>> trio.run(main)

    Args:
        keys: Whether a key has one holder or many.
        listeners: Processes, usually by name, that are sent `KeyRegistered` and
            `KeyUnregistered`; one that is not there is skipped.
    """

    def __init__(
        self,
        keys: Literal["unique", "duplicate"],
        *,
        listeners: Iterable[Dest] = (),
    ) -> None:
        if keys not in ("unique", "duplicate"):
            raise ValueError(f"keys must be 'unique' or 'duplicate', not {keys!r}")
        self._unique = keys == "unique"
        self._listeners = tuple(listeners)
        # Nobody's pid until it runs, and from when it has ended.
        self._pid = Pid()
        self._name: str | None = None
        # Invariant: no key without a process, no process without a value; in both tables
        # the same pairs of key and process. With unique keys: one process, one value.
        self._table: dict[K, dict[Process, list[V]]] = {}
        self._keys_of: dict[Process, dict[K, None]] = {}

    @classmethod
    def at(cls, dest: Dest) -> Registry[Any, Any]:
        """Return the registry that runs as *dest*.

        Raises:
            NoProcess: There is no such process.
            SupervisionError: It is no registry.
        """
        process = find(dest)
        if process is None:
            raise NoProcess(dest)
        body: object = process.behaviour
        if not isinstance(body, Registry):
            raise SupervisionError(f"{dest!r} is no registry")
        return cast("Registry[Any, Any]", body)

    # --- as a process

    async def init(self) -> None:
        """Open for registrations."""
        here = current_process()
        self._pid = here.pid
        self._name = here.name
        notify_end(here, self._ended)

    async def handle_call(self, request: Call[Any], sender: From) -> NoReply:
        """Refuse; what a registry can do is done by its functions."""
        refusal = f"a registry has no answer to {request!r}"
        sender.settle(From.FAILED, SupervisionError(refusal))
        return NO_REPLY

    def describe(self) -> dict[str, object]:
        """Show its kind, and how much is in it."""
        return {
            "keys": "unique" if self._unique else "duplicate",
            "entries": self.count(),
            "processes": len(self._keys_of),
        }

    def _ended(self, down: Down) -> None:
        owners = tuple(self._keys_of)
        self._table.clear()
        self._keys_of.clear()
        for process in owners:
            self._forget(process)
        for process in owners:
            process.signal(self._pid, down.reason)

    # --- writing

    def register(self, key: K, value: V, *, pid: Pid | None = None) -> None:
        """Enter a process under *key*, until it ends or is unregistered.

        Args:
            key: Anything hashable.
            value: Anything, for those who look it up.
            pid: The process; the caller when ``None``.

        Raises:
            NameTaken: The keys are unique, and a process is registered under this one.
            NoProcess: *pid* has ended, or the registry does not run.
            NotAProcess: The caller is none, and no *pid* was given.
        """
        self.claim(_process(pid), key, value)

    def claim(self, process: Process, key: K, value: V) -> None:
        """Do what `register` says, for the runtime."""
        if self._pid.process is None:
            raise NoProcess(self._pid)
        holders = self._table.get(key)
        if holders is None:
            self._table[key] = {process: [value]}
        elif self._unique:
            raise NameTaken(key, next(iter(holders)).pid)
        else:
            holders.setdefault(process, []).append(value)
        self._keys_of.setdefault(process, {})[key] = None
        if process.tables is None:
            process.tables = {}
        process.tables[self] = None
        if self._listeners:
            here = self._name or self._pid
            self._tell(KeyRegistered(here, key, process.pid, value))

    def unregister(
        self,
        key: K,
        match: Callable[[V], bool] | None = None,
        *,
        pid: Pid | None = None,
    ) -> None:
        """Remove all entries of a process under *key*; that there are none is fine.

        Args:
            key: The key.
            match: Remove only entries for whose value this holds.
            pid: The process; the caller when ``None``. Others keep their entries.

        Raises:
            NoProcess: *pid* has ended.
            NotAProcess: The caller is none, and no *pid* was given.
        """
        process = _process(pid)
        values = self._table.get(key, {}).get(process)
        if values is None:
            return
        kept = [] if match is None else [value for value in values if not match(value)]
        gone = len(values) - len(kept)
        if kept:
            values[:] = kept
        else:
            self._remove(process, key)
            del self._keys_of[process][key]
            if not self._keys_of[process]:
                del self._keys_of[process]
                self._forget(process)
        self._tell_gone(process, key, gone)

    def update_value(self, key: K, update: Callable[[V], V]) -> tuple[V, V]:
        """Replace the value of the caller's own entry; for unique keys.

        Args:
            key: The key.
            update: Called with the old value, returns the new one.

        Returns:
            The new value and the old one.

        Raises:
            NoSuchName: The caller is not registered under it.
            SupervisionError: The keys are not unique.
        """
        self._need_unique("update_value")
        values = self._table.get(key, {}).get(current_process())
        if values is None:
            raise NoSuchName(key)
        old = values[0]
        values[0] = new = update(old)
        return new, old

    def drop(self, process: Process) -> None:
        """Remove *process* altogether; called in its exit step."""
        for key in self._keys_of.pop(process):
            self._tell_gone(process, key, len(self._table[key][process]))
            self._remove(process, key)

    def _remove(self, process: Process, key: K) -> None:
        holders = self._table[key]
        del holders[process]
        if not holders:
            del self._table[key]

    def _forget(self, process: Process) -> None:
        if process.tables is not None:
            process.tables.pop(self, None)

    def _tell_gone(self, process: Process, key: K, times: int) -> None:
        if self._listeners:
            here = self._name or self._pid
            for _ in range(times):
                self._tell(KeyUnregistered(here, key, process.pid))

    def _tell(self, message: object) -> None:
        for listener in self._listeners:
            process = find(listener)
            if process is not None:
                process.deliver(message)

    # --- reading

    def lookup(self, key: K) -> list[KeyEntry[K, V]]:
        """Return all entries under *key*: with unique keys one, or none."""
        return list(self._entries(key))

    def whereis(self, key: K) -> Pid | None:
        """Return the process that is registered under *key*; for unique keys.

        Raises:
            SupervisionError: The keys are not unique.
        """
        self._need_unique("whereis")
        for process in self._table.get(key, ()):
            return process.pid
        return None

    def locate(self, process: Process, key: K) -> Pid | None:
        """Do what `whereis` says, for a `Via`."""
        del process
        return self.whereis(key)

    def match(self, key: K, predicate: Callable[[V], bool]) -> list[KeyEntry[K, V]]:
        """Return the entries under *key* for whose value *predicate* holds."""
        return [entry for entry in self._entries(key) if predicate(entry.value)]

    def select(
        self,
        predicate: Callable[[KeyEntry[K, V]], bool] | None = None,
    ) -> list[KeyEntry[K, V]]:
        """Return all entries for which *predicate* holds; it looks at every one."""
        found = (entry for key in self._table for entry in self._entries(key))
        return [entry for entry in found if predicate is None or predicate(entry)]

    def keys(self, pid: Pid | None = None) -> list[K]:
        """Return the keys of a process, each as often as it has registered it.

        Args:
            pid: The process; the caller when ``None``. One that has ended has none.

        Raises:
            NotAProcess: The caller is none, and no *pid* was given.
        """
        process: Process | None = current_process() if pid is None else pid.process
        if process is None:
            return []
        return [
            key
            for key in self._keys_of.get(process, ())
            for _ in self._table[key][process]
        ]

    def count(self) -> int:
        """Count the entries."""
        return sum(
            len(values)
            for holders in self._table.values()
            for values in holders.values()
        )

    def dispatch(self, key: K, tell: Callable[[list[KeyEntry[K, V]]], object]) -> None:
        """Call *tell* with all entries under *key*, in the caller; not if there are none.

        What it raises is the caller's, and harms nobody else.
        """
        entries = self.lookup(key)
        if entries:
            tell(entries)

    def _entries(self, key: K) -> Iterator[KeyEntry[K, V]]:
        for process, values in self._table.get(key, {}).items():
            for value in values:
                yield KeyEntry(key, process.pid, value)

    def _need_unique(self, what: str) -> None:
        if not self._unique:
            raise SupervisionError(f"{what} needs a registry with unique keys")


def _process(pid: Pid | None) -> Process:
    process: Process | None = current_process() if pid is None else pid.process
    if process is None:
        assert pid is not None
        raise NoProcess(pid)
    return process
