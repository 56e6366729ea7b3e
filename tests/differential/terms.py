"""Erlang's external term format, as far as scenarios and traces need it.

Atoms are strings, `True`, `False` are atoms too; tuples and lists are themselves.
"""

import struct
from typing import Any, TypeAlias

Term: TypeAlias = Any  # str | int | bool | tuple[Term, ...] | list[Term]


def encode(term: Term) -> bytes:
    out = bytearray(b"\x83")
    _encode(term, out)
    return bytes(out)


def _encode(term: Term, out: bytearray) -> None:
    if isinstance(term, bool):
        _encode("true" if term else "false", out)
    elif isinstance(term, str):
        text = term.encode()
        out += bytes((119, len(text))) + text
    elif isinstance(term, int):
        if 0 <= term < 256:
            out += bytes((97, term))
        else:
            out += b"\x62" + struct.pack(">i", term)
    elif isinstance(term, tuple):
        out += bytes((104, len(term)))
        for part in term:
            _encode(part, out)
    else:
        if term:
            out += b"\x6c" + struct.pack(">I", len(term))
            for part in term:
                _encode(part, out)
        out += b"\x6a"


def decode(data: bytes) -> Term:
    assert data[0] == 131
    term, _ = _decode(data, 1)
    return term


def _decode(data: bytes, at: int) -> tuple[Term, int]:
    kind = data[at]
    at += 1
    match kind:
        case 97:
            return data[at], at + 1
        case 98:
            return struct.unpack_from(">i", data, at)[0], at + 4
        case 100 | 118:
            size = struct.unpack_from(">H", data, at)[0]
            return _atom(data[at + 2 : at + 2 + size]), at + 2 + size
        case 115 | 119:
            size = data[at]
            return _atom(data[at + 1 : at + 1 + size]), at + 1 + size
        case 104:
            return _sequence(data, at + 1, data[at], tuple)
        case 105:
            size = struct.unpack_from(">I", data, at)[0]
            return _sequence(data, at + 4, size, tuple)
        case 106:
            return [], at
        case 107:  # a list of small integers is sent as a string
            size = struct.unpack_from(">H", data, at)[0]
            return list(data[at + 2 : at + 2 + size]), at + 2 + size
        case 108:
            size = struct.unpack_from(">I", data, at)[0]
            items, at = _sequence(data, at + 4, size, list)
            assert data[at] == 106
            return items, at + 1
        case 109:
            size = struct.unpack_from(">I", data, at)[0]
            return data[at + 4 : at + 4 + size].decode(), at + 4 + size
        case _:
            raise ValueError(f"no such kind of term: {kind}")


def _sequence(data: bytes, at: int, size: int, kind: Any) -> tuple[Term, int]:
    parts: list[Term] = []
    for _ in range(size):
        part, at = _decode(data, at)
        parts.append(part)
    return kind(parts), at


def _atom(text: bytes) -> Term:
    word = text.decode()
    return {"true": True, "false": False}.get(word, word)
