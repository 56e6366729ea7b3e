"""The process in front of a tenant's ledger: it queues, the threads work, it replies.

A call is never waited for here. It goes to the writer or the reader, and the reply is
sent when their answers come back to the event loop, so hundreds of commits share one
sync of the disk, and a slow read holds up nobody's commit.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.ledger import (
    Accept,
    Commit,
    Erase,
    LedgerError,
    LedgerStatus,
    StaleClaim,
    StorageFailed,
)
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import reach
from beamclaw.ledger.book import Job, LedgerBook
from beamclaw.ledger.reads import Read, read
from beamclaw.ledger.retention import KEPT
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import (
    Access,
    Broken,
    Connect,
    Connection,
    Driver,
    Reads,
    StatementFailed,
    Writes,
    connect_sqlite,
    open_database,
    open_reader,
    private_folder,
)

K = TypeVar("K")

# A reader takes few at a time: each answer goes back as soon as it is there.
_READS_AT_ONCE = 16
# For the threads to finish and close, when the process ends in order.
_READER_CLOSING = 1.0
_WRITER_CLOSING = 3.0


@attrs.frozen
class Owner:
    """The value of a ledger's name, see :class:`beamclaw.contracts.ledger.Owned`."""

    owner_epoch: int


@attrs.define(eq=False)
class LedgerServer(supervision.Server):
    """One tenant's ledger; see :mod:`beamclaw.contracts.ledger` for its requests.

    It acknowledges its start when the file is open under a fresh owner epoch. When the
    disk fails at a commit, everybody who waits gets ``StorageFailed``, and this process
    crashes: the next generation opens the file again and reads what is there.

    Args:
        tenant: Whose.
        path: The file; its folder is made if needed.
        claim: Gives the tenant a new owner epoch, higher than all before.
        inbox_limit: Messages that may wait for their sessions.
        repeats_seconds: How long a message is recognised when it comes again.
        max_batch: Commits in one transaction at most.
        outside: Clock, ids, and whether there are threads.
        connect: How the database is connected to; a test breaks it here.
        patience: How long to wait for the threads of a generation that died, in seconds.
    """

    trap_exit = True

    _tenant: str
    _path: Path
    _claim: Callable[[str], Awaitable[int]] = attrs.field(kw_only=True, alias="claim")
    _inbox_limit: int = attrs.field(kw_only=True, alias="inbox_limit", default=10_000)
    _repeats_seconds: float = attrs.field(
        kw_only=True, alias="repeats_seconds", default=KEPT
    )
    _max_batch: int = attrs.field(kw_only=True, alias="max_batch", default=512)
    _outside: Outside = attrs.field(kw_only=True, alias="outside", factory=Outside)
    _connect: Connect = attrs.field(
        kw_only=True, alias="connect", default=connect_sqlite
    )
    _patience: float = attrs.field(kw_only=True, alias="patience", default=10.0)
    _epoch: int = attrs.field(init=False, default=0)
    _writer: Driver[Job] | None = attrs.field(init=False, default=None)
    _reader: Driver[Read] | None = attrs.field(init=False, default=None)
    _writes: Writes[Job] | None = attrs.field(init=False, default=None)
    _book: LedgerBook | None = attrs.field(init=False, default=None)

    async def init(self) -> None:
        """Claim the tenant, open the file, say under which epoch."""
        self._epoch = await self._claim(self._tenant)
        self._writer = self._driver(
            "writer", self._open_writes, _answer, self._max_batch
        )
        self._reader = self._driver(
            "reader", self._open_reads, self._answer_read, _READS_AT_ONCE
        )
        try:
            await self._writer.open()
            await self._reader.open()
        except BaseException:
            self._reader.close()
            self._writer.close()
            raise
        name = names.of_tenant(self._tenant, "ledger")
        supervision.update_value(name, Owner(self._epoch))

    def _driver(
        self,
        role: str,
        access: Callable[[], Access[K]],
        answer: Callable[[Any, object], None],
        most: int,
    ) -> Driver[K]:
        me = supervision.self_pid()
        return Driver(
            self._path,
            role,
            access=access,
            answer=answer,
            broken=partial(supervision.send, me),
            wanted=lambda: supervision.is_alive(me),
            threads=self._outside.threads,
            most=most,
            patience=self._patience,
        )

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """Queue; the reply comes when it is committed or read."""
        kind = type(request)
        if kind is Commit or kind is Accept or kind is Erase:
            assert self._writer is not None
            self._writer.submit(cast("Job", request), sender)
        else:
            assert self._reader is not None
            self._reader.submit(cast("Read", request), sender)
        return supervision.NO_REPLY

    async def handle_info(self, message: object) -> supervision.Stop | None:
        """The database failed, or the supervisor wants us to end."""
        if isinstance(message, Broken):
            raise message
        if isinstance(message, supervision.Exit):
            return supervision.Stop(message.reason)
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Write what is queued and close the file."""
        if self._reader is None or self._writer is None:
            return
        self._reader.close()
        try:
            await self._reader.wait_closed(_READER_CLOSING)
        finally:
            # Last, because the last one to close works the log into the file.
            self._writer.close()
        await self._writer.wait_closed(_WRITER_CLOSING)

    def describe(self) -> Mapping[str, object]:
        """What there is to see of it."""
        return {
            "path": str(self._path),
            "owner_epoch": self._epoch,
            "commits": self._book.commits if self._book else 0,
            "transactions": self._writes.transactions if self._writes else 0,
            "waiting": self._writer.waiting if self._writer else 0,
            "reads_waiting": self._reader.waiting if self._reader else 0,
        }

    # --- in the threads

    def _open_writes(self) -> Writes[Job]:
        private_folder(self._path.parent)
        connection = open_database(self._path, LEDGER, self._connect)
        try:
            _own(connection, self._tenant, self._epoch)
        except BaseException:
            connection.close()
            raise
        self._book = LedgerBook(
            connection,
            self._tenant,
            self._epoch,
            self._inbox_limit,
            self._outside.wall,
            self._outside.new_id,
            repeats_seconds=self._repeats_seconds,
        )
        self._writes = Writes(connection, self._book)
        return self._writes

    def _open_reads(self) -> Reads[Read]:
        return Reads(open_reader(self._path, self._connect), read)

    # --- on the event loop, when the threads have answered

    def _answer_read(self, sender: Any, outcome: object) -> None:
        if isinstance(outcome, LedgerStatus) and self._book and self._writes:
            outcome = attrs.evolve(
                outcome,
                path=str(self._path),
                commits=self._book.commits,
                transactions=self._writes.transactions,
            )
        if isinstance(outcome, StatementFailed):
            outcome = LedgerError(f"the ledger cannot be read: {outcome}")
        _answer(sender, outcome)


def _answer(sender: Any, outcome: object) -> None:
    if not isinstance(outcome, Exception):
        reach("ledger.reply.before")
        supervision.reply(sender, outcome)
        reach("ledger.reply.after")
    elif isinstance(outcome, LedgerError):
        supervision.reply_error(sender, outcome)
    elif isinstance(outcome, StatementFailed):
        supervision.reply_error(sender, LedgerError(f"nothing was written: {outcome}"))
    else:
        supervision.reply_error(
            sender,
            StorageFailed(
                f"the ledger's file failed, read again what was written: {outcome}"
            ),
        )


def _own(connection: Connection, tenant: str, epoch: int) -> None:
    """Write our epoch, before anything else; an older one than the file's is refused."""
    connection.execute("BEGIN IMMEDIATE")
    row = connection.execute("SELECT tenant, owner_epoch FROM meta").fetchone()
    try:
        if row is None:
            connection.execute("INSERT INTO meta VALUES (?, ?)", (tenant, epoch))
        else:
            _check_owner(row, tenant, epoch)
            connection.execute("UPDATE meta SET owner_epoch = ?", (epoch,))
        reach("storage.own.before")
        connection.execute("COMMIT")
        reach("storage.own.after")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_owner(row: tuple[str, int], tenant: str, epoch: int) -> None:
    if row[0] != tenant:
        raise StaleClaim(f"this is the ledger of tenant {row[0]}, not of {tenant}")
    if row[1] >= epoch:
        raise StaleClaim(
            f"the ledger of tenant {tenant} was written at owner epoch {row[1]}, and "
            f"this node has only {epoch}; was node.db put back from an older copy?"
        )
