"""Writes on a disk that may fail, and says what was acknowledged, until it is killed.

``python -m tests.faults.disk.storm FOLDER``: like the storm of the ledger's own tests,
but who is told that the disk failed reads again and goes on.
"""

import itertools
import os
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

import trio

import supervision
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.store import DataFolderError
from beamclaw.ledger import LedgerServer
from beamclaw.storage import _folder, _log, connect_sqlite
from beamclaw.store import StoreServer
from tests.beamclaw.ledger.storm import claim, turns
from tests.support.ledgers import NAME

SESSIONS = 8
PAUSE = 0.01
# Answers are long and short, so that a transaction is more than one page.
LONGEST = 540
# So that the log is worked into the file, and begun anew, in every second of a storm.
_log.ROUND = 32
COOL_DOWN = supervision.CoolDown(first=0.01, factor=1.0, most=0.01, jitter=0.0)


async def talk(number: int) -> None:
    key = f"k{number}"
    for tries in itertools.count():
        try:
            await turns(key, f"/{tries}", longest=LONGEST)
        except (LedgerError, DataFolderError, supervision.CallFailed, LookupError):
            await trio.sleep(PAUSE)
        except AssertionError:  # no ledger at the moment
            await trio.sleep(PAUSE)


class Careless(sqlite3.Connection):
    """A connection that does not wait for the disk."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        sql = sql.replace("synchronous=full", "synchronous=normal")
        return super().execute(sql, parameters)


def careless(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, factory=Careless
    )


async def main() -> None:
    # What a power cut has to find; nothing, but when the harness itself is tested.
    fault = os.environ.get("STORM_FAULT")
    connect = careless if fault == "no sync at a commit" else connect_sqlite
    if fault == "no sync of a new folder":
        _folder.sync = lambda path: None
    data = Path(sys.argv[1])
    path = data / "tenants" / "default" / "ledger.db"
    ledger = partial(LedgerServer, "default", path, claim=claim, connect=connect)
    children = [
        supervision.ChildSpec(
            "store", partial(StoreServer, data), name="store", cool_down=COOL_DOWN
        ),
        supervision.ChildSpec("ledger", ledger, name=NAME, cool_down=COOL_DOWN),
    ]
    async with supervision.open_supervisor(children), trio.open_nursery() as nursery:
        for number in range(SESSIONS):
            nursery.start_soon(talk, number)


if __name__ == "__main__":
    trio.run(main)
