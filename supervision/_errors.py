"""What `supervision` raises to its callers; each message says what to do next."""

# ruff: noqa: N818 - named by the situation, as in OTP, not by the suffix

from __future__ import annotations

from typing import Any, ClassVar, Final

from ._pid import Dest, Pid
from ._reasons import Crash, ExitReason, Shutdown

_NEXT: Final = "None, Continue, Timeout or Stop"
_RESULTS: Final = {
    "init": "None, Continue, Timeout, Ignore or Stop from a server's, and NextState, "
    "Ignore or Stop from a state machine's",
    "handle_call": "the reply, or Reply, NO_REPLY or Stop",
    "handle_cast": _NEXT,
    "handle_info": _NEXT,
    "handle_continue": _NEXT,
    "handle_event": "NextState, KeepState, RepeatState, Stop or StopAndReply, with "
    "actions that fit",
    "enter": "None, KeepState, RepeatState, Stop or StopAndReply, with actions that fit",
}


def _nobody_is(name: object) -> str:
    return (
        f"no process is registered as {name!r} at the moment "
        "(supervision.names() lists those that are)"
    )


def _known_as(pid: Pid) -> str:
    process = pid.process
    if process is None:
        return str(pid)
    names = "".join(f", registered as {name!r}" for name in process.names or ())
    return f"{pid} (id {process.label!r}{names})"


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
            "no supervisor is open here: use `async with "
            "supervision.open_supervisor(...)` around this code, or supervision.run(); "
            "a worker thread has to go through trio.from_thread.run_sync()",
        )


class NoSuchName(SupervisionError):
    """No process holds the name.

    Attributes:
        name: The name, or the key, that was looked for.
    """

    def __init__(self, name: object) -> None:
        super().__init__(_nobody_is(name))
        self.name: object = name


class NameTaken(SupervisionError):
    """Another live process holds the name.

    Attributes:
        name: The name, or the key, that was asked for.
        pid: The process that holds it.
    """

    def __init__(self, name: object, pid: Pid) -> None:
        super().__init__(f"{name!r} is already registered by {_known_as(pid)}")
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

    def __init__(self, wanted: object = None, seconds: float | None = None) -> None:
        super().__init__(wanted, seconds)
        self._wanted: Any = wanted
        self._seconds = seconds

    def __str__(self) -> str:
        # Put together when it is read, because some receives look once, and often.
        wanted: Any = self._wanted
        several = type(wanted) is tuple
        kinds: tuple[Any, ...] = self._wanted if several else (wanted,)
        names = " or ".join(getattr(each, "__qualname__", repr(each)) for each in kinds)
        what = "message" if wanted is None else f"message for {names}"
        return f"no {what} came within {self._seconds or 0} s"


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
        ended = isinstance(dest, Pid)
        super().__init__(
            dest, f"the process {dest} has ended" if ended else _nobody_is(dest)
        )


class ServerExited(CallFailed):
    """The server ended before it replied.

    Attributes:
        reason: The reason with which it ended.
    """

    def __init__(self, dest: Dest, reason: ExitReason) -> None:
        super().__init__(dest, f"{dest!r} ended before it replied ({reason})")
        self.reason: ExitReason = reason
        if isinstance(reason, Crash):
            self.__cause__: BaseException | None = reason.error


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
        super().__init__(
            dest,
            f"{dest!r} is calling itself, and would wait for ever: call the method, or "
            "have a task of its own call it",
        )


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
        name = callback.partition(" ")[0]
        super().__init__(
            f"{callback} returned {value!r}, which is not a result for it: "
            f"return {_RESULTS.get(name, 'what its docstring says')}",
        )
        self.callback: str = callback
        self.value: object = value


# --- supervisors


class ChildError(SupervisionError):
    """The family of what a supervisor answers to a request that it refuses."""

    # What one can do about it; added to the message.
    advice: ClassVar[str] = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}: {self.advice}" if self.advice else message


class BadChildSpec(ChildError):
    """A child spec, or the options of its supervisor, contradict themselves."""


class AlreadyStarted(ChildError):
    """A child of that id, or a process of that name, is running.

    Attributes:
        pid: The one that runs.
    """

    def __init__(self, pid: Pid) -> None:
        super().__init__(f"already started as {_known_as(pid)}")
        self.pid: Pid = pid


class AlreadyPresent(ChildError):
    """A child of that id is known but not running: restart it or delete it first."""

    advice = "restart_child() or delete_child() it"


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

    advice = "which_children() lists those it has"


class ChildRunning(ChildError):
    """The request needs a child that does not run: terminate it first."""

    advice = "terminate_child() it first"


class ChildRestarting(ChildError):
    """The request needs a child that rests, and this one is about to be started."""

    advice = "terminate_child() it first"


class SupervisorGaveUp(SupervisionError):
    """The tree under `open_supervisor` ended by itself while its body still ran.

    What the last straw raised is the ``__cause__``.

    Attributes:
        reason: The reason with which its root ended.
        id: The child whose restarts were too many, with the path to it, as in
            ``storage > disk``; ``None`` if the root was killed.
        child_reason: The reason with which that child ended last.
    """

    def __init__(
        self,
        reason: ExitReason,
        id: str | None = None,  # noqa: A002
        child_reason: ExitReason | None = None,
    ) -> None:
        why = "" if id is None else f": too many restarts of {id!r} ({child_reason})"
        super().__init__(f"the supervisor ended by itself ({reason}){why}")
        self.reason: ExitReason = reason
        self.id: str | None = id
        self.child_reason: ExitReason | None = child_reason
        if isinstance(child_reason, Crash):
            self.__cause__: BaseException | None = child_reason.error


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
