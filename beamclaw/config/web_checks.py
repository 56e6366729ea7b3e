"""What is wrong with what agents may fetch from the internet."""

import re
from collections.abc import Iterator
from ipaddress import ip_network

from beamclaw.config.schema import Config

Found = Iterator[tuple[str, str]]

_HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*\.?|[0-9a-fA-F:]+")
_LINE = re.compile(r"[ -~]*")


def errors(config: Config) -> Found:
    """Hosts and networks that are none, and a name that is more than a line."""
    web = config.tools.web
    for place, host in enumerate(web.hosts):
        if not _HOST.fullmatch(host) or not host.isascii():
            words = "expected a host, or *. and one (without a scheme, port or path)"
            yield f"tools.web.hosts[{place}]", f"{words}; found {host!r}"
    for place, network in enumerate(web.private_networks):
        try:
            ip_network(network, strict=False)
        except ValueError:
            words = "expected a network, as 192.168.1.0/24, or an address"
            yield f"tools.web.private_networks[{place}]", f"{words}; found {network!r}"
    if not _LINE.fullmatch(web.user_agent):
        yield "tools.web.user_agent", "expected one line of plain ASCII"
