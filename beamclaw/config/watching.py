"""Sees that somebody has written the configuration file, and says so to who holds it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

import supervision
from beamclaw.config.server import NAME, FileTouched
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point

WaitChange = Callable[[Sequence[str]], Awaitable[None]]
_Mark = tuple[int, int, int]


async def watch_file(
    file: Path,
    outside: Outside,
    wait_change: WaitChange,
    others: Callable[[], Sequence[Path]],
    poll_seconds: Callable[[], float],
) -> None:
    """Have the process ``config`` look at *file* whenever that is another one.

    Args:
        file: It need not be there.
        outside: Whether there are threads.
        wait_change: Returns when something has changed in folders.
        others: Gives those that it leads to now; they count as it does.
        poll_seconds: Gives the seconds after which they are looked at in any case.
    """
    seen: Mapping[Path, _Mark | None] = {}
    worker = outside.worker()
    while True:
        files = (file, *others())
        marks = await worker.run(partial(_marks, files))
        # Whatever is new may have been written since it was read.
        other = any(mark != seen.get(each) for each, mark in marks.items())
        seen = marks
        if other:
            with point("config.touched"):
                supervision.cast(NAME, FileTouched())
        with trio.move_on_after(poll_seconds()):
            if outside.threads:
                with suppress(OSError, ImportError):
                    await wait_change(sorted({str(each.parent) for each in files}))
                    continue
            await trio.sleep_forever()


def _marks(files: Sequence[Path]) -> dict[Path, _Mark | None]:
    return {file: _mark(file) for file in files}


def _mark(file: Path) -> _Mark | None:
    """What is other when somebody has written; None: there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)
