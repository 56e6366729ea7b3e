"""What is sent: made from one number, so that each attempt can be had again."""

import random
from typing import Final

from tests.conformance.websocket.frames import GO_ON, TEXT, frame, request

_REQUESTS: Final = (
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n",
    (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ),
    (
        b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ),
)
_PIECES: Final = (
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"\xff\xfe",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"A: " + b"a" * 9000 + b"\r\n",
    b'{"a":' * 200,
    b"9" * 400,
)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """*data* with some bytes changed, put in, left out or doubled."""
    changed = bytearray(data)
    for _ in range(chance.randrange(6)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[place : place + 1] = chance.randbytes(1)
            case 1:
                changed[place:place] = chance.choice(_PIECES)
            case 2:
                del changed[place : place + chance.randrange(1, 20)]
            case _:
                changed[place:place] = changed[place : place + chance.randrange(40)]
    return bytes(changed)


def http(chance: random.Random) -> bytes:
    """Some requests on one connection, nearly right."""
    count = chance.randrange(1, 4)
    return b"".join(mutated(chance, chance.choice(_REQUESTS)) for _ in range(count))


def frames(chance: random.Random) -> bytes:
    """Some frames, most of them right."""
    return b"".join(_frame(chance) for _ in range(chance.randrange(1, 12)))


def _frame(chance: random.Random) -> bytes:
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(40))
    payload = request(f"{chance.randrange(9)}", chance.randrange(200))
    if chance.random() < 0.5:
        payload = mutated(chance, payload)
    known = (TEXT, TEXT, TEXT, GO_ON, 2, 8, 9, 10)
    opcode = chance.choice(known) if chance.random() < 0.9 else chance.randrange(16)
    return frame(
        opcode,
        payload[:125] if opcode > 7 and chance.random() < 0.8 else payload,
        fin=chance.random() < 0.8,
        rsv=0 if chance.random() < 0.95 else chance.randrange(8),
        masked=chance.random() < 0.98,
    )
