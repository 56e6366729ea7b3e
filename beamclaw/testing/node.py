"""A node for the tests that kill it: ``python -m beamclaw.testing.node run ...``.

It is ``beamclaw run``, with the same options, and two things beside: its agents have the
tools of a :class:`~beamclaw.testing.world.World` and of
:mod:`beamclaw.testing.session_tools`, and the test says at which point it
ends itself with ``kill -9``. Both are in the folder ``BEAMCLAW_TESTING``:

``orders``
    What the test wants, as JSON (see :class:`Orders`); write it beside and rename it.
    Looked at whenever a point is reached, so it may change while the node runs.
``reached``
    One line per point reached since those orders came: what the test reads.
``effects``
    What the tools did: one line of JSON each, see :class:`~beamclaw.testing.world.World`.

The agent ``careful`` asks a person before each of its tool calls; the tools of ``wary``
say of each call whether a person has to agree, and what they would do is written in the
file ``script`` (see :class:`~beamclaw.testing.world.Leave`); ``chief`` has those
tools, too, with which it has sub-agents and speaks to other sessions; ``editor`` has those
for files, in the folder ``space``; ``runner`` has ``exec``, whose command says its
``text`` as a mark, writes its effect down after ``seconds``, and ends with ``code`` or of
``signal``, and before that reads lines, if it ``reads``, until one is ``over``; and
``process``; ``reader`` has ``web_fetch``. A tool call with the
argument ``seconds`` takes so long before its effect; one with ``until`` waits for a file
of that name in the folder, and one with ``says`` makes one when it begins.
"""

import os
import shlex
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from beamclaw import commands, files, web
from beamclaw.cli.parser import parse
from beamclaw.cli.run import run
from beamclaw.config.last_good import load_kept
from beamclaw.config.loader import load
from beamclaw.config.problems import ConfigError
from beamclaw.config.schema import FilesConfig
from beamclaw.contracts import names, points
from beamclaw.contracts.approvals import Clear, Clearance
from beamclaw.contracts.command_policy import CommandPolicy
from beamclaw.contracts.outside import Outside, ThreadWorker
from beamclaw.contracts.subagents import SessionTool
from beamclaw.contracts.tools import Asks, Order, Output, Tool, ToolSpec
from beamclaw.paths import Roots
from beamclaw.testing.session_tools import session_tools
from beamclaw.testing.world import Leave, World
from beamclaw.values import frozen

FOLDER = "BEAMCLAW_TESTING"
CAREFUL, CHIEF, WARY = "careful", "chief", "wary"
EDITOR, RUNNER, READER = "editor", "runner", "reader"
_ASKS: Mapping[str, Asks] = {CAREFUL: "always", WARY: "by-call"}


@frozen(kw_only=True)
class Orders:
    """What a test wants of the node.

    Attributes:
        kill: The point at which the node ends itself; None: nowhere.
        nth: At which time of reaching it, counted from when the orders were first seen.
        record: Whether to write down the points that are reached.
        crash: The point at which whoever reaches it fails, once: a process of the tree
            dies there, and the node lives.
    """

    kill: str | None = None
    nth: int = 1
    record: bool = True
    crash: str | None = None

    def give(self, folder: Path) -> None:
        """Put them into *folder*; those that a node has seen before are void."""
        draft = folder / "orders.new"
        draft.write_bytes(orjson.dumps(attrs.asdict(self)))
        draft.rename(folder / "orders")


def reached(folder: Path) -> list[str]:
    """The points that the node has reached under its latest orders, in order."""
    try:
        return (folder / "reached").read_text().split()
    except FileNotFoundError:
        return []


class Crashed(Exception):  # noqa: N818 -- a situation
    """A process of the tree was told to fail here."""


