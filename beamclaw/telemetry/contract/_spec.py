"""What an event of the contract says: its name, level, measurements and metadata."""

from collections.abc import Mapping
from typing import Literal

import attrs

from beamclaw.config.schema import Level
from beamclaw.values import frozen

Unit = Literal[
    "seconds", "bytes", "characters", "tokens", "dollars", "micro-dollars", "count"
]


@frozen
class Measure:
    """A number that an event brings: what it counts, and in what."""

    unit: Unit = "count"
    doc: str = ""


@frozen
class EventSpec:
    """One event. Whoever emits it gives exactly these keys.

    Attributes:
        level: The least level of the log at which it is written.
        doc: What has happened.
        measured: Its measurements.
        told: Its metadata: each key, and what stands there where that is not plain.
        audit: Somebody has done it: it stands in the audit log, too.
    """

    name: str
    level: Level
    doc: str
    measured: Mapping[str, Measure] = attrs.field(factory=dict[str, Measure])
    told: Mapping[str, str] = attrs.field(factory=dict[str, str])
    audit: bool = attrs.field(default=False, kw_only=True)
