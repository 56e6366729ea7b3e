"""Figures for Prometheus: counted from events, looked at when somebody asks.

Written here and not by the library `prometheus_client`, see the page of dependencies.
"""

from beamclaw.telemetry.metrics.server import MetricsServer, table

__all__ = ["MetricsServer", "table"]
