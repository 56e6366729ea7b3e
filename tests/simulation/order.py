"""The same order each time: what Trio leaves to chance and to the kernel, decided here.

Trio shuffles the tasks that can run; `supervision.testing.seeded` has a seed do it. Its
other source of chance is a socket: ``run_sync_soon`` wakes the loop through one, and how
soon the kernel says that there is something to read is the kernel's business. In here
the loop is woken without it. All of this is private to Trio, and looked for first: in a
Trio without it nothing would fail, a seed would just mean something else each time.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import trio

from supervision.testing import seeded

_PARTS = {
    "trio._core._run": ("_r", "_ALLOW_DETERMINISTIC_SCHEDULING"),
    "trio._core._wakeup_socketpair": ("WakeupSocketpair",),
}
_METHODS = ("wakeup_thread_and_signal_safe", "wait_woken")


class ChangedTrioError(Exception):
    """This Trio decides its order in another way; read its source again."""


@contextmanager
def repeatable(seed: int) -> Generator[None]:
    """Have *seed* decide the order of everything inside the block. No threads.

    Raises:
        ChangedTrioError: Trio has changed.
    """
    sockets = _look()
    before = {name: getattr(sockets, name) for name in _METHODS}
    sockets.wakeup_thread_and_signal_safe = _wake
    sockets.wait_woken = _wait_woken
    try:
        with seeded(seed):
            yield
    finally:
        for name, method in before.items():
            setattr(sockets, name, method)


def _look() -> Any:
    for module, names in _PARTS.items():
        for name in names:
            if not hasattr(import_module(module), name):
                raise ChangedTrioError(f"{module} has no {name}")
    sockets = import_module("trio._core._wakeup_socketpair").WakeupSocketpair
    for name in _METHODS:
        if not hasattr(sockets, name):
            raise ChangedTrioError(f"WakeupSocketpair has no {name}")
    return sockets


def _wake(pair: Any) -> None:
    pair.is_woken = True
    task, pair.waiter = getattr(pair, "waiter", None), None
    if task is not None:
        trio.lowlevel.reschedule(task)


async def _wait_woken(pair: Any) -> None:
    if not getattr(pair, "is_woken", False):
        pair.waiter = trio.lowlevel.current_task()

        def forget(_: object) -> trio.lowlevel.Abort:
            pair.waiter = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(forget)
    pair.is_woken = False
