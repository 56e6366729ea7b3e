"""Durable commits through the ledger's process, against SQLite alone on the same disk.

A commit is what a turn makes: two events of about 300 bytes and one operation (a run
begins, a model call is reserved, a run ends), from one of 64 sessions that wait for each
of theirs. Bare SQLite writes the same number of rows, in a transaction for each commit
and in one for 64, from a single loop without anything around it.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

import supervision
from beamclaw.contracts.ledger import Claim, Commit, NewEvent
from beamclaw.contracts.ledger_ops import EndRun, Op, OpenRun, Reserve
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.messages import Usage
from beamclaw.ledger import LedgerServer
from tests.benchmarks.report import Row, emit
from tests.support.books import open_book
from tests.support.ledgers import NAME, message

SESSIONS, SECONDS, ROUNDS = 64, 2.0, 3
ON_DISK = (0, 10_000, 100_000)
BODY = b'{"role":"assistant","parts":[{"_":"Text","text":"%s"}]}' % (b"word " * 50)
USAGE = Usage(1200, 300)
OWNER = 2  # a ledger was filled under 1


def turn(run: str, seq: int, owner: int) -> Iterator[Commit]:
    """The commits of a turn, in order."""
    steps: list[tuple[str, str, Op]] = [
        ("inbound", "run-started", OpenRun(run, 2.0)),
        ("ask", "note", reserve(run)),
        ("answer", "run-ended", ended(run)),
    ]
    key = run.partition("/")[0]
    for number, (first, second, op) in enumerate(steps):
        claim = Claim("default", owner, run, 1) if number else Claim("default", owner)
        yield Commit(
            claim=claim,
            session_key=key,
            expected_seq=seq + 2 * number,
            events=(event(first, run), event(second, run)),
            ops=(op,),
        )


def event(kind: str, run: str) -> NewEvent:
    return NewEvent(kind=kind, version=1, at=2.0, body=BODY, run_id=run)


def reserve(run: str) -> Reserve:
    return Reserve(
        run_id=run,
        attempt=1,
        agent="main",
        provider="openai",
        model="gpt",
        at=3.0,
        bound=USAGE,
    )


def ended(run: str) -> EndRun:
    return EndRun(
        run_id=run, at=4.0, outcome="ok", stop_reason="stop", text="ok", usage=USAGE
    )


# --- ours


@asynccontextmanager
async def opened(path: Path, owner: int) -> AsyncIterator[None]:
    async def claim(tenant: str) -> int:
        return owner

    start = partial(LedgerServer, "default", path, claim=claim)
    spec = supervision.ChildSpec("ledger", start, name=NAME)
    async with supervision.open_supervisor([spec]):
        yield


async def commits(keys: list[str], latencies: list[float], owner: int) -> float:
    """Commits per second, a client for each key; *latencies* gets those of each."""
    count, until = 0, time.perf_counter() + SECONDS

    async def session(key: str) -> None:
        nonlocal count
        seq = (await supervision.call(NAME, ReadSession(key))).seq
        while time.perf_counter() < until:
            for commit in turn(f"{key}/{seq}", seq, owner):
                began = time.perf_counter()
                seq = await supervision.call(NAME, commit)
                latencies.append(time.perf_counter() - began)
                count += 1

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(session, key)
    return count / (time.perf_counter() - began)


def fill(path: Path, sessions: int) -> None:
    """A ledger with so many sessions that each had a turn, and 64 new ones."""
    with open_book(path, inbox_limit=sessions + SESSIONS) as book:
        for first in range(0, sessions, 512):
            names = [f"s{n}" for n in range(first, min(first + 512, sessions))]
            book.serve(*[message(f"m/{name}", name) for name in names])
            turns = [turn(f"{name}/0", 0, 1) for name in names]
            for step in zip(*turns, strict=True):
                book.serve(*step)
        book.serve(*[message(f"m/new{n}", f"new{n}") for n in range(SESSIONS)])


async def measure(
    path: Path, keys: list[str], owner: int = OWNER
) -> tuple[float, list[float]]:
    latencies: list[float] = []
    # Or the system would write what was filled, and hundreds of megabytes of SQLite
    # alone, while ours is measured.
    os.sync()
    async with opened(path, owner):
        rate = await commits(keys, latencies, owner)
    return rate, sorted(latencies)


# --- SQLite alone


def bare(path: Path, at_once: int) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    for sql in (
        "PRAGMA journal_mode=wal",
        "PRAGMA synchronous=full",
        "CREATE TABLE events (id INTEGER PRIMARY KEY, session, seq, kind, at, body)",
        "CREATE TABLE ops (id INTEGER PRIMARY KEY, session, kind, at)",
    ):
        connection.execute(sql)
    os.sync()
    count, until = 0, time.perf_counter() + SECONDS
    began = time.perf_counter()
    while time.perf_counter() < until:
        connection.execute("BEGIN IMMEDIATE")
        for session in range(at_once):
            rows = [(session, count, "ask", 2.0, BODY)] * 2
            connection.executemany(
                "INSERT INTO events (session, seq, kind, at, body) VALUES (?,?,?,?,?)",
                rows,
            )
            connection.execute(
                "INSERT INTO ops (session, kind, at) VALUES (?,?,?)",
                (session, "reserve", 3.0),
            )
            count += 1
        connection.execute("COMMIT")
    rate = count / (time.perf_counter() - began)
    connection.close()
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return rate


def against_sqlite(here: Path, at_once: int) -> Row:
    rounds = []
    for number in range(ROUNDS):
        path = here / f"ledger-{at_once}-{number}.db"
        fill(path, 0)
        alone = bare(here / f"bare-{at_once}-{number}.db", at_once)
        ours = trio.run(measure, path, [f"new{n}" for n in range(at_once)])
        rounds.append((ours, alone))
    (rate, latencies), _ = max(rounds, key=lambda measured: measured[0][0])
    many = at_once > 1
    return Row(
        name=f"durable commits per second, {at_once} at once",
        value=rate,
        unit="/s",
        baseline=max(alone for _, alone in rounds),
        against=f"SQLite alone, {at_once} in a transaction",
        must="≥ 15000" if many else "",
        aim="≥ 40000" if many else "",
        note=f"p99 of a commit: {latencies[len(latencies) * 99 // 100] * 1000:.1f} ms",
    )


def on_disk(here: Path) -> Iterator[Row]:
    """The rate of 64 sessions among many; the files are filled once, measured in turn."""
    best = dict.fromkeys(ON_DISK, 0.0)
    for sessions in ON_DISK:
        fill(here / f"{sessions}.db", sessions)
    for number in range(ROUNDS):
        for sessions in ON_DISK:
            path = here / f"{sessions}.db"
            step = max(1, sessions // SESSIONS)
            old = [f"s{n}" for n in range(number, sessions, step)][:SESSIONS]
            keys = old or [f"new{n}" for n in range(SESSIONS)]
            rate, _ = trio.run(measure, path, keys, OWNER + number)
            best[sessions] = max(best[sessions], rate)
    for sessions in ON_DISK[1:]:
        yield Row(
            name=f"durable commits per second with {sessions:,} sessions on disk",
            value=best[sessions],
            unit="/s",
            baseline=best[0],
            against="none on disk before",
            must="≥ 0.6x",
            aim="≥ 0.9x",
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for at_once in (1, SESSIONS):
            emit(against_sqlite(Path(folder), at_once))
        emit(*on_disk(Path(folder)))


if __name__ == "__main__":
    main()
