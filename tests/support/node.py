"""A whole node as a process of its own, started and killed the way people do it."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import orjson
import trio

from tests.support.forks import Forked, Forks, forks_of
from tests.support.wire import Connection, Response, once

ROOT = Path(__file__).parents[2]
READY = b"beamclaw ready on "
# Seconds that a node may take to begin or to end: a guard against one that hangs.
WAIT = 120.0


class NodeFailed(AssertionError):
    """The node ended, or was not ready in time; the message is what it wrote."""


@attrs.frozen
class Finished:
    """What became of a command: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    def json(self) -> object:
        return orjson.loads(self.out)


def clean(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without anything of ours but *more*."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    kept = (*kept, "PYTHONSAFEPATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return {**environment, "HOME": str(home), **(more or {})}


@attrs.define(eq=False, kw_only=True)
class Node:
    """One data folder, and the process that runs on it at the moment.

    Attributes:
        data: The data folder; what the node writes to standard error is beside it.
        env: The environment, beside :func:`clean`'s.
        options: Of ``beamclaw run``, beside ``--data`` and ``--port``.
        port: What ``--port`` says; None: the configuration says it.
        program: The module that is ``beamclaw``, or what takes its place.
        token: The gateway's shared secret.
        forks: What it is forked by, if not started anew: of the same program. It is
            started anew if its environment is about the interpreter.
        spawned: When it was started last (``time.monotonic``).
        ready_after: Seconds from start to ready, last time.
    """

    data: Path
    env: Mapping[str, str] = attrs.field(factory=dict)
    options: Sequence[str] = ()
    program: str = "beamclaw"
    port: int | None = 0
    token: str = attrs.field(factory=lambda: secrets.token_hex(16))
    forks: Forks | None = None
    spawned: float = 0.0
    ready_after: float = 0.0
    base_url: str = ""
    out: bytes = b""
    process: trio.Process | Forked | None = None

    @property
    def errors(self) -> Path:
        """The file that all of standard error goes to."""
        return self.data.with_name(self.data.name + ".stderr")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        tokens = {"BEAMCLAW_TOKEN": self.token} if self.token else {}
        return clean(self.data.parent, {**tokens, **self.env})

    async def start(self, *, wait: float = WAIT) -> None:
        """Start it and wait until it says that it is ready."""
        await self.spawn()
        await self.ready(wait=wait)

    async def spawn(self) -> None:
        """Start it."""
        port = () if self.port is None else ("--port", str(self.port))
        command = ["run", "--data", str(self.data), *port, *self.options]
        self.spawned = time.monotonic()
        if self.forks is not None and self.forks.suits(self.environment):
            self.process = await self.forks.spawn(
                command, self.environment, self.errors
            )
            return
        with self.errors.open("ab") as errors:
            self.process = await trio.lowlevel.open_process(
                [sys.executable, "-m", self.program, *command],
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=self.environment,
            )

    async def ready(self, *, wait: float = WAIT) -> None:
        """Until it says that it is ready."""
        with trio.move_on_after(wait):
            await self._until_ready()
            self.ready_after = time.monotonic() - self.spawned
            return
        self.kill9()
        raise NodeFailed(f"not ready after {wait} s:\n{self.stderr()}")

    async def _until_ready(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.out = b""
        while True:
            for line in self.out.splitlines(keepends=True):
                if line.startswith(READY) and line.endswith(b"\n"):
                    self.base_url = line.removeprefix(READY).strip().decode()
                    return
            data = await self.process.stdout.receive_some()
            if not data:
                code = await self.process.wait()
                raise NodeFailed(f"ended with {code}:\n{self.stderr()}")
            self.out += data

    def stderr(self) -> str:
        return self.errors.read_text() if self.errors.exists() else ""

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill9(self) -> None:
        self.signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Until it has ended; its exit code. The rest of its output is in ``out``."""
        assert self.process is not None
        assert self.process.stdout is not None
        async with self.process.stdout:
            while data := await self.process.stdout.receive_some():
                self.out += data
        return await self.process.wait()

    async def stop(self, *, wait: float = WAIT) -> int:
        """SIGTERM; the exit code."""
        self.terminate()
        with trio.move_on_after(wait):
            return await self.wait()
        self.kill9()
        raise NodeFailed(f"did not stop within {wait} s:\n{self.stderr()}")

    # --- talking to it

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def connect(self) -> Connection:
        return await Connection.open(self.base_url)

    async def get(self, path: str) -> Response:
        return await once(self.base_url + path, headers=self.bearer)

    async def complete(
        self, text: str, headers: Mapping[str, str] | None = None, **body: object
    ) -> Response:
        """One chat completion, not streamed."""
        return await once(
            self.base_url + "/v1/chat/completions",
            "POST",
            {**self.bearer, "Content-Type": "application/json", **(headers or {})},
            completion(text, **body),
        )

    async def command(self, *arguments: str) -> Finished:
        """``beamclaw <arguments> --data <this folder>``."""
        finished = await trio.run_process(
            [sys.executable, "-m", "beamclaw", *arguments, "--data", str(self.data)],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=ROOT,
            env=self.environment,
        )
        return Finished(
            finished.returncode, finished.stdout.decode(), finished.stderr.decode()
        )


def completion(text: str, **body: object) -> bytes:
    """The JSON of a chat completion with one message of a person."""
    messages = [{"role": "user", "content": text}]
    return orjson.dumps({"model": "openclaw", "messages": messages, **body})


def uses(model_url: str, model: str = "t5-w0-g0", **more: str) -> dict[str, str]:
    """The environment with which a node asks the fake at *model_url*."""
    return {
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "key-of-the-fake",
        "BEAMCLAW_MODEL": f"openai/{model}",
        **more,
    }


@asynccontextmanager
async def open_node(
    data: Path, *, wait: float = WAIT, anew: bool = False, **options: object
) -> AsyncIterator[Node]:
    """A running node; killed at the end of the block if it runs still.

    It gets *wait* seconds to start. With *anew* an interpreter of its own begins with it,
    else it is forked (:mod:`tests.support.forks`).
    """
    node = Node(data=data, **options)  # pyright: ignore[reportArgumentType]
    if not anew and node.forks is None:
        node.forks = forks_of(node.program)
    try:
        await node.start(wait=wait)
        yield node
    finally:
        if node.running:
            node.kill9()
        if node.process is not None:
            with trio.CancelScope(shield=True):
                await node.process.wait()
                if node.process.stdout is not None:
                    await node.process.stdout.aclose()


def free_port() -> int:
    """One that nobody has at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@asynccontextmanager
async def open_program(*arguments: str) -> AsyncIterator[tuple[str, trio.Process]]:
    """``python -m ...`` as a helper beside; yields its first line."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        first = b""
        while not first.endswith(b"\n"):
            data = await process.stdout.receive_some()
            if not data:
                raise NodeFailed(f"{arguments[0]} ended at once")
            first += data
        yield first.decode().strip(), process
    finally:
        process.kill()
        with trio.move_on_after(5, shield=True):
            await process.wait()
            await process.stdout.aclose()
