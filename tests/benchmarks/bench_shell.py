"""What it costs to look into a node of 100,000 processes, and how long others stand still.

The node's tree of commands runs here, beside that many idle servers; the client is a
program of its own, so that what it does with an answer is not the node's time.
"""

import gc
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
from beamclaw.contracts import names
from beamclaw.contracts.outside import Outside
from beamclaw.shell import supervisor, top
from beamclaw.telemetry.metrics.looking import Looks
from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import python

PROCESSES = 100_000
ROUNDS = 15
SECONDS = 10.0
SHALLOW: dict[str, object] = {"depth": 2, "most": 50}
WHOLE: dict[str, object] = {"most": 100_000, "limit": 1_000_000}
AWAKE = names.of_tenant(names.DEFAULT_TENANT, "awake")
# Seconds between two looks at how late the loop is.
TICK = 0.001
# How often each command is given.
TIMES = 3
# Python hands over the table of its collector in one call.
EXEMPT = {"leaks"}
SESSION = "default/session/agent:main:77"
COMMANDS: dict[str, tuple[str, dict[str, object]]] = {
    "nothing": ("look.limits", {}),
    "tree --depth 2": ("look.tree", SHALLOW),
    "tree": ("look.tree", {"most": 50}),
    "tree --json": ("look.tree", {"most": 100_000}),
    "tree --json --limit 1000000": ("look.tree", WHOLE),
    "status": ("status", {}),
    "top": ("look.top", {"every": 0.1, "once": True, "rows": 200, "tree": True}),
    "info of a name": ("look.info", {"process": SESSION}),
    "info of the end of a name": ("look.info", {"process": "connections"}),
    "info of an id": ("look.info", {"process": "listener"}),
    "info of a place in the tree": ("look.info", {"process": "shell/listener"}),
    "info of nobody": ("look.info", {"process": "nobody"}),
    "info of a number": ("look.info", {"process": "<99999>"}),
    "waiting": ("look.waiting", {"process": SESSION}),
    "state": ("look.state", {"process": SESSION}),
    "mailbox --most 1000": ("look.mailbox", {"process": "full", "most": 1_000}),
    "sessions": ("look.sessions", {"most": 50}),
    "slow": ("look.slow", {}),
    "leaks": ("look.leaks", {}),
    "completion of a name": ("look.names", {"text": "default/"}),
    "completion of a place": ("look.names", {"text": "many:7/default/"}),
    "/metrics": ("/metrics", {}),
}


class Idle(supervision.Server):
    """One of very many: for the shell a session that is awake."""

    async def init(self) -> None:
        supervision.join(AWAKE)


async def _fill() -> None:
    async with trio.open_nursery() as nursery:
        for part in range(100):
            nursery.start_soon(_some, part)


async def _some(part: int) -> None:
    for number in range(part, PROCESSES, 100):
        name = f"default/session/agent:main:{number}"
        spec = supervision.ChildSpec(name, Idle, name=name, restart="temporary")
        await supervision.start_child(f"many:{number % 1_000}", spec)


async def _flood() -> None:
    """One process that takes nothing, with a long mailbox."""
    spec = supervision.ChildSpec("full", Idle, name="full", restart="temporary")
    await supervision.start_child("many:0", spec)
    await supervision.sys.suspend("full")
    for number in range(10_000):
        supervision.send("full", f"{number} " + "word " * 2_000)


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
    """Bytes up to the end of the answer; nothing is decoded in the time that counts."""
    # Not its frames: what a client does with an answer is not measured.
    sock = connection._sock
    size, end = 0, End(connection._last)
    while not end.seen:
        data = sock.recv(1 << 20)
        size += len(data)
        end.feed(data)
    return float(size)


@attrs.define
class End:
    """Looks for the last frame of the answer to the request *number*."""

    number: int
    seen: bool = False
    _begun: bytes = b""

    def feed(self, data: bytes) -> None:
        ends = tuple(b'{"id":%d,"%s"' % (self.number, x) for x in (b"result", b"error"))
        *whole, begun = (self._begun + data).split(b"\n")
        self.seen = any(line.startswith(ends) for line in whole)
        # Of a line that goes on its beginning says enough.
        self._begun = begun[:50]


