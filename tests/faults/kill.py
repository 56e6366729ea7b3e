"""kill -9 under load, again and again on a data folder: what was promised is kept.

    python -m tests.faults.kill --rounds 20 --sessions 30

A round: clients play scenarios by chance (plain talk in lasting conversations, tools of
all classes, leave given and refused, messages into a turn in progress, stops, summaries,
fallbacks, budgets), the node is killed at a random moment (after so many calls of the
model, so that a slow machine is killed as deep in its work as a fast one), its ledger is copied as it
lies there, it is started again, clients send again what they had no acknowledgement for,
and ask again for some of what they had; when all work has ended the auditor compares.
Everything random comes from the seed, which is printed.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

from beamclaw.testing.node import Orders
from tests.audit.book import Book
from tests.audit.known import FINE, Kill, Sent
from tests.faults.plan import Plan
from tests.faults.scenarios import TABLE
from tests.faults.stage import Aborted, Stage, StandsStill, open_stage

PER_FOLDER = 20  # rounds on one data folder: the auditor reads all of it each time
CALLS = 4  # of the model, for each session, at most, before the node is killed
OTHER = 1_000_003  # between the seeds of two folders
# Those that play on a stage like every other, without a kill of their own.
MIXED = [
    name
    for name, each in TABLE.items()
    if not each.settings and not (each.empty or each.first or each.crash)
]


@attrs.frozen(kw_only=True)
class Round:
    """The figures of one round; times in seconds."""

    number: int
    after: float
    kills: int
    acknowledged: int
    open: int
    waiting: int
    listening: float
    resumed: float
    ended: float
    cut: int
    violations: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Report:
    """All rounds, and what was found."""

    seed: int
    sessions: int
    turns: int
    acknowledged: int
    answered: int
    asked_again: int
    calls: int
    cut: int
    tools: int
    unknown: int
    rounds: tuple[Round, ...]
    violations: tuple[str, ...]

    @property
    def command(self) -> str:
        return (
            f"again: python -m tests.faults.kill --rounds {len(self.rounds)} "
            f"--sessions {self.sessions} --seed {self.seed}"
        )

    def table(self) -> Iterator[str]:
        names = (
            "round  killed  kills  acked  open  waiting  listen  resume    done  cut"
        )
        yield names
        for r in self.rounds:
            again = "     -" if math.isnan(r.resumed) else f"{r.resumed:5.2f}s"
            yield (
                f"{r.number:5}  {r.after:5.2f}s  {r.kills:5}  {r.acknowledged:5}  "
                f"{r.open:4}  {r.waiting:7}  {r.listening:5.2f}s  {again}  "
                f"{r.ended:5.2f}s  {r.cut:3}"
            )
        yield (
            f"seed {self.seed}: {self.turns} messages, {self.acknowledged} acknowledged, "
            f"{self.answered} of them over in order, {self.asked_again} answers asked "
            f"for again, {self.calls} model calls, {self.cut} of them cut by a kill, "
            f"{self.tools} tool calls, {self.unknown} of them with an unknown outcome"
        )
        yield from self._times()
        yield from self.violations
        if self.violations:
            yield self.command
        yield f"{len(self.violations)} violations"

    def _times(self) -> Iterator[str]:
        listening = [r.listening for r in self.rounds]
        resumed = [r.resumed for r in self.rounds if not math.isnan(r.resumed)]
        yield (
            f"start to listening: median {statistics.median(listening):.2f} s, "
            f"longest {max(listening):.2f} s (P6: under 1 s)"
        )
        if resumed:
            yield (
                f"start to all open turns taken up again: median "
                f"{statistics.median(resumed):.2f} s, longest {max(resumed):.2f} s "
                "(P6: under 3 s)"
            )


class Campaign:
    """All rounds of one seed, on one stage."""

    def __init__(self, stage: Stage, sessions: int, seed: int) -> None:
        self._stage = stage
        self._sessions = sessions
        self._seed = seed
        self._random = random.Random(seed)
        self._left: list[str] = []
        self._last: dict[int, str] = {}
        self._rounds: list[Round] = []
        self._again = 0

    async def run(self, numbers: Sequence[int]) -> Report:
        for number in numbers:
            self._rounds.append(await self._round(number))
            if self._stage.complaints:
                break  # what is left over would spoil the next one
        return self._report()

    async def _round(self, number: int) -> Round:
        stage, rng = self._stage, self._random
        stage.order(Orders(record=False))
        before = len(stage.known.kills)
        calls = rng.randint(0, CALLS * self._sessions)
        begin = time.monotonic()
        try:
            await stage.ends(partial(self._play, number, calls))
        except StandsStill as error:
            stage.complaints.append(f"round {number}: {error}")
        done = time.monotonic() - stage.node.spawned
        kills = stage.known.kills[before:]
        after = kills[0].at - begin if kills else math.nan
        return self._figures(number, after, before, done)

    async def _play(self, number: int, calls: int) -> None:
        """All clients talk, and the node dies meanwhile."""
        rng = self._random
        talking = set(range(self._sessions))

        async def talk(client: int, parts: Sequence[str], rng: random.Random) -> None:
            await self._client(number, client, parts, rng)
            talking.remove(client)

        async with trio.open_nursery() as nursery:
            for client in range(self._sessions):
                parts = [self._deal() for _ in range(rng.randint(1, 2) * (client % 3))]
                nursery.start_soon(talk, client, parts, random.Random(rng.random()))
            made = len(self._stage.fake.requests) + calls
            while talking and len(self._stage.fake.requests) < made:  # noqa: ASYNC110 -- counts
                await trio.sleep(0.002)
            await trio.sleep(rng.uniform(0, 0.3))
            await self._stage.kill()
            while rng.random() < 0.25:  # again, also while it starts
                await trio.sleep(rng.uniform(0.05, 0.8))
                await self._stage.kill()

    def _deal(self) -> str:
        """The next scenario: none is played again before all have been."""
        if not self._left:
            self._left = self._random.sample(MIXED, len(MIXED))
        return self._left.pop()

    async def _client(
        self, number: int, client: int, parts: Sequence[str], rng: random.Random
    ) -> None:
        """One sender's part in a round."""
        await trio.sleep(rng.uniform(0, 0.6))
        name = f"r{number}c{client}"
        if client % 3 == 0:
            await self._talk(name, client, rng)
            return
        if client % 3 == 1:
            await self._work(name, rng)
        for part, letter in zip(parts, "vxyz", strict=False):
            await TABLE[part].play(self._stage, f"{name}{letter}")

    async def _talk(self, name: str, client: int, rng: random.Random) -> None:
        """Plain talk in a conversation that lasts from round to round."""
        say = self._stage.ask if client % 2 else self._stage.say
        key = f"agent:main:lasting{client}"
        for part in range(rng.randint(1, 3)):
            marker = f"{name}t{part}"
            plan = Plan(words=rng.randint(2, 20), gap=rng.choice((0, 0.01, 0.04)))
            sent = await say(plan, marker, key, after=self._last.get(client))
            self._last[client] = marker
            if rng.random() < 0.1:  # the same once more: nothing else happens
                await say(plan, marker, key)
                self._again += len(sent.texts) > 1

    async def _work(self, name: str, rng: random.Random) -> None:
        """A turn whose tools take their time: a kill finds them at work."""
        tools = [("look", "put", "order", "send")[rng.randrange(4)] for _ in range(3)]
        round_ = tuple((tool, {"seconds": rng.uniform(0.1, 0.6)}) for tool in tools)
        plan = Plan(rounds=(round_, ("send",)))
        await self._stage.ask(plan, f"{name}w", f"agent:main:{name}w")

    # --- figures

    def _figures(self, number: int, after: float, before: int, done: float) -> Round:
        stage = self._stage
        known = stage.known
        violations = tuple(stage.look())
        kills = known.kills[before:]
        none = Kill(0.0, Book())
        first, last = (kills[0], kills[-1]) if kills else (none, none)
        open_ = [r["run_id"] for r in last.book.runs if r["state"] == "running"]
        return Round(
            number=number,
            after=after,
            kills=len(kills),
            acknowledged=sum(
                sent.acked is not None and sent.acked <= first.at
                for sent in known.sent.values()
                if sent.marker.startswith(f"r{number}c")
            ),
            open=len(open_),
            waiting=len(first.book.waiting),
            listening=stage.node.ready_after,
            resumed=self._resumed(open_),
            ended=done,
            cut=_cut(known.book) - sum(r.cut for r in self._rounds),
            violations=violations,
        )

    def _resumed(self, open_: list[str]) -> float:
        """Seconds from the start to the moment when all of them had a successor."""
        book, node = self._stage.known.book, self._stage.node
        started = node.spawned + time.time() - time.monotonic()
        at = [
            event["at"]
            for run_id in open_
            for event in book.of_run(run_id, "run-started")
            if event["at"] > started
        ]
        return max(at) - started if at else math.nan

    def _report(self) -> Report:
        known = self._stage.known
        results = list(known.book.of_kind("tool-ended"))
        return Report(
            seed=self._seed,
            sessions=self._sessions,
            turns=len(known.sent),
            acknowledged=sum(sent.acked is not None for sent in known.sent.values()),
            answered=sum(_is_over(known.book, sent) for sent in known.sent.values()),
            asked_again=self._again,
            calls=len(known.calls),
            cut=_cut(known.book),
            tools=len(results),
            unknown=sum(r["body"]["outcome"] == "unknown" for r in results),
            rounds=tuple(self._rounds),
            violations=tuple(self._rounds[-1].violations),
        )


