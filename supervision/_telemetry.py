"""Events for whoever wants to know: emitting one is a function call and cannot fail.

A handler is an ordinary function that must not wait. One that raises is detached and
never hurts the emitter. With no handler attached, crashes are written to the logger
``supervision``, a few per second; tracebacks are formatted there, never by the process
that restarts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

from ._reasons import Crash

CRASH: Final = "supervision.process.crash"
RESTART: Final = "supervision.child.restart"
TERMINATED: Final = "supervision.child.terminated"
GAVE_UP: Final = "supervision.supervisor.gave_up"
COOLING_DOWN: Final = "supervision.child.cooling_down"
RECOVERED: Final = "supervision.child.recovered"
UNKILLABLE: Final = "supervision.child.unkillable"
DROPPED: Final = "supervision.message.dropped"
OVERLOADED: Final = "supervision.mailbox.overloaded"
LAG: Final = "supervision.loop.lag"
TRACE: Final = "supervision.process.trace"


@attrs.frozen
class Event:
    """One thing that happened.

    Attributes:
        name: Dotted name from the catalogue.
        measurements: Numbers, with their units in their names or seconds.
        metadata: Everything else: pids, names, reasons.
    """

    name: str
    measurements: Mapping[str, float]
    metadata: Mapping[str, object]


Handler: TypeAlias = Callable[[Event], object]

# Replaced, never changed in place: emit may run while a handler detaches itself.
_handlers: tuple[Handler, ...] = ()
_NOTHING: Final[Mapping[str, float]] = {}


def attach(handler: Handler) -> Callable[[], None]:
    """Have *handler* called with every `Event` from now on.

    Returns:
        A function that detaches it again; calling it twice is harmless.
    """
    global _handlers  # noqa: PLW0603 - one table of sinks per interpreter
    _handlers = (*_handlers, handler)

    def detach() -> None:
        global _handlers  # noqa: PLW0603
        _handlers = tuple(kept for kept in _handlers if kept is not handler)

    return detach


def emit(
    name: str,
    measurements: Mapping[str, float] = _NOTHING,
    metadata: Mapping[str, object] = _NOTHING,
) -> None:
    """Tell every handler; never raises, never waits."""
    if not _handlers and name not in _LEVELS and name != TRACE:
        return
    event = Event(name, measurements, metadata)
    if not _handlers:
        _log(event)
        return
    for handler in _handlers:
        _deliver(handler, event)


def _deliver(handler: Handler, event: Event) -> None:
    global _handlers  # noqa: PLW0603
    try:
        handler(event)
    except Exception:  # the edge of the emitter: a sink must not take it down
        _handlers = tuple(kept for kept in _handlers if kept is not handler)
        logging.getLogger("supervision").exception(
            "a telemetry handler failed and was detached: %r",
            handler,
        )


# --- the sink of last resort

_LEVELS: Final = {
    **dict.fromkeys((CRASH, GAVE_UP, UNKILLABLE), logging.ERROR),
    **dict.fromkeys(
        (COOLING_DOWN, TERMINATED, OVERLOADED, LAG, DROPPED), logging.WARNING
    ),
}
_LINES_PER_SECOND: Final = 10


@attrs.define
class _Rate:
    """Lets a few lines through per second and counts the others."""

    second: int = 0
    lines: int = 0
    suppressed: int = 0

    def admit(self, now: int) -> bool:
        if now != self.second:
            self.second, self.lines = now, 0
        self.lines += 1
        if self.lines <= _LINES_PER_SECOND:
            return True
        self.suppressed += 1
        return False


_rate = _Rate()


def _log(event: Event) -> None:
    if event.name == TRACE:
        # Somebody asked for it, so it is neither an error nor too much.
        details = " ".join(f"{key}={value}" for key, value in event.metadata.items())
        logging.getLogger("supervision").info("%s %s", event.name, details)
        return
    if not _rate.admit(int(time.monotonic())):
        return
    suppressed, _rate.suppressed = _rate.suppressed, 0
    reason = event.metadata.get("reason")
    error = reason.error if isinstance(reason, Crash) else None
    details = " ".join(f"{key}={value}" for key, value in event.metadata.items())
    if suppressed:
        details += f" ({suppressed} such lines were suppressed)"
    logging.getLogger("supervision").log(
        _LEVELS[event.name],
        "%s %s",
        event.name,
        details,
        exc_info=error,
    )
