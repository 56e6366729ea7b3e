"""Which caps are nearly reached, and of which of them nobody was told: decisions."""

from collections.abc import Iterable, Iterator, Sequence

from beamclaw.contracts.budgets import Cap, nearly
from beamclaw.contracts.ledger_usage import PurseRow
from beamclaw.contracts.limits import CapStatus
from beamclaw.values import frozen


@frozen
class Due:
    """A cap that is nearly reached by this purse."""

    row: PurseRow
    cap: Cap


def due(rows: Iterable[PurseRow], caps: Sequence[Cap], warn_at: float) -> Iterator[Due]:
    """What has to be told: each cap of each purse once."""
    for row in rows:
        for cap in caps:
            if cap.scope != row.purse.scope or not nearly(cap, row.spent, warn_at):
                continue
            if (cap.measure, cap.limit) not in row.warned:
                yield Due(row, cap)


def standing(rows: Iterable[PurseRow], caps: Sequence[Cap]) -> Iterator[CapStatus]:
    """How each purse stands against each of its caps."""
    for row in rows:
        for cap in caps:
            if cap.scope == row.purse.scope:
                yield CapStatus(
                    name=cap.name,
                    scope=cap.scope,
                    key=row.purse.key,
                    measure=cap.measure,
                    used=row.spent.of(cap.measure),
                    limit=cap.limit,
                )
