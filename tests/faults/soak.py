"""A steady mixed load on the real program for a long time: does anything of it grow?

    python -m tests.faults.soak --minutes 60

Turns over HTTP, whole and as streams, turns with tools and with commands, clients of the
WebSocket protocol that come and go, commands on the node's socket and edits of the
configuration, at a pace that a small machine keeps up with. Conversations are short and
deleted again, so that a node without a leak comes to a rest. Memory, descriptors, threads,
processes of the tree and of the operating system are measured every second; each must
not rise (see :mod:`tests.faults.slopes`). The ledger grows with what is said and is only
shown. Exit code 1: something rises, or an answer was wrong.

``--plant memory`` (descriptors, threads, processes) leaks on purpose, and has to fail.
"""
# ruff: noqa: T201 -- a program: what it prints is its result

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from beamclaw.contracts.shell import UNAVAILABLE
from tests.faults.line import Line, NotNow, open_line
from tests.faults.slopes import FEWEST, Slope, slope, together
from tests.support.model import open_model
from tests.support.node import Node, completion, open_node, uses
from tests.support.wire import Connection

EVERY = 1.0
# Seconds for a start, on a machine that has little time for it.
START = 300.0
# What may come and go, or settle late: growth over the time that is no leak.
FLOORS: Mapping[str, float] = {
    "memory (kB)": 4096,
    "descriptors": 4,
    "threads": 3,
    "processes": 8,
    "children": 2,
}
# Names that are shown and not judged.
SHOWN = ("ledger (kB)",)
HTTP_TALKERS, SOCKET_TALKERS, TOOL_TALKERS = 4, 2, 2
TURNS = 5  # of a conversation, before it is deleted
# How often that is asked for while a part of the node is not up, and seconds in between.
_ASKED, _AGAIN = 100, 0.1
SCRIPT = """\
- match: "command (\\\\w+)"
  calls: [[{tool: exec, arguments: {command: "echo \\\\1"}}]]
  reply: "done \\\\1"
- match: "file (\\\\w+)"
  calls:
    - [{tool: write, arguments: {path: "soak/\\\\1.txt", content: "\\\\1"}}]
    - [{tool: read, arguments: {path: "soak/\\\\1.txt"}}]
  reply: "done \\\\1"
- reply: "nothing"
"""
CONFIG = """\
providers:
  demo: {{api: demo, script: {script}, delay: 0}}
agents:
  main: {{}}
  tooler: {{model: demo/demo}}
tools: {{exec: {{mode: 'off', keep_seconds: 2, keep_finished: 8}}}}
sessions: {{idle_seconds: {idle}, retention: {{every_seconds: 2}}}}
logging: {{level: error}}
# What the database holds in memory rises for as long as it is not full.
ledger: {{cache_bytes: 65536}}
"""


