"""The process that accepts: each connection becomes a process of its own.

It is last in the tree and holds nothing. When it dies, connections go on, new ones wait
in the system's queue, and the next one accepts them.
"""

from typing import Final

import trio
from hypercorn.trio.worker_context import WorkerContext

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.gateway import guards
from beamclaw.gateway.app import GatewayApp
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.sockets import Listening, OutOfFilesError

CONNECTIONS: Final = "gateway/connections"
OUT_OF_FILES: Final = "beamclaw.gateway.out_of_files"
# With no file to open and nobody to shed, look again after this time, in seconds.
OUT_OF_FILES_PAUSE: Final = 0.1


async def serve(config: GatewayConfig, floor: Floor, app: GatewayApp) -> None:
    """Accept connections for ever."""
    assert floor.listening is not None, "the listener starts before"
    settings = guards.settings(config)
    context = WorkerContext(None)
    while True:
        await floor.listening.wait_incoming()
        try:
            _accept(floor.listening, floor, config, app, settings, context)
        except OutOfFilesError:
            supervision.emit(OUT_OF_FILES, {"connections": floor.limit})
            if not floor.shed_one():
                await trio.sleep(OUT_OF_FILES_PAUSE)
        await trio.lowlevel.checkpoint()


def _accept(
    listening: Listening,
    floor: Floor,
    config: GatewayConfig,
    app: GatewayApp,
    settings: guards.HypercornConfig,
    context: WorkerContext,
) -> None:
    for connected in listening.accept_nowait():
        if not floor.make_room():
            connected.close()
            continue
        connection = guards.Connection(app, settings, context, config, floor, connected)
        try:
            supervision.start_task(CONNECTIONS, connection.run, name=None)
        except BaseException:
            connection.discard()
            raise
