"""Tells the index of skills that something was written, before a turn asks for it.

Nothing depends on it: each turn looks for itself. It is why an alarm about changed
contents does not wait for the next turn, and why that one finds all read.
"""

from collections.abc import Sequence
from contextlib import suppress

import trio

import supervision
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.skills import GetWatched, LookAgain
from beamclaw.storage.watching import wait_change


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
