"""What the node tells of itself, beside its log."""

from typing import Annotated

import attrs

from beamclaw.config.schema.fields import Range, key


@attrs.frozen(kw_only=True)
class MetricsConfig:
    """Figures for Prometheus, at /metrics."""

    enabled: bool = key(
        True,  # noqa: FBT003 -- a default
        "Whether there are any.",
    )
    max_series: Annotated[int, Range(10, 100_000)] = key(
        200,
        "Combinations of labels of one metric, at most; what comes after that is\n"
        "counted under the label other.",
    )


@attrs.frozen(kw_only=True)
class AuditConfig:
    """Who did what: beamclaw audit."""

    keep_months: Annotated[int, Range(1, 1_200)] = key(
        12, "Months that are kept, the one that goes on included."
    )


@attrs.frozen(kw_only=True)
class TelemetryConfig:
    """What the node tells of itself, beside its log."""

    metrics: MetricsConfig = attrs.field(factory=MetricsConfig)
    audit: AuditConfig = attrs.field(factory=AuditConfig)
