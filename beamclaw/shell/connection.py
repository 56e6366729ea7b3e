"""One connection of a command: its frames, and one process per request."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast

import attrs
import trio

import supervision
from beamclaw.contracts.points import point
from beamclaw.contracts.shell import VERSION, Decoder, Frame, FrameError, encode
from beamclaw.shell.lineage import is_below, peer_of
from beamclaw.shell.methods import METHODS
from beamclaw.shell.request import Failed, Method, Node

CONNECTIONS: Final = "shell/connections"
# Seconds: to say hello, and for a command to take what it is sent.
HELLO_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 10.0
MAX_REQUESTS: Final = 64


def is_trusted(uid: int, own: int) -> bool:
    """Whether a process of user *uid* may speak to a node of user *own*."""
    return uid in (own, 0)


@attrs.define
class _Line:
    """The writing side, shared by the requests of one connection."""

    stream: trio.SocketStream
    _lock: trio.Lock = attrs.field(factory=trio.Lock)

    async def send(self, frame: Mapping[str, object]) -> None:
        """Send one frame; a command that takes nothing for too long is let go."""
        async with self._lock:
            with trio.move_on_after(WRITE_SECONDS) as limit:
                with point("shell.send"):
                    await self.stream.send_all(encode(frame))
                return
        if limit.cancelled_caught:
            await trio.aclose_forcefully(self.stream)
            raise trio.BrokenResourceError


async def serve(node: Node, stream: trio.SocketStream) -> None:
    """The connection's process; its requests are linked to it and end with it."""
    line = _Line(stream)
    async with stream:
        try:
            await _frames(node, stream, line)
        except FrameError as error:
            await _say(line, None, "frame", str(error))
        except trio.BrokenResourceError:
            pass
    # Not normal: requests that are linked to this process have to end, too.
    supervision.exit(supervision.SHUTDOWN)


async def _frames(node: Node, stream: trio.SocketStream, line: _Line) -> None:
    node = attrs.evolve(node, connection=supervision.self_pid())
    peer = peer_of(stream.socket)
    if peer is not None:
        if not is_trusted(peer.uid, os.getuid()):
            await _say(line, None, "forbidden", "this node belongs to another user")
            return
        below = partial(is_below, peer.pid, os.getpid())
        inner = await node.outside.worker().run(below)
        node = attrs.evolve(node, inner=inner, peer=peer)
    decoder = Decoder()
    greeted = False
    requests: dict[object, supervision.Pid] = {}
    while True:
        with trio.move_on_after(float("inf") if greeted else HELLO_SECONDS):
            data = await stream.receive_some(65536)
            if not data:
                return
            for frame in decoder.feed(data):
                if not greeted:
                    greeted = await _greet(node, line, frame)
                    if not greeted:
                        return
                else:
                    await _begin(node, line, frame, requests)
            continue
        return


async def _greet(node: Node, line: _Line, frame: Frame) -> bool:
    params = frame.get("params")
    version = params.get("version") if isinstance(params, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] -- foreign
    if frame.get("method") != "hello" or version != VERSION:
        words = (
            f"this node speaks version {VERSION} of its socket's protocol; use the "
            "beamclaw command of the same installation"
        )
        await _say(line, frame.get("id"), "version", words)
        return False
    result = {"version": VERSION, "node": node.version, "pid": os.getpid()}
    await line.send({"id": frame.get("id"), "result": result})
    return True


async def _begin(
    node: Node, line: _Line, frame: Frame, requests: dict[object, supervision.Pid]
) -> None:
    number, method, params = frame.get("id"), frame.get("method"), frame.get("params")
    for done in [key for key, pid in requests.items() if not supervision.is_alive(pid)]:
        del requests[done]
    if method == "cancel" and isinstance(params, dict):
        _cancel(requests, cast("Frame", params).get("id"))
        return
    handler = METHODS.get(method) if isinstance(method, str) else None
    if not isinstance(number, int) or number in requests:
        await _say(line, None, "frame", "a request has an id, a number not in use")
    elif handler is None:
        known = ", ".join(METHODS)
        await _say(line, number, "method", f"there is no {method!r}; there are {known}")
    elif not isinstance(params or {}, dict):
        await _say(line, number, "params", "params have to be an object")
    elif len(requests) >= MAX_REQUESTS:
        await _say(line, number, "busy", f"{MAX_REQUESTS} requests are in progress")
    else:
        requests[number] = supervision.spawn_link(
            _answer, node, line, number, handler, params or {}
        )


def _cancel(requests: Mapping[object, supervision.Pid], number: object) -> None:
    """End a request; nothing more comes of it, and nothing of this order."""
    pid = requests.get(number) if isinstance(number, int) else None
    if pid is not None:
        supervision.unlink(pid)
        supervision.exit(pid, supervision.SHUTDOWN)


async def _answer(
    node: Node, line: _Line, number: int, method: Method, params: Mapping[str, Any]
) -> None:
    async def event(value: object) -> None:
        await line.send({"id": number, "event": value})

    try:
        try:
            result = await method(node, params, event)
        except Failed as error:
            await _say(line, number, error.code, str(error))
        else:
            await line.send({"id": number, "result": result})
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the command has left; its connection's process sees it as well


async def _say(line: _Line, number: object, code: str, words: str) -> None:
    error = {"code": code, "message": words}
    await line.send({"id": number, "error": error})
