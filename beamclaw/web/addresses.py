"""Which addresses of the internet a fetch may go to.

A table without I/O. What is not clearly public is not: this machine, its networks, the
addresses at which clouds hand out keys, and every form in which an address of one sort
is hidden inside an address of another.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Where clouds hand out a machine's keys. No setting opens these. That of Azure lies
# among public addresses.
_KEYS: Final[Sequence[tuple[Network, str]]] = (
    (IPv4Network("169.254.0.0/16"), "link-local, where clouds keep their keys"),
    (IPv4Network("168.63.129.16/32"), "where a cloud keeps its keys"),
    (IPv4Network("100.100.100.200/32"), "where a cloud keeps its keys"),
    (IPv6Network("fd00:ec2::/32"), "where a cloud keeps its keys"),
    (IPv6Network("fd20:ce::/32"), "where a cloud keeps its keys"),
    (IPv6Network("fe80::/10"), "link-local"),
)
_NOT_PUBLIC: Final[Sequence[tuple[Network, str]]] = (
    (IPv4Network("0.0.0.0/8"), "this machine"),
    (IPv4Network("127.0.0.0/8"), "this machine"),
    (IPv4Network("10.0.0.0/8"), "a private network"),
    (IPv4Network("172.16.0.0/12"), "a private network"),
    (IPv4Network("192.168.0.0/16"), "a private network"),
    (IPv4Network("100.64.0.0/10"), "a carrier's private network"),
    (IPv4Network("192.0.0.0/24"), "reserved"),
    (IPv4Network("192.0.2.0/24"), "for documentation"),
    (IPv4Network("192.88.99.0/24"), "a way into a tunnel"),
    (IPv4Network("198.18.0.0/15"), "for measurements"),
    (IPv4Network("198.51.100.0/24"), "for documentation"),
    (IPv4Network("203.0.113.0/24"), "for documentation"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
    (IPv6Network("::1/128"), "this machine"),
    (IPv6Network("::/128"), "this machine"),
    (IPv6Network("fc00::/7"), "a private network"),
    (IPv6Network("fec0::/10"), "a private network"),
    (IPv6Network("ff00::/8"), "multicast"),
    # Teredo is 2001::/32; the rest is for protocols.
    (IPv6Network("2001::/23"), "a tunnel, or reserved"),
    (IPv6Network("2001:db8::/32"), "for documentation"),
    (IPv6Network("2002::/16"), "a tunnel (6to4)"),
    (IPv6Network("3fff::/20"), "for documentation"),
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
# On networks that have no other way to IPv4 every name leads there.
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
# The lower half of an address that leads through a tunnel inside a site (ISATAP), but
# for the bit that says whether it is unique.
_ISATAP: Final = 0x00005EFE
_ISATAP_BITS: Final = 0xFDFFFFFF
_NUMBERS: Final = (
    (re.compile(r"0x([0-9a-f]*)"), 16),
    (re.compile(r"0([0-7]*)"), 8),
    (re.compile(r"([1-9][0-9]*)"), 10),
)


def networks(written: Iterable[str]) -> tuple[Network, ...]:
    """Those of a configuration.

    Raises:
        ValueError: One of them is none, in words.
    """
    return tuple(ip_network(each, strict=False) for each in written)


def parsed(text: str) -> Address | None:
    """The address that *text*, as a resolver gives it, stands for; None: none.

    One with a zone (``fe80::1%eth0``) is none: it means something here only.
    """
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def why_not(address: Address, admitted: Sequence[Network] = ()) -> str | None:
    """Why nothing is fetched from *address*, in words; None: it may be.

    Args:
        address: What is to be connected to.
        admitted: Networks that are not public and may be fetched from all the same.
    """
    address = _unwrapped(address)
    if words := _in(_KEYS, address):
        return words
    if any(address in network for network in admitted):
        return None
    if words := _in(_NOT_PUBLIC, address):
        return words
    if isinstance(address, IPv6Address):
        if address not in _PUBLIC_6:
            return "reserved"
        if (int(address) >> 32) & _ISATAP_BITS == _ISATAP:
            return "a tunnel (ISATAP)"
    return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one is only another way to write."""
    if isinstance(address, IPv4Address):
        return address
    inner = IPv4Address(int(address) & 0xFFFFFFFF)
    small = int(address) <= 1
    mapped = address.ipv4_mapped is not None
    if mapped or address in _NAT64 or (address in _COMPATIBLE and not small):
        return inner
    return address


def _in(table: Sequence[tuple[Network, str]], address: Address) -> str | None:
    return next((words for network, words in table if address in network), None)


def numeric(host: str) -> IPv4Address | None:
    """The IPv4 address that *host* is a number for, as browsers read it; None: a name.

    ``127.1``, ``2130706433``, ``0x7f.0.0.1`` and ``0177.0.0.1`` are all 127.0.0.1.

    Raises:
        AddressValueError: Its last part is a number, so it is no name; and no address.
    """
    parts = host.split(".")
    if not _is_number(parts[-1]):
        return None
    numbers = [_number(part) for part in parts]
    *high, low = numbers
    room = 256 ** (5 - len(numbers)) if len(numbers) <= 4 else 0  # noqa: PLR2004 -- bytes of it
    if low >= room or any(each > 255 for each in high):  # noqa: PLR2004 -- a byte
        raise AddressValueError(f"{host!r} is no address")
    value = low
    for place, each in enumerate(high):
        value += each << (24 - 8 * place)
    return IPv4Address(value)


def _is_number(part: str) -> bool:
    return part.isdigit() or part.startswith("0x")


def _number(part: str) -> int:
    for form, base in _NUMBERS:
        if found := form.fullmatch(part):
            return int(found[1] or "0", base)
    raise AddressValueError(f"{part!r} is no number")
