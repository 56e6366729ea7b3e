"""Faults by chance on the real program under load, thousands of them; nothing is lost.

    python -m tests.faults.chaos --faults 10000 --seed 7

While clients talk, use tools and run commands, processes of the tree are killed, crashed
and suspended, children of the operating system are killed or stand still for seconds, answers
of the provider are cut off, refused or never come, the configuration is edited, the disk
refuses, and now and then the whole node stands still (SIGSTOP, as a machine does that sleeps),
or dies by kill -9 and is started again. When enough was done all work has to
end, and the auditor (`tests/audit`), which sees what the provider was asked, what the
tools did and what the clients got, must have nothing to say.

Beside that some sessions only talk. A turn of theirs that no fault has touched (none of
its own processes, and none that others stand on) may take twice as long as at the same
load without faults, by the 99th percentile; both are printed.

All that is random comes from the seed, but not the moment at which a process is found: a
seed does the same faults in the same order. Clock jumps are not in it: the simulation has
them (`tests/simulation`). One data folder takes so many faults, then another is begun.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import errno
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from beamclaw.testing.fake_openai import Fault, Reply
from tests.faults.disk.shim import Control, build, environment
from tests.faults.plan import Plan, of_prompt
from tests.faults.stage import (
    LEFT,
    Aborted,
    Stage,
    StandsStill,
    flat,
    open_stage,
)
from tests.peers.plugin import which

PER_FOLDER = 400  # faults on one data folder: the auditor reads all of it
OTHER = 1_000_003  # between the seeds of two folders
CLIENTS, BYSTANDERS = 12, 4
RATE = 8.0  # faults in a second, at most
# Seconds without a fault, at the beginning, in which bystanders are measured.
QUIET = 10.0
# A supervisor gives up after three restarts in five seconds, so what stands below one
# that does is not killed more often than that. Those that come and go have no such limit.
STATIC_EVERY = 4.0
# Seconds that a program stands still, at most.
STOPPED = 5.0
# Seconds behind a fault of all, until a turn that begins is as any other.
SETTLES = 1.0
# Ends of a turn that are in order when its provider failed time and again.
ENDS = ("ok", "error")
DYNAMIC = ("awake", "turns", "tools", "running", "connections")


class ChaosStage(Stage):
    """A stage on which a connection may be cut though the node lives.

    Attributes:
        cut: Markers of messages whose client had to come again.
    """

    async def insist(self, sent: Any, send: Any) -> None:
        while True:
            await self.up.wait()
            self.connected += 1
            try:
                done = await send(sent)
            except LEFT:
                done = False
                cuts(self).add(sent.marker)
                await trio.sleep(0.01)
            finally:
                self.connected -= 1
            if done:
                return


# By stage; a slot would have to be in the class that it derives from.
_cuts: dict[int, set[str]] = {}


def cuts(stage: Stage) -> set[str]:
    """Markers of messages on *stage* whose clients were cut off."""
    return _cuts.setdefault(id(stage), set())


@attrs.frozen
class Turn:
    """One of a bystander: when it began and ended (monotonic), and its message."""

    began: float
    ended: float
    marker: str


@attrs.define
class Window:
    """A time in which something that all stand on was disturbed."""

    began: float
    ended: float = float("inf")


@attrs.define(eq=False)
class Chaos:
    """All faults of one seed, on one stage."""

    stage: Stage
    faults: int
    seed: int
    control: Control | None
    kinds: Sequence[str]
    done: Counter[str] = attrs.field(factory=Counter[str])
    turns: list[Turn] = attrs.field(factory=list[Turn])
    windows: list[Window] = attrs.field(factory=list[Window])
    order: list[str] = attrs.field(factory=list[str])
    quiet_until: float = 0.0
    over: bool = False
    _rng: random.Random = attrs.field(init=False)
    _ill: list[Fault] = attrs.field(factory=list[Fault])
    _static: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        answer = self.stage.fake.answer

        def ill(body: dict[str, Any]) -> Reply:
            reply = answer(body)
            spared = of_prompt(body)[0].startswith("by")
            if self._ill and not spared and reply.fault is None:
                return attrs.evolve(reply, fault=self._ill.pop())
            return reply

        self.stage.fake.answer = ill

    async def play(self) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(BYSTANDERS):
                nursery.start_soon(self._bystander, number)
            for number in range(CLIENTS):
                rng = random.Random(self._rng.random())
                nursery.start_soon(self._client, number, rng)
            await trio.sleep(QUIET)
            self.quiet_until = time.monotonic()
            await self._harm()
            self.over = True
            if self.control is not None:
                self.control.work()
            self._ill.clear()

    # --- the load

    async def _bystander(self, number: int) -> None:
        turn = 0
        while not self.over:
            marker = f"by{number}t{turn}"
            began = time.monotonic()
            await self.stage.ask(Plan(words=4), marker, f"agent:main:by{number}")
            self.turns.append(Turn(began, time.monotonic(), marker))
            turn += 1
            await trio.sleep(0.05)

    async def _client(self, number: int, rng: random.Random) -> None:
        turn = 0
        while not self.over:
            marker, key = f"c{number}t{turn}", f"agent:main:c{number}s{turn // 8}"
            await self._say(marker, key, rng)
            turn += 1
            await trio.sleep(rng.uniform(0, 0.2))

    async def _say(self, marker: str, key: str, rng: random.Random) -> None:
        kind = rng.randrange(4)
        if kind == 0:  # plain, slowly
            plan = Plan(words=rng.randint(2, 20), gap=rng.choice((0, 0.02)))
            await self.stage.say(plan, marker, key, outcomes=ENDS)
            return
        tools = [("look", "put", "order", "send")[rng.randrange(4)] for _ in range(2)]
        seconds = {"seconds": rng.uniform(0.0, 0.3)}
        plan = Plan(rounds=tuple(((tool, seconds),) for tool in tools))
        if kind == 1:
            plan = Plan(rounds=((("exec", seconds),),))
            key = key.replace("agent:main", "agent:runner")
            marker = f"r{marker}"
        await self.stage.ask(plan, marker, key, outcomes=ENDS, stream=kind == 2)

    # --- the faults

    async def _harm(self) -> None:
        weights = [KINDS[kind][0] for kind in self.kinds]
        async with trio.open_nursery() as nursery:
            while self.done.total() < self.faults:
                (kind,) = self._rng.choices(self.kinds, weights)
                number = self._rng.random()
                await self.stage.up.wait()
                if kind == "disk" and self.control is None:
                    continue
                self.done[kind] += 1
                with suppress(*LEFT):
                    await KINDS[kind][1](self, random.Random(number), nursery)
                await trio.sleep(self._rng.uniform(0, 2 / RATE))

    async def _steer(self, method: str, process: str, **params: object) -> None:
        # It may be gone, or be one that may not be harmed from here: no fault then.
        await self.stage.request(f"steer.{method}", process=process, **params)

    async def _processes(self, *, dynamic: bool) -> list[dict[str, Any]]:
        found = list(flat(await self.stage.processes()))
        return [
            info
            for path, info in found
            if path
            and path[0] != "shell"
            and info["pid"] is not None
            and (info["restart"] == "temporary") is dynamic
            and "by" not in str(info["name"] or "").rpartition(":")[2][:2]
        ]

    async def _one(self, rng: random.Random, *, dynamic: bool) -> str | None:
        found = await self._processes(dynamic=dynamic)
        return rng.choice(found)["pid"] if found else None

    async def kill_one(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """A session, a turn, a tool call, a command or a connection."""
        del nursery
        if process := await self._one(rng, dynamic=True):
            await self._steer("kill", process)

    async def crash_one(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """The same, as if its code had failed."""
        del nursery
        if process := await self._one(rng, dynamic=True):
            await self._steer("fault", process, kind="crash")

    async def kill_static(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """A process that others stand on, or a supervisor."""
        del nursery
        wait = self._static + STATIC_EVERY - time.monotonic()
        await trio.sleep(max(0.0, wait))
        async with _window(self):
            if process := await self._one(rng, dynamic=False):
                await self._steer("kill", process)
        self._static = time.monotonic()

    async def suspend_one(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """Any of them stands still for a moment."""
        dynamic = rng.random() < 0.7
        process = await self._one(rng, dynamic=dynamic)
        seconds = rng.uniform(0.02, 0.4)
        if process is None:
            return

        async def wake() -> None:
            async with _window(self, wanted=not dynamic):
                await trio.sleep(seconds)
                with suppress(*LEFT):
                    await self._steer("resume", process)

        await self._steer("suspend", process)
        nursery.start_soon(wake)

    async def ail(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """The next answer of the provider is none."""
        del nursery
        self._ill.append(
            rng.choice(
                (
                    Fault(status=500),
                    Fault(status=429, retry_after=0.1),
                    Fault(cut_after=1),
                    Fault(cut_inside=2),
                    Fault(error_after=1),
                    Fault(no_end=True),
                )
            )
        )

    async def edit(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """Another number in the configuration, or something that cannot be used."""
        del nursery
        path = self.stage.folder / "beamclaw.yaml"
        text = path.read_text().partition("\nlogging:")[0].partition("\nnonsense")[0]
        levels = ("info", "warning", "error")
        more = f"\nlogging: {{level: {rng.choice(levels)}}}\n"
        if rng.random() < 0.3:
            more = "\nnonsense: [\n"
        draft = path.with_suffix(".new")
        draft.write_text(text + more)
        draft.replace(path)

    async def kill_child(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """What the node has started: the launcher of commands, or a command."""
        del nursery
        found = _below(self.stage.node.pid)
        if found:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(found), signal.SIGKILL)

    async def stop_child(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """The same stands still for seconds, while others go on."""
        found = _below(self.stage.node.pid)
        seconds = rng.uniform(0.05, STOPPED)
        if found:
            nursery.start_soon(stopped, rng.choice(found), seconds)

    async def stop_node(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """All of it stands still for seconds; for its clocks these have passed."""
        del nursery
        async with _window(self):
            await stopped(self.stage.node.pid, rng.uniform(0.05, STOPPED))
        self._static = time.monotonic()

    async def kill_node(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """All of it, and it is started again."""
        del rng, nursery
        async with _window(self):
            await self.stage.kill()
            await self.stage.up.wait()
        self._static = time.monotonic()

    async def refuse(self, rng: random.Random, nursery: trio.Nursery) -> None:
        """The disk refuses some calls on the ledger."""
        del nursery
        assert self.control is not None
        async with _window(self):
            self.control.fail(
                rng.choice(("write", "sync")),
                files=rng.choice(("ledger.db-wal", "ledger.db")),
                error=rng.choice((errno.ENOSPC, errno.EIO)),
                skip=rng.randrange(5),
                times=rng.randint(1, 3),
            )
            await trio.sleep(0.5)
            self.control.work()
        self._static = time.monotonic()

    # --- figures

    def latencies(self) -> tuple[list[float], list[float]]:
        """Of the bystanders' turns: without faults, and of those that none has touched."""
        quiet, untouched = list[float](), list[float]()
        for turn in self.turns:
            if turn.ended < self.quiet_until:
                quiet.append(turn.ended - turn.began)
            elif turn.began > self.quiet_until and not self._touched(turn):
                untouched.append(turn.ended - turn.began)
        return quiet, untouched

    def _touched(self, turn: Turn) -> bool:
        return turn.marker in cuts(self.stage) or any(
            window.began < turn.ended and turn.began < window.ended
            for window in self.windows
        )


