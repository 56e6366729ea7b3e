"""What the node tells of itself, beside its log."""

from collections.abc import Mapping
from typing import Annotated

import attrs

from beamclaw.config.schema.fields import Range, Seconds, hidden, key, table
from beamclaw.values import frozen


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class AuditConfig:
    """Who did what: beamclaw audit."""

    keep_months: Annotated[int, Range(1, 1_200)] = key(
        12, "Months that are kept, the one that goes on included."
    )


@frozen(kw_only=True)
class OtlpConfig:
    """Traces of requests, for a collector (OpenTelemetry)."""

    endpoint: str | None = key(
        None,
        "Where they are posted (OTLP over HTTP, in JSON), as\n"
        "http://127.0.0.1:4318/v1/traces. Without one, none are made.",
    )
    headers: Mapping[str, str] = table(
        "Headers to send along, for a collector that wants a key.", repr=hidden
    )
    sample: Annotated[float, Range(0, 1)] = key(
        1.0,
        "Share of the traces that begin here which are sent. One that began elsewhere is\n"
        "sent if it is kept there.",
    )
    queue: Annotated[int, Range(1, 1_000_000)] = key(
        10_000, "Steps that wait to be sent, at most; what comes then is not sent."
    )
    interval: Seconds = key(5.0, "Seconds between two times that they are sent.")
    timeout: Seconds = key(10.0, "Seconds that the collector may take.")
    service: str = key("beamclaw", "The service's name there.")


@frozen(kw_only=True)
class StatisticsConfig:
    """How providers do, by day: beamclaw providers."""

    keep_days: Annotated[int, Range(1, 36_500)] = key(400, "Days that are kept.")
    interval: Seconds = key(
        10.0, "Seconds after which what is new is written; a crash takes as many along."
    )


@frozen(kw_only=True)
class TelemetryConfig:
    """What the node tells of itself, beside its log."""

    metrics: MetricsConfig = attrs.field(factory=MetricsConfig)
    audit: AuditConfig = attrs.field(factory=AuditConfig)
    otlp: OtlpConfig = attrs.field(factory=OtlpConfig)
    statistics: StatisticsConfig = attrs.field(factory=StatisticsConfig)
