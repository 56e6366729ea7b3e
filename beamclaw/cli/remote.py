"""Talks to a node that is elsewhere, over its gateway; blocking, for commands.

The same requests as on the node's own socket, passed on by the gateway's method
``beamclaw.shell`` to whoever has the scopes for them.
"""

import getpass
import json
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from beamclaw.cli.client import Connection, Gone, nothing, result_of
from beamclaw.cli.output import CommandError, tell
from beamclaw.contracts.hosts import is_loopback
from beamclaw.contracts.looking import METHOD
from beamclaw.contracts.shell import Frame
from beamclaw.values import frozen

PORT: Final = 18789
# Seconds to connect, and to be let in.
PATIENCE: Final = 10.0
_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}
_SCOPES: Final = ("operator.admin", "operator.read")


class Remote(Connection):
    """One connection over the gateway of a node."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._pieces: list[str] = []
        self._last = 0

    def begin(self, method: str, params: Mapping[str, object]) -> int:
        """See :class:`~beamclaw.cli.client.Connection`."""
        return self._ask(METHOD, {"order": method, "params": dict(params)})

    def cancel(self, number: int) -> None:
        """See :class:`~beamclaw.cli.client.Connection`."""
        self._ask(f"{METHOD}.stop", {"id": f"c{number}"})

    def frames(
        self,
        tick: float | None,
        wake: int | None = None,
        also: Callable[[], int | None] = nothing,
    ) -> Iterator[Frame | None]:
        """See :class:`~beamclaw.cli.client.Connection`; in the form of the node's socket."""
        for frame in self._arrived(tick, wake, also):
            if frame is None:
                yield None
            elif frame.get("type") == "res":
                yield _answer(frame)
            elif frame.get("event") == METHOD:
                payload = frame["payload"]
                yield {"id": _number(payload["id"]), "event": payload["value"]}

    # --- the gateway's protocol

    def greet(self, host: str, token: str) -> None:
        """Say who one is.

        Raises:
            Refused: One is not let in.
            Gone: The node is not there any more, or says nothing.
        """
        self._send(Request(host=host, target="/"))
        for frame in self._arrived(PATIENCE):
            if frame is None:
                raise Gone
            if frame.get("event") == "connect.challenge":
                break
        number = self._ask("connect", _introduction(token))
        for answer in self.frames(PATIENCE):
            if answer is None:
                raise Gone
            if answer.get("id") == number:
                result_of(answer)
                return

    def _ask(self, method: str, params: Mapping[str, object]) -> int:
        self._last += 1
        frame = {
            "type": "req",
            "id": f"c{self._last}",
            "method": method,
            "params": params,
        }
        self._send(TextMessage(data=json.dumps(frame)))
        return self._last

    def _send(self, event: Event) -> None:
        try:
            self._sock.sendall(self._wire.send(event))
        except OSError as error:
            raise Gone from error

    def _arrived(
        self,
        tick: float | None,
        wake: int | None = None,
        also: Callable[[], int | None] = nothing,
    ) -> Iterator[Frame | None]:
        while True:
            yield from self._complete()
            if not self._wait(tick, wake, also()):
                yield None
                continue
            try:
                data = self._sock.recv(65536)
                self._wire.receive_data(data or None)
            except (OSError, RemoteProtocolError) as error:
                raise Gone from error
            if not data:
                raise Gone

    def _complete(self) -> Iterator[Frame]:
        """The frames that are there as a whole."""
        for event in self._wire.events():
            match event:
                case TextMessage():
                    self._pieces.append(event.data)
                    if event.message_finished:
                        text, self._pieces = "".join(self._pieces), []
                        yield json.loads(text)
                case Ping():
                    self._send(event.response())
                case RejectConnection() | RejectData():
                    raise CommandError("what answers there is no BeamClaw gateway")
                case CloseConnection():
                    raise Gone
                case AcceptConnection() | _:
                    pass

    def _wait(self, tick: float | None, wake: int | None, also: int | None) -> bool:
        # Of what was encrypted, more may have come than was asked for.
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        return super()._wait(tick, wake, also)


@frozen
class Address:
    """Where a gateway is, and whether what is sent there is encrypted."""

    host: str
    port: int
    secure: bool
    # As a request names it.
    name: str

    @property
    def is_overheard(self) -> bool:
        """Whether others may read what is sent there, the token before all."""
        return not (self.secure or is_loopback(self.host))


def address_of(url: str) -> Address:
    """What *url* says.

    Raises:
        CommandError: It is no address of a gateway, or says too much.
    """
    none = CommandError(
        f"{url} is no address of a gateway, as http://127.0.0.1:{PORT}", 2
    )
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        secure, host, given = _SECURE.get(parts.scheme), parts.hostname, parts.port
    except ValueError:
        raise none from None
    if secure is None or not host:
        raise none
    if parts.username or parts.password or parts.query:
        raise CommandError(
            "an address has no token in it: it would stand in logs; BEAMCLAW_TOKEN has it",
            2,
        )
    port = given or (443 if secure else PORT)
    name = parts.netloc if given or secure else f"{host}:{port}"
    return Address(host, port, secure, name)


def warn(url: str) -> None:
    """Say it where the token would be sent so that others can read it.

    Raises:
        CommandError: See :func:`address_of`.
    """
    address = address_of(url)
    if address.is_overheard:
        tell(
            f"warning: {url} is not encrypted, so whoever is on the way can read the "
            "token; take an https address, or a tunnel: ssh -L "
            f"{PORT}:127.0.0.1:{address.port} {address.host}"
        )


def connect(url: str) -> Remote:
    """Connect to the gateway at *url*, by the token that `BEAMCLAW_TOKEN` has.

    Raises:
        CommandError: There is none, or one is not let in; in words.
    """
    address = address_of(url)
    host = address.host
    token = _token()
    try:
        sock = socket.create_connection((host, address.port), timeout=PATIENCE)
        if address.secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise CommandError(
            f"{url} cannot be reached: {error.strerror or error}"
        ) from None
    remote = Remote(sock)
    try:
        remote.greet(address.name, token)
    except Gone:
        sock.close()
        raise CommandError(f"what answers at {url} is no BeamClaw gateway") from None
    except BaseException:
        sock.close()
        raise
    sock.settimeout(None)
    return remote


def _token() -> str:
    token = os.environ.get("BEAMCLAW_TOKEN", "")
    if not token and sys.stdin.isatty():
        token = getpass.getpass("token of the gateway: ")
    if not token:
        raise CommandError("the gateway wants a token: put it into BEAMCLAW_TOKEN", 2)
    return token


def _introduction(token: str) -> dict[str, object]:
    return {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": {
            "id": "cli",
            "displayName": "beamclaw",
            "version": "1",
            "platform": sys.platform,
            "mode": "cli",
        },
        "role": "operator",
        "scopes": list(_SCOPES),
        # Which of the two it is, the gateway knows by its own mode.
        "auth": {"token": token, "password": token},
    }


def _answer(frame: Mapping[str, Any]) -> Frame:
    number = _number(frame["id"])
    if frame["ok"]:
        payload: Mapping[str, Any] = frame.get("payload") or {}
        return {"id": number, "result": payload.get("result")}
    error = frame["error"]
    details: Mapping[str, Any] = error.get("details") or {}
    code = details.get("reason") or error["code"]
    return {"id": number, "error": {"code": code, "message": error["message"]}}


def _number(id_: str) -> int:
    return int(id_.removeprefix("c")) if id_[1:].isdigit() else 0
