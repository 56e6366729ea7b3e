"""The process in front of a tenant's ledger: it queues, the threads work, it replies.

A call is never waited for here. It goes to the writer or the reader, and the reply is
sent when their answers come back to the event loop, so hundreds of commits share one
sync of the disk, and a slow read holds up nobody's commit.

On a full disk a message from outside is refused, and a commit of the node's own waits
until there is room: who has it in hand has worked for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

import attrs
import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.commands import end_commands_of
from beamclaw.contracts.ledger import Commit, LedgerStatus
from beamclaw.contracts.ledger_errors import LedgerError, StorageFailed, StorageFull
from beamclaw.contracts.ledger_inbox import Accept, InboxRow, Receipt
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.sessions import Ring
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.troubles import Troubles
from beamclaw.ledger.book import Job, LedgerBook
from beamclaw.ledger.grants import MOST
from beamclaw.ledger.inbox import SHARE
from beamclaw.ledger.owner import Owner, own
from beamclaw.ledger.reads import Read, read
from beamclaw.ledger.retention import KEPT, OUTPUTS_KEPT
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import (
    CACHED,
    Access,
    Broken,
    Connect,
    Connection,
    Damaged,
    Driver,
    Reads,
    Rounds,
    StatementFailed,
    StillOpen,
    Writes,
    connect_sqlite,
    in_words,
    is_pending,
    open_database,
    open_guard,
    open_reader,
    private_folder,
    probe,
    suspect,
)
from beamclaw.values import frozen

K = TypeVar("K")
OPENED: Final = "beamclaw.ledger.opened"

# A reader takes few at a time: each answer goes back as soon as it is there.
_READS_AT_ONCE = 16
# For the threads to finish and close, when the process ends in order.
_READER_CLOSING = 1.0
_WRITER_CLOSING = 3.0
# Seconds between two looks whether the disk works again, and what must have room then.
LOOK_AGAIN = 1.0
_ROOM = 1024 * 1024


@frozen
class _Waits:
    """There was no room for this commit."""

    sender: supervision.From


@frozen
class _LookAgain:
    """It is time to see whether the disk works again."""


@frozen
class _Probe:
    """Try to write beside the ledger; for the reader's thread, which has the time."""


