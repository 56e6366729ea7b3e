"""Talks to a running node over its socket; blocking, for commands.

A command does one thing at a time and has to start fast: it needs no event loop.
"""

import errno
import os
import select
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from beamclaw.cli.output import CommandError
from beamclaw.cli.typed import command
from beamclaw.contracts.shell import (
    BadSocketPath,
    Decoder,
    Frame,
    FrameError,
    encode,
    hello,
    socket_path,
)

HELLO_SECONDS = 5.0
_NOBODY = (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR)


class NoNode(CommandError):  # noqa: N818 -- a situation
    """No node runs on that data folder."""

    def __init__(self, data: Path) -> None:
        super().__init__(
            f"no node is running on {data}; start one with: {command('run', data)}"
        )


class Gone(Exception):  # noqa: N818 -- a situation
    """The node ended the connection: it stops, or has died."""


class Refused(CommandError):  # noqa: N818 -- a situation
    """The node answered with an error; *kind* is its code."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message, 1 if kind != "params" else 2)
        self.kind = kind


def nothing() -> None:
    """Nothing more is watched."""


class Connection(ABC):
    """Requests to a node, whatever way they go; to be used as a context manager."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._sock.close()

    @abstractmethod
    def begin(self, method: str, params: Mapping[str, object]) -> int:
        """Send a request; its id.

        Raises:
            Gone: The node is not there any more.
        """

    @abstractmethod
    def cancel(self, number: int) -> None:
        """End a request that goes on; what still comes of it has its id.

        Raises:
            Gone: The node is not there any more.
        """

    @abstractmethod
    def frames(
        self,
        tick: float | None,
        wake: int | None = None,
        also: Callable[[], int | None] = nothing,
    ) -> Iterator[Frame | None]:
        """Frames as they come; None whenever *tick* seconds pass or *wake* is readable.

        *wake* is read here; what *also* gives is watched as well, and read by whoever
        has the None.

        Raises:
            Gone: The node is not there any more.
        """

    def request(self, method: str, params: Mapping[str, object] | None = None) -> Any:
        """Send a request and wait for its result.

        Raises:
            Refused: The node says why not.
            Gone: The node is not there any more.
        """
        number = self.begin(method, params or {})
        for frame in self.frames(None):
            if frame is None or frame.get("id") not in (number, None):
                continue
            if "event" not in frame:
                return result_of(frame)
        raise Gone

    def events(
        self, method: str, params: Mapping[str, object]
    ) -> Generator[Any, None, Any]:
        """Send a request and give its events; the result is what the generator returns.

        Raises:
            Refused: The node says why not.
            Gone: The node is not there any more.
        """
        number = self.begin(method, params)
        for frame in self.frames(None):
            if frame is None or frame.get("id") not in (number, None):
                continue
            if "event" not in frame:
                return result_of(frame)
            yield frame["event"]
        raise Gone

    def _wait(self, tick: float | None, wake: int | None, also: int | None) -> bool:
        """Whether something has come, before *tick* seconds or one of the others."""
        own = self._sock.fileno()
        watched = [each for each in (own, wake, also) if each is not None]
        ready: list[int] = select.select(watched, [], [], tick)[0]
        if wake is not None and wake in ready:
            os.read(wake, 64)
        return own in ready


class Client(Connection):
    """One connection to the socket of a node on this machine."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        self._last = 0

    def begin(self, method: str, params: Mapping[str, object]) -> int:
        """See :class:`Connection`."""
        self._last += 1
        frame = {"id": self._last, "method": method, "params": dict(params)}
        self.send(frame)
        return self._last

    def cancel(self, number: int) -> None:
        """See :class:`Connection`."""
        self.send({"method": "cancel", "params": {"id": number}})

    def frames(
        self,
        tick: float | None,
        wake: int | None = None,
        also: Callable[[], int | None] = nothing,
    ) -> Iterator[Frame | None]:
        """See :class:`Connection`."""
        while True:
            while self._frames:
                yield self._frames.pop(0)
            if not self._wait(tick, wake, also()):
                yield None
                continue
            try:
                data = self._sock.recv(65536)
                self._frames += self._decoder.feed(data)
            except (OSError, FrameError) as error:
                raise Gone from error
            if not data:
                raise Gone

    def send(self, frame: Mapping[str, object]) -> None:
        """Send *frame* as it is.

        Raises:
            Gone: The node is not there any more.
        """
        try:
            self._sock.sendall(encode(frame))
        except OSError as error:
            raise Gone from error


def result_of(frame: Frame) -> Any:
    """What a last frame says.

    Raises:
        Refused: It says no.
    """
    error = frame.get("error")
    if error is not None:
        raise Refused(str(error.get("code")), str(error.get("message")))
    return frame.get("result")


def connect(data: Path) -> Client:
    """Connect to the node on *data*.

    Raises:
        NoNode: There is none.
        Refused: It does not speak with us.
        CommandError: The socket cannot be reached, in words.
        Gone: It went away in this moment.
    """
    try:
        path = socket_path(data)
    except BadSocketPath as error:
        raise CommandError(str(error), 2) from None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client = Client(sock)
    try:
        sock.settimeout(HELLO_SECONDS)
        sock.connect(os.fspath(path))
        _greet(client, data)
    except OSError as error:
        sock.close()
        raise _failure(error, path, data) from None
    except BaseException:
        sock.close()
        raise
    sock.settimeout(None)
    return client


def _greet(client: Client, data: Path) -> None:
    client.send(hello())
    until = time.monotonic() + HELLO_SECONDS
    for frame in client.frames(HELLO_SECONDS):
        if frame is not None:
            result_of(frame)
            return
        if time.monotonic() > until:
            raise CommandError(
                f"the node on {data} does not answer within {HELLO_SECONDS:.0f} s"
            )


def _failure(error: OSError, path: Path, data: Path) -> CommandError:
    if error.errno in _NOBODY:
        return NoNode(data)
    if error.errno in (errno.EACCES, errno.EPERM):
        return CommandError(
            f"{path} may not be opened by this user; use the user who runs the node"
        )
    return CommandError(f"{path} cannot be reached: {error.strerror or error}")
