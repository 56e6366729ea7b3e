"""Keys by their names, as a terminal sends them: ``Enter``, ``C-c``, ``M-x``, ``Up``."""

from collections.abc import Iterable, Mapping
from typing import Final

_NAMED: Final[Mapping[str, str]] = {
    "enter": "\r",
    "return": "\r",
    "tab": "\t",
    "escape": "\x1b",
    "esc": "\x1b",
    "space": " ",
    "bspace": "\x7f",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pgup": "\x1b[5~",
    "ppage": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "pgdn": "\x1b[6~",
    "npage": "\x1b[6~",
    "insert": "\x1b[2~",
    "ic": "\x1b[2~",
    "delete": "\x1b[3~",
    "del": "\x1b[3~",
    "dc": "\x1b[3~",
    "btab": "\x1b[Z",
    "s-tab": "\x1b[Z",
    **{f"f{n}": f"\x1bO{chr(ord('O') + n)}" for n in range(1, 5)},
    **{
        f"f{n}": f"\x1b[{code}~"
        for n, code in zip(range(5, 13), (15, 17, 18, 19, 20, 21, 23, 24), strict=True)
    },
}
_PASTE_BEGINS: Final = "\x1b[200~"
_PASTE_ENDS: Final = "\x1b[201~"


class NoSuchKey(Exception):  # noqa: N818 -- a situation
    """In words for the model."""


def typed(keys: Iterable[str]) -> bytes:
    r"""What a terminal sends for *keys*; what is no name of a key is text.

    >>> typed(["ls", "Enter", "C-c"])
    b'ls\r\x03'

    Raises:
        NoSuchKey: A modifier stands before what it cannot change.
    """
    return "".join(map(_key, keys)).encode()


def _key(key: str) -> str:
    named = _NAMED.get(key.lower())
    if named is not None:
        return named
    if key.startswith("^") and len(key) == len("^c"):
        return _control(key[1:], key)
    modifier, dash, rest = key.partition("-")
    if not dash or not rest or len(modifier) != 1 or modifier not in "CMScms":
        return key
    match modifier.upper():
        case "C":
            return _control(rest, key)
        case "M":
            return "\x1b" + _key(rest)
        case _:
            return rest.upper() if len(rest) == 1 else _key(rest)


def _control(letter: str, key: str) -> str:
    if letter == "?":
        return "\x7f"
    code = ord(letter.upper()) if len(letter) == 1 else 0
    if letter == " " or letter.lower() == "space":
        return "\0"
    if not 0x40 <= code <= 0x5F:  # noqa: PLR2004 -- @ to _: what control keys make of
        raise NoSuchKey(f"there is no key {key!r}")
    return chr(code & 0x1F)


def from_hex(codes: Iterable[str]) -> bytes:
    """Bytes written as hexadecimal numbers.

    Raises:
        NoSuchKey: One is none.
    """
    try:
        return b"".join(bytes.fromhex(code.removeprefix("0x")) for code in codes)
    except ValueError:
        raise NoSuchKey("hex are bytes as hexadecimal numbers: '1b', '0d'") from None


def pasted(text: str, *, bracketed: bool) -> bytes:
    """*text* as a terminal gives what was pasted: all of it is text, no key is in it."""
    if not bracketed:
        return text.encode()
    clean = text.replace(_PASTE_ENDS, "")
    return f"{_PASTE_BEGINS}{clean}{_PASTE_ENDS}".encode()