def _is_over(book: Book, sent: Sent) -> bool:
    run = book.run_of(sent.marker)
    return run is not None and run["outcome"] in {*FINE, *sent.outcomes}


def _cut(book: Book) -> int:
    """Calls of a model that a kill has cut: those that a successor had to settle."""
    cut, asking = 0, dict[str, bool]()
    for event in book.events:
        run_id, kind = event["run_id"], event["kind"]
        if kind == "asked":
            asking[run_id] = True
        elif kind == "run-started" and asking.pop(run_id, False):
            cut += 1
        elif kind in ("answered", "attempt-failed", "compacted", "run-over"):
            asking.pop(run_id, None)
    return cut


async def campaign(folder: Path, *, rounds: int, sessions: int, seed: int) -> Report:
    """Run *rounds* rounds, so many of them on one data folder, in *folder*."""
    numbers = range(1, rounds + 1)
    reports: list[Report] = []
    for part, first in enumerate(range(0, rounds, PER_FOLDER)):
        place = folder / str(part)
        place.mkdir()
        async with open_stage(place, anew=True) as stage:
            one = Campaign(stage, sessions, seed + part * OTHER)
            reports.append(await one.run(numbers[first : first + PER_FOLDER]))
        if reports[-1].violations:
            break
    return together(seed, reports)


def together(seed: int, reports: Sequence[Report]) -> Report:
    """The reports of several data folders as one."""

    def sum_of(name: str) -> int:
        return sum(getattr(report, name) for report in reports)

    figures = ("turns", "acknowledged", "answered", "asked_again", "calls", "cut")
    return Report(
        seed=seed,
        sessions=reports[0].sessions,
        **{name: sum_of(name) for name in (*figures, "tools", "unknown")},
        rounds=tuple(round_ for report in reports for round_ in report.rounds),
        violations=tuple(words for report in reports for words in report.violations),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kill-") as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        work = partial(
            campaign,
            folder,
            rounds=chosen.rounds,
            sessions=chosen.sessions,
            seed=chosen.seed,
        )
        report: Report | None = None
        try:
            report = trio.run(work)
        except* Aborted as errors:
            print("ABORTED", *errors.exceptions, sep="\n")
    if report is None:
        return 2
    for line in report.table():
        print(line)
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
