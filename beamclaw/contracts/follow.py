"""Follow one run to its end, across lost values, deaths and restarts inside the node."""

from collections.abc import AsyncGenerator

import attrs
import trio

import supervision
from beamclaw.contracts.bus import Bus, Lost, Subscription
from beamclaw.contracts.ends import run_ended
from beamclaw.contracts.sessions import (
    Delta,
    Joined,
    Reset,
    RunEnded,
    TopicValue,
    Waiting,
    peek,
    read_run,
)

# Seconds between two looks at a tenant that is being restarted.
LOOK_AGAIN_FIRST = 0.02
LOOK_AGAIN_MOST = 1.0


@attrs.define
class Shown:
    """What a reader has been given of a run: sorts out repeats, gaps and new beginnings.

    A decision without I/O; ``sees`` turns what arrived into what to pass on.
    """

    run_id: str
    attempt: int = 0
    length: int = attrs.field(default=0, init=False)
    _pieces: list[str] = attrs.field(factory=list[str], init=False)

    @property
    def text(self) -> str:
        """What the reader has."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def sees(self, value: TopicValue) -> tuple[TopicValue, ...] | None:
        """What to pass on for *value*; ``None``: a gap, look at the run again.

        What names no run comes from the subscription itself, and is passed on.
        """
        if value.run_id not in ("", self.run_id):
            return ()
        match value:
            case Joined(into=into):
                # What it says is the other's from here on; all of it, so look.
                self.run_id = into
                return None
            case Reset(attempt=attempt, offset=offset):
                if attempt <= self.attempt:
                    return ()
                self.attempt = attempt
                return self._cut(offset)
            case Delta():
                return self._piece(value)
            case _:
                return (value,)

    def _piece(self, value: Delta) -> tuple[TopicValue, ...] | None:
        if value.attempt < self.attempt:
            return ()
        # A gap changes nothing here: the look that follows brings the whole text.
        if value.offset > self.length:
            return None
        cut: tuple[TopicValue, ...] = ()
        if value.attempt > self.attempt:
            self.attempt = value.attempt
            cut = self._cut(value.offset + self._agrees(value))
        fresh = value.text[self.length - value.offset :]
        if not fresh:
            return cut
        start = self.length
        self._pieces.append(fresh)
        self.length += len(fresh)
        return (*cut, Delta(self.run_id, self.attempt, start, fresh))

    def _agrees(self, value: Delta) -> int:
        """How many characters of *value*, of a later call, the reader has already."""
        overlap = min(len(value.text), self.length - value.offset)
        have = self.text[value.offset : value.offset + overlap] if overlap else ""
        return overlap if value.text.startswith(have) else 0

    def _cut(self, offset: int) -> tuple[TopicValue, ...]:
        """Take back what the reader has from *offset* on."""
        if offset >= self.length:
            return ()
        self._pieces = [self.text[:offset]]
        self.length = offset
        return (Reset(self.run_id, self.attempt, offset),)


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

    Nothing is ever waited for that has been written down already: whoever comes after a
    death that may have kept an end from being told has the run looked at
    (:meth:`~beamclaw.contracts.bus.Bus.interrupt`).

    A ``Reset`` is given only when it takes text back that was given. A tenant that is down while
    it has to be asked is asked again until it is back, for the run is durable; what the
    subscription brings meanwhile is passed on. Close the generator
    (``contextlib.aclosing``) to stop following; the run goes on.
    """
    steps = _Steps(bus, tenant, subscription, Shown(run_id), look=join)
    while True:
        for item in await steps.next():
            # A message that another run answers has its answer under its own name.
            if item.run_id not in ("", run_id):
                yield attrs.evolve(item, run_id=run_id)
            else:
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
    # What it waits for, as it was passed on last.
    told: Waiting | None = None

    async def next(self) -> tuple[TopicValue, ...]:
        """What to pass on next; empty: nothing this time."""
        patience = None
        if self.look:
            try:
                found = await self._look()
            except supervision.CallFailed:
                patience, self.pause = self.pause, min(LOOK_AGAIN_MOST, self.pause * 2)
            else:
                self.look, self.pause = False, LOOK_AGAIN_FIRST
                return found
        value = None
        if patience is None:
            value = await self.subscription.receive()
        else:
            with trio.move_on_after(patience):
                value = await self.subscription.receive()
        if value is None:
            self.look = True
            return ()
        passed = None if isinstance(value, Lost) else self.shown.sees(value)
        if passed:
            self.told = value if isinstance(value, Waiting) else None
        if passed is None:
            self.look = True
            return ()
        return passed

    async def _look(self) -> tuple[TopicValue, ...]:
        run_id = self.shown.run_id
        view = await peek(self.bus, self.tenant, run_id)
        if view.running:
            text = Delta(run_id, view.attempt, 0, view.text)
            waiting = () if view.waiting in (None, self.told) else (view.waiting,)
            self.told = view.waiting
            return (*(self.shown.sees(text) or ()), *waiting)
        row = await read_run(self.bus, self.tenant, run_id)
        if row is not None and row.joined is not None:
            self.shown.run_id = row.joined
            return await self._look()
        end = None if row is None else run_ended(row)
        return () if end is None else (end,)
