"""The process ``shell``: owns ``node.sock`` and gives each connection to a child."""

import errno
import os
import socket
import stat
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import trio

import supervision
from beamclaw.contracts.shell import BadSocketPath, socket_path
from beamclaw.contracts.store import DataFolderError
from beamclaw.shell.connection import CONNECTIONS, serve
from beamclaw.shell.request import Node
from beamclaw.storage import private_folder

BACKLOG = 64
# Seconds to wait when the system is out of descriptors; accepting again at once would
# only turn in circles.
BREATH = 0.1
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def listen(node: Node) -> Awaitable[Any]:
    """Bind the socket now, in the child's start; then serve.

    Raises:
        DataFolderError: There can be no socket, or another node answers on it.
    """
    private_folder(node.config.data)
    try:
        path = socket_path(node.config.data)
    except BadSocketPath as error:
        raise DataFolderError(str(error)) from None
    try:
        bound = _bind(path)
    except OSError as error:
        raise DataFolderError(
            f"the socket {path} cannot be made: {error.strerror or error}"
        ) from error
    return _serve(node, path, bound)


def _bind(path: Path) -> socket.socket:
    _clear(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.settimeout(0)
        # Nobody can connect before listen(), so there is no moment with other rights.
        bound.bind(os.fspath(path))
        path.chmod(0o600)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _clear(path: Path) -> None:
    """Take away the socket of a node that is dead; refuse that of one that lives."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise DataFolderError(f"{path} is in the way: it is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            pass  # its queue is full: somebody listens
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise DataFolderError(
        f"data folder {path.parent} is in use by a node that runs; stop it or choose "
        "another folder with --data"
    )


async def _serve(node: Node, path: Path, bound: socket.socket) -> None:
    identity = _identity(path)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
    try:
        async with listener:
            while True:
                await _take(node, listener)
    finally:
        _release(path, identity)


def _release(path: Path, identity: tuple[int, int] | None) -> None:
    # Another node may have come in the meantime: only our own is taken away.
    if identity == _identity(path):
        path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _take(node: Node, listener: trio.SocketListener) -> None:
    try:
        stream = await listener.accept()
    except OSError as error:
        if error.errno not in _OUT_OF:
            raise
        await trio.sleep(BREATH)
        return
    spec = supervision.ChildSpec(
        f"connection:{node.next_connection()}",
        partial(serve, node, stream),
        restart="temporary",
        shutdown=1.0,
    )
    try:
        await supervision.start_child(CONNECTIONS, spec)
    except (supervision.ChildError, supervision.CallFailed):
        await trio.aclose_forcefully(stream)
