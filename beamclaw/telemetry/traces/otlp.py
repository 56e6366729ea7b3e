"""Spans as OTLP has them, in JSON: an ``ExportTraceServiceRequest``, and its answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from beamclaw.telemetry.traces.steps import Span, Value

_KINDS: Final = {"internal": 1, "server": 2, "client": 3}
_ERROR: Final = 2
# Flags of a span: sampled.
_SAMPLED: Final = 1


def request(
    spans: Sequence[Span], resource: Mapping[str, Value], version: str
) -> bytes:
    """What is posted to ``/v1/traces``."""
    return orjson.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeSpans": [
                        {
                            "scope": {"name": "beamclaw", "version": version},
                            "spans": [_span(span) for span in spans],
                        }
                    ],
                }
            ]
        }
    )


def _span(span: Span) -> dict[str, Any]:
    made: dict[str, Any] = {
        "traceId": span.trace,
        "spanId": span.id,
        "flags": _SAMPLED,
        "name": span.name,
        "kind": _KINDS[span.kind],
        # 64 bits, which JSON of others has no numbers for.
        "startTimeUnixNano": str(round(span.begun * 1e9)),
        "endTimeUnixNano": str(round(span.ended * 1e9)),
        "attributes": _attributes(span.attributes),
    }
    if span.state:
        made["traceState"] = span.state
    if span.parent:
        made["parentSpanId"] = span.parent
    if span.error:
        made["status"] = {"code": _ERROR, "message": span.error}
        made["attributes"] += _attributes({"error.type": span.error})
    return made


def _attributes(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value}


def rejected(body: bytes) -> int:
    """Spans that a collector has not taken, by its answer to those it has."""
    try:
        answer: Any = orjson.loads(body)
        partial: Any = answer.get("partialSuccess") or {}
        return max(0, int(partial.get("rejectedSpans", 0)))
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return 0  # it was taken; in what words is not our business
