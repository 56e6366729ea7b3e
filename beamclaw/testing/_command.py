"""A fake as a process of its own: its command line."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from beamclaw.testing._provider import FakeProvider, opened
from beamclaw.testing._replies import FAULTS, scripted


def main(fake: Callable[..., FakeProvider], arguments: Sequence[str]) -> int:
    """The fake as a process: prints its base URL, serves until it is told to end."""
    parser = argparse.ArgumentParser(description=(fake.__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0, help="s before first token")
    parser.add_argument("--gap", type=float, default=0, help="s between two tokens")
    parser.add_argument("--tokens", type=int, default=0, help="tokens of an answer")
    parser.add_argument("--text", help="the answer; default: what was said")
    parser.add_argument("--key", action="append", help="a key to accept; default: all")
    parser.add_argument("--model", action="append", help="a model; default: all")
    parser.add_argument("--window", type=int, help="context window in tokens")
    parser.add_argument(
        "--ledger", type=Path, help="file to which entries are appended"
    )
    parser.add_argument(
        "--fault", action="append", default=[], choices=sorted(FAULTS),
        help="let one request go wrong, in this order",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    made = fake(
        answer=scripted(vars(options)),
        keys=options.key,
        models=options.model,
        window=options.window,
        journal=options.ledger,
    )
    made.fail(*(FAULTS[name] for name in options.fault))
    trio.run(_run, made, options.host, options.port)
    return 0


async def _run(fake: FakeProvider, host: str, port: int) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with opened(fake, host=host, port=port):
            sys.stdout.write(f"{fake.base_url}\n")
            sys.stdout.flush()
            async for _ in signals:
                return
