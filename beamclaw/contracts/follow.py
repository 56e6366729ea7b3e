"""Follow one run to its end, across lost values, deaths and restarts inside the node."""

from collections.abc import AsyncGenerator

import attrs
import trio

import supervision
from beamclaw.contracts.bus import Bus, Lost, Subscription
from beamclaw.contracts.ends import run_ended
from beamclaw.contracts.sessions import (
    Delta,
    Reset,
    RunEnded,
    TopicValue,
    peek,
    read_run,
)

# Seconds between two looks at a tenant that is being restarted.
LOOK_AGAIN_FIRST = 0.02
LOOK_AGAIN_MOST = 1.0


@attrs.define
class Shown:
    """What a reader has been given of a run: sorts out repeats, gaps and resets.

    A decision without I/O; ``sees`` turns what arrived into what to pass on.
    """

    run_id: str
    attempt: int = 0
    length: int = 0

    def sees(self, value: TopicValue) -> tuple[TopicValue, ...] | None:
        """What to pass on for *value*; ``None``: a gap, look at the run again."""
        if value.run_id != self.run_id:
            return ()
        match value:
            case Reset(attempt=attempt):
                return self._turn_to(attempt)
            case Delta():
                return self._piece(value)
            case _:
                return (value,)

    def _piece(self, value: Delta) -> tuple[TopicValue, ...] | None:
        if value.attempt < self.attempt:
            return ()
        # A gap changes nothing here: the look that follows brings the whole attempt.
        reached = self.length if value.attempt == self.attempt else 0
        if value.offset > reached:
            return None
        before = self._turn_to(value.attempt)
        fresh = value.text[self.length - value.offset :]
        if not fresh:
            return before
        start = self.length
        self.length += len(fresh)
        return (*before, Delta(self.run_id, self.attempt, start, fresh))

    def _turn_to(self, attempt: int) -> tuple[TopicValue, ...]:
        if attempt <= self.attempt:
            return ()
        shown, self.attempt, self.length = self.length, attempt, 0
        return (Reset(self.run_id, attempt),) if shown else ()


async def follow(
    bus: Bus,
    tenant: str,
    run_id: str,
    subscription: Subscription,
    *,
    join: bool = False,
) -> AsyncGenerator[TopicValue, None]:
    """Everything about the run, from its first word to one :class:`RunEnded`.

    Args:
        bus: The bus.
        tenant: Whose run.
        run_id: Which run; it has been accepted.
        subscription: To the topic of its session, made before the run was submitted
            (or, with *join*, at any time before this call) and already entered.
        join: The run may be in progress or over already: begin by looking at it.

    A ``Reset`` is given only when text was given before it. A tenant that is down while
    it has to be asked is asked again until it is back, for the run is durable; what the
    subscription brings meanwhile is passed on. Close the generator
    (``contextlib.aclosing``) to stop following; the run goes on.
    """
    steps = _Steps(bus, tenant, subscription, Shown(run_id), look=join)
    while True:
        for item in await steps.next():
            yield item
            if isinstance(item, RunEnded):
                return


@attrs.define
class _Steps:
    """Looks at the run where that is needed, else waits for what is published."""

    bus: Bus
    tenant: str
    subscription: Subscription
    shown: Shown
    look: bool = attrs.field(kw_only=True)
    pause: float = LOOK_AGAIN_FIRST

    async def next(self) -> tuple[TopicValue, ...]:
        """What to pass on next; empty: nothing this time."""
        patience = float("inf")
        if self.look:
            try:
                found = await self._look()
            except supervision.CallFailed:
                patience, self.pause = self.pause, min(LOOK_AGAIN_MOST, self.pause * 2)
            else:
                self.look, self.pause = False, LOOK_AGAIN_FIRST
                return found
        value = None
        with trio.move_on_after(patience):
            value = await self.subscription.receive()
        if value is None:
            return ()
        passed = None if isinstance(value, Lost) else self.shown.sees(value)
        if passed is None:
            self.look = True
            return ()
        return passed

    async def _look(self) -> tuple[TopicValue, ...]:
        run_id = self.shown.run_id
        view = await peek(self.bus, self.tenant, run_id)
        if view.running:
            text = Delta(run_id, view.attempt, 0, view.text)
            waiting = () if view.waiting is None else (view.waiting,)
            return (*(self.shown.sees(text) or ()), *waiting)
        row = await read_run(self.bus, self.tenant, run_id)
        end = None if row is None else run_ended(row)
        return () if end is None else (end,)
