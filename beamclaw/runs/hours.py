"""How long a turn may work: by its own limit, and by the caps of its purses.

A turn reserves time when it asks a model, and goes on until that is used up; then it
reserves again, or ends in words. While it waits for a person or a sub-agent its clock
stands, and nothing is reserved. Where no cap of time is set there is none of this.
"""

from collections.abc import Callable, Iterable
from typing import Final

import attrs

from beamclaw.contracts.budgets import MILLI, Cap, limits_time
from beamclaw.contracts.ledger_errors import TimeReached
from beamclaw.contracts.ledger_ops import Op, Reserve, Work
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.turns import TurnLimits
from beamclaw.runs.turn import out_of_time, too_long_at_once

# Seconds that are reserved at once: a call of a model takes no longer by default
# (``providers.ID.max_seconds``). All that the turn's own limit leaves is six hours, and
# most turns take a minute: those beside it would find nothing left of their day.
AT_ONCE: Final = 1_800.0

# Seconds below which there is nothing to be begun with.
LEAST: Final = 1.0


@attrs.define(eq=False, kw_only=True)
class Hours:
    """The time of one run.

    Attributes:
        full: The turn's own limits.
        caps: Those of its agent, as they are set now.
        until: Own seconds of the turn up to which time is reserved. None: none is, or
            only for the run before, of which nothing is known: a successor reserves
            anew before it goes on, in place of that.
    """

    run_id: str
    agent: str
    full: TurnLimits
    caps: Callable[[], tuple[Cap, ...]]
    until: float | None = None
    # Those that it had worked when nothing was reserved any more, as far as is known.
    _paid: float | None = None
    # The cap that has left less than was wanted, and whether nothing at all.
    _short: Cap | None = None
    _over: bool = False

    # --- how far the turn may go

    def limits(self, turn: OpenTurn) -> TurnLimits:
        """The turn's own limits, or less time where a cap does not leave as much."""
        if self._short is None:
            return self.full
        until = min(self.full.seconds, self.seconds(turn))
        short = self._short if until < self.full.seconds else None
        return attrs.evolve(self.full, seconds=until, short=short)

    def seconds(self, turn: OpenTurn) -> float:
        """Seconds of the turn's clock up to which whatever it does may go on by itself."""
        if self.until is None or not self._time_caps:
            return self.full.seconds
        # That clock is put on by what sub-agents have worked, which they pay for.
        return min(self.full.seconds, self.until + turn.lent_before)

    def note(self, turn: OpenTurn, now: float) -> str:
        """Why a call of a model was cut, in words."""
        limits = self.limits(turn)
        caps = self._time_caps
        # Time is reserved in whole thousandths: all that the turn's own limit leaves may
        # end just before it.
        if caps and limits.seconds - self.seconds(turn) > LEAST:
            return too_long_at_once(AT_ONCE, caps[0])
        return out_of_time(turn, limits, now)

    def worked(self, turn: OpenTurn, now: float) -> float:
        """Own seconds of the turn that are paid for, when it waits or is over.

        Nothing is done in those that no time was reserved for: they pass while that is
        written down, and a disk may take long.
        """
        own = turn.own_seconds(now)
        paid = self._paid if self.until is None else self.until
        return own if paid is None or not self._time_caps else min(own, paid)

    @property
    def _time_caps(self) -> tuple[Cap, ...]:
        return limits_time(self.caps())

    # --- reserving

    def due(self, turn: OpenTurn, now: float) -> bool:
        """Whether time has to be reserved before *turn* goes on.

        With the first call of a model it is reserved anyway, and before that there is
        nothing to do but to decide on it; where a client has ordered a call, there is.
        """
        if self._over or turn.waiting_since is not None or not self._time_caps:
            return False
        if self.until is None:
            return turn.attempt > 0 or turn.ordered
        return self.seconds(turn) <= turn.busy_seconds(now) < self.full.seconds

    def work(
        self,
        turn: OpenTurn | None,
        ops: Iterable[Op],
        now: float,
        left: float = AT_ONCE,
    ) -> Work | None:
        """What a commit has to say of time, by *turn* after it; *ops* are all its others.

        When the turn is over nothing: with its end the ledger closes the account. *left*
        is as in :meth:`more`.
        """
        if turn is None:
            return None
        if turn.waiting_since is not None:
            if self.until is None:
                return None
            work = self._work(turn, now, 0.0)
            return attrs.evolve(work, used=int(self.worked(turn, now) * MILLI))
        asks = any(isinstance(op, Reserve) for op in ops)
        return self.more(turn, now, left) if asks and self._time_caps else None

    def more(self, turn: OpenTurn, now: float, left: float = AT_ONCE) -> Work:
        """Time to go on for: what a step may take, or what a cap has *left*, in seconds."""
        seconds = min(left, self.full.seconds - turn.busy_seconds(now))
        return self._work(turn, now, max(0.0, seconds))

    def _work(self, turn: OpenTurn, now: float, seconds: float) -> Work:
        return Work(
            run_id=self.run_id,
            agent=self.agent,
            at=now,
            used=int(turn.own_seconds(now) * MILLI),
            reserve=round(seconds * MILLI),
            caps=self._time_caps,
        )

    # --- what came of it

    def keep(self, work: Work, short: Cap | None) -> None:
        """It is reserved; *short* has left no more than that."""
        self.until = (work.used + work.reserve) / MILLI if work.reserve else None
        self._paid = work.used / MILLI
        self._short = short

    def refuse(self, reached: TimeReached) -> None:
        """There is nothing left of a cap to go on for."""
        self._paid = reached.paid / MILLI

    def end(self, cap: Cap) -> None:
        """For want of *cap* the turn may not go on: it has what is paid for."""
        if self.until is None:
            self.until = self._paid
        self._short, self._over = cap, True
