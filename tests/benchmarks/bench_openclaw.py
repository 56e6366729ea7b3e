"""OpenClaw's own gateway beside ours: the same client, the same provider, one run.

    just bench-openclaw

It takes minutes and needs the program (``scripts/peers`` installs it), so it is no part of
``just bench``. Both gateways begin with an empty folder of their own and no channel; both
are asked over OpenAI's API and over OpenClaw's protocol, one after the other, never at
once. Each is as it comes: theirs tells its model of some fifty tools, ours of its own.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from tests.benchmarks.load import PATH
from tests.benchmarks.report import Row, emit
from tests.benchmarks.stage import load, open_stage, resident
from tests.faults.line import Line, let_in
from tests.peers.plugin import which
from tests.support.browser import free_port
from tests.support.node import open_program
from tests.support.wire import Closed, Connection, once

NAME = "OpenClaw"
TOKEN = "token-of-the-benchmark-0123456789abcdef"
PLANS = (FIRST, WHOLE) = ("t5-w0-g20", "t20-w0-g0")
CLIENT = {
    "id": "gateway-client",
    "version": "1",
    "platform": "linux",
    "mode": "backend",
}
SECONDS = 6.0
SAMPLES = 40
TIMES = 100
LETS_SETTLE = 5.0  # seconds: what both load once they listen


@attrs.frozen
class Gateway:
    """One of the two, running."""

    url: str
    token: str
    pid: int
    ready: float
    provider: str

    def asked(self, plan: str, *, stream: bool) -> dict[str, Any]:
        """A target for :mod:`tests.benchmarks.load`: each time a new session."""
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.token}",
            "x-openclaw-model": f"{self.provider}/{plan}",
        }
        said = [{"role": "user", "content": "measure <<bench>>"}]
        body = {"model": "openclaw", "messages": said, "stream": stream}
        return {"url": self.url, "headers": headers, "body": body}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Line]:
        """A client of the protocol that was let in."""
        with await Connection.open(self.url) as connection:
            yield await let_in(connection, self.token, CLIENT)


@asynccontextmanager
async def _theirs(model: str) -> AsyncIterator[Gateway]:
    program = which("openclaw")
    if program is None:
        sys.exit("there is no OpenClaw here to measure; scripts/peers installs it")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), await free_port()
        config = folder / "openclaw.json"
        config.write_bytes(orjson.dumps(_config(port, model)))
        env = os.environ | {
            "HOME": name,
            "OPENCLAW_STATE_DIR": str(folder / "state"),
            "OPENCLAW_CONFIG_PATH": str(config),
        }
        began = time.monotonic()
        process = await trio.lowlevel.open_process(
            [program, "gateway", "run"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await _until_live(url)
            ready = time.monotonic() - began
            yield Gateway(url, TOKEN, process.pid, ready, "fake")
        finally:
            process.terminate()
            with trio.move_on_after(20, shield=True):
                await process.wait()
            process.kill()


def _config(port: int, model: str) -> dict[str, Any]:
    models = [
        {
            "id": plan,
            "name": plan,
            "contextWindow": 200_000,
            "maxTokens": 4096,
            "input": ["text"],
            "reasoning": False,
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        }
        for plan in PLANS
    ]
    provider = {
        "baseUrl": model,
        "apiKey": "key-of-the-fake",
        "api": "openai-completions",
        "models": models,
    }
    return {
        "gateway": {
            "mode": "local",
            "port": port,
            "bind": "loopback",
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
        },
        "models": {"providers": {"fake": provider}},
        "agents": {
            "defaults": {"model": {"primary": f"fake/{WHOLE}"}, "skipBootstrap": True}
        },
    }


async def _until_live(url: str) -> None:
    while True:
        try:
            if (await once(f"{url}/healthz")).status == 200:
                return
        except (OSError, Closed):
            pass
        await trio.sleep(0.02)  # another process, which tells nobody


def _held(pid: int) -> float:
    """Resident memory of a process and of all that it has started, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return resident(pid) + sum(_held(int(child)) for child in children)


def _median(times: Sequence[float]) -> float:
    """Milliseconds."""
    return round(statistics.median(times) * 1000, 2)


async def _warm_up(gateway: Gateway) -> None:
    """What is loaded with the first turn is loaded before anything is measured."""
    target = gateway.asked(WHOLE, stream=False)
    for _ in range(5):
        with await Connection.open(gateway.url) as connection:
            body = orjson.dumps(target["body"])
            answer = await connection.request("POST", PATH, target["headers"], body)
            assert answer.status == 200, answer.body


async def _measured(gateway: Gateway) -> dict[str, float]:
    await trio.sleep(LETS_SETTLE)
    found = {"ready": round(gateway.ready, 2), "idle": round(_held(gateway.pid), 1)}
    await _warm_up(gateway)
    handshakes: list[float] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        async with gateway.client():
            handshakes.append(time.perf_counter() - began)
    trips: list[float] = []
    async with gateway.client() as line:
        for _ in range(TIMES):
            began = time.perf_counter()
            await line.call("health", {})
            trips.append(time.perf_counter() - began)
    found |= {"handshake": _median(handshakes), "health": _median(trips)}
    first = await load(
        "first_token", targets=[gateway.asked(FIRST, stream=True)], samples=SAMPLES
    )
    found["first"] = round(first["p50"][0] * 1000, 1)
    for at_once in (1, 16):
        target = gateway.asked(WHOLE, stream=False)
        turns = await load("turns", target=target, at_once=at_once, seconds=SECONDS)
        found[f"turns {at_once}"] = round(turns["per_second"], 1)
    found["after"] = round(_held(gateway.pid), 1)
    return found


NAMES = {
    "ready": ("start to the first answer of /healthz", "s"),
    "idle": ("memory at rest, with all that it has started", "MB"),
    "handshake": ("handshake of a client of the protocol, p50", "ms"),
    "health": ("health, round trip over the protocol, p50", "ms"),
    "first": ("time to the first token of a new session, p50", "ms"),
    "turns 1": ("turns per second in new sessions, 1 at once", "/s"),
    "turns 16": ("turns per second in new sessions, 16 at once", "/s"),
    "after": ("memory after these turns", "MB"),
}


async def main() -> None:
    async with open_stage() as stage:
        node = stage.node
        await _until_live(node.base_url)
        ready = time.monotonic() - node.spawned
        ours = await _measured(
            Gateway(node.base_url, node.token, node.pid, ready, "openai")
        )
    async with (
        open_program("tests.support.model") as (model, _),
        _theirs(model) as other,
    ):
        theirs = await _measured(other)
    emit(
        *(
            Row(
                name=f"beside OpenClaw: {name}",
                value=ours[key],
                unit=unit,
                baseline=theirs[key],
                against=NAME,
            )
            for key, (name, unit) in NAMES.items()
        )
    )


if __name__ == "__main__":
    trio.run(main)