class _window:  # noqa: N801 -- a context manager, as a function would be
    """Everybody is touched, from here until the node is well again."""

    def __init__(self, chaos: Chaos, *, wanted: bool = True) -> None:
        self._chaos = chaos
        self._wanted = wanted
        self._window = Window(time.monotonic())

    async def __aenter__(self) -> None:
        if self._wanted:
            self._chaos.windows.append(self._window)

    async def __aexit__(self, *exc: object) -> None:
        if self._wanted and exc[0] is None:
            await _until_well(self._chaos.stage)
        self._window.ended = time.monotonic()


async def _until_well(stage: Stage) -> None:
    """Until each part answers, and no session waits to be revived."""
    while True:
        await stage.up.wait()
        with suppress(*LEFT):
            frame = await stage.request("status")
            tenant = frame.get("result", {}).get("tenants", {}).get("default", {})
            sessions = tenant.get("sessions", {"unavailable": True})
            parts = (sessions, tenant.get("ledger", {"unavailable": True}))
            if not any("unavailable" in part for part in parts):
                break
        await trio.sleep(0.02)
    # What is revived begins at once; turns that were cut go on behind it.
    await trio.sleep(SETTLES)


Do = Callable[[Chaos, random.Random, trio.Nursery], Awaitable[None]]
# How often, compared with each other; most touch one session only.
KINDS: Mapping[str, tuple[int, Do]] = {
    "kill one": (36, Chaos.kill_one),
    "crash one": (10, Chaos.crash_one),
    "suspend": (10, Chaos.suspend_one),
    "provider": (28, Chaos.ail),
    "config": (6, Chaos.edit),
    "child": (3, Chaos.kill_child),
    "stop child": (2, Chaos.stop_child),
    "kill static": (4, Chaos.kill_static),
    "disk": (2, Chaos.refuse),
    "stop node": (1, Chaos.stop_node),
    "node": (1, Chaos.kill_node),
}


