"""The process ``telemetry/log``: while it lives, what happens is written down."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TextIO, cast

import trio

import supervision
from beamclaw.contracts.crashes import EVENT, Crashes
from beamclaw.contracts.logs import NAME, ReadLog
from beamclaw.telemetry.sink import Log, LogSettings
from beamclaw.telemetry.undoing import Undo

_undo = Undo()


class LogServer(supervision.Server):
    """Owns the log's listeners and its thread."""

    trap_exit: ClassVar[bool] = True

    def __init__(self, settings: LogSettings, stream: TextIO | None = None) -> None:
        self._settings = settings
        self._stream = stream

    async def init(self) -> None:
        """Begin to listen, in the place of a predecessor."""
        again = bool(_undo)
        _undo.run()
        self._log = Log(self._settings, self._stream or sys.stderr)
        self._log.started = again  # killed: the node was up before
        crashes = Crashes()
        supervision.update_value(NAME, crashes)
        _undo.by(*_listen(self._log), _remember(crashes))

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See :class:`~beamclaw.contracts.logs.ReadLog`."""
        if isinstance(request, ReadLog):
            return self._log.tail.read(request)
        return await super().handle_call(request, sender)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Write what is there, and stop listening."""
        _undo.run()

    def describe(self) -> Mapping[str, object]:
        """Figures of the log."""
        return {
            "level": self._settings.level,
            "lines": self._log.lines,
            "dropped": self._log.writer.dropped,
        }


def _remember(crashes: Crashes) -> Callable[[], None]:
    def take(event: supervision.Event) -> None:
        if event.name == EVENT:
            who = event.metadata
            name = str(who["name"] or who["id"])
            reason = cast("supervision.ExitReason", who["reason"])
            crashes.note(trio.current_time(), name, str(who["pid"]), reason)

    return supervision.telemetry.attach(take)


def _listen(log: Log) -> list[Callable[[], None]]:
    root = logging.getLogger()
    before = root.level
    root.addHandler(log)
    root.setLevel(log.level)

    def restore() -> None:
        root.removeHandler(log)
        root.setLevel(before)

    # In this order: whoever tells while we stop is still heard.
    return [supervision.telemetry.attach(log.take), restore, log.writer.close]
