"""What a proxy in front says of its client, and when it is believed.

Headers like ``X-Forwarded-For`` can be sent by anybody. They count only on a connection
that comes from a configured proxy; on any other they take something away: a client that
brings them is not treated as one on this machine.
"""

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final

from beamclaw.contracts.hosts import is_loopback
from beamclaw.values import frozen

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORWARDED_FOR: Final = "x-forwarded-for"
_SIGNS: Final = ("forwarded", "x-real-ip")


@frozen(kw_only=True)
class Proxies:
    """Whom to believe, and how a proxy names its user.

    Attributes:
        networks: Addresses of proxies.
        user_header: The header with the user that the proxy has recognised.
        required_headers: Headers that it sets, too, with whatever value.
        allow_users: Who may come in; empty: everybody whom the proxy lets in.
        allow_loopback: A proxy on this machine is believed.
    """

    networks: tuple[Network, ...] = ()
    user_header: str = ""
    required_headers: tuple[str, ...] = ()
    allow_users: frozenset[str] = frozenset()
    allow_loopback: bool = False

    def trusts(self, peer: str) -> bool:
        """Whether *peer*, the address of a connection, is a proxy of ours."""
        found = _address(peer)
        if found is None or (found.is_loopback and not self.allow_loopback):
            return False
        return any(found in network for network in self.networks)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address that guesses are counted for.

        The last one of the chain that is no proxy of ours: what stands before it the
        client may have written itself.
        """
        if not self.trusts(peer):
            return peer
        chain = [part.strip() for part in headers.get(_FORWARDED_FOR, "").split(",")]
        for address in reversed(chain):
            if _address(address) is None:
                return peer
            if not self.trusts(address):
                return address
        return peer

    def user(self, peer: str, headers: Mapping[str, str]) -> "User":
        """Whom the proxy has let in."""
        if not self.trusts(peer):
            return User(fault="proxy_untrusted")
        for name in self.required_headers:
            if not headers.get(name.lower(), "").strip():
                return User(fault=f"missing_header_{name.lower()}")
        name = headers.get(self.user_header.lower(), "").strip()
        if not name:
            return User(fault=f"missing_header_{self.user_header.lower()}")
        if self.allow_users and name not in self.allow_users:
            return User(fault="user_not_allowed")
        return User(name=name)


@frozen
class User:
    """Who a proxy says it is; *fault*: why that is not believed."""

    name: str = ""
    fault: str = ""


def is_direct(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether a client on this machine asks by itself, and no proxy for somebody."""
    return is_loopback(peer) and not any(
        name in _SIGNS or name.startswith("x-forwarded-") for name in headers
    )


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as written in a configuration.

    Raises:
        ValueError: One is neither.
    """
    return tuple(_narrow(ipaddress.ip_network(text)) for text in texts)


def _narrow(network: Network) -> Network:
    """An IPv4 network that is written as an IPv6 one, as IPv4."""
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:  # noqa: PLR2004 -- of the standard
            return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network


@functools.lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
