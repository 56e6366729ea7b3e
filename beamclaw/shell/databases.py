"""What the node does with its databases for a command: nobody else opens them."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import supervision
from beamclaw.contracts.databases import is_database
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.surveys import questions_of
from beamclaw.shell.request import Failed, Method, Node, Params, Send, text
from beamclaw.shell.show import show_value
from beamclaw.storage import Connect, connect_sqlite, copy_database, survey


async def copy(node: Node, params: Params, send: Send) -> object:
    """Copy the database ``name`` into the file ``to``, which does not exist.

    It is as it was at one moment; nothing waits for it. Whoever asks has made the
    folder that it comes into, and removes what there is of a copy that failed.
    """
    del send
    path, to = _database(node, params), Path(text(params, "to"))
    if not to.is_absolute():
        raise Failed("params", "to has to be the whole path of a file")
    await _beside(node, partial(copy_database, path, to))
    person = node.person
    supervision.emit(
        "beamclaw.backup.copied",
        {},
        {
            "name": text(params, "name"),
            "to": str(to),
            "by": person.by,
            "uid": person.uid,
            "pid": person.pid,
        },
    )
    return True


async def look_through(node: Node, params: Params, send: Send) -> object:
    """Read all of the database ``name``, beside whoever writes it; what was found."""
    del send
    path = _database(node, params)
    return show_value(
        await _beside(node, partial(survey, path, questions_of(path.name)))
    )


def _database(node: Node, params: Params) -> Path:
    if node.inner:
        raise Failed("forbidden", "a command of an agent has no use for databases")
    name = text(params, "name")
    path = node.config.data / name
    if not is_database(name) or not path.exists():
        raise Failed("params", f"there is no database {name[:80]!r}")
    return path


async def _beside(node: Node, work: Callable[[Connect], Any]) -> Any:
    """Do it in a worker of its own: it takes seconds, and others have less to wait for."""
    connect = node.outside.database or connect_sqlite
    worker = node.outside.worker()
    try:
        return await worker.run(partial(work, connect))
    except DataFolderError as error:
        raise Failed("failed", str(error)) from None


DATABASES: Final[Mapping[str, Method]] = {
    "backup.copy": copy,
    "doctor.database": look_through,
}
