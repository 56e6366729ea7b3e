"""Who owns a ledger: one node at a time, told by an epoch that only rises."""

from beamclaw.contracts.points import point
from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import Connection
from beamclaw.values import frozen


@frozen
class Owner:
    """The value of a ledger's name, see :class:`beamclaw.contracts.ledger.Owned`."""

    owner_epoch: int


def own(connection: Connection, tenant: str, epoch: int) -> None:
    """Write our epoch, before anything else; an older one than the file's is refused."""
    connection.execute("BEGIN IMMEDIATE")
    row = connection.execute("SELECT tenant, owner_epoch FROM meta").fetchone()
    try:
        if row is None:
            connection.execute("INSERT INTO meta VALUES (?, ?)", (tenant, epoch))
        else:
            _check_owner(row, tenant, epoch)
            connection.execute("UPDATE meta SET owner_epoch = ?", (epoch,))
        with point("storage.own"):
            connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_owner(row: tuple[str, int], tenant: str, epoch: int) -> None:
    if row[0] != tenant:
        raise DataFolderError(
            f"this is the ledger of tenant {row[0]}, not of {tenant}; put each tenant's "
            "file back into its own folder"
        )
    if row[1] >= epoch:
        raise DataFolderError(
            f"the ledger of tenant {tenant} was written at owner epoch {row[1]}, and "
            f"this node has only {epoch}; was node.db put back from an older copy? Put "
            "back one that is as new as the ledger"
        )
