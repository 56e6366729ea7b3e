"""Waits for a change of files, in a thread that can be left."""

from collections.abc import Sequence
from functools import partial

import attrs
import trio

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
