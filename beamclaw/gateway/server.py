"""The process that accepts: each connection becomes a process of its own.

It is last in the tree and holds nothing. When it dies, connections go on, new ones wait
in the system's queue, and the next one accepts them.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from hypercorn.trio.worker_context import WorkerContext

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.contracts.listening import Listening
from beamclaw.gateway.app import GatewayApp
from beamclaw.gateway.connection import Connection, settings
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.socket.client import Reception
from beamclaw.gateway.sockets import OutOfFilesError

CONNECTIONS: Final = "gateway/connections"
OUT_OF_FILES: Final = "beamclaw.gateway.out_of_files"
# With no file to open and nobody to shed, look again after this time, in seconds.
OUT_OF_FILES_PAUSE: Final = 0.1


async def serve(
    config: GatewayConfig,
    floor: Floor,
    listening: Listening | None,
    app: GatewayApp,
    reception: Reception,
) -> None:
    """Accept connections for ever."""
    assert listening is not None, "the listener starts before"
    connection = partial(
        Connection,
        app,
        config,
        floor,
        reception,
        config=settings(config),
        context=WorkerContext(None),
    )
    while True:
        await listening.wait_incoming()
        fresh: list[tuple[Connection, supervision.Pid]] = []
        full = gone = False
        try:
            _accept(listening, floor, connection, fresh)
        except OutOfFilesError:
            full = True
        except supervision.NoProcess:
            gone = True
        await _see_begun(fresh)
        if gone:
            # With the connections gone this process is about to be ended, too; whoever
            # knocks now waits in the system's queue for the next one.
            await trio.sleep_forever()
        if full:
            supervision.emit(OUT_OF_FILES, {"connections": floor.connections})
            if not floor.shed_one():
                await trio.sleep(OUT_OF_FILES_PAUSE)


async def _see_begun(fresh: list[tuple[Connection, supervision.Pid]]) -> None:
    """Close what was given to processes that were killed before their first step.

    Nobody else does. Behind two steps of others each of them has begun, or never will.
    This waits for them also if it is killed itself: with the gateway all of them are.
    """
    for _ in range(2):
        await trio.lowlevel.cancel_shielded_checkpoint()
    for accepted, pid in fresh:
        if not accepted.begun and not supervision.is_alive(pid):
            accepted.discard()


def _accept(
    listening: Listening,
    floor: Floor,
    connection: Callable[..., Connection],
    fresh: list[tuple[Connection, supervision.Pid]],
) -> None:
    """Begin a process for each connection that waits, and note it in *fresh*."""
    for connected in listening.accept_nowait():
        if not floor.make_room():
            connected.close()
            continue
        accepted = connection(connected)
        try:
            name = f"gateway/connection/{floor.accepted}"
            pid = supervision.start_task(CONNECTIONS, accepted.run, name=name)
        except BaseException:
            accepted.discard()
            raise
        fresh.append((accepted, pid))