@frozen
class _Probed:
    """What came of it: why it failed, or None."""

    failure: str | None


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
        inbox_share: Of those, how many may wait for one of them.
        repeats_seconds: How long a message is recognised when it comes again.
        outputs_seconds: How long is kept what tools said and the model did not get.
        max_grants: How much may be allowed for good; so much of what was revoked is kept.
        max_batch: Commits in one transaction at most.
        cache_bytes: How much of the file the writer holds in memory; who reads, half.
        outside: Clock, ids, and whether there are threads.
        connect: How the database is connected to; None: as the outside has it.
        patience: How long to wait for the threads of a generation that died, in seconds.
        troubles: Where it says what is wrong with its file.
    """

    trap_exit = True

    _tenant: str
    _path: Path
    _claim: Callable[[str], Awaitable[int]] = attrs.field(kw_only=True, alias="claim")
    _inbox_limit: int = attrs.field(kw_only=True, alias="inbox_limit", default=10_000)
    _inbox_share: int = attrs.field(kw_only=True, alias="inbox_share", default=SHARE)
    _repeats_seconds: float = attrs.field(
        kw_only=True, alias="repeats_seconds", default=KEPT
    )
    _outputs_seconds: float = attrs.field(
        kw_only=True, alias="outputs_seconds", default=OUTPUTS_KEPT
    )
    _max_grants: int = attrs.field(kw_only=True, alias="max_grants", default=MOST)
    _max_batch: int = attrs.field(kw_only=True, alias="max_batch", default=512)
    _cache_bytes: int = attrs.field(kw_only=True, alias="cache_bytes", default=CACHED)
    _outside: Outside = attrs.field(kw_only=True, alias="outside", factory=Outside)
    _connect: Connect | None = attrs.field(kw_only=True, alias="connect", default=None)
    _patience: float = attrs.field(kw_only=True, alias="patience", default=10.0)
    _troubles: Troubles = attrs.field(kw_only=True, alias="troubles", factory=Troubles)
    _me: supervision.Pid = attrs.field(init=False)
    _epoch: int = attrs.field(init=False, default=0)
    _writer: Driver[Job] | None = attrs.field(init=False, default=None)
    _reader: Driver[Read | _Probe] | None = attrs.field(init=False, default=None)
    # Commits for which there is no room, in the order in which they came.
    _held: list[_Waits] = attrs.field(init=False, factory=list[_Waits])
    # Of those, which are being tried again.
    _trying: set[supervision.From] = attrs.field(
        init=False, factory=set[supervision.From]
    )
    _looking: bool = attrs.field(init=False, default=False)
    _writes: Writes[Job] | None = attrs.field(init=False, default=None)
    _book: LedgerBook | None = attrs.field(init=False, default=None)
    # Its log was there: whoever wrote it did not end in order.
    _mended: bool = attrs.field(init=False, default=False)

    async def init(self) -> None:
        """Claim the tenant, open the file, say under which epoch."""
        self._me = supervision.self_pid()
        begun = trio.current_time()
        try:
            self._epoch = await self._claim(self._tenant)
            await self._open()
        except (DataFolderError, LedgerError, StillOpen) as error:
            self._report(str(error), error)
            raise
        self._troubles.clear(self._name)
        supervision.update_value(self._name, Owner(self._epoch))
        supervision.emit(
            OPENED,
            {"seconds": trio.current_time() - begun},
            {
                "tenant": self._tenant,
                "name": self._path.name,
                "schema": LEDGER.version,
                "mended": self._mended,
            },
        )

    async def _open(self) -> None:
        self._writer = self._driver(
            "writer", self._open_writes, self._answer_write, self._max_batch
        )
        self._reader = self._driver(
            "reader",
            self._open_reads,
            self._answer_read,
            _READS_AT_ONCE,
            beside=self._writer,
        )
        try:
            await self._writer.open()
            await self._reader.open()
        except BaseException:
            self._reader.close()
            self._writer.close()
            raise

    @property
    def _name(self) -> str:
        return names.of_tenant(self._tenant, "ledger")

    def _report(self, words: str, error: Exception | None = None) -> None:
        # Anybody may ask whether the node is ready, and need not know its folders.
        words = words.replace(str(self._path), self._path.name)
        self._troubles.report(self._name, words, error)

    def _driver(
        self,
        role: str,
        access: Callable[[], Access[K]],
        answer: Callable[[Any, object], None],
        most: int,
        beside: Driver[Any] | None = None,
    ) -> Driver[K]:
        me = self._me
        return Driver(
            self._path,
            role,
            access=access,
            answer=answer,
            broken=partial(supervision.send, me),
            wanted=lambda: supervision.is_alive(me),
            threads=self._outside.threads,
            later=self._outside.later,
            most=most,
            patience=self._patience,
            beside=beside,
        )

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """Queue; the reply comes when it is committed or read."""
        kind = type(request)
        if kind in _WRITES:
            assert self._writer is not None
            self._writer.submit(cast("Job", request), sender)
        else:
            assert self._reader is not None
            self._reader.submit(cast("Read", request), sender)
        return supervision.NO_REPLY

    async def handle_info(self, message: object) -> supervision.Stop | None:
        """The database failed, or the supervisor wants us to end."""
        match message:
            case Broken():
                if isinstance(message, Damaged):
                    suspect(self._path)
                self._report(message.cause)
                raise message
            case supervision.Exit():
                return supervision.Stop(message.reason)
            case _Waits():
                self._held.append(message)
                self._look_later()
            case _LookAgain():
                self._look()
            case _Probed(failure):
                self._probed(failure)
            case _:
                pass
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Write what is queued and close the file."""
        for held in self._held:
            words = "nothing was written: the disk was full to the end"
            supervision.reply_error(held.sender, StorageFull(words))
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
            "held": len(self._held),
            "trouble": self._troubles.of(self._name),
        }

    # --- while the disk fails

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            supervision.send_after(LOOK_AGAIN, supervision.self_pid(), _LookAgain())

    def _look(self) -> None:
        """Try again what waits; if nothing does, whether anything can be written."""
        assert self._writer is not None
        assert self._reader is not None
        self._looking = False
        held, self._held = self._held, []
        for one in held:
            # Whoever died meanwhile has a successor, which has read what is there.
            if one.sender.pid is None or supervision.is_alive(one.sender.pid):
                self._trying.add(one.sender)
                self._writer.submit(one.sender.request, one.sender)
        if self._trying:  # what came of them is seen the next time
            self._look_later()
        else:
            self._reader.submit(_Probe(), None)

    def _probed(self, failure: str | None) -> None:
        if failure is None and not self._held:
            self._troubles.clear(self._name)
        else:
            self._look_later()

    # --- in the threads

    @property
    def _opens(self) -> Connect:
        return self._connect or self._outside.database or connect_sqlite

    def _open_writes(self) -> Writes[Job]:
        private_folder(self._path.parent)
        self._mended = is_pending(self._path)
        with ExitStack() as undo:
            connection = open_database(
                self._path, LEDGER, self._opens, cache_bytes=self._cache_bytes
            )
            undo.callback(connection.close)
            guard = open_guard(self._path, self._opens)
            undo.pop_all()
            undo.callback(guard.close)  # last, as in Writes
            undo.callback(connection.close)
            with in_words(self._path, LEDGER.what):
                own(connection, self._tenant, self._epoch)
            undo.pop_all()
        self._book = LedgerBook(
            connection,
            self._tenant,
            self._epoch,
            self._inbox_limit,
            self._outside.wall,
            self._outside.new_id,
            inbox_share=self._inbox_share,
            repeats_seconds=self._repeats_seconds,
            outputs_seconds=self._outputs_seconds,
            max_grants=self._max_grants,
        )
        self._writes = Writes(
            connection,
            self._book,
            rounds=Rounds(self._path.with_name(f"{self._path.name}-wal")),
            guard=guard,
        )
        return self._writes

    def _open_reads(self) -> Reads[Read | _Probe]:
        connection = open_reader(
            self._path, self._opens, cache_bytes=self._cache_bytes // 2
        )
        return Reads(connection, self._read)

    def _read(self, connection: Connection, job: Read | _Probe) -> object:
        if isinstance(job, _Probe):
            return _Probed(probe(self._path.parent, _ROOM))
        return read(connection, job)

    # --- on the event loop, when the threads have answered

    def _answer_write(self, sender: supervision.From, outcome: object) -> None:
        if self._trying:
            self._trying.discard(sender)
        if isinstance(outcome, StatementFailed) and outcome.disk:
            if self._troubles.of(self._name) is None:
                self._report(str(outcome))
                supervision.send(self._me, _Probed(str(outcome)))
            if outcome.full and isinstance(sender.request, Commit):
                supervision.send(self._me, _Waits(sender))
                return
        # Here, not where the message was handed in: whoever did that may be gone by
        # now, and what is in the inbox would wait for somebody to look into it.
        if type(outcome) is Receipt and not outcome.duplicate:
            self._ring(sender.request, outcome)
        # Nor need who deleted a session be there when that is done. Should we not be,
        # who tells of commands looks for those of deleted sessions when it starts anew.
        elif not isinstance(outcome, Exception):
            self._end_commands(sender.request)
        _answer(sender, outcome)

    def _ring(self, job: Accept, receipt: Receipt) -> None:
        """Before the reply, so that nothing its reader does overtakes it."""
        row = InboxRow(
            id=receipt.inbox_id,
            session_key=receipt.session_key,
            run_id=receipt.run_id,
            at=job.at,
            body=job.body,
        )
        door = names.of_tenant(self._tenant, "sessions")
        with point("ledger.ring"):
            supervision.cast(door, Ring(row, receipt.fresh))

    def _end_commands(self, job: object) -> None:
        """Of a session that is deleted by it."""
        if type(job) is Commit and any(type(op) is DropSession for op in job.ops):
            end_commands_of(self._tenant, job.session_key)

    def _answer_read(self, sender: supervision.From | None, outcome: object) -> None:
        if sender is None:  # nobody asked but ourselves
            supervision.send(self._me, outcome)
            return
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


_WRITES: Final = frozenset(get_args(Job))


def _answer(sender: Any, outcome: object) -> None:
    if not isinstance(outcome, Exception):
        with point("ledger.reply"):
            supervision.reply(sender, outcome)
    elif isinstance(outcome, LedgerError):
        supervision.reply_error(sender, outcome)
    elif isinstance(outcome, StatementFailed):
        refusal = StorageFull if outcome.full else LedgerError
        supervision.reply_error(sender, refusal(f"nothing was written: {outcome}"))
    else:
        supervision.reply_error(
            sender,
            StorageFailed(
                f"the ledger's file failed, read again what was written: {outcome}"
            ),
        )
