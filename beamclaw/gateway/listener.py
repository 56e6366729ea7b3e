"""The process that owns the listening sockets and answers for the gateway."""

from contextlib import suppress
from typing import Any, Final

import trio

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.contracts.gateway import (
    NAME,
    CannotListen,
    FinishStreams,
    GatewayStatus,
    GetGatewayStatus,
    SetIntake,
    WaitIdle,
)
from beamclaw.contracts.listening import Listen, Listening
from beamclaw.gateway import sockets
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.hall import Hall

LISTENING: Final = "beamclaw.gateway.listening"
PAGES: Final = "beamclaw.gateway.control_ui.listening"
# Files that are not connections: databases, logs, models' connections, launchers.
RESERVED_FILES: Final = 512
# When clients that stay connected may look for the node again, in milliseconds.
RESTART_MS: Final = 1000


class _Idle:
    """The last request in progress has ended."""


class Listener(supervision.Server):
    """Listens from its ``init`` to its orderly end, across restarts of the server.

    Killed without notice it leaves the sockets on the floor; its successor finds them
    there, so that no client is refused in between.
    """

    trap_exit = True

    def __init__(
        self,
        config: GatewayConfig,
        floor: Floor,
        hall: Hall,
        listen: Listen = sockets.listen,
    ) -> None:
        self._config = config
        self._floor = floor
        self._hall = hall
        self._listen = listen
        self._waiting: list[supervision.From] = []

    async def init(self) -> None:
        """Bind.

        Raises:
            CannotListen: In words for a person.
        """
        config, floor = self._config, self._floor
        if config.auth.mode == "none" and config.exposed is not None:
            raise CannotListen(
                f"the gateway is at {config.exposed}, which others can reach, and "
                "gateway.auth.mode is none; set a token, or listen on 127.0.0.1"
            )
        if config.auth.mode == "token" and not config.auth.token:
            raise CannotListen(
                "gateway.auth.mode is token, and there is none; set BEAMCLAW_TOKEN or "
                "gateway.auth.token"
            )
        if config.auth.mode == "password" and not config.auth.password:
            raise CannotListen(
                "gateway.auth.mode is password, and there is none; set "
                "gateway.auth.password"
            )
        files = sockets.raise_file_limit() - RESERVED_FILES
        floor.limit = max(1, min(config.max_connections, files))
        if floor.listening is None:
            floor.listening = await self._listen_at(
                config.host, config.port, floor.ports.gateway
            )
            floor.ports.gateway = floor.listening.address.port
            floor.started = trio.current_time()
        if config.control_ui.apart and floor.pages is None:
            await self._listen_for_pages()
        floor.on_idle = lambda: supervision.cast(NAME, _Idle())
        supervision.update_value(NAME, floor.listening.address)
        supervision.emit(
            LISTENING,
            {"limit": floor.limit, "wanted": config.max_connections},
            {"url": floor.listening.address.url},
        )

    async def _listen_at(self, host: str, port: int | None, kept: int) -> Listening:
        """At *port*; where any is fine at the *kept* one, as long as it can be had."""
        backlog = self._config.backlog
        if not port and kept:
            with suppress(CannotListen):
                return await self._listen(host, kept, backlog)
        return await self._listen(host, port or 0, backlog)

    async def _listen_for_pages(self) -> None:
        config, floor = self._config, self._floor
        try:
            found = await self._listen_at(
                config.control_ui_host, config.control_ui.port, floor.ports.pages
            )
        except CannotListen as error:
            self._close()
            why = str(error).partition(";")[0]
            raise CannotListen(
                f"{why}; choose another address for the Control UI "
                "(gateway.control_ui.host and gateway.control_ui.port)"
            ) from None
        floor.pages, floor.ports.pages = found, found.address.port
        supervision.emit(PAGES, {}, {"url": found.address.url})

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See :mod:`beamclaw.contracts.gateway`."""
        match request:
            case GetGatewayStatus():
                return self._floor.status()
            case SetIntake(is_open):
                self._floor.set_intake(open=is_open)
                self._hall.closing = None if is_open else "draining"
                return None
            case FinishStreams():
                self._hall.finish("restart", RESTART_MS)
                return self._floor.finish()
            case WaitIdle():
                self._waiting.append(sender)
                self._answer_if_idle()
                return supervision.NO_REPLY
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> None:
        """The floor says that nothing is in progress any more."""
        if not isinstance(message, _Idle):
            await super().handle_cast(message)
        self._answer_if_idle()

    def _answer_if_idle(self) -> None:
        if self._floor.idle:
            for sender in self._waiting:
                supervision.reply(sender, None)
            self._waiting.clear()

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Stop listening."""
        self._close()

    def _close(self) -> None:
        floor = self._floor
        for each in (floor.listening, floor.pages):
            if each is not None:
                each.close()
        floor.listening = floor.pages = None

    def describe(self) -> dict[str, object]:
        """The figures."""
        if self._floor.listening is None:
            return {"listening": False}
        status: GatewayStatus = self._floor.status()
        return {
            "address": status.address.url,
            "status": status,
            "clients": self._hall.statistics(),
        }
