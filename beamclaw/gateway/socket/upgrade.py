"""The request that turns a connection into a WebSocket: is it one, and the answer. Pure."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from beamclaw.gateway.problem import Problem

VERSION: Final = "13"
_KEY_BYTES: Final = 16
# RFC 6455, section 1.3: a constant that no other protocol hashes with.
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def wanted(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request asks for a WebSocket, rightly or wrongly."""
    return (
        method == "GET"
        and "websocket" in _words(headers.get("upgrade", ""))
        and "upgrade" in _words(headers.get("connection", ""))
    )


def _words(value: str) -> Iterable[str]:
    return [word.strip().lower() for word in value.split(",")]


def refuse(version: str, headers: Mapping[str, str]) -> Problem | None:
    """Why a request (of HTTP *version*) that asks for a WebSocket gets none."""
    if version != "1.1":
        return _bad("a WebSocket needs HTTP/1.1")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return _bad("a request that asks for a WebSocket has no body")
    if headers.get("sec-websocket-version") != VERSION:
        return Problem(
            status=426,
            message=f"only version {VERSION} of WebSocket is spoken here",
            param="sec-websocket-version",
            close=True,
        )
    try:
        key = base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)
    except ValueError:  # also for what is not ASCII
        key = b""
    if len(key) != _KEY_BYTES:
        return _bad("Sec-WebSocket-Key is not 16 bytes in base64")
    return None


def answer(headers: Mapping[str, str]) -> bytes:
    """The head that accepts; no extension and no subprotocol is ever agreed on."""
    digest = hashlib.sha1(  # noqa: S324 -- as in the standard; it protects nothing
        headers["sec-websocket-key"].encode("latin-1") + _MAGIC
    ).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"upgrade: websocket\r\n"
        b"connection: Upgrade\r\n"
        b"sec-websocket-accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def _bad(message: str) -> Problem:
    return Problem(status=400, message=message, close=True)
