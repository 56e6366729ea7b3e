"""Tells the index of skills that something was written, before a turn asks for it.

Nothing depends on it: each turn looks for itself. It is why an alarm about changed
contents does not wait for the next turn, and why that one finds all read.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import attrs
import trio

import supervision
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.skills import GetWatched, LookAgain

# Milliseconds in which changes are taken together, and between two looks of the thread
# at whether it is still wanted.
TOGETHER_MS, STEP_MS = 500, 250


@attrs.define
class _Stop:
    """What the watching thread looks at, in place of an event of its own."""

    stopped: bool = False

    def is_set(self) -> bool:
        return self.stopped


async def wait_change(folders: Sequence[str]) -> None:
    """Return when something has changed in one of *folders*, not below them.

    One that is not there is passed over.

    Raises:
        OSError: They cannot be watched.

    Cancelled, it leaves a thread that ends by itself within :data:`STEP_MS`.
    """
    stop = _Stop()
    try:
        await trio.to_thread.run_sync(
            partial(_watch, folders, stop), abandon_on_cancel=True
        )
    finally:
        stop.stopped = True


def _watch(folders: Sequence[str], stop: _Stop) -> None:
    # Loaded by the thread: a node listens before anybody watches files.
    from watchfiles._rust_notify import RustNotify  # noqa: PLC0415 -- its awatch takes a task group and asks for signals

    try:
        notify = RustNotify(list(folders), False, False, 0, False, True)  # noqa: FBT003 -- it takes them by place
        with notify:
            notify.watch(TOGETHER_MS, STEP_MS, 0, stop)
    except OSError:
        raise
    except Exception as error:
        raise OSError(str(error)) from error


async def watch(index: str, outside: Outside, seconds: float, *, watched: bool) -> None:
    """Watch for ever what the process *index* reads.

    Args:
        index: Its name.
        outside: Whether there are threads.
        seconds: Between two looks, where nothing can be watched.
        watched: Whether anything is to be.
    """
    while True:
        # In any case looked at once in a while: what is watched may be a network's.
        with trio.move_on_after(seconds):
            folders = await _folders(index)
            if watched and outside.threads and folders:
                with suppress(OSError, ImportError):
                    await wait_change(folders)
                    supervision.cast(index, LookAgain())
                    continue
            await trio.sleep_forever()
        supervision.cast(index, LookAgain())


async def _folders(index: str) -> Sequence[str]:
    try:
        return await supervision.call(index, GetWatched())
    except supervision.CallFailed:
        return ()
