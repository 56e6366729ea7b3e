"""The real program under a service manager: a socket that listens as systemd does.

The pings end when something they vouch for stands still, and come again with it. Nothing
here measures: a ping that does not come is told by one that others would have brought.
"""

import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

WITHIN = 1.5
PING = {"WATCHDOG": "1"}


class Manager:
    """Hears what the node says."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard: list[dict[str, str]] = []

    @property
    def env(self) -> dict[str, str]:
        return {
            "NOTIFY_SOCKET": self.address.replace("\0", "@"),
            "WATCHDOG_USEC": str(int(WITHIN * 1_000_000)),
        }

    async def hear(self) -> dict[str, str]:
        data = await self.socket.recv(4096)
        fields = dict(line.split("=", 1) for line in data.decode().splitlines())
        self.heard.append(fields)
        return fields

    async def until(self, name: str) -> dict[str, str]:
        with trio.fail_after(60):
            while name not in (fields := await self.hear()):
                pass
            return fields

    async def silent(self) -> bool:
        """Whether no ping comes any more; those that have come are passed over."""
        while select.select([self.socket.fileno()], [], [], 0)[0]:
            await self.hear()
        with trio.move_on_after(2 * WITHIN):
            await self.until("WATCHDOG")
            await self.until("WATCHDOG")
            return False
        return True


@asynccontextmanager
async def managed(
    folder: Path, *, abstract: bool = False
) -> AsyncIterator[tuple[Manager, Node]]:
    address = (
        f"\0beamclaw-{os.getpid()}-{folder.name}" if abstract else str(folder / "n")
    )
    manager = Manager(address)
    with manager.socket:
        await manager.socket.bind(address)
        async with open_node(folder / "data", wait=120, env=manager.env) as node:
            yield manager, node


@pytest.mark.parametrize("abstract", [False, True])
async def test_ready_pings_reload_and_stop(tmp_path: Path, abstract: bool):
    async with managed(tmp_path, abstract=abstract) as (manager, node):
        ready = await manager.until("READY")
        assert ready["STATUS"] == f"listening on {node.base_url}"
        assert await manager.until("WATCHDOG") == PING

        (node.data / "beamclaw.yaml").write_text("sessions: {idle_seconds: 77}\n")
        reloading = await manager.until("RELOADING")
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert (await manager.until("READY"))["STATUS"].endswith("reloaded")

        node.terminate()
        await manager.until("STOPPING")
        with trio.fail_after(60):
            assert await node.wait() == 0


@pytest.mark.parametrize("process", ["service", "default/ledger"])
async def test_what_a_ping_vouches_for_stands_still_and_goes_on(
    tmp_path: Path, process: str
):
    async with managed(tmp_path) as (manager, node):
        await manager.until("WATCHDOG")
        await shell(node, f"suspend {process}")
        assert await manager.silent()
        await shell(node, f"resume {process}")
        await manager.until("WATCHDOG")
        assert node.running


async def test_killed_it_is_back_and_the_manager_is_not_told_twice(tmp_path: Path):
    async with managed(tmp_path) as (manager, node):
        await manager.until("WATCHDOG")
        await shell(node, "kill service")
        await manager.until("WATCHDOG")
        await manager.until("WATCHDOG")
        state = await shell(node, "state service")
        assert node.base_url in state  # what it was told outlives it
    assert sum("READY" in fields for fields in manager.heard) == 1


async def test_without_a_manager_there_is_no_such_process(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        tree = await node.command("tree")
    assert "service" not in tree.out


async def shell(node: Node, command: str) -> str:
    done = await node.command("shell", "-c", command)
    assert done.code == 0, done.err
    return done.out
