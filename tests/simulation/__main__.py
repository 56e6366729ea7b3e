"""Play seeds, and say which ones broke a promise.

python -m tests.simulation --seed 17 --trace
python -m tests.simulation --seeds 0..20000 --jobs 2
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import sys
import time
from collections import Counter

from tests.simulation.seeds import outcomes
from tests.simulation.world import play

DAY = 86_400


def seeds_of(text: str) -> range:
    """``0..200``: the first is meant, the last is not."""
    first, _, last = text.partition("..")
    return range(int(first), int(last))


def main() -> int:
    """Run; the exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__
    )
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--seed", type=int)
    chosen.add_argument("--seeds", type=seeds_of, metavar="FIRST..LAST")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--first", action="store_true", help="end at a broken promise")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(options.seed, trace=options.trace)
    return _many(options.seeds, options.jobs, first=options.first)


def _one(seed: int, *, trace: bool) -> int:
    outcome = play(seed, keep=trace)
    print(*outcome.lines, sep="\n", end="\n" if trace else "")
    print(*outcome.violations, sep="\n", end="\n" if outcome.violations else "")
    print(
        f"seed {seed}: trace {outcome.digest}, {outcome.seconds / DAY:.2f} days, "
        f"{len(outcome.violations)} violations, {outcome.figures}"
    )
    return 1 if outcome.violations else 0


def _many(seeds: range, jobs: int, *, first: bool) -> int:
    started = time.monotonic()
    figures: Counter[str] = Counter()
    seconds, broken = 0.0, 0
    for outcome in outcomes(seeds, jobs):
        figures.update(outcome.figures)
        seconds += outcome.seconds
        if outcome.violations:
            broken += 1
            print(f"python -m tests.simulation --seed {outcome.seed} --trace")
            for violation in outcome.violations[:6]:
                print(f"    {violation[:300]}")
            sys.stdout.flush()
            if first:
                return 1
    took = time.monotonic() - started
    print(", ".join(f"{count:,} {what}" for what, count in figures.items()))
    print(
        f"seeds {seeds.start}..{seeds.stop}: {broken} of {len(seeds)} broke a promise; "
        f"{seconds / DAY:,.1f} days in {took:.0f} s ({len(seeds) / took:.1f} seeds/s)"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
