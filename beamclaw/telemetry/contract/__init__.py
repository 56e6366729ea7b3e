"""All that a node tells of itself, as a contract: the one table of events.

The page of events is made from it, the log's levels are in it, and the tests hold every
event to it, where it is written in the code and where it is emitted while they run.
"""

from collections.abc import Mapping
from typing import Final, cast

import supervision
from beamclaw.telemetry.contract._gateway import GATEWAY
from beamclaw.telemetry.contract._processes import PROCESSES
from beamclaw.telemetry.contract._spec import EventSpec, Measure
from beamclaw.telemetry.contract._turns import TURNS

EVENTS: Final[Mapping[str, EventSpec]] = {
    spec.name: spec for spec in (*GATEWAY, *TURNS, *PROCESSES)
}


def breach(event: supervision.Event) -> str | None:
    """In words, how *event* breaks the contract; None: it does not."""
    spec = EVENTS.get(event.name)
    if spec is None:
        return f"{event.name} is not in the contract"
    for what, keys, promised in (
        ("measurements", event.measurements, spec.measured),
        ("metadata", event.metadata, spec.told),
    ):
        if keys.keys() != promised.keys():
            found, wanted = ", ".join(sorted(keys)), ", ".join(sorted(promised))
            return f"{event.name} has the {what} {found or 'none'}, not {wanted}"
    # Whoever emits may say anything, whatever the annotations promise.
    measurements = cast("Mapping[str, object]", event.measurements)
    for key, value in measurements.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{event.name}: the measurement {key} is no number: {value!r}"
    return None


__all__ = ["EVENTS", "EventSpec", "Measure", "breach"]
