"""What the store writes and reads, inside a transaction."""

from collections.abc import Callable, Sequence
from typing import cast

import attrs

from beamclaw.contracts.store import (
    ChangeAccess,
    ClaimTenant,
    GetStoreStatus,
    ReadAccess,
    ReadProviderDays,
    StoreStatus,
    WriteProviderDays,
)
from beamclaw.storage import Connection
from beamclaw.store import access, provider_days

# What is of one of these types is written, of the others it is read.
Write = ClaimTenant | ChangeAccess | WriteProviderDays
Read = GetStoreStatus | ReadAccess | ReadProviderDays
Job = Write | Read

_NODE = "SELECT id FROM node"
# One more than all before, in the same statement that takes it.
_CLAIM = """
    INSERT INTO tenants (id, owner, epoch) VALUES (?, ?, 1)
    ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, epoch = epoch + 1
    RETURNING epoch
"""


@attrs.define(eq=False)
class NodeBook:
    """The book of node.db (see :class:`beamclaw.storage.Book`)."""

    _connection: Connection
    _path: str
    _new_id: Callable[[], str]

    def apply(self, jobs: Sequence[Job]) -> list[object]:
        """See :class:`beamclaw.storage.Book`."""
        return [self._done(job) for job in jobs]

    def forget(self) -> None:
        """Nothing is remembered."""

    def _done(self, job: Job) -> object:
        match job:
            case ClaimTenant():
                return self._claim(job)
            case GetStoreStatus():
                return self._status()
            case ReadAccess():
                return access.read(self._connection)
            case ChangeAccess(ops):
                return access.write(self._connection, ops)
            case ReadProviderDays(since):
                return provider_days.read(self._connection, since)
            case WriteProviderDays(rows, before):
                return provider_days.write(self._connection, rows, before)

    def _claim(self, job: ClaimTenant) -> int:
        given = (job.tenant, self._node_id())
        return cast("int", self._connection.execute(_CLAIM, given).fetchall()[0][0])

    def _node_id(self) -> str:
        row = self._connection.execute(_NODE).fetchone()
        if row is None:
            row = (self._new_id(),)
            self._connection.execute("INSERT INTO node (id) VALUES (?)", row)
        return cast("str", row[0])

    def _status(self) -> StoreStatus:
        query = self._connection.execute
        return StoreStatus(
            path=self._path,
            schema=query("PRAGMA user_version").fetchone()[0],
            epochs=dict(query("SELECT id, epoch FROM tenants ORDER BY id").fetchall()),
        )
