"""The process ``telemetry/metrics``: while it lives, what happens is counted."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import supervision
from beamclaw.config.redactor import Redactor
from beamclaw.contracts.metrics import ReadMetrics
from beamclaw.telemetry.metrics.counting import Counting
from beamclaw.telemetry.metrics.families import Family
from beamclaw.telemetry.metrics.looked import looked
from beamclaw.telemetry.metrics.looking import Looks
from beamclaw.telemetry.undoing import Undo

_undo = Undo()


class MetricsServer(supervision.Server):
    """Counts from its start on. A collector sees by a counter that it began anew.

    Args:
        version: Of the program.
        providers: Names of permit servers, without what stands before all of them.
        wall: When the node began, in seconds since the epoch.
        most: Series of one family.
        hides: Takes secrets out of what comes from outside.
    """

    trap_exit: ClassVar[bool] = True

    def __init__(
        self,
        version: Callable[[], str],
        providers: tuple[str, ...],
        wall: float,
        most: int,
        hides: Redactor,
    ) -> None:
        self._version = version
        self._looks = Looks(wall, providers, most=most)
        self._counting = Counting(most, hides.scrub)

    async def init(self) -> None:
        """Begin to count, in the place of a predecessor."""
        _undo.run()
        _undo.by(supervision.telemetry.attach(self._counting.take))

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See :class:`~beamclaw.contracts.metrics.ReadMetrics`."""
        if isinstance(request, ReadMetrics):
            return self._text()
        return await super().handle_call(request, sender)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Stop counting."""
        _undo.run()

    def describe(self) -> Mapping[str, object]:
        """Figures of the figures."""
        return {
            "families": len(self._counting.families),
            "folded": sum(family.folded for family in self._counting.families),
        }

    def _text(self) -> str:
        info, folded = _info(), _folded()
        info.set(1, self._version())
        folded.add(by=sum(family.folded for family in self._counting.families))
        return "".join(
            [
                *info.text(),
                *self._counting.text(),
                *self._looks.text(),
                *folded.text(),
            ]
        )


def table() -> tuple[Family, ...]:
    """Every family that a node can tell of, empty: the page of metrics is made of it."""
    return (_info(), *Counting().families, *looked(), _folded())


def _info() -> Family:
    doc = "Which program this is; always 1."
    return Family("beamclaw_info", "gauge", doc, ("version",), unit="1")


def _folded() -> Family:
    return Family(
        "beamclaw_metrics_folded_total",
        "counter",
        "How often a series was one too many, and was counted under other.",
    )
