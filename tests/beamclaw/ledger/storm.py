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


async def turns(number: int) -> None:
    """Turn after turn in one session; each line is one acknowledged thing."""
    key, client, turn = f"k{number}", Client(), 0
    before = await client.read(key)
    client.seq[key] = before.seq
    if before.open_run is not None:  # what the kill before cut
        await client.commit(ops=(end(before.open_run.run_id),), key=key)
    while True:
        turn += 1
        run = f"{key}/{client.epoch}/{turn}"
        await client.accept(run, key)
        say("waiting", key, run)
        (row, *_) = (await client.read(key)).inbox
        body = f'"{run} asked"'.encode()
        await client.take(row, event("inbound", body=body), key=key)
        say("event", key, client.seq[key], body.decode())
        body = f'"{run} answered"'.encode()
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
            nursery.start_soon(turns, number)


if __name__ == "__main__":
    trio.run(main)
