"""``/metrics``: figures for Prometheus, for whoever may look at the node."""

from typing import Final

from quart import Response
from quart_trio import QuartTrio

import supervision
from beamclaw.contracts.metrics import CONTENT_TYPE, NAME, ReadMetrics
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.replies import as_json

PATH: Final = "/metrics"


def add_route(app: QuartTrio) -> None:
    """Add it to *app*."""

    async def serve() -> Response:
        try:
            text = await supervision.call(NAME, ReadMetrics())
        except supervision.NoProcess:
            return as_json(_ABSENT)
        except supervision.CallFailed:
            return as_json(_BUSY)
        return Response(text, content_type=CONTENT_TYPE)

    app.add_url_rule(PATH, PATH, serve)


_ABSENT: Final = Problem(
    status=404,
    message="nothing is counted here (telemetry.metrics.enabled)",
    code="not_found",
)
_BUSY: Final = Problem(
    status=503, message="figures are not there right now", code="unavailable"
)
