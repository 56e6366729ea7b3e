"""What the node tells of itself, beside its log."""
# ruff: noqa: RUF009 -- what `key` returns is attrs' description of a field

from collections.abc import Mapping
from typing import Annotated

import attrs

from beamclaw.config.schema.fields import Range, Seconds, Share, hidden, key, table


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
class TracesConfig:
    """Traces of requests, sent to a collector of OpenTelemetry."""

    endpoint: str | None = key(
        None,
        "Where traces are sent, by OTLP over HTTP in JSON: http://127.0.0.1:4318/v1/traces.\n"
        "Nothing is sent without one.",
    )
    headers: Mapping[str, str] = table(
        "Headers to send along, such as the collector's key.", repr=hidden
    )
    share: Share = key(
        1.0, "The share of traces that are sent, of those that begin here."
    )
    every: Seconds = key(5.0, "Seconds between two times at which they are sent.")
    timeout: Seconds = key(10.0, "Seconds that the collector has to take them.")
    max_turns: Annotated[int, Range(1, 100_000)] = key(
        1_000, "Turns in progress that are followed, at most."
    )
    max_spans: Annotated[int, Range(1, 1_000_000)] = key(
        10_000, "Spans that wait to be sent, at most; more are dropped, and counted."
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
    traces: TracesConfig = attrs.field(factory=TracesConfig)
    audit: AuditConfig = attrs.field(factory=AuditConfig)
