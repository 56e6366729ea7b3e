"""Whether and when a child is restarted. Pure: the time is an argument."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from ._child_spec import CoolDown, RestartKind
from ._reasons import ExitReason, is_orderly

if TYPE_CHECKING:
    from collections.abc import Callable


def wants_restart(restart: RestartKind, reason: ExitReason) -> bool:
    """Say whether a child that ended by itself is to be restarted."""
    match restart:
        case "permanent":
            return True
        case "transient":
            return not is_orderly(reason)
        case "temporary":
            return False


@attrs.define
class RestartWindow:
    """Counts restarts inside a sliding window.

    Attributes:
        max_restarts: Restarts tolerated inside one window.
        max_seconds: Length of the window, in seconds.
    """

    max_restarts: int = 3
    max_seconds: float = 5.0
    # Invariant: ascending; after admit(now) no entry is older than max_seconds, and there
    # are at most max_restarts + 1, so each admit is O(1).
    _times: deque[float] = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: deque[float](maxlen=self.max_restarts + 1),
            takes_self=True,
        ),
    )

    def has_room(self, now: float) -> bool:
        """Say whether a restart at *now*, in seconds, would be admitted."""
        while self._times and now - self._times[0] > self.max_seconds:
            self._times.popleft()
        return len(self._times) < self.max_restarts

    def admit(self, now: float) -> bool:
        """Record a restart at *now*, in seconds; ``False`` means: give up."""
        admitted = self.has_room(now)
        self._times.append(now)
        return admitted

    def resized(self, max_restarts: int, max_seconds: float) -> RestartWindow:
        """Return a window with other limits and the same past."""
        window = RestartWindow(max_restarts, max_seconds)
        window._times.extend(self._times)
        return window


def _window_of(rule: CoolDown) -> RestartWindow:
    return RestartWindow(rule.after.max_restarts, rule.after.max_seconds)


@attrs.define
class Cooling:
    """How long the next restart of one child with a `CoolDown` has to wait."""

    rule: CoolDown
    _window: RestartWindow = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: _window_of(self.rule), takes_self=True),
    )
    # The wait after this one, without jitter; None while restarts happen at once.
    _next: float | None = attrs.field(default=None, init=False)
    # When the child was last let through; its time up is counted from there.
    _since: float = attrs.field(default=0.0, init=False)

    @property
    def alarmed(self) -> bool:
        """Whether it had to wait, and has not stayed up since."""
        return self._next is not None

    def reset(self) -> None:
        """Begin anew: it has stayed up."""
        self._next = None
        self._window = _window_of(self.rule)

    def delay(self, now: float, chance: Callable[[], float]) -> float:
        """Record a restart at *now*; returns the seconds it has to wait.

        Args:
            now: The time, in seconds.
            chance: Returns a number from 0 to 1.
        """
        rule = self.rule
        if self._next is not None and now - self._since > rule.after.max_seconds:
            self.reset()
        if self._next is None:
            if self._window.admit(now):
                return 0.0
            self._next = rule.first
        wait = min(self._next, rule.most)
        self._next = min(wait * rule.factor, rule.most)
        wait *= 1 + rule.jitter * (2 * chance() - 1)
        self._since = now + wait
        return wait