@attrs.define
class Soak:
    """One run of it.

    Attributes:
        pause: Seconds between two messages of a talker.
        at: When was measured, and *series* what, by name.
        done: How often what was done.
        wrong: What was not as it should be.
    """

    node: Node
    pause: float
    at: list[float] = attrs.field(factory=list[float])
    series: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    done: dict[str, int] = attrs.field(factory=dict[str, int])
    wrong: list[str] = attrs.field(factory=list[str])

    def count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    # --- the load

    async def run(self, seconds: float) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(HTTP_TALKERS):
                stream = number % 2 == 1
                nursery.start_soon(self._http, f"http{number}", "main", stream)
            for number in range(TOOL_TALKERS):
                nursery.start_soon(self._http, f"tool{number}", "tooler", False)
            for number in range(SOCKET_TALKERS):
                nursery.start_soon(self._forever, partial(self._visit, number))
            nursery.start_soon(self._forever, self._edit)
            nursery.start_soon(self._measure)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()

    async def _http(self, name: str, agent: str, stream: bool) -> None:
        for number in range(10**9):
            key = f"agent:{agent}:{name}x{number}"
            with await self.node.connect() as connection:
                for turn in range(TURNS):
                    marker = f"{name}t{number}u{turn}"
                    text = f"say <<{marker}>>"
                    if agent == "tooler":
                        text = f"{'command' if turn % 2 else 'file'} {marker}"
                    await self._say(connection, key, agent, text, marker, stream=stream)
                    await trio.sleep(self.pause)
            await self._delete(key)

    async def _say(
        self,
        connection: Connection,
        key: str,
        agent: str,
        text: str,
        marker: str,
        *,
        stream: bool,
    ) -> None:
        headers = {
            **self.node.bearer,
            "Content-Type": "application/json",
            "x-openclaw-session-key": key,
        }
        body = completion(text, model=f"openclaw/{agent}", stream=stream)
        head = await connection.ask("POST", "/v1/chat/completions", headers, body)
        if stream and head.status == 200:
            said = ""
            async for data in connection.events():
                said += data.decode()  # to the end, or the next answer begins in it
        else:
            said = (await connection.body()).decode()
        if head.status != 200 or marker not in said:
            self.wrong.append(f"{marker}: {head.status} {said[:300]}")
        self.count("streams" if stream else f"turns of {agent}")

    async def _delete(self, key: str) -> None:
        done: dict[str, Any] = {}
        for _ in range(_ASKED):
            done = await self._shell("sessions.delete", session=key)
            # A part of the node is being started again: a client asks once more.
            if done.get("error", {}).get("code") != UNAVAILABLE:
                break
            self.count("deletions asked for again")
            await trio.sleep(_AGAIN)
        if "error" in done:
            self.wrong.append(f"{key} was not deleted: {done['error']}")
        self.count("conversations deleted")

    async def _visit(self, number: int) -> None:
        """A client of the gateway's protocol comes, says something, and goes."""
        visit = self.done.get("visits", 0)
        marker = f"ws{number}v{visit}n{time.monotonic_ns()}"
        key = f"agent:main:{marker}"
        with suppress(NotNow):
            async with open_line(self.node) as line:
                await self._speak(line, key, marker)
            await self._delete(key)
            self.count("visits")
        await trio.sleep(self.pause)

    async def _speak(self, line: Line, key: str, marker: str) -> None:
        asked = {
            "message": f"say <<{marker}>>",
            "sessionKey": key,
            "idempotencyKey": marker,
        }
        started = await line.call("chat.send", asked)
        about = await line.told(started["runId"])
        if about["state"] != "final":
            self.wrong.append(f"{marker}: {about}")

    async def _edit(self) -> None:
        """Another number in the file, now and then one that is refused."""
        edits = self.done.get("edits", 0)
        text = _config(self.node.data.parent, idle=str(2 + edits % 3))
        if edits % 5 == 4:
            text += "nonsense: [\n"
        path = self.node.data.parent / "beamclaw.yaml"
        draft = path.with_suffix(".new")
        draft.write_text(text)
        draft.replace(path)
        self.count("edits")
        await trio.sleep(3)

    async def _forever(self, what: Callable[[], Awaitable[None]]) -> None:
        while True:
            await what()

    async def _shell(self, method: str, **params: object) -> dict[str, Any]:
        """One request on the node's socket."""
        path = self.node.data / "node.sock"
        async with await trio.open_unix_socket(path) as stream:
            hello = {"id": 0, "method": "hello", "params": {"version": 1}}
            asked = {"id": 1, "method": method, "params": params}
            await stream.send_all(
                orjson.dumps(hello) + b"\n" + orjson.dumps(asked) + b"\n"
            )
            data = b""
            while data.count(b"\n") < 2:
                piece = await stream.receive_some()
                if not piece:
                    break
                data += piece
        return orjson.loads(data.splitlines()[-1])

    # --- the measurements

    async def _measure(self) -> None:
        while True:
            figures = _figures(self.node.pid, self.node.data)
            status = await self._shell("status")
            result = status.get("result")
            if isinstance(result, dict):
                self.at.append(time.monotonic())
                for name, value in (
                    *figures.items(),
                    ("processes", result["processes"]),
                ):
                    self.series.setdefault(name, []).append(float(value))
            await trio.sleep(EVERY)


