"""``python -m tests.fuzz --seconds N [--seed S]``: as long as one likes."""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import random
import time
from functools import partial

import trio

from tests.fuzz.play import play


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    end = time.monotonic() + given.seconds
    print(f"seed {given.seed}", flush=True)
    done = trio.run(partial(play, given.seed, lambda _: time.monotonic() < end))
    print(f"{done} attempts, nothing broke")


if __name__ == "__main__":
    main()