class Killer:
    """The hook: writes down the points, and kills at one of them.

    Args:
        folder: Where orders come from.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "orders"
        self._file = folder / "reached"
        self._log = -1
        self._seen = (0, 0)
        self._orders = Orders(record=False)
        self._counts: Counter[str] = Counter()
        # Points are reached in the threads of the databases, too.
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        """The program is at the point *name*."""
        with self._lock:
            self._look()
            self._counts[name] += 1
            if self._orders.record:
                os.write(self._log, name.encode() + b"\n")
            if (self._orders.kill, self._orders.nth) == (name, self._counts[name]):
                os.kill(os.getpid(), signal.SIGKILL)
            fails = self._orders.crash == name and self._counts[name] == 1
        if fails:
            raise Crashed(f"as ordered, at {name}")

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return
        if self._seen == (found.st_ino, found.st_mtime_ns):
            return
        self._seen = found.st_ino, found.st_mtime_ns
        self._orders = Orders(**orjson.loads(self._path.read_bytes()))
        self._counts.clear()
        if self._log >= 0:
            os.close(self._log)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        self._log = os.open(self._file, flags, 0o600)


async def _take_time(folder: Path, order: Order) -> None:
    says = order.arguments.get("says")
    if says:
        (folder / str(says)).touch()
    await trio.sleep(float(order.arguments.get("seconds", 0)))
    until = order.arguments.get("until")
    if until:
        while not (folder / str(until)).exists():  # noqa: ASYNC110 -- another program's
            await trio.sleep(0.01)


_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"seconds": {"type": "number"}, "yieldMs": {"type": "integer"}},
    "additionalProperties": True,
}


def _commands(folder: Path, agent: str) -> tuple[Tool, ...]:
    setting = commands.Setting(
        tenant=names.DEFAULT_TENANT,
        agent=agent,
        roots=Roots(workspace=folder / "workspace"),
        policy=CommandPolicy(mode="off"),
        env={"PATH": os.defpath},
        worker=ThreadWorker(),
    )
    return commands.tools(setting)


def _script(folder: Path, order: Order) -> str:
    """What the shell is given: its text first, and how it is going to end before that."""
    given = order.arguments
    line = {"tool": "exec", "key": order.key, "arguments": dict(given)}
    effect = shlex.quote(orjson.dumps(line).decode())
    effects = shlex.quote(str(folder / "effects"))
    mark = f"<<{given.get('text')}>>"
    steps = [f"echo {shlex.quote(mark)}"]
    if "until" in given:
        file = shlex.quote(str(folder / given["until"]))
        steps.append(f"while [ ! -e {file} ]; do sleep 0.02; done")
    if given.get("reads"):
        typed = orjson.dumps({**line, "tool": "typed", "arguments": {"text": "%s"}})
        steps.append(
            'while read -r line; do [ "$line" = over ] && break; echo "got $line"; '
            f'printf {shlex.quote(typed.decode() + chr(92) + "n")} "$line" '
            f">> {effects}; done"
        )
    steps += [
        f"sleep {given.get('seconds', 0)}",
        rf"printf '%s\n' {effect} >> {effects}",
        "echo done",
        f"kill -{given['signal']} $$" if "signal" in given else "",
        f"exit {given.get('code', 0)}",
    ]
    return "; ".join(filter(None, steps))


@frozen
class _Runs:
    """The tool ``exec``, of commands that have an effect in the world of the tools."""

    folder: Path
    tool: Tool

    @property
    def spec(self) -> ToolSpec:
        return attrs.evolve(self.tool.spec, asks="never", parameters=_SCHEMA)

    async def run(self, order: Order) -> Output:
        wanted = {"command": _script(self.folder, order)}
        passed = ("yieldMs", "background", "pty")
        wanted |= {k: order.arguments[k] for k in passed if k in order.arguments}
        return await self.tool.run(attrs.evolve(order, arguments=wanted))

    async def check(self, order: Order) -> Output | None:
        return await self.tool.check(order)

    async def clear(self, order: Order) -> Clearance:
        del order
        return Clear()


def toolbox(folder: Path, data: Path, agent: str) -> Mapping[str, Tool | SessionTool]:
    """The tools of *agent*."""
    leave = Leave(folder / "script")
    world = World(
        folder / "effects",
        asks=_ASKS.get(agent, "never"),
        clears=leave,
        script=leave.content if agent == WARY else None,
        before=partial(_take_time, folder),
    )
    if agent == RUNNER:
        exec_, process = _commands(folder, agent)
        return {**world.tools(), "exec": _Runs(folder, exec_), "process": process}
    if agent == READER:
        return {**world.tools(), **_web_tools(data)}
    if agent == CHIEF:
        return {**world.tools(), **session_tools()}
    if agent == EDITOR:
        return {**world.tools(), **_file_tools(folder)}
    return {**world.tools()}


@lru_cache
def _file_tools(folder: Path) -> Mapping[str, Tool]:
    """For the files in ``space``."""
    outside, limits = Outside(), FilesConfig()
    setting = files.Setting(
        roots=Roots(folder / "space"),
        limits=limits,
        receipts=folder / "receipts",
        bench=files.Bench(outside, limits.at_once),
        outside=outside,
    )
    return {tool.spec.name: tool for tool in files.tools(setting)}


@lru_cache
def _web_tools(data: Path) -> Mapping[str, Tool]:
    """For the pages that the configuration admits, or did while it could be used."""
    try:
        config = load(os.environ, data=data).config
    except ConfigError:
        kept = load_kept(os.environ, data=data)
        assert kept is not None
        config = kept[0].config
    given = web.web_tools(config, Outside(), names.DEFAULT_TENANT)
    return {tool.spec.name: tool for tool in given}


def main(arguments: Sequence[str]) -> int:
    """Run the node; the exit code."""
    folder = Path(os.environ[FOLDER])
    options = parse(arguments)
    if options is None:
        return 0
    with points.hooked(Killer(folder)):
        return run(options, partial(toolbox, folder, options.data))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
