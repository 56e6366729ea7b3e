"""Power cuts: the disk as it would lie there, rebuilt again and again, and audited.

    python -m tests.faults.disk.powercut --seeds 20 --cuts 100

A seed is one storm of commits on a recorded disk, killed; with ``--failing``, a disk of
which some syncs and writes fail meanwhile. Then its records are played, and at random
places the power is cut: what is left must open, be sound, and hold everything that had
been acknowledged by then.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs

from beamclaw.contracts.store import DataFolderError
from beamclaw.storage import integrity, open_database
from beamclaw.store.schema import NODE
from tests.beamclaw.ledger.test_kill import check
from tests.faults.disk.model import Disk
from tests.faults.disk.shim import Call, Control, Record, build, environment, read_log
from tests.support.books import open_book

ROOT = Path(__file__).parents[3]
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
# Power cuts behind each sync that failed, and records within which they are.
AFTER_FAILURE, SOON = 20, 60
# What fails on a disk that does, the more often the more often it stands here.
FAILING: tuple[Call, ...] = ("sync", "sync", "write", "truncate", "unlink")


@attrs.define(kw_only=True)
class Report:
    """What a seed has shown.

    Attributes:
        failures: Calls that the disk has let fail.
        acknowledged: Lines that the storm has said.
        cuts: Power cuts that were looked at.
        torn: Of those, where something was on the disk in part.
    """

    seed: int
    failures: int = 0
    acknowledged: int = 0
    cuts: int = 0
    torn: int = 0
    violations: list[str] = attrs.field(factory=list)


def storm(
    library: Path,
    folder: Path,
    rng: random.Random,
    *,
    lines: int,
    failing: tuple[Call, ...],
) -> int:
    """Let it write until it has said so many lines; how many calls have failed.

    Of the calls in *failing* some do, now and then.
    """
    data = folder / "data"
    data.mkdir()
    control = Control(folder / "control")
    given = environment(library, data, control=control, log=folder / "log")
    command = [sys.executable, "-m", "tests.faults.disk.storm", str(data)]
    failures = 0
    with (
        (folder / "stderr").open("wb") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | given,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None
        for number, _ in enumerate(process.stdout):
            if number == lines:
                break
            if failing and rng.random() < 0.04:
                failures += control.hits
                _fail_a_little(control, rng, failing)
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    return failures + control.hits


def _fail_a_little(
    control: Control, rng: random.Random, calls: tuple[Call, ...]
) -> None:
    call = rng.choice(calls)
    control.fail(
        call,
        files=rng.choice(("ledger.db-wal", "ledger.db", "node.db-wal", "")),
        error=rng.choice((errno.EIO, errno.ENOSPC, errno.EDQUOT)),
        skip=rng.randint(0, 20),
        times=rng.choice((1, 1, 1, 3)),
        how=rng.choice(("fail", "short")) if call == "write" else "fail",
    )


def audit(folder: Path, rng: random.Random, report: Report, cuts: int) -> None:
    """Play the records, cut the power at some places, and look at what is left."""
    records = list(read_log(folder / "log"))
    places = _places(records, rng, cuts)
    disk = Disk(str(folder / "data"), rng)
    for place, record in enumerate(records):
        disk.play(record)
        if places and place == places[0]:
            del places[0]
            disk.share = rng.choice(SHARES)
            left = folder / f"left-{place}"
            left.mkdir()
            disk.cut_power(left)
            report.cuts += 1
            report.torn += 0 < disk.share < 1
            said = _said(bytes(disk.said))
            report.violations += [
                f"seed {report.seed}, cut at {place} of {len(records)}, share "
                f"{disk.share}: {what}"
                for what in violations(left, said)
            ]
            if not report.violations:
                _remove(left)
    report.acknowledged = len(_said(bytes(disk.said)))


def _places(records: list[Record], rng: random.Random, cuts: int) -> list[int]:
    """Anywhere, and a few soon after each sync that failed."""
    places = set(rng.sample(range(len(records)), min(cuts, len(records))))
    for failed, record in enumerate(records):
        if record.what == "F":
            soon = range(failed + 1, min(failed + SOON, len(records)))
            places.update(rng.sample(soon, min(AFTER_FAILURE, len(soon))))
    return sorted(places)


def violations(left: Path, said: list[list[str]]) -> Iterator[str]:
    """What is wrong with the files in *left*, after so much was acknowledged."""
    path = left / "tenants" / "default" / "ledger.db"
    try:
        # The node's way of opening, but for the making of an absent file.
        if path.exists() or said:
            with open_book(path) as opened:
                check(opened, said)
            yield from integrity(path)
        if (left / "node.db").exists():
            with closing(open_database(left / "node.db", NODE)) as node:
                node.execute("SELECT * FROM tenants").fetchall()
            yield from integrity(left / "node.db")
        elif path.exists():
            yield "there is a ledger, and nobody knows who owns it"
    except (AssertionError, DataFolderError) as error:
        yield f"{type(error).__name__}: {error}"


def _said(text: bytes) -> list[list[str]]:
    whole = text[: text.rfind(b"\n") + 1].decode()
    return [line.split("\t") for line in whole.splitlines()]


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def campaign(
    library: Path,
    folder: Path,
    *,
    seed: int,
    lines: int,
    cuts: int,
    failing: tuple[Call, ...] = (),
) -> Report:
    """One seed."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    report = Report(seed=seed)
    report.failures = storm(library, folder, rng, lines=lines, failing=failing)
    audit(folder, rng, report, cuts)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--failing", action="store_true", help="syncs fail meanwhile")
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    chosen = parser.parse_args()
    found: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        library = build(folder)
        for seed in range(chosen.seed, chosen.seed + chosen.seeds):
            started = time.monotonic()
            report = campaign(
                library,
                folder / str(seed),
                seed=seed,
                lines=chosen.lines,
                cuts=chosen.cuts,
                failing=FAILING if chosen.failing else (),
            )
            print(
                f"seed {seed}: {report.acknowledged} acknowledged, {report.failures} "
                f"calls failed, {report.cuts} power cuts, {report.torn} of them torn, "
                f"{len(report.violations)} violations, "
                f"{time.monotonic() - started:.1f} s",
                flush=True,
            )
            print(*report.violations, sep="\n", end="\n" * bool(report.violations))
            found += report.violations
    if found:
        print("again: python -m tests.faults.disk.powercut --seed N --seeds 1")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
