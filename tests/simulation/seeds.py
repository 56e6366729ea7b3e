"""Many seeds, one after the other or several at a time."""

import multiprocessing
import signal
from collections.abc import Iterator
from types import FrameType

from tests.simulation.world import Outcome, play

# Seconds of a processor, so that it does not matter how busy the machine is. A world takes
# a fifth of one; one that takes this long turns in circles.
PATIENCE = 60.0


class Circling(Exception):
    """The world is busy and does not come to an end."""


def _circling(number: int, frame: FrameType | None) -> None:
    raise Circling


def play_soon(seed: int) -> Outcome:
    """Play *seed*, and give up when it does not come to an end."""
    signal.signal(signal.SIGPROF, _circling)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        return play(seed)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def outcomes(seeds: range, jobs: int) -> Iterator[Outcome]:
    """What came of each of *seeds*."""
    if jobs == 1:
        yield from map(play_soon, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(play_soon, seeds, chunksize=20)
