"""From events to lines: which level, which fields, and how often a traceback."""

import logging
from collections.abc import Mapping
from typing import Final

import attrs

import supervision
from beamclaw.config.schema import Level
from beamclaw.contracts.gateway import CannotListen
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.troubles import STORAGE_FAILING
from beamclaw.telemetry.contract import EVENTS
from beamclaw.telemetry.lines import LEVELS, Line

# Emitted once the whole tree is up.
READY: Final = "beamclaw.node.ready"
# A person's mistake that keeps the node from starting; whoever started it is told so
# in one sentence, and a log of deaths around it would only hide that.
MISTAKES: Final = (DataFolderError, CannotListen)

# Who fell because somebody else was not there is a line; the cause has a traceback.
CONSEQUENCES: Final = (supervision.NoProcess, supervision.ServerExited)

LEVEL_OF: Final[Mapping[str, Level]] = {
    name: spec.level for name, spec in EVENTS.items()
}


def level_of(event: supervision.Event) -> Level:
    """The level of *event*: its own, or less where it is a consequence."""
    level = LEVEL_OF[event.name] if event.name in LEVEL_OF else "debug"  # noqa: SIM401 -- get() would lose the literal's type
    if level == "error" and isinstance(_error(event.metadata), CONSEQUENCES):
        return "warning"
    return level


@attrs.define
class Tracebacks:
    """Lets a few tracebacks per process and window through.

    A child in a crash loop writes the same one again and again; the line stays, and
    says how many were left out since.
    """

    most: int = 3
    seconds: float = 10.0
    _seen: dict[str, tuple[float, int]] = attrs.field(
        factory=dict[str, tuple[float, int]], init=False
    )

    def admit(self, who: str, now: float) -> int | None:
        """How many of *who* were left out before this one; None: leave it out too."""
        if len(self._seen) > 1_000:  # noqa: PLR2004 -- names come from outside as well
            self._seen.clear()
        since, count = self._seen.get(who, (now, 0))
        if now - since >= self.seconds or now < since:
            self._seen[who] = (now, 1)
            return max(0, count - self.most)
        self._seen[who] = (since, count + 1)
        return 0 if count < self.most else None


def of_event(
    event: supervision.Event,
    at: float,
    tracebacks: Tracebacks,
    trace: Mapping[str, str],
) -> Line:
    """The line for a telemetry event, which belongs to *trace*."""
    fields: dict[str, object] = {**event.metadata, **event.measurements}
    error = _error(event.metadata)
    level = level_of(event)
    if level != LEVEL_OF.get(event.name, level):
        error = None
    who = str(fields.get("name") or fields.get("id") or event.name)
    error = _limited(error, who, at, tracebacks, fields)
    return Line(
        at=at,
        level=level,
        event=event.name,
        fields=fields,
        error=error,
        trace=trace,
    )


def is_mistake(event: supervision.Event) -> bool:
    """Whether a person's mistake is what *event* tells of."""
    return event.name == STORAGE_FAILING or isinstance(_error(event.metadata), MISTAKES)


def _error(metadata: Mapping[str, object]) -> BaseException | None:
    for value in metadata.values():
        if isinstance(value, supervision.Crash):
            return value.error
        if isinstance(value, BaseException):
            return value
    return None


def _limited(
    error: BaseException | None,
    who: str,
    at: float,
    tracebacks: Tracebacks,
    fields: dict[str, object],
) -> BaseException | None:
    if error is None:
        return None
    left_out = tracebacks.admit(who, at)
    if left_out is None:
        return None
    if left_out:
        fields["tracebacks_left_out"] = left_out
    return error


def of_record(record: logging.LogRecord, at: float, tracebacks: Tracebacks) -> Line:
    """The line for a record of the standard library's logging."""
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 -- a library's own mistake must not become ours
        message = str(record.msg)
    fields: dict[str, object] = {"message": message}
    error = record.exc_info[1] if record.exc_info else None
    error = _limited(error, record.name, at, tracebacks, fields)
    return Line(
        at=at,
        level=_level(record.levelno),
        event=record.name,
        fields=fields,
        error=error,
    )


def _level(number: int) -> Level:
    level: Level = "debug"
    for name, least in LEVELS.items():
        if number >= least:
            level = name
    return level
