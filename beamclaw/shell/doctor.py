"""What ``beamclaw doctor`` asks of a running node: how its databases are."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Final

from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.surveys import QUESTIONS
from beamclaw.shell.request import Failed, Method, Node, Params, Send, text
from beamclaw.shell.show import show_value
from beamclaw.storage import connect_sqlite, survey


async def databases(node: Node, params: Params, send: Send) -> object:
    """Read all of the database ``name``, beside whoever writes it; what was found."""
    del send
    if node.inner:
        raise Failed("forbidden", "a command of an agent looks through no database")
    name = text(params, "name")
    path = node.config.data / name
    if os.path.basename(name) not in ("node.db", "ledger.db") or ".." in name:  # noqa: PTH119 -- a name
        raise Failed("params", f"there is no database {name[:80]!r}")
    connect = node.outside.database or connect_sqlite
    questions = QUESTIONS if path.name == "ledger.db" else {}
    worker = node.outside.worker()
    try:
        found = await worker.run(partial(survey, path, questions, connect))
    except DataFolderError as error:
        raise Failed("failed", str(error)) from None
    return show_value(found)


DOCTOR: Final[Mapping[str, Method]] = {"doctor.database": databases}
