"""What a start does not wait for, and a turn needs: loaded once, away from the loop.

A node has to be listening soon, so large parts of it are imported when they are needed.
An import takes as long as it takes, and on the event loop everybody waits for it.
"""

from collections.abc import Callable

import trio

from beamclaw.contracts.outside import InlineWorker, Worker

_INLINE = InlineWorker()


class Loading:
    """Whoever needs something waits for it here, however many they are.

    Args:
        worker: Where it is loaded.
        load: Loads it, whatever it returns; None: there is nothing to load.
    """

    def __init__(
        self,
        worker: Worker = _INLINE,
        load: Callable[[], object] | None = None,
    ) -> None:
        self._worker = worker
        self._load = load
        self._one_at_a_time = trio.Lock()

    def give(self, load: Callable[[], object]) -> None:
        """Say what there is to load."""
        self._load = load

    async def wait(self) -> None:
        """Until it is loaded; at once, and without a checkpoint, if it is.

        Raises:
            Exception: What the loading raises; the next one tries again.

        Cancelled, the loading goes on, and the next one waits for its end.
        """
        while self._load is not None:
            async with self._one_at_a_time:
                load = self._load
                if load is not None:
                    await self._worker.run(load)
                    self._load = None
