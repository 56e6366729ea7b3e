"""What it costs to look into a node of 100,000 processes, and to be attached to it.

The node's tree of commands runs here, beside that many idle servers; the client is a
program of its own, so that what it does with an answer is not the node's time.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import attrs
import orjson
import trio

import supervision
from beamclaw.bus import LocalBus
from beamclaw.cli.client import Client, connect
from beamclaw.config import Config
from beamclaw.config.current import Current
from beamclaw.contracts.outside import Outside
from beamclaw.shell import supervisor
from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import python

PROCESSES = 100_000
ROUNDS = 15
SECONDS = 10.0
SHALLOW = {"depth": 2, "most": 50}
WHOLE = {"most": 1_000}


class Idle(supervision.Server):
    """One of very many."""


async def _fill() -> None:
    async with trio.open_nursery() as nursery:
        for part in range(100):
            nursery.start_soon(_some, part)


async def _some(part: int) -> None:
    for number in range(part, PROCESSES, 100):
        name = f"default/session/agent:main:{number}"
        spec = supervision.ChildSpec(name, Idle, name=name, restart="temporary")
        await supervision.start_child(f"many:{number % 1_000}", spec)


def client(data: Path) -> None:
    """In a program of its own: seconds of each answer, from request to last byte."""
    found: dict[str, list[float]] = {}
    with connect(data) as connection:
        for name, params, rounds in (
            ("shallow", SHALLOW, ROUNDS),
            ("whole", WHOLE, 1),
        ):
            for _ in range(rounds):
                began = time.perf_counter()
                connection.begin("look.tree", params)
                size = _read(connection)
                found.setdefault(name, []).append(time.perf_counter() - began)
                found.setdefault(f"{name} bytes", []).append(size)
    sys.stdout.buffer.write(orjson.dumps(found))


def _read(connection: Client) -> float:
    """Bytes up to the end of the line; nothing is decoded in the time that counts."""
    # Not its frames: what a client does with an answer is not measured.
    sock = connection._sock
    size, data = 0, b""
    while not data.endswith(b"\n"):
        data = sock.recv(1 << 20)
        size += len(data)
    return float(size)


async def _asked(data: Path) -> dict[str, list[float]]:
    program = (
        "from tests.benchmarks.bench_shell import client; from pathlib import Path"
    )
    done = await trio.run_process(
        python(f"{program}; client(Path({str(data)!r}))"), capture_stdout=True
    )
    return orjson.loads(done.stdout)


async def _used() -> float:
    """Of one core, in the next seconds."""
    before = time.process_time()
    await trio.sleep(SECONDS)
    return (time.process_time() - before) / SECONDS


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        config = attrs.evolve(Config(), data=data)
        many = [
            supervision.ChildSpec(
                f"many:{number}",
                supervision.DynamicSupervisor,
                name=f"many:{number}",
                type="supervisor",
            )
            for number in range(1_000)
        ]
        below = partial(supervision.Supervisor, many)
        start = partial(supervisor, Current(config), LocalBus(), Outside())
        children = [
            supervision.ChildSpec("shell", start, type="supervisor", shutdown=None),
            supervision.ChildSpec("tenants", below, type="supervisor", shutdown=None),
        ]
        async with supervision.open_supervisor(children):
            await _fill()
            times = await _asked(data)
            alone = await _used()
            stream = await trio.open_unix_socket(str(data / "node.sock"))
            async with stream:
                hello = {"id": 0, "method": "hello", "params": {"version": 1}}
                await stream.send_all(orjson.dumps(hello) + b"\n")
                await stream.receive_some()
                attached = await _used()
    _rows(times, alone, attached)


def _rows(times: dict[str, list[float]], alone: float, attached: float) -> None:
    emit(
        Row(
            name="tree --depth 2 of 100,000 processes, request to last byte, worst",
            value=max(times["shallow"]) * 1_000,
            unit="ms",
            baseline=times["whole"][0] * 1_000,
            against="the whole tree",
            must="< 200",
            aim="< 20",
            note=f"{times['shallow bytes'][0]:,.0f} bytes of "
            f"{times['whole bytes'][0]:,.0f}",
        ),
        Row(
            name="a shell that is attached and idle, of one core",
            value=attached * 100,
            unit="%",
            baseline=alone * 100,
            against="the same node without",
            must="< 1",
        ),
    )


if __name__ == "__main__":
    trio.run(main)
