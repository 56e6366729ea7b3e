"""WebSocket by hand: frames as a client sends them, right and wrong, and as it reads them."""

import attrs
import orjson

TEXT, BINARY, GO_ON, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
_SHORT, _MEDIUM = 125, 0xFFFF


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: bytes | None = None,
) -> bytes:
    """A frame, masked with a key that changes bytes; *length*: another one than true."""
    size = len(payload)
    if length is None:
        if size <= _SHORT:
            length = bytes([size])
        elif size <= _MEDIUM:
            length = b"\x7e" + size.to_bytes(2, "big")
        else:
            length = b"\x7f" + size.to_bytes(8, "big")
    first = bytes([fin << 7 | rsv << 4 | opcode])
    if not masked:
        return first + length + payload
    key = b"\x37\xfa\x21\x3d"
    return first + bytes([length[0] | 0x80]) + length[1:] + key + mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    long_key = (key * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(long_key, "big")
    return number.to_bytes(size, "big")


def pieces(payload: bytes, size: int, opcode: int = TEXT) -> bytes:
    """A message in frames of *size* bytes."""
    starts = range(0, len(payload), size)
    return b"".join(
        frame(
            opcode if start == 0 else GO_ON,
            payload[start : start + size],
            fin=start + size >= len(payload),
        )
        for start in starts
    )


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def request(id: str, padding: int = 0) -> bytes:
    """A question that is answered by the same *id*; *padding*: bytes of white space."""
    asked = {"type": "req", "id": id, "method": "system-presence"}
    return orjson.dumps(asked)[:-1] + b" " * padding + b"}"


class Wrong(AssertionError):
    """The server has sent what no server may."""


@attrs.define
class Reader:
    """What a server sends, frame by frame, read strictly.

    Attributes:
        buffer: What was not a whole frame yet.
    """

    buffer: bytearray = attrs.field(factory=bytearray)

    def next(self) -> tuple[int, bytes] | None:
        """The next frame: opcode and payload; None: it has not come whole."""
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        if buffer[0] & 0xF0 != 0x80 or buffer[1] & 0x80:
            raise Wrong(f"in pieces, with reserved bits, or masked: {buffer[:2].hex()}")
        size, start = buffer[1], 2
        if size > _SHORT:
            start += 2 if size == _SHORT + 1 else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + size])
        del buffer[: start + size]
        if opcode not in (TEXT, CLOSE, PING, PONG):
            raise Wrong(f"a frame of sort {opcode}")
        return opcode, payload
