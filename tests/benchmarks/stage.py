"""A node and a fake provider, each a process of its own, and the client beside them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from tests.support.node import ROOT, Node, open_node, open_program, uses
from tests.support.wire import once


@attrs.frozen
class Stage:
    """Both sides, as targets for :mod:`tests.benchmarks.load`."""

    node: Node
    model: str

    def through(self, plan: str, *, stream: bool) -> dict[str, Any]:
        """The node, asked in a session of its own for an answer as *plan* says."""
        headers = {"x-openclaw-model": f"openai/{plan}", **self.node.bearer}
        return {
            "url": self.node.base_url,
            "headers": {"Content-Type": "application/json", **headers},
            "body": _body("openclaw", stream=stream),
        }

    def alone(self, plan: str, *, stream: bool) -> dict[str, Any]:
        """The provider without us."""
        return {
            "url": self.model.removesuffix("/v1"),
            "headers": {"Content-Type": "application/json"},
            "body": _body(plan, stream=stream),
        }

    async def statistics(self) -> dict[str, int]:
        """What the provider counted."""
        return (await once(self.model.removesuffix("/v1") + "/stats")).json()


def _body(model: str, *, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": "measure <<bench>>"}]
    return {"model": model, "messages": messages, "stream": stream}


@asynccontextmanager
async def open_stage(
    program: str = "beamclaw", **provider: Any
) -> AsyncIterator[Stage]:
    """Both running, the node on an empty data folder; *provider* is configured."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_program("tests.support.model") as (url, _):
            config = Path(folder) / "beamclaw.yaml"
            openai = {"api": "openai", "base_url": url, "api_key": "key-of-the-fake"}
            config.write_bytes(
                orjson.dumps({"providers": {"openai": openai | provider}})
            )
            data, options = Path(folder) / "data", ["--config", str(config)]
            async with open_node(
                data, env=uses(url), options=options, program=program, anew=True
            ) as node:
                yield Stage(node, url)


async def load(kind: str, **order: Any) -> dict[str, Any]:
    """Have the client do one thing."""
    argument = orjson.dumps({"kind": kind, **order}).decode()
    finished = await trio.run_process(
        [sys.executable, "-m", "tests.benchmarks.load", argument],
        capture_stdout=True,
        cwd=ROOT,
    )
    return orjson.loads(finished.stdout)


def resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def cpu(pid: int) -> float:
    """Processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def python(code: str) -> list[str]:
    """The command that runs *code* in this interpreter."""
    return [sys.executable, "-c", code]


async def took(command: list[str]) -> float:
    """Seconds a command takes from start to end."""
    began = trio.current_time()
    await trio.run_process(command, stdout=subprocess.DEVNULL)
    return trio.current_time() - began
