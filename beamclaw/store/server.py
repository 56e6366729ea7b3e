"""The process that holds the data folder, and says who owns which tenant since when."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import attrs

import supervision
from beamclaw.contracts import databases
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.troubles import Troubles
from beamclaw.storage import (
    Broken,
    Connect,
    Damaged,
    Driver,
    FolderLock,
    Rounds,
    StillInUse,
    StillOpen,
    Writes,
    connect_sqlite,
    lock_folder,
    open_database,
    open_guard,
    private_folder,
    suspect,
)
from beamclaw.store.book import Job, NodeBook
from beamclaw.store.schema import NODE

NAME: Final = "store"
_CLOSING = 4.0


@attrs.define(eq=False)
class _Held:
    """The open file and the lock of its folder.

    The folder is let go when the store ends in order. A store that died comes again,
    and no other node may have the folder meanwhile: this one still uses it.
    """

    _lock: FolderLock
    _writes: Writes[Job]
    _is_over: Callable[[], bool]

    def serve(self, jobs: Any) -> list[object]:
        """See :class:`beamclaw.storage.Access`."""
        return self._writes.serve(jobs)

    def close(self) -> None:
        """Close the file, then let the folder go, or keep it for the next one."""
        try:
            self._writes.close()
        finally:
            if self._is_over():
                self._lock.release()
            else:
                self._lock.keep()


@attrs.define(eq=False)
class StoreServer(supervision.Server):
    """Holds node.db and, as long as it lives, the lock of the data folder.

    Its start is refused with a :class:`~beamclaw.contracts.store.DataFolderError` when
    the folder cannot be used, or is used by another node. A disk that fails crashes it.

    Args:
        data: The data folder; made if needed.
        outside: Ids, and whether there are threads.
        connect: How the database is connected to; None: as the outside has it.
        troubles: Where it says what is wrong with its file.
    """

    trap_exit = True

    _data: Path
    _outside: Outside = attrs.field(factory=Outside)
    _connect: Connect | None = attrs.field(kw_only=True, alias="connect", default=None)
    _troubles: Troubles = attrs.field(kw_only=True, alias="troubles", factory=Troubles)
    _driver: Driver[Job] | None = attrs.field(init=False, default=None)
    _over: bool = attrs.field(init=False, default=False)

    async def init(self) -> None:
        """Take the folder and open the file."""
        me = supervision.self_pid()
        self._driver = Driver(
            self._data / databases.NODE,
            "writer",
            access=self._open,
            answer=_answer,
            broken=partial(supervision.send, me),
            wanted=lambda: supervision.is_alive(me),
            threads=self._outside.threads,
            later=self._outside.later,
        )
        try:
            with _in_words(self._data):
                await self._driver.open()
        except DataFolderError as error:
            self._report(str(error), error)
            raise
        self._troubles.clear(NAME)

    def _report(self, words: str, error: Exception | None = None) -> None:
        # Anybody may ask whether the node is ready, and need not know its folders.
        self._troubles.report(NAME, words.replace(f"{self._data}/", ""), error)

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """Queue; the reply comes when it is written."""
        assert self._driver is not None
        self._driver.submit(cast("Job", request), sender)
        return supervision.NO_REPLY

    async def handle_info(self, message: object) -> supervision.Stop | None:
        """The file failed, or the supervisor wants us to end."""
        if isinstance(message, Broken):
            if isinstance(message, Damaged):
                suspect(self._data / databases.NODE)
            self._report(message.cause)
            raise message
        if isinstance(message, supervision.Exit):
            return supervision.Stop(message.reason)
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Close the file and, at an orderly end, let the folder go."""
        self._over = isinstance(reason, supervision.Normal | supervision.Shutdown)
        if self._driver is not None:
            self._driver.close()
            await self._driver.wait_closed(_CLOSING)

    def describe(self) -> Mapping[str, object]:
        """What there is to see of it."""
        return {"data": str(self._data)}

    def _open(self) -> _Held:
        private_folder(self._data)
        lock, is_new = lock_folder(self._data)
        path = self._data / databases.NODE
        connect = self._connect or self._outside.database or connect_sqlite
        with ExitStack() as undo:
            undo.callback(lock.release if is_new else lock.keep)
            connection = open_database(path, NODE, connect)
            undo.callback(connection.close)
            guard = open_guard(path, connect)
            undo.pop_all()
        book = NodeBook(connection, str(path), self._outside.new_id)
        writes = Writes(
            connection, book, rounds=Rounds(self._data / "node.db-wal"), guard=guard
        )
        return _Held(lock, writes, lambda: self._over)


@contextmanager
def _in_words(data: Path) -> Generator[None]:
    try:
        yield
    except StillInUse as error:
        raise DataFolderError(
            f"data folder {data} is in use by the node with pid {os.getpid()}; stop it "
            "or choose another folder with --data"
        ) from error
    except StillOpen as error:  # by a thread of ours that the disk does not let go
        raise DataFolderError(f"data folder {data} cannot be used: {error}") from error


def _answer(sender: Any, outcome: object) -> None:
    if not isinstance(outcome, Exception):
        with point("store.reply"):
            supervision.reply(sender, outcome)
        return
    error = DataFolderError(f"the node's own file cannot be written: {outcome}")
    error.__cause__ = outcome
    supervision.reply_error(sender, error)