async def _asked(data: Path) -> dict[str, list[float]]:
    program = (
        "from tests.benchmarks.bench_shell import client; from pathlib import Path"
    )
    done = await trio.run_process(
        python(f"{program}; client(Path({str(data)!r}))"), capture_stdout=True
    )
    return orjson.loads(done.stdout)


@attrs.define
class Hold:
    """How long a command keeps the loop from everybody else, in seconds.

    Attributes:
        step: Work of the longest step of any task: how long the loop is held on a
            machine that has time for it.
        late: By how much a task that sleeps was woken too late; what the machine does
            beside, and threads that hold the interpreter, are in it.
        took: The whole command.
    """

    step: float
    late: float
    took: float


class Steps(trio.abc.Instrument):
    """Measures each step of each task, in time of the loop's thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._begun = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self._begun = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self.longest = max(self.longest, time.thread_time() - self._begun)


@attrs.define
class Beat:
    """A task that wants to go on every thousandth of a second."""

    longest: float = 0.0

    async def run(self) -> None:
        before = time.perf_counter()
        while True:
            await trio.sleep(TICK)
            now = time.perf_counter()
            self.longest = max(self.longest, now - before - TICK)
            before = now


async def _holds(data: Path) -> dict[str, Hold]:
    """By command; of several times the shortest, as nothing makes a hold shorter."""
    found: dict[str, Hold] = {}
    beat, steps = Beat(), Steps()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat.run)
        trio.lowlevel.add_instrument(steps)
        for name, (method, params) in COMMANDS.items():
            times = [
                await _hold(data, method, params, beat, steps) for _ in range(TIMES)
            ]
            found[name] = Hold(
                step=min(each.step for each in times),
                late=min(each.late for each in times),
                took=min(each.took for each in times),
            )
        trio.lowlevel.remove_instrument(steps)
        nursery.cancel_scope.cancel()
    return found


async def _hold(
    data: Path, method: str, params: dict[str, object], beat: Beat, steps: Steps
) -> Hold:
    gc.collect()  # its own time is not the command's
    await trio.sleep(5 * TICK)
    beat.longest = steps.longest = 0.0
    began = time.perf_counter()
    await _command(data, method, params)
    took = time.perf_counter() - began
    await trio.sleep(2 * TICK)  # a hold is noticed behind it
    return Hold(steps.longest, beat.longest, took)


async def _command(data: Path, method: str, params: dict[str, object]) -> None:
    if method == "/metrics":
        await trio.lowlevel.checkpoint()
        "".join(Looks(0.0).text())
        return
    stream = await trio.open_unix_socket(str(data / "node.sock"))
    async with stream:
        await stream.send_all(_line(0, "hello", {"version": 1}))
        await stream.receive_some()
        await stream.send_all(_line(1, method, params))
        end = End(1)
        while not end.seen:
            end.feed(await stream.receive_some(1 << 16))


def _line(number: int, method: str, params: dict[str, object]) -> bytes:
    return orjson.dumps({"id": number, "method": method, "params": params}) + b"\n"


async def _used() -> float:
    """Of one core, in the next seconds."""
    before = time.process_time()
    await trio.sleep(SECONDS)
    return (time.process_time() - before) / SECONDS


async def main() -> None:
    # What a look waits so as to take a small share of a core is not measured.
    top._TIMES = 0.0
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
            await _flood()
            holds = await _holds(data)
            times = await _asked(data)
            alone = await _used()
            stream = await trio.open_unix_socket(str(data / "node.sock"))
            async with stream:
                hello = {"id": 0, "method": "hello", "params": {"version": 1}}
                await stream.send_all(orjson.dumps(hello) + b"\n")
                await stream.receive_some()
                attached = await _used()
    _rows(times, alone, attached)
    _hold_rows(holds)


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


def _hold_rows(holds: dict[str, Hold]) -> None:
    emit(
        *(
            Row(
                name=f"{name}, of 100,000 processes: how long it holds the loop",
                value=hold.step * 1_000,
                unit="ms",
                must="" if name in EXEMPT else "< 50",
                note=f"others noticed {hold.late * 1_000:.0f} ms; "
                f"it took {hold.took:.2f} s",
            )
            for name, hold in holds.items()
        )
    )


if __name__ == "__main__":
    trio.run(main)
