"""Those who work for the process of a command: one reads, one waits, one writes.

Each is a process, linked to that one, so that none outlives another. What happens they
send to it. Whoever reads holds the command, and lets go of it at its own end, however
that comes.
"""

from collections.abc import Sized
from typing import Final

import trio

import supervision
from beamclaw.commands.messages import GetLauncher, Type
from beamclaw.commands.ring import Sink
from beamclaw.contracts.commands import CannotStart, Ended, Launch, Watched
from beamclaw.contracts.points import point
from beamclaw.values import frozen

# Bytes that are read at once: as many as a pipe holds.
_READ: Final = 65_536


@frozen
class Held:
    """It is being started, and is held."""

    watched: Watched


@frozen
class Begun:
    """It runs, under this number."""

    pid: int


@frozen
class Failed:
    """It could not be started."""

    words: str


@frozen
class Over:
    """Nothing of it is there any more."""

    ended: Ended


@frozen
class News:
    """Something was said, and somebody waits for it."""


@frozen
class Said:
    """There will be no more output; *too_much*: than is wanted."""

    too_much: bool = False


@frozen
class Written:
    """So many bytes were read by it, or, *failed*, will never be."""

    size: int
    failed: bool = False


async def read(  # noqa: PLR0917 -- what a process is begun with
    me: supervision.Pid,
    door: str,
    launch: Launch,
    kill_seconds: float,
    sink: Sink,
    pollers: Sized,
) -> None:
    """Start it, hold it, and take what it says; tell *me* of that if there are *pollers*."""
    try:
        launcher = await supervision.call(door, GetLauncher(), timeout=None)
        with point("command.launch"):
            watched = await launcher.launch(launch, kill_seconds)
    except CannotStart as error:
        return _tell(me, Failed(str(error)))
    except supervision.CallFailed:
        return _tell(me, Failed("what starts commands is not there"))
    try:
        _tell(me, Held(watched))
        enough = True
        while enough and (data := await watched.read(_READ)):
            enough = sink.put(data)
            if pollers:
                _tell(me, News())
        _tell(me, Said(too_much=not enough))
        await trio.sleep_forever()
    finally:
        watched.close()


async def wait(me: supervision.Pid, watched: Watched) -> None:
    """Hear what becomes of it."""
    try:
        _tell(me, Begun(await watched.wait_begun()))
    except CannotStart as error:
        _tell(me, Failed(str(error)))
    else:
        _tell(me, Over(await watched.wait_ended()))


async def write(me: supervision.Pid, watched: Watched) -> None:
    """Give it what it is to read, in order."""
    while True:
        job: Type = await supervision.receive(Type)
        failed = False
        try:
            await watched.write(job.data)
            if job.eof:
                await watched.end_input()
        except BrokenPipeError:
            failed = True
        _tell(me, Written(len(job.data), failed))


def _tell(me: supervision.Pid, message: object) -> None:
    with point("command.step"):
        supervision.send(me, message)
