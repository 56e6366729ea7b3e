"""``beamclaw`` with a leak planted in it: what the soak has to find.

    LEAK=memory|descriptors|threads|processes python -m tests.faults.leaky run ...

Each request over HTTP loses a little of it for good.
"""

import os
import sys
import threading
from typing import Any

import trio

import supervision
from beamclaw.cli import main
from supervision import telemetry

PIECE = 64 * 1024
lost: list[Any] = []


def memory() -> None:
    lost.append(os.urandom(PIECE))


def descriptors() -> None:
    lost.append(os.dup(2))


def threads() -> None:
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()


def processes() -> None:
    async def wait() -> None:
        await trio.sleep_forever()

    lost.append(supervision.spawn(wait))


LEAKS = {
    "memory": memory,
    "descriptors": descriptors,
    "threads": threads,
    "processes": processes,
}


def begin() -> None:
    leak = LEAKS[os.environ["LEAK"]]

    def hear(event: telemetry.Event) -> None:
        if event.name == "beamclaw.turn.ended":
            leak()

    telemetry.attach(hear)


if __name__ == "__main__":
    begin()
    sys.exit(main())
