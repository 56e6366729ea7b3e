"""The process that holds the data folder, and says who owns which tenant since when."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs

import supervision
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import reach
from beamclaw.contracts.store import ClaimTenant, DataFolderError, GetStoreStatus
from beamclaw.storage import (
    Broken,
    Connect,
    Driver,
    FolderLock,
    StillOpen,
    Writes,
    connect_sqlite,
    open_database,
    private_folder,
)
from beamclaw.store.book import NodeBook
from beamclaw.store.schema import NODE

_Job = ClaimTenant | GetStoreStatus
_CLOSING = 4.0


@attrs.define(eq=False)
class _Held:
    """The open file and the lock of its folder: they begin and end together."""

    _lock: FolderLock
    _writes: Writes[_Job]

    def serve(self, jobs: Any) -> list[object]:
        """See :class:`beamclaw.storage.Access`."""
        return self._writes.serve(jobs)

    def close(self) -> None:
        """Close the file, then let the folder go."""
        try:
            self._writes.close()
        finally:
            self._lock.release()


@attrs.define(eq=False)
class StoreServer(supervision.Server):
    """Holds node.db and, as long as it lives, the lock of the data folder.

    Its start is refused with a :class:`~beamclaw.contracts.store.DataFolderError` when
    the folder cannot be used, or is used by another node. A disk that fails crashes it.

    Args:
        data: The data folder; made if needed.
        outside: Ids, and whether there are threads.
        connect: How the database is connected to; a test breaks it here.
    """

    trap_exit = True

    _data: Path
    _outside: Outside = attrs.field(factory=Outside)
    _connect: Connect = attrs.field(
        kw_only=True, alias="connect", default=connect_sqlite
    )
    _driver: Driver[_Job] | None = attrs.field(init=False, default=None)

    async def init(self) -> None:
        """Take the folder and open the file."""
        me = supervision.self_pid()
        self._driver = Driver(
            self._data / "node.db",
            "writer",
            access=self._open,
            answer=_answer,
            broken=partial(supervision.send, me),
            wanted=lambda: supervision.is_alive(me),
            threads=self._outside.threads,
        )
        try:
            await self._driver.open()
        except StillOpen as error:
            raise DataFolderError(
                f"data folder {self._data} is in use by the node with pid "
                f"{os.getpid()}; stop it or choose another folder with --data"
            ) from error

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """Queue; the reply comes when it is written."""
        assert self._driver is not None
        self._driver.submit(cast("_Job", request), sender)
        return supervision.NO_REPLY

    async def handle_info(self, message: object) -> supervision.Stop | None:
        """The file failed, or the supervisor wants us to end."""
        if isinstance(message, Broken):
            raise message
        if isinstance(message, supervision.Exit):
            return supervision.Stop(message.reason)
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Close the file and let the folder go."""
        if self._driver is not None:
            self._driver.close()
            await self._driver.wait_closed(_CLOSING)

    def describe(self) -> Mapping[str, object]:
        """What there is to see of it."""
        return {"data": str(self._data)}

    def _open(self) -> _Held:
        private_folder(self._data)
        lock = FolderLock(self._data)
        path = self._data / "node.db"
        try:
            connection = open_database(path, NODE, self._connect)
        except BaseException:
            lock.release()
            raise
        book = NodeBook(connection, str(path), self._outside.new_id)
        return _Held(lock, Writes(connection, book))


def _answer(sender: Any, outcome: object) -> None:
    if not isinstance(outcome, Exception):
        reach("store.reply.before")
        supervision.reply(sender, outcome)
        reach("store.reply.after")
        return
    error = DataFolderError(f"the node's own file cannot be written: {outcome}")
    error.__cause__ = outcome
    supervision.reply_error(sender, error)
