"""Text from runs to topics: the first piece at once, the rest on a tick.

A piece of text costs a list append in the run; one process per tenant carries what has
gathered, so that the cost per frame is paid per tick, not per token.
"""

from collections.abc import Callable

import attrs
import trio

from beamclaw.contracts.bus import Bus
from beamclaw.contracts.open_turn import PARAGRAPH
from beamclaw.contracts.runs import Progress
from beamclaw.contracts.sessions import Delta


@attrs.define(eq=False)
class Flusher:
    """Gathers text and publishes it. Belongs to the tenant's runs, outlives ``flush``.

    Attributes:
        tick: Seconds between two publications of one run.
        size: Characters that are published without waiting for the tick.
        busy: Runs with waiting text above which the tick is stretched (to twice).
    """

    bus: Bus
    tick: Callable[[], float]
    size: Callable[[], int]
    busy: int = 200
    _dirty: dict[str, Progress] = attrs.field(factory=dict[str, Progress], init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)

    def add(self, progress: Progress, text: str) -> None:
        """Append *text* to the answer; publish now, or leave it to the tick."""
        first = not progress.pieces
        progress.pieces.append(text)
        if first and progress.base:
            text = PARAGRAPH + text
        progress.unpublished.append(text)
        progress.unpublished_length += len(text)
        if first or progress.unpublished_length >= self.size():
            self.publish(progress)
        elif progress.run_id not in self._dirty:
            self._dirty[progress.run_id] = progress
            self._wake.set()

    def publish(self, progress: Progress) -> None:
        """Publish what has gathered in *progress*."""
        self._dirty.pop(progress.run_id, None)
        if not progress.unpublished:
            return
        text = "".join(progress.unpublished)
        progress.unpublished.clear()
        progress.unpublished_length = 0
        offset, progress.published = progress.published, progress.published + len(text)
        self.bus.publish(
            progress.topic, Delta(progress.run_id, progress.attempt, offset, text)
        )

    def restart(self, progress: Progress, attempt: int, base: str) -> None:
        """A new model call begins, after *base*: what it is not in is void."""
        self._dirty.pop(progress.run_id, None)
        progress.attempt, progress.base = attempt, base
        progress.pieces.clear()
        progress.received = 0
        progress.unpublished.clear()
        progress.unpublished_length = 0
        progress.published = len(base)

    async def wait(self) -> None:
        """Until some text waits for a tick."""
        if not self._dirty:
            self._wake = trio.Event()
            await self._wake.wait()

    def flush(self) -> int:
        """Publish everything that waits; of how many runs."""
        waiting = list(self._dirty.values())
        for progress in waiting:
            self.publish(progress)
        return len(waiting)


async def flush(flusher: Flusher) -> None:
    """The process ``flush``: parked while nothing waits, then one pass per tick."""
    tick = flusher.tick()
    while True:
        await flusher.wait()
        await trio.sleep(tick)
        waiting = flusher.flush()
        tick = flusher.tick() * (2 if waiting > flusher.busy else 1)
