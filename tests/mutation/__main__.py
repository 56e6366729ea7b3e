"""The command: put each fault in, and say what found it."""

# ruff: noqa: T201 - a command prints: that is its result

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from . import copies, erlang
from .fault import ROOT, Fault
from .faults import FAULTS
from .items import LEFT, Verdict, judge

T = TypeVar("T")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--item", action="append", help="only faults of this item")
    parser.add_argument("--fault", action="append", help="only this fault")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--by", choices=["items", "differential"], default="items")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    faults = chosen(options.item, options.fault)
    if not faults:
        parser.error("there is no such fault")
    begin = time.monotonic()
    # Somebody may be writing in the sources while this runs.
    with copies.copied(ROOT, None) as source:
        if options.by == "items":
            survived = by_items(source, faults, options.item, options.jobs)
        else:
            shown = [fault for fault in faults if fault.by_erlang]
            survived = by_differential(
                source, shown, options.seed, options.count, options.jobs
            )
    print(f"{time.monotonic() - begin:.0f} s")
    for line in survived:
        print("NOT FOUND", line)
    return 1 if survived else 0


def chosen(items: Sequence[str] | None, ids: Sequence[str] | None) -> list[Fault]:
    return [
        fault
        for fault in FAULTS
        if (items is None or set(items) & set(fault.items))
        and (ids is None or fault.id in ids)
    ]


def at_the_same_time(
    jobs: int, faults: Sequence[Fault], look: Callable[[Fault], T]
) -> list[tuple[Fault, T]]:
    with ThreadPoolExecutor(jobs) as pool:
        return list(zip(faults, pool.map(look, faults), strict=True))


# --- by the tests of its items


def by_items(
    source: Path, faults: Sequence[Fault], only: Sequence[str] | None, jobs: int
) -> list[str]:
    def look(fault: Fault) -> list[Verdict]:
        items = [item for item in fault.items if only is None or item in only]
        return judge(source, fault, items)

    wanted = sorted({item for fault in faults for item in fault.items})
    without_fault = [v for v in judge(source, None, wanted) if v.colour != "green"]
    if without_fault:
        return [f"red without any fault: {verdict}" for verdict in without_fault]
    lines = [
        (fault, verdict)
        for fault, verdicts in at_the_same_time(jobs, faults, look)
        for verdict in verdicts
    ]
    lines.sort(key=lambda line: in_order(line[1].item))
    for fault, verdict in lines:
        test = verdict.test.rpartition("/")[2]
        if verdict.says.startswith(LEFT):
            test += " (by what it leaves behind)"
        print(f"{verdict.item:>4}  {fault.id:32}  {verdict.colour:6}  {test}")
    items = {verdict.item for _, verdict in lines}
    red = sum(verdict.is_found for _, verdict in lines)
    print(
        f"{len(faults)} faults, {len(items)} items: {red} of {len(lines)} pairs are red"
    )
    return [
        f"item {verdict.item}, fault {fault.id} ({fault.breaks}): "
        f"{verdict.colour} {verdict.says}"
        for fault, verdict in lines
        if not verdict.is_found
    ]


def in_order(item: str) -> tuple[str, int]:
    letter = item.rstrip("0123456789")
    return letter, int(item.removeprefix(letter))


# --- by the comparison with Erlang


def by_differential(
    source: Path, faults: Sequence[Fault], seed: int, count: int, jobs: int
) -> list[str]:
    with erlang.traces(seed, count) as traces:
        without_fault = erlang.compare_with(source, None, traces)
        if without_fault.after is not None or without_fault.says:
            return [f"different without any fault: {without_fault.says}"]
        looked = at_the_same_time(
            jobs, faults, lambda fault: erlang.compare_with(source, fault, traces)
        )
    for fault, found in looked:
        print(f"{fault.id:32}  {found.after or '-':>5}  {found.family}")
    hits = [found.after for _, found in looked if found.after is not None]
    print(
        f"{len(hits)} of {len(looked)} faults found in {count} scenarios of seed {seed}; "
        f"the last one after {max(hits, default=0)}"
    )
    return [
        f"fault {fault.id} ({fault.breaks}): {found.says}"
        for fault, found in looked
        if found.after is None
    ]


if __name__ == "__main__":
    sys.exit(main())
