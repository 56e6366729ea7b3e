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
# Seconds after which it is looked again once there was another one, if that is sooner: by
# then that is read, and leads to other files, perhaps.
LOOK_AGAIN = 1.0
_Mark = tuple[int, int, int, int]


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
        others: Gives those that it leads to now; they count as it does. Who reads the
            configuration knows them: the process ``config``, by what it found last.
        poll_seconds: Gives the seconds after which they are looked at in any case.
    """
    seen: Mapping[Path, _Mark | None] = {}
    worker = outside.worker()
    while True:
        files = (file, *others())
        marks, folders = await worker.run(partial(_look, files))
        # Whatever is new may have been written since it was read.
        other = any(mark != seen.get(each) for each, mark in marks.items())
        seen = marks
        if other:
            with point("config.touched"):
                supervision.cast(NAME, FileTouched())
        poll = poll_seconds()
        with trio.move_on_after(min(LOOK_AGAIN, poll) if other else poll):
            if outside.threads:
                with suppress(OSError, ImportError):
                    await wait_change(folders)
                    continue
            await trio.sleep_forever()


def _look(files: Sequence[Path]) -> tuple[dict[Path, _Mark | None], list[str]]:
    """The mark of each file, and the folders in which a change of them is seen."""
    marks = {file: _mark(file) for file in files}
    return marks, sorted({_folder(file) for file in files})


def _folder(file: Path) -> str:
    """Where *file* is, or comes to be seen: its folder need not be there yet."""
    there = (each for each in file.absolute().parents if each.is_dir())
    return str(next(there, file.anchor))


def _mark(file: Path) -> _Mark | None:
    """What is other when somebody has written; None: there is no such file.

    And when who owns or may read it has changed: until then it could not be read, perhaps.
    """
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
