"""How a behaviour ends: with which reason, and its ``terminate`` under a shield."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from ._life import Process
from ._reasons import KILLED, SHUTDOWN, Crash, ExitReason, ProcessExit
from ._signals import without_cancelled


class Stopping(Exception):  # noqa: N818 - control flow inside the loop
    """Leaves the loop with a reason, after ``terminate``."""

    def __init__(
        self, reason: ExitReason, after: Callable[[], None] | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Terminating(Protocol):
    """What can clean up before its end."""

    async def terminate(self, reason: ExitReason) -> None:
        """Clean up."""
        ...


def reason_to_terminate(process: Process, error: BaseException) -> ExitReason | None:
    """Say with which reason ``terminate`` has to run, or ``None`` if it must not."""
    if process.reason is not None or isinstance(error, GeneratorExit):
        return None
    cause = without_cancelled(error)
    if cause is None:
        # A nursery around us was cancelled, which is a shutdown from outside.
        return SHUTDOWN if process.trapping else None
    if isinstance(cause, ProcessExit):
        return cause.reason
    return Crash(cause)


async def terminate(
    process: Process,
    behaviour: Terminating | None,
    reason: ExitReason,
    after: Callable[[], None] | None = None,
) -> None:
    """Run the ``terminate`` of *behaviour*, and then *after* unless it was killed.

    Args:
        process: Its process, which ends.
        behaviour: ``None`` when it has nothing to run, and so nothing to shield.
        reason: Why it ends.
        after: What has to be done even if it fails.
    """
    process.reason = reason
    if behaviour is None:
        if after is not None:
            after()
        return
    seconds = process.shutdown if process.shutdown is not None else float("inf")
    try:
        with trio.CancelScope(shield=True, relative_deadline=seconds) as shield:
            process.shield = shield
            await behaviour.terminate(reason)
        if shield.cancelled_caught:
            process.kill()
    except Exception:
        # Its own failure replaces the reason.
        if process.reason is reason:
            process.reason = None
        raise
    finally:
        process.shield = None
        # A kill takes that with it; a failure of terminate does not.
        killed = process.reason is KILLED and reason is not KILLED
        if after is not None and not killed:
            after()