async def stopped(pid: int, seconds: float) -> None:
    """Have the program *pid* stand still for *seconds*; it goes on whatever happens here."""
    # Its number may be another's by the time that it goes on.
    try:
        program = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(program, signal.SIGSTOP)
            try:
                await trio.sleep(seconds)
            finally:
                signal.pidfd_send_signal(program, signal.SIGCONT)
    finally:
        os.close(program)


def _below(pid: int) -> list[int]:
    """All processes that *pid* has started, and those that they have."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            found += [child, *_below(child)]
    return found


@attrs.frozen(kw_only=True)
class Report:
    """What was done and found."""

    seed: int
    done: Counter[str]
    kills: int
    messages: int
    calls: int
    quiet: tuple[float, ...]
    untouched: tuple[float, ...]
    turns: int
    violations: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Of the two 99th percentiles."""
        if not self.quiet or not self.untouched:
            return float("nan")
        return p99(self.untouched) / p99(self.quiet)

    def table(self) -> Iterator[str]:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.done.items()))
        yield f"seed {self.seed}: {self.done.total()} faults ({kinds})"
        yield (
            f"{self.messages} messages, {self.calls} model calls, {self.kills} deaths of "
            f"the node; {self.turns} turns of bystanders"
        )
        if self.quiet and self.untouched:
            yield (
                f"without faults p50 {statistics.median(self.quiet) * 1000:.0f} ms, p99 "
                f"{p99(self.quiet) * 1000:.0f} ms ({len(self.quiet)} turns); untouched "
                f"among faults p50 {statistics.median(self.untouched) * 1000:.0f} ms, p99 "
                f"{p99(self.untouched) * 1000:.0f} ms ({len(self.untouched)}): "
                f"{self.ratio:.2f} times"
            )
        yield from self.violations[:40]
        if self.violations:
            yield (
                f"again: python -m tests.faults.chaos --faults {self.done.total()} "
                f"--seed {self.seed}"
            )
        yield f"{len(self.violations)} violations"


