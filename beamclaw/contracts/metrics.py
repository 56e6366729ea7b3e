"""Figures of the node, for a collector that comes for them again and again."""

from typing import Final

import supervision
from beamclaw.values import frozen

NAME: Final = "telemetry/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@frozen
class ReadMetrics(supervision.Call[str]):
    """All of them, in Prometheus's text format."""
