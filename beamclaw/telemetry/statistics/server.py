"""The process ``statistics``: how providers do, day by day, kept in node.db.

Events are counted as they come, and written some seconds later: whoever kills it, or the
node, takes the last of them along. The last hours of the node, minute by minute, are in
its memory only, and begin anew with it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import supervision
from beamclaw import machine
from beamclaw.config.schema import StatisticsConfig
from beamclaw.contracts import names, news, providers
from beamclaw.contracts.statistics import (
    By,
    MinuteOver,
    ProviderFigures,
    ReadHistory,
    ReadStatistics,
)
from beamclaw.contracts.store import (
    ProviderDay,
    ReadProviderDays,
    WriteProviderDays,
)
from beamclaw.telemetry.metrics.looking import state_of
from beamclaw.telemetry.statistics.figures import Figures
from beamclaw.telemetry.statistics.history import EVERY, Minutes
from beamclaw.telemetry.undoing import Undo
from beamclaw.values import frozen

STORE: Final = "store"
# Models of one day: a client may ask for any name.
MOST_MODELS: Final = 200
OTHER: Final = "other"
PATIENCE: Final = 5.0

# Day, provider and model; without a model: of the provider itself.
Key = tuple[str, str, str]

_undo = Undo()


@frozen
class _Begun:
    """A cast: there is something to be kept."""


@frozen
class _Tick:
    """It is time to write."""


class StatisticsServer(supervision.Server):
    """See the module.

    Args:
        settings: How long figures are kept, and how often they are written.
        wall: Seconds since the epoch.
        scrub: Takes secrets out of what comes from outside.
    """

    trap_exit: ClassVar[bool] = True

    def __init__(
        self,
        settings: Callable[[], StatisticsConfig],
        wall: Callable[[], float],
        scrub: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._scrub = scrub
        self._new: dict[Key, Figures] = {}
        self._written = 0
        self._minutes = Minutes(wall())
        self._me: supervision.Pid | None = None

    async def init(self) -> None:
        """Begin to count, in the place of a predecessor."""
        _undo.run()
        self._me = supervision.self_pid()
        _undo.by(supervision.telemetry.attach(self._take))
        supervision.send_interval(EVERY, self._me, MinuteOver())

    def _take(self, event: supervision.Event) -> None:
        told: Mapping[str, Any] = event.metadata
        match event.name:
            case news.CALLED:
                provider, outcome = str(told["provider"]), str(told["outcome"])
                figures = self._of(provider, str(told["model"]))
                figures.called(event.measurements, outcome)
                self._minutes.called(provider, event.measurements, outcome)
            case news.TURN_ENDED:
                self._minutes.turn_ended()
            case providers.LEFT_ALONE:
                self._of(str(told["provider"]), "").openings += 1
            case _:
                pass

    def _of(self, provider: str, model: str) -> Figures:
        if not self._new and self._me is not None:
            supervision.cast(self._me, _Begun())
        key = (self._today(), provider, self._scrub(model))
        if key not in self._new and len(self._new) >= MOST_MODELS:
            key = (key[0], provider, OTHER)
        return self._new.setdefault(key, Figures())

    def _today(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).date().isoformat()

    async def handle_cast(self, message: object) -> None:
        """Write, in a while."""
        if isinstance(message, _Begun):
            self._later()
        else:
            await super().handle_cast(message)

    def _later(self) -> None:
        seconds = self._settings().interval
        supervision.send_after(seconds, supervision.self_pid(), _Tick())

    async def handle_info(self, message: object) -> None:
        """Write what is new; or a minute is over."""
        if isinstance(message, MinuteOver):
            self._minute_is_over()
            return
        if not isinstance(message, _Tick):
            await super().handle_info(message)
            return
        await self._write()
        if self._new:
            self._later()

    def _minute_is_over(self) -> None:
        lag = state_of(names.WATCHDOG).get("minute")
        self._minutes.over(
            self._wall(),
            lag=lag if isinstance(lag, float) else None,
            resident=machine.resident(),
            processes=supervision.statistics().processes,
        )

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See :mod:`beamclaw.contracts.statistics`."""
        if isinstance(request, ReadHistory):
            return self._minutes.read(request.since)
        if isinstance(request, ReadStatistics):
            await self._write()
            return _summed(await self._read(request.since), request.by)
        return await super().handle_call(request, sender)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Write the last of it, and stop counting."""
        _undo.run()
        await self._write()

    def describe(self) -> Mapping[str, object]:
        """Figures of the figures."""
        return {
            "new": len(self._new),
            "written": self._written,
            "minutes": len(self._minutes.kept),
        }

    async def _read(self, since: str) -> Mapping[Key, Figures]:
        found = dict[Key, Figures]()
        with suppress(supervision.CallFailed):
            rows = await supervision.call(
                STORE, ReadProviderDays(since), timeout=PATIENCE
            )
            found = {
                (row.day, row.provider, row.model): Figures.load(row.body)
                for row in rows
            }
        for key, figures in self._new.items():  # the store is away
            if key[0] >= since:
                found.setdefault(key, Figures()).join(figures)
        return found

    async def _write(self) -> None:
        """Add what is new to what is kept; if that cannot be, it stays new."""
        if not self._new:
            return
        new, self._new = self._new, {}
        try:
            rows = self._joined(new, await self._kept(new))
            await supervision.call(STORE, rows, timeout=PATIENCE)
            self._written += len(new)
        except supervision.CallFailed:
            for key, figures in new.items():
                self._new.setdefault(key, Figures()).join(figures)

    async def _kept(self, new: Mapping[Key, Figures]) -> Mapping[Key, bytes]:
        first = min(day for day, _, _ in new)
        rows = await supervision.call(STORE, ReadProviderDays(first), timeout=PATIENCE)
        return {(row.day, row.provider, row.model): row.body for row in rows}

    def _joined(
        self, new: Mapping[Key, Figures], kept: Mapping[Key, bytes]
    ) -> WriteProviderDays:
        rows: dict[Key, Figures] = {}
        models = {key for key in kept if key[2]}
        for key, figures in new.items():
            day, provider, model = key
            if key not in kept and model and len(models) >= MOST_MODELS:
                key = (day, provider, OTHER)  # noqa: PLW2901 -- there is no room for it
            models.add(key)
            joined = rows.get(key)
            if joined is None:
                body = kept.get(key)
                joined = rows[key] = Figures() if body is None else Figures.load(body)
            joined.join(figures)
        days = timedelta(days=self._settings().keep_days)
        oldest = datetime.fromtimestamp(self._wall(), UTC).date() - days
        return WriteProviderDays(
            tuple(ProviderDay(*key, each.dump()) for key, each in rows.items()),
            before=oldest.isoformat(),
        )


def _summed(rows: Mapping[Key, Figures], by: By) -> Sequence[ProviderFigures]:
    summed: dict[str, Figures] = {}
    for (day, provider, model), figures in sorted(rows.items()):
        names = {
            "day": day,
            "provider": provider,
            "model": f"{provider}/{model}" if model else provider,
        }
        summed.setdefault(names[by], Figures()).join(figures)
    return [figures.shown(name) for name, figures in summed.items()]
