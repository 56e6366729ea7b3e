"""Writes as fast as it can, and says what was acknowledged: a line for each commit.

``python -m tests.beamclaw.ledger.storm FOLDER`` runs until it is killed.
"""

import os
import sys
from functools import partial
from pathlib import Path

import trio

import supervision
from beamclaw.contracts.store import ClaimTenant
from beamclaw.ledger import LedgerServer
from beamclaw.store import StoreServer
from tests.support.ledgers import NAME, Client, end, event

SESSIONS = 24


async def claim(tenant: str) -> int:
    return await supervision.call("store", ClaimTenant(tenant))


async def turns(key: str, again: str = "", *, longest: int = 0) -> None:
    """Turn after turn in one session; each line is one acknowledged thing.

    *again* tells them from those of an earlier try; answers are longer and longer, up to
    *longest* times two words, and short again.
    """
    client, turn = Client(), 0
    before = await client.read(key)
    client.seq[key] = before.seq
    if before.open_run is not None:  # what a kill or a failure has cut
        await client.commit(ops=(end(before.open_run.run_id),), key=key)
    while True:
        turn += 1
        run = f"{key}/{client.epoch}{again}/{turn}"
        await client.accept(run, key)
        say("waiting", key, run)
        (row, *_) = (await client.read(key)).inbox
        body = f'"{run} asked"'.encode()
        await client.take(row, event("inbound", body=body), key=key)
        say("event", key, client.seq[key], body.decode())
        more = "at length " * (turn % 7 * longest // 6)
        body = f'"{run} answered {more}"'.encode()
        await client.commit(
            event("answer", row.run_id, body=body),
            key=key,
            run=row.run_id,
            ops=(end(row.run_id, text=f"{turn}"),),
        )
        say("event", key, client.seq[key], body.decode())
        say("ended", key, row.run_id)


def say(*words: object) -> None:
    os.write(1, ("\t".join(map(str, words)) + "\n").encode())


async def main() -> None:
    data = Path(sys.argv[1])
    path = data / "tenants" / "default" / "ledger.db"
    ledger = partial(LedgerServer, "default", path, claim=claim)
    children = [
        supervision.ChildSpec("store", partial(StoreServer, data), name="store"),
        supervision.ChildSpec("ledger", ledger, name=NAME),
    ]
    async with supervision.open_supervisor(children), trio.open_nursery() as nursery:
        for number in range(SESSIONS):
            nursery.start_soon(turns, f"k{number}")


if __name__ == "__main__":
    trio.run(main)
