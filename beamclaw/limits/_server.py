"""The process ``limits``: counts what the ledger has settled and reserved."""

from typing import Any

import supervision
from beamclaw.contracts import ledger, names
from beamclaw.contracts.limits import GetUsage, UsageSums


class LimitsServer(supervision.Server):
    """Registered as ``<tenant>/limits``; the sums themselves stand in the ledger."""

    def __init__(self, tenant: str) -> None:
        self._ledger = names.of_tenant(tenant, "ledger")

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """What was used."""
        match request:
            case GetUsage(since):
                rows = await supervision.call(
                    self._ledger, ledger.ReadUsage(since), timeout=None
                )
                return UsageSums(rows)
            case _:
                return await super().handle_call(request, sender)
