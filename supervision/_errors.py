"""What `supervision` raises to its callers; each message says what to do next."""

# ruff: noqa: N818 - named by the situation, as in OTP, not by the suffix

from __future__ import annotations

from ._pid import Dest, Pid
from ._reasons import Crash, ExitReason, Shutdown


class SupervisionError(Exception):
    """The family of everything that this package raises on purpose."""


# --- processes and names


class NotAProcess(SupervisionError):
    """The calling task is no process, and what it asked for needs one.

    Tasks inside a process's own nursery and worker threads are not the process. Do it in
    the process's own task, or enter `supervision.adopt` first.
    """


class AlreadyAProcess(SupervisionError):
    """The task that wants to be adopted is a process already."""


class NoRuntime(SupervisionError):
    """Nothing supervises here: open `supervision.open_supervisor` around this code."""

    def __init__(self) -> None:
        super().__init__(
            "no supervisor is open in this Trio run: use `async with "
            "supervision.open_supervisor(...)` around this code, or supervision.run()",
        )


class NoSuchName(SupervisionError):
    """No process holds the name.

    Attributes:
        name: The name, or the key, that was looked for.
    """

    def __init__(self, name: object) -> None:
        super().__init__(f"no process is registered as {name!r}")
        self.name: object = name


class NameTaken(SupervisionError):
    """Another live process holds the name.

    Attributes:
        name: The name, or the key, that was asked for.
        pid: The process that holds it.
    """

    def __init__(self, name: object, pid: Pid) -> None:
        super().__init__(f"{name!r} is already registered by {pid}")
        self.name: object = name
        self.pid: Pid = pid


class NotAMember(SupervisionError):
    """The process that should leave the group is not in it.

    Attributes:
        group: The group that was named.
    """

    def __init__(self, group: str) -> None:
        super().__init__(f"the process is not a member of {group!r}")
        self.group: str = group


class ReceiveTimeout(SupervisionError):
    """No matching message arrived in time; nothing was taken from the mailbox."""


# --- calls


class CallFailed(SupervisionError):
    """The family of everything that keeps a call from getting its reply.

    Attributes:
        dest: What was called, as the caller named it.
    """

    def __init__(self, dest: Dest, message: str) -> None:
        super().__init__(message)
        self.dest: Dest = dest


class NoProcess(CallFailed):
    """There is no such process: it has ended, or never was."""

    def __init__(self, dest: Dest) -> None:
        super().__init__(dest, f"no process {dest!r}")


class ServerExited(CallFailed):
    """The server ended before it replied.

    Attributes:
        reason: The reason with which it ended.
    """

    def __init__(self, dest: Dest, reason: ExitReason) -> None:
        super().__init__(dest, f"{dest!r} ended before it replied ({reason})")
        self.reason: ExitReason = reason


class CallTimeout(CallFailed):
    """The time-out of the call passed; the server goes on and its reply is dropped.

    Attributes:
        seconds: The time-out, in seconds.
    """

    def __init__(self, dest: Dest, seconds: float | None) -> None:
        super().__init__(dest, f"{dest!r} did not answer within {seconds} s")
        self.seconds: float | None = seconds


class Overloaded(CallFailed):
    """The mailbox is full, and the call was not put into it: the server is too slow.

    Also the error in the reason of a process that ends for this, see `MailboxLimit`.

    Attributes:
        size: How many messages wait in the mailbox, which is as many as may.
    """

    def __init__(self, dest: Dest, size: int) -> None:
        super().__init__(
            dest,
            f"the mailbox of {dest!r} is full ({size} messages wait): try again later, "
            "send less, or spread the work over several processes",
        )
        self.size: int = size


class CallingSelf(CallFailed):
    """A server called itself and would wait for ever; the fault is the caller's."""

    def __init__(self, dest: Dest) -> None:
        super().__init__(dest, f"{dest!r} is calling itself")


class NotSuspended(SupervisionError):
    """The request of `supervision.sys` needs a suspended behaviour: suspend it first.

    Attributes:
        dest: What was asked, as the caller named it.
    """

    def __init__(self, dest: Dest) -> None:
        super().__init__(f"{dest!r} is not suspended: `await sys.suspend(...)` first")
        self.dest: Dest = dest


class BadReturn(SupervisionError):
    """A callback returned something that is not one of its results.

    Attributes:
        callback: The name of the callback.
        value: What it returned.
    """

    def __init__(self, callback: str, value: object) -> None:
        super().__init__(f"{callback} returned {value!r}, which is not a result for it")
        self.callback: str = callback
        self.value: object = value


# --- supervisors


class ChildError(SupervisionError):
    """The family of what a supervisor answers to a request that it refuses."""


class BadChildSpec(ChildError):
    """A child spec, or the options of its supervisor, contradict themselves."""


class AlreadyStarted(ChildError):
    """A child of that id, or a process of that name, is running.

    Attributes:
        pid: The one that runs.
    """

    def __init__(self, pid: Pid) -> None:
        super().__init__(f"already started as {pid}")
        self.pid: Pid = pid


class AlreadyPresent(ChildError):
    """A child of that id is known but not running: restart it or delete it first."""


class StartFailed(ChildError):
    """A child did not get through its start.

    Attributes:
        id: The id of the child.
        reason: The reason with which its start ended.
    """

    def __init__(self, id: str, reason: ExitReason) -> None:  # noqa: A002
        super().__init__(f"child {id!r} failed to start: {reason}")
        self.id: str = id
        self.reason: ExitReason = reason
        if isinstance(reason, Crash):
            self.__cause__: BaseException | None = reason.error

    @classmethod
    def flat(cls, id: str, reason: ExitReason) -> StartFailed:  # noqa: A002
        """Name the child deep down whose start failed first, with the path to it."""
        path, inner = [id], reason
        while isinstance(inner, Shutdown) and isinstance(inner.term, StartFailed):
            path.append(inner.term.id)
            inner = inner.term.reason
        return cls(" > ".join(path), inner)


class MaxChildren(ChildError):
    """The dynamic supervisor holds as many children as it may."""


class NotFound(ChildError):
    """The supervisor has no such child."""


class ChildRunning(ChildError):
    """The request needs a child that does not run: terminate it first."""


class ChildRestarting(ChildError):
    """The request needs a child that rests, and this one is about to be started."""


class SupervisorGaveUp(SupervisionError):
    """The tree under `open_supervisor` ended by itself while its body still ran.

    Attributes:
        reason: The reason with which its root ended.
    """

    def __init__(self, reason: ExitReason) -> None:
        super().__init__(f"the supervisor ended by itself ({reason})")
        self.reason: ExitReason = reason


# --- tasks


class TaskFailed(SupervisionError):
    """A supervised task ended without a value.

    Attributes:
        reason: The reason with which it ended.
    """

    def __init__(self, reason: ExitReason) -> None:
        super().__init__(f"the task ended without a result ({reason})")
        self.reason: ExitReason = reason
        if isinstance(reason, Crash):
            self.__cause__: BaseException | None = reason.error


class NotTheOwner(SupervisionError):
    """A task is linked to another process, and only that one asks for its result."""


class TaskTimeout(SupervisionError):
    """The result of a supervised task did not arrive in time; the task goes on."""
