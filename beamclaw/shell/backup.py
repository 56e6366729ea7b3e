"""Copies of the node's databases, for ``beamclaw backup``: nobody else opens them."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from beamclaw.contracts.store import DataFolderError
from beamclaw.shell.request import Failed, Method, Node, Params, Send, text
from beamclaw.storage import connect_sqlite, copy_database

_DATABASES: Final = re.compile(r"node\.db|tenants/[A-Za-z0-9_-]+/ledger\.db")


async def copy(node: Node, params: Params, send: Send) -> object:
    """Copy the database ``name`` into the file ``to``, which does not exist.

    It is as it was at one moment; nothing waits for it. Whoever asks has made the
    folder that it comes into, and removes what there is of a copy that failed.
    """
    del send
    if node.inner:
        raise Failed("forbidden", "a command of an agent makes no backup")
    name, to = text(params, "name"), Path(text(params, "to"))
    path = node.config.data / name
    if not _DATABASES.fullmatch(name) or not path.exists():
        raise Failed("params", f"there is no database {name[:80]!r}")
    if not to.is_absolute():
        raise Failed("params", "to has to be the whole path of a file")
    connect = node.outside.database or connect_sqlite
    # A worker of its own: this takes seconds, and others have less to wait for.
    worker = node.outside.worker()
    try:
        await worker.run(partial(copy_database, path, to, connect))
    except DataFolderError as error:
        raise Failed("failed", str(error)) from None
    return True


BACKUP: Final[Mapping[str, Method]] = {"backup.copy": copy}