def p99(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


async def one(
    folder: Path, *, faults: int, seed: int, kinds: Sequence[str] = ()
) -> Report:
    """So many faults on one data folder, of all kinds or of some."""
    control, env = None, dict[str, str]()
    if which("cc") is not None:
        control = Control(folder / "control")
        env = environment(build(folder), folder / "data", control=control)
    # It may die while its file is broken.
    options = ("--last-good",)
    async with open_stage(
        folder, kind=ChaosStage, env=env, anew=True, options=options
    ) as stage:
        chaos = Chaos(stage, faults, seed, control, kinds or tuple(KINDS))
        try:
            await stage.ends(chaos.play)
        except StandsStill as error:
            stage.complaints.append(str(error))
        known = stage.known
        known.cuts = faults
        violations = tuple(stage.look())
        quiet, untouched = chaos.latencies()
        _cuts.pop(id(stage), None)
        return Report(
            seed=seed,
            done=chaos.done,
            kills=len(known.kills),
            messages=len(known.sent),
            calls=len(known.calls),
            quiet=tuple(quiet),
            untouched=tuple(untouched),
            turns=len(chaos.turns),
            violations=violations,
        )


async def campaign(
    folder: Path, *, faults: int, seed: int, kinds: Sequence[str]
) -> list[Report]:
    """All of them, so many on one data folder; ends with the first that fails."""
    reports: list[Report] = []
    for part, begin in enumerate(range(0, faults, PER_FOLDER)):
        place = folder / str(part)
        place.mkdir()
        count = min(PER_FOLDER, faults - begin)
        own = seed + part * OTHER
        reports.append(await one(place, faults=count, seed=own, kinds=kinds))
        for line in reports[-1].table():
            print(line, flush=True)
        if reports[-1].violations:
            break
    return reports


def together(reports: Sequence[Report]) -> Report:
    """All of them as one."""
    return Report(
        seed=reports[0].seed,
        done=sum((report.done for report in reports), Counter[str]()),
        kills=sum(report.kills for report in reports),
        messages=sum(report.messages for report in reports),
        calls=sum(report.calls for report in reports),
        quiet=tuple(t for report in reports for t in report.quiet),
        untouched=tuple(t for report in reports for t in report.untouched),
        turns=sum(report.turns for report in reports),
        violations=tuple(v for report in reports for v in report.violations),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--only", action="append", choices=KINDS, default=[], help="faults of this kind"
    )
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    parser.add_argument(
        "--most", type=float, default=2.0, help="times that untouched turns may take"
    )
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        work = partial(
            campaign,
            folder,
            faults=chosen.faults,
            seed=chosen.seed,
            kinds=chosen.only,
        )
        reports: list[Report] = []
        try:
            reports = trio.run(work)
        except* Aborted as errors:
            print("ABORTED", *errors.exceptions, sep="\n")
    if not reports:
        return 2
    print("all together")
    report = together(reports)
    for line in report.table():
        print(line)
    slow = report.ratio > chosen.most
    if slow:
        print(f"untouched turns take more than {chosen.most:g} times as long")
    return 1 if report.violations or slow else 0


if __name__ == "__main__":
    sys.exit(main())
