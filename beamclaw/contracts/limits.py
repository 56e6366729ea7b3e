"""Limits, as others know them."""

import attrs

import supervision
from beamclaw.contracts.ledger import UsageRow


@attrs.frozen
class GetUsage(supervision.Call["UsageSums"]):
    """What the tenant used since *since* (seconds since the epoch)."""

    since: float = 0.0


@attrs.frozen
class UsageSums:
    """Sums, newest day first; ``reserved`` in a row is what is still open."""

    rows: tuple[UsageRow, ...]
