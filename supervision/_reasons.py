"""Why a process ended: the exit reasons, as values.

A process ends with exactly one reason. The reason decides whether a supervisor restarts
it, and it is what links, monitors and waiting callers are told. Nothing here does I/O.

The words are Erlang's; ``{shutdown, Term}`` is `Shutdown` with a term, and an error that
was raised is a `Crash` that carries the exception itself.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs


@attrs.frozen
class Normal:
    """The process returned: its work was done."""

    def __str__(self) -> str:
        return "normal"


@attrs.frozen
class Shutdown:
    """The process was asked to end, or ended on purpose as part of a larger stop.

    Attributes:
        term: Anything that explains it further, or ``None``.
    """

    term: object = None

    def __str__(self) -> str:
        return "shutdown" if self.term is None else f"shutdown: {self.term}"


@attrs.frozen
class Killed:
    """Somebody sent `KILL`, which no process can trap."""

    def __str__(self) -> str:
        return "killed"


@attrs.frozen
class NoProc:
    """There was no such process when a link or monitor was made."""

    def __str__(self) -> str:
        return "noproc"


@attrs.frozen
class Crash:
    """An exception left the process.

    Attributes:
        error: The exception, with its traceback. A group of one has been unwrapped.
    """

    error: BaseException

    def __str__(self) -> str:
        return f"crash: {type(self.error).__name__}: {self.error}"


@attrs.frozen
class Exited:
    """The process ended itself, or was ended, with a term of the application.

    Attributes:
        term: Whatever was given to `supervision.exit`.
    """

    term: object

    def __str__(self) -> str:
        return f"exited: {self.term}"


@attrs.frozen
class Kill:
    """The signal that cannot be trapped; never a reason. Its victim's is `KILLED`."""


ExitReason: TypeAlias = Normal | Shutdown | Killed | NoProc | Crash | Exited

NORMAL: Final = Normal()
SHUTDOWN: Final = Shutdown()
KILLED: Final = Killed()
NOPROC: Final = NoProc()
KILL: Final = Kill()


class ProcessExit(BaseException):
    """Unwinds a process that ends itself; like `SystemExit`, not an `Exception`.

    Attributes:
        reason: The reason with which the process ends.
    """

    def __init__(self, reason: ExitReason) -> None:
        super().__init__(reason)
        self.reason = reason


def as_reason(term: object) -> ExitReason:
    """Turn what somebody gave as a reason into an exit reason.

    `KILL` becomes an ordinary term here: only the signal is special, ending oneself with
    it is not.
    """
    if isinstance(term, ExitReason):
        return term
    if isinstance(term, BaseException):
        return Crash(term)
    return Exited(term)


def is_orderly(reason: ExitReason) -> bool:
    """Say whether *reason* is an end that nobody needs to repair."""
    return isinstance(reason, Normal | Shutdown)
