"""The crash matrix: kill -9 at every point of every scenario, and what is left is right.

    python -m tests.faults.matrix                          all of it, minutes
    python -m tests.faults.matrix --ends                   first and last times only: half
    python -m tests.faults.matrix --share 1/8 --seed 7     an eighth of it, by chance
    python -m tests.faults.matrix --only steer run.commit.after 2

A scenario is played once to write down which points it reaches and how often. Then it is
played once for each of those times: the node kills itself there, is started again, the
clients send again what they had no acknowledgement for, and when all work has ended the
auditor looks (:mod:`tests.audit.known`). So nothing is left to chance but the share.

The exit code is 1 when a promise was broken, and 2 when nothing can be said of something
that was to be tried: a point in a scenario at which no kill came, ``MISSED``, or a cell
that was aborted.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from fractions import Fraction
from functools import partial
from pathlib import Path

import attrs
import trio

from beamclaw.contracts.points import names
from beamclaw.testing.node import Orders
from tests.faults.reached import points_nowhere, points_of
from tests.faults.scenarios import TABLE, Scenario
from tests.faults.stage import Aborted, Stage, open_stage

TRIES = 3  # plays until a kill that does not come is given up
PER_FOLDER = 60  # cells in one data folder: the auditor reads all of it each time


@attrs.frozen(order=True)
class Cell:
    """One kill: the point, and at which time of reaching it in the scenario."""

    scenario: str
    point: str
    nth: int

    @property
    def command(self) -> str:
        return f"python -m tests.faults.matrix --only {self.scenario} {self.point} {self.nth}"


@attrs.frozen
class Result:
    """What became of a cell.

    Attributes:
        killed: False: the point was not reached so often, however often it was tried.
        aborted: Why there is no verdict, if there is none.
    """

    cell: Cell
    killed: bool
    violations: tuple[str, ...] = ()
    aborted: str = ""


@attrs.define
class Report:
    """What was tried, and what was found."""

    points: set[str] = attrs.field(factory=set)
    scenarios: set[str] = attrs.field(factory=set)
    results: list[Result] = attrs.field(factory=list)
    broken: list[str] = attrs.field(factory=list)

    def lines(self) -> Iterator[str]:
        killed = [result for result in self.results if result.killed]
        at = {result.cell.point for result in killed}
        tried = {_pair(result) for result in self.results}
        yield (
            f"{len(at)} points x {len(self.scenarios)} scenarios: killed at "
            f"{len(tried) - len(self.missed)} of {len(tried)} pairs; "
            f"{len(killed)} of {len(self.results)} kills came"
        )
        yield from (f"MISSED  {' '.join(pair)}" for pair in self.missed)
        if self.scenarios == set(TABLE):  # of a part of them it says nothing
            nowhere = set(points_nowhere())
            there = [name for name in names() if name not in nowhere]
            never = [name for name in there if name not in self.points]
            yield (
                f"{len(there) - len(never)} of {len(there)} points are reached; "
                f"{len(nowhere)} more are in no node"
            )
            yield from (
                f"tests/faults/reached.py says that {name} is in no node"
                for name in nowhere & self.points
            )
            yield from (f"no scenario reaches {name}" for name in never)
        yield from (f"FAILED  {result.cell.command}" for result in self.failed)
        yield from (
            f"ABORTED {r.cell.command}\n        {r.aborted}" for r in self.aborted
        )
        yield from self.broken
        yield (
            f"{len(self.failed)} of {len(self.results)} cells failed, "
            f"{len(self.aborted)} were aborted"
        )

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.violations]

    @property
    def aborted(self) -> list[Result]:
        """Those of which nothing can be said."""
        return [result for result in self.results if result.aborted]

    @property
    def missed(self) -> list[tuple[str, str]]:
        """Scenario and point where a kill was to come, and none has, however often."""
        came = {_pair(result) for result in self.results if result.killed}
        return sorted({_pair(result) for result in self.results} - came)

    @property
    def fine(self) -> bool:
        return not self.failed and not self.broken

    @property
    def code(self) -> int:
        """Of the program; see the module."""
        if not self.fine:
            return 1
        return 2 if self.missed or self.aborted else 0


def _pair(result: Result) -> tuple[str, str]:
    return result.cell.scenario, result.cell.point


@attrs.define
class Player:
    """Plays the cells of one scenario, one after the other on one stage."""

    folder: Path
    name: str
    plays: int = 0
    tries: int = 0

    @property
    def scenario(self) -> Scenario:
        return TABLE[self.name]

    async def record(self) -> list[str]:
        """The points that the scenario reaches, in order.

        Raises:
            AssertionError: It goes wrong without any kill.
        """
        orders = _orders(self.scenario, Orders())
        async with self._stage(orders) as stage:
            if not self.scenario.empty:
                # What is made once, as workspaces are, is made by now, as it is for
                # nearly all kills; else they were waited for in vain.
                await self._play(stage, orders)
            await self._play(stage, orders)
            found = stage.look()
            if found:
                raise AssertionError(f"{self.name} without a kill: {found}")
            return stage.phases[len(orders) - 1]

    async def try_out(self, cells: Sequence[Cell]) -> list[Result]:
        """Play it once for each kill; after a failure on a stage that is new."""
        left, results = deque(cells), list[Result]()
        while left:
            try:
                await self._on_one_stage(left, results)
            except* Aborted as error:
                results.append(Result(left.popleft(), False, aborted=_words(error)))
            except* Exception as error:  # noqa: BLE001 -- it is the result
                results.append(Result(left.popleft(), True, (_words(error),)))
                _tell(results[-1])
        return results

    async def _on_one_stage(self, left: deque[Cell], results: list[Result]) -> None:
        async with self._stage(self._kill(left[0])) as stage:
            for _ in range(1 if self.scenario.empty else PER_FOLDER):
                if not left:
                    return
                orders = self._kill(left[0])
                before = 0 if self.scenario.empty else len(stage.known.kills)
                await self._play(stage, orders)
                found = stage.look()
                came = len(stage.known.kills) - before >= len(orders)
                self.tries += 1
                if not (came or found) and self.tries < TRIES:
                    continue  # how often a point is reached is not always the same
                self.tries = 0
                results.append(Result(left.popleft(), came, tuple(found)))
                _tell(results[-1])
                if found:
                    return

    def _kill(self, cell: Cell) -> list[Orders]:
        return _orders(self.scenario, Orders(kill=cell.point, nth=cell.nth))

    def _stage(self, orders: Sequence[Orders]) -> AbstractAsyncContextManager[Stage]:
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{self.name[:5]}-"))
        first = orders if self.scenario.empty else ()
        return open_stage(
            folder,
            *first,
            between=self.scenario.between,
            **self.scenario.settings,
        )

    async def _play(self, stage: Stage, orders: Sequence[Orders]) -> None:
        self.plays += 1
        if not self.scenario.empty:
            stage.order(*orders)
        await stage.ends(partial(self.scenario.play, stage, f"m{self.plays}"))


def _tell(result: Result) -> None:
    if result.violations:
        print(f"FAILED  {result.cell.command}", *result.violations, sep="\n        ")


def _orders(scenario: Scenario, last: Orders) -> list[Orders]:
    last = attrs.evolve(last, crash=scenario.crash)
    return [last] if scenario.first is None else [scenario.first, last]


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {str(error)[-2000:]}"


def cells(name: str, reached: Sequence[str], *, ends: bool = False) -> list[Cell]:
    """One cell for each time that a point was reached; *ends*: the first and the last."""
    return [
        Cell(name, point, nth)
        for point, times in Counter(reached).items()
        for nth in range(1, times + 1)
        if not ends or nth in (1, times)
    ]


def chosen(cells: Sequence[Cell], share: Fraction, seed: int) -> list[Cell]:
    """Those whose turn it is: each by a number of its own, whoever else there is."""

    def number(cell: Cell) -> Fraction:
        text = f"{seed} {cell.scenario} {cell.point} {cell.nth}".encode()
        return Fraction(
            int.from_bytes(hashlib.blake2b(text, digest_size=6).digest()), 2**48
        )

    return [cell for cell in cells if number(cell) < share]


@attrs.define
class Matrix:
    """A run of the matrix: which scenarios, which share, told how far it is."""

    folder: Path
    share: Fraction = Fraction(1)
    seed: int = 0
    ends: bool = False
    verbose: bool = False
    report: Report = attrs.field(factory=Report)

    async def run(self, scenarios: Sequence[str], jobs: int = 1) -> Report:
        send, receive = trio.open_memory_channel[str](len(scenarios))
        for name in scenarios:
            send.send_nowait(name)
        send.close()
        async with trio.open_nursery() as nursery:
            for _ in range(jobs):
                nursery.start_soon(self._work, receive.clone())
            receive.close()
        self.report.results.sort(key=lambda result: result.cell)
        return self.report

    async def _work(self, names: "trio.MemoryReceiveChannel[str]") -> None:
        async with names:
            async for name in names:
                await self._scenario(Player(self.folder, name))

    async def _scenario(self, player: Player) -> None:
        name, report, begin = player.name, self.report, time.monotonic()
        wanted, reached = set(points_of(name)), list[str]()
        for _ in range(TRIES):
            try:
                reached = await player.record()
            except Exception as error:  # noqa: BLE001 -- it is the result
                report.broken.append(f"BROKEN  {name}: {_words(error)}")
                return
            if wanted <= set(reached):
                break  # else a client came too late for what it is about
        else:
            lost = sorted(wanted.difference(reached))
            report.broken.append(f"BROKEN  {name} does not reach {lost}")
        report.scenarios.add(name)
        report.points.update(reached)
        these = chosen(cells(name, reached, ends=self.ends), self.share, self.seed)
        results = await player.try_out(these)
        report.results += results
        if self.verbose:
            seconds = time.monotonic() - begin
            failed = sum(bool(result.violations) for result in results)
            words = f"{failed} failed" if failed else ""
            print(
                f"{name:20} {len(results):4} cells {seconds:6.1f} s {words}", flush=True
            )

    async def only(self, cell: Cell) -> Report:
        """One cell."""
        player = Player(self.folder, cell.scenario)
        self.report.results += await player.try_out([cell])
        self.report.scenarios.add(cell.scenario)
        return self.report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--share", type=Fraction, default=Fraction(1))
    parser.add_argument("--ends", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scenario", action="append", choices=sorted(TABLE))
    parser.add_argument("--only", nargs=3, metavar=("SCENARIO", "POINT", "NTH"))
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    given = parser.parse_args()
    print(f"seed {given.seed}, share {given.share}", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        matrix = Matrix(folder, given.share, given.seed, given.ends, verbose=True)
        if given.only:
            name, point, nth = given.only
            report = trio.run(matrix.only, Cell(name, point, int(nth)))
        else:
            report = trio.run(matrix.run, given.scenario or list(TABLE), given.jobs)
    for line in report.lines():
        print(line)
    print(f"{time.monotonic() - begin:.0f} s")
    return report.code


if __name__ == "__main__":
    sys.exit(main())
