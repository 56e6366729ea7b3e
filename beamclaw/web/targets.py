"""What a URL leads to, and whether anything may be fetched from there.

Decisions without I/O. A URL is read once and strictly; what is asked for later is made of
what was found here, so that nobody reads it in another way than it was judged.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal
from urllib.parse import quote, urljoin

from beamclaw.values import frozen
from beamclaw.web.addresses import Address, Network, numeric, parsed, why_not

Scheme = Literal["http", "https"]

_URL: Final = re.compile(
    r"([a-zA-Z][a-zA-Z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?"
)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PORTS: Final = {"http": 80, "https": 443}
_MOST_HOST: Final = 253
_MOST_PORT: Final = 65_535
_KEPT: Final = "%/:=&?~+!$,;'@()*[]|"
_HERE: Final = (
    *("localhost", "local", "internal", "intranet", "private", "corp", "home"),
    *("lan", "localdomain", "home.arpa", "onion", "invalid", "test", "in-addr.arpa"),
)
"""What names end with that mean something on this network only, or nothing."""


class Refused(Exception):  # noqa: N818 -- a situation
    """Raised where nothing is fetched, and why, in words for the model."""


@frozen(kw_only=True)
class Policy:
    """What may be fetched from.

    Attributes:
        hosts: Names, or ``*.`` and a name for all below it; empty: all hosts.
        ports: Those that are connected to.
        admitted: Networks that are not public and may be fetched from all the same.
        most: Characters of a URL.
    """

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = (80, 443)
    admitted: tuple[Network, ...] = ()
    most: int = 4_000


@frozen(kw_only=True)
class Target:
    """Where a URL leads, in one way of writing.

    Attributes:
        host: A name in lower-case ASCII, or an address.
        address: The same as an address; None: it is a name.
        path: With the query, in ASCII, beginning with a stroke.
    """

    scheme: Scheme
    host: str
    port: int
    path: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """As the ``Host`` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """As it is written."""
        return f"{self.scheme}://{self.authority}{self.path}"


def target(url: str, policy: Policy) -> Target:
    """Where *url* leads.

    Raises:
        Refused: It may not be fetched, or cannot be.
    """
    url = url.strip()
    if len(url) > policy.most:
        raise Refused(
            f"the URL has {len(url):,} characters; at most {policy.most:,} are taken "
            "(tools.web.url_chars)"
        )
    found = _URL.match(url)
    if found is None:
        raise Refused("that is no URL: it has to begin with https:// or http://")
    scheme, authority, path, query = found.groups()
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise Refused(f"{scheme}: is not fetched, only https: and http:")
    if authority is None:
        raise Refused(f"that is no URL: after {scheme}: there has to be // and a host")
    if "@" in authority:
        raise Refused("a URL with a user's name or a password in it is not fetched")
    host, port = _parted(authority)
    chosen = int(port) if port else _PORTS[scheme]
    name, address = _host(host)
    made = Target(
        scheme="https" if scheme == "https" else "http",
        host=name,
        port=chosen,
        path=quote((path or "/") + (query or ""), safe=_KEPT),
        address=address,
    )
    _judge(made, policy)
    return made


def redirected(to: str, policy: Policy, *, at: Target) -> Target:
    """Where a redirect *to* leads that was met *at* a target; judged anew.

    Raises:
        Refused: It is not followed.
    """
    if _UNSEEN.search(to.strip()):
        raise Refused("it leads to something that is no URL")
    try:
        joined = urljoin(at.url, to.strip())
    except ValueError:
        raise Refused("it leads to something that is no URL") from None
    found = target(joined, policy)
    if at.scheme == "https" and found.scheme == "http":
        raise Refused(f"it leads from https to http ({found.url})")
    return found


def checked(
    at: Target, addresses: Iterable[str], policy: Policy
) -> tuple[Address, ...]:
    """The addresses of *at*, as a resolver gave them, in its order; none twice.

    One that may not be connected to is enough to refuse: whoever answers so wants it tried.

    Raises:
        Refused: See above, or there is none.
    """
    found: dict[Address, None] = {}
    for text in addresses:
        address = parsed(text)
        words = "no address" if address is None else why_not(address, policy.admitted)
        if address is None or words is not None:
            where = at.host if text == at.host else f"{at.host} is at {text}, which"
            raise Refused(_inside(f"{where} is {words}"))
        found[address] = None
    if not found:
        raise Refused(f"there is no address for {at.host}")
    return tuple(found)


def _parted(authority: str) -> tuple[str, str]:
    host, port = authority, ""
    bracket = authority.rfind("]")
    if (colon := authority.rfind(":")) > bracket:
        host, port = authority[:colon], authority[colon + 1 :]
        if port and not (_PORT.fullmatch(port) and 0 < int(port) <= _MOST_PORT):
            raise Refused(f"{port!r} is no port")
    return host, port


def _host(written: str) -> tuple[str, Address | None]:
    """A host in one way of writing, and the address that it is, if it is one."""
    if written.startswith("["):
        return _six(written)
    if not written.isascii():
        written = _ascii(written)
    name = written.lower().removesuffix(".")
    try:
        address = numeric(name)
    except AddressValueError as error:
        raise Refused(f"that is no URL: {error}") from None
    if address is not None:
        return str(address), address
    labels = name.split(".")
    if len(name) > _MOST_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise Refused(f"that is no URL: {written!r} is no host")
    return name, None


def _six(written: str) -> tuple[str, Address]:
    inner = written[1:-1]
    if written.endswith("]") and "%" not in inner:
        try:
            address = IPv6Address(inner)
        except AddressValueError:
            pass
        else:
            return str(address), address
    raise Refused(f"that is no URL: {written!r} is no address")


def _ascii(written: str) -> str:
    """As DNS has it; letters and dots that only look otherwise become what they mean."""
    import idna  # noqa: PLC0415 -- large tables, for a host that is seldom so

    try:
        return idna.encode(written, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise Refused(f"that is no URL: {written!r} is no host") from None


def _judge(made: Target, policy: Policy) -> None:
    if policy.hosts and not _named(made.host, policy.hosts):
        raise Refused(f"{made.host} is not among the hosts of tools.web.hosts")
    if made.port not in policy.ports:
        ports = ", ".join(map(str, sorted(policy.ports)))
        raise Refused(f"port {made.port} is none of those of tools.web.ports ({ports})")
    if made.address is not None:
        checked(made, [str(made.address)], policy)
    elif not policy.admitted and _is_here(made.host):
        raise Refused(_inside(f"{made.host} is a name of this machine or its network"))


def _is_here(host: str) -> bool:
    return "." not in host or host.endswith(tuple(f".{each}" for each in _HERE))


def _named(host: str, hosts: Sequence[str]) -> bool:
    """Whether a list of the configuration names *host*."""
    for each in hosts:
        name = each.lower().removesuffix(".")
        if host == name or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _inside(words: str) -> str:
    return (
        f"{words}; only what is public is fetched. A person can name networks to be "
        "fetched from in tools.web.private_networks"
    )
