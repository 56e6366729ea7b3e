"""The way out: a name is looked up by the system, and a connection goes to an address."""

from ipaddress import ip_address

import pytest
import trio

from beamclaw.contracts.outside import Outside
from beamclaw.web import dialing
from beamclaw.web.dialing import Internet
from beamclaw.web.targets import Policy, Refused, checked, target


class Names(trio.abc.HostnameResolver):
    """A resolver of one name."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.asked = []

    async def getaddrinfo(self, host, port, family=0, type=0, *others):  # pyright: ignore[reportIncompatibleMethodOverride] -- what is looked at of it
        self.asked.append(host)
        kind = trio.socket.AF_INET6
        return [(kind, type, 6, "", (each, port, 0, 0)) for each in self.addresses]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


@pytest.fixture
def tried(monkeypatch):
    """What was connected to; nothing answers but the last one."""
    found = []

    async def connect(host, port):
        found.append((host, port))
        if host != "2606:2800:21f::4":
            raise ConnectionRefusedError(111, "Connection refused")
        return "connected"

    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    return found


async def test_a_name_is_looked_up_with_all_its_addresses():
    names = Names("2606:2800:21f::1", "2606:2800:21f::2", "2606:2800:21f::1")
    trio.socket.set_custom_hostname_resolver(names)

    found = await Internet(Outside()).resolve("page.example", 80)

    assert found == ["2606:2800:21f::1", "2606:2800:21f::2"]
    assert names.asked == [b"page.example"]


async def test_an_address_that_only_means_something_here_is_refused():
    trio.socket.set_custom_hostname_resolver(Names("fe80::1%eth0"))
    at = target("http://page.example/", Policy())

    with pytest.raises(Refused):
        checked(at, await Internet(Outside()).resolve(at.host, at.port), Policy())


async def test_one_address_after_the_other_is_tried(tried):
    addresses = [ip_address(f"2606:2800:21f::{n}") for n in (1, 2, 4)]

    stream = await Internet(Outside()).connect(addresses, 80, tls=None)

    assert stream == "connected"
    assert tried == [(str(each), 80) for each in addresses]


async def test_no_more_than_four_are_tried(tried):
    addresses = [ip_address(f"2606:2800:21f::1:{n}") for n in range(9)]

    with pytest.raises(ConnectionRefusedError):
        await Internet(Outside()).connect(addresses, 80, tls=None)

    assert len(tried) == 4


def test_whom_the_machine_trusts_is_read_once():
    assert dialing.certificates() is dialing.certificates()
    assert dialing.certificates().check_hostname