def _figures(pid: int, data: Path) -> dict[str, float]:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    databases = data.rglob("*.db*")
    return {
        "memory (kB)": int(status["VmRSS"].split()[0]),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 -- names only
        "threads": int(status["Threads"]),
        "children": len(children),
        "ledger (kB)": sum(file.stat().st_size for file in databases) / 1024,
    }


def _config(folder: Path, idle: str) -> str:
    return CONFIG.format(script=folder / "script.yaml", idle=idle)


@attrs.frozen(kw_only=True)
class Report:
    """What came of it."""

    slopes: Mapping[str, Slope]
    series: Mapping[str, Sequence[tuple[float, float]]]
    done: Mapping[str, int]
    wrong: tuple[str, ...]
    seconds: float

    @property
    def rising(self) -> list[str]:
        return [
            name for name, floor in FLOORS.items() if self.slopes[name].rises(floor)
        ]

    def table(self) -> Iterator[str]:
        yield f"{self.seconds:.0f} s; " + ", ".join(
            f"{count:,} {what}" for what, count in sorted(self.done.items())
        )
        yield (
            f"{'':14}{'first':>10}{'last':>10}{'per hour':>12}"
            f"{'95 % from':>12}{'to':>12}  floor  verdict"
        )
        for name in (*FLOORS, *SHOWN):
            found = self.slopes[name]
            verdict = "RISES" if name in self.rising else "does not rise"
            floor = FLOORS.get(name)
            yield (
                f"{name:14}{found.first:10,.0f}{found.last:10,.0f}"
                f"{found.each * 3600:12,.1f}{found.low * 3600:12,.1f}"
                f"{found.high * 3600:12,.1f}  "
                + (
                    f"{floor:5,.0f}  {verdict}"
                    if floor is not None
                    else "    -  shown only"
                )
            )
        yield ""
        yield "over the time, a point for each thirtieth of it:"
        for name in (*FLOORS, *SHOWN):
            values = " ".join(f"{value:,.0f}" for _, value in self.series[name])
            yield f"{name:14}{values}"
        yield from self.wrong[:20]
        yield f"{len(self.wrong)} wrong answers; rising: {', '.join(self.rising) or 'nothing'}"


async def soak(
    folder: Path, *, seconds: float, pause: float = 0.2, plant: str | None = None
) -> Report:
    """Run it for so long, in *folder*."""
    (folder / "script.yaml").write_text(SCRIPT)
    (folder / "beamclaw.yaml").write_text(_config(folder, "2"))
    async with open_model() as model:
        env = uses(model.url, BEAMCLAW_CONFIG=str(folder / "beamclaw.yaml"))
        program = "beamclaw"
        if plant is not None:
            program, env = "tests.faults.leaky", {**env, "LEAK": plant}
        async with open_node(
            folder / "data", wait=START, env=env, program=program, anew=True
        ) as node:
            one = Soak(node, pause)
            await one.run(seconds)
            assert node.running, node.stderr()
    if len(one.at) < 2 * FEWEST:
        raise SystemExit(f"only {len(one.at)} measurements: too short to say anything")
    return Report(
        slopes={name: slope(one.at, values) for name, values in one.series.items()},
        series={name: together(one.at, values) for name, values in one.series.items()},
        done=one.done,
        wrong=tuple(one.wrong),
        seconds=one.at[-1] - one.at[0],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pause", type=float, default=0.2, help="of each talker")
    parser.add_argument(
        "--plant", choices=("memory", "descriptors", "threads", "processes")
    )
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        work = partial(
            soak,
            folder,
            seconds=60 * chosen.minutes,
            pause=chosen.pause,
            plant=chosen.plant,
        )
        report = trio.run(work)
    for line in report.table():
        print(line)
    return 1 if report.wrong or report.rising else 0


if __name__ == "__main__":
    sys.exit(main())
