"""Who is believed about whom."""

import pytest

from beamclaw.gateway.auth.proxies import Proxies, is_direct, networks

PROXIES = Proxies(
    networks=networks(["10.0.0.5", "10.1.0.0/16", "::ffff:10.2.0.0/112", "fd00::/64"]),
    user_header="X-Forwarded-User",
    required_headers=("X-Forwarded-Proto",),
    allow_users=frozenset({"ann@example.org"}),
)
SAID = {"x-forwarded-user": "ann@example.org", "x-forwarded-proto": "https"}


@pytest.mark.parametrize(
    "peer, trusted",
    [
        ("10.0.0.5", True),
        ("10.0.0.6", False),
        ("10.1.200.3", True),
        ("::ffff:10.1.0.1", True),
        ("10.2.3.4", True),
        ("fd00::7", True),
        ("fd00:0:0:1::7", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("", False),
        ("evil", False),
    ],
)
def test_a_proxy_is_known_by_its_address(peer, trusted):
    assert PROXIES.trusts(peer) is trusted


def test_one_on_this_machine_has_to_be_allowed():
    local = networks(["127.0.0.1", "0.0.0.0/0"])
    assert not Proxies(networks=local).trusts("127.0.0.1")
    assert Proxies(networks=local, allow_loopback=True).trusts("127.0.0.1")


@pytest.mark.parametrize(
    "headers, fault",
    [
        (SAID, ""),
        (SAID | {"x-forwarded-user": " ann@example.org "}, ""),
        (SAID | {"x-forwarded-user": "bob@example.org"}, "user_not_allowed"),
        (SAID | {"x-forwarded-user": "ANN@example.org"}, "user_not_allowed"),
        (SAID | {"x-forwarded-user": "  "}, "missing_header_x-forwarded-user"),
        (SAID | {"x-forwarded-proto": ""}, "missing_header_x-forwarded-proto"),
        ({}, "missing_header_x-forwarded-proto"),
    ],
)
def test_a_user_is_whom_the_proxy_names(headers, fault):
    assert PROXIES.user("10.0.0.5", headers).fault == fault


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "10.0.0.6"])
def test_nobody_else_is_believed(peer):
    assert PROXIES.user(peer, SAID).fault == "proxy_untrusted"


@pytest.mark.parametrize(
    "peer, chain, client",
    [
        ("10.0.0.5", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.5", "127.0.0.1, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.5", "6.6.6.6, 192.0.2.1, 10.1.0.9", "192.0.2.1"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "evil", "10.0.0.5"),
        ("10.0.0.5", "10.1.0.9", "10.0.0.5"),
        ("192.0.2.9", "127.0.0.1", "192.0.2.9"),
        ("127.0.0.1", "192.0.2.1", "127.0.0.1"),
    ],
)
def test_guesses_are_counted_for_the_last_address_that_is_not_ours(peer, chain, client):
    headers = {"x-forwarded-for": chain} if chain else {}
    assert PROXIES.client(peer, headers) == client


@pytest.mark.parametrize(
    "peer, headers, direct",
    [
        ("127.0.0.1", {}, True),
        ("::1", {"host": "localhost"}, True),
        ("192.0.2.1", {}, False),
        ("192.0.2.1", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x-real-ip": "1.2.3.4"}, False),
        ("127.0.0.1", {"forwarded": "for=1.2.3.4"}, False),
        ("127.0.0.1", {"x-forwarded-proto": "https"}, False),
    ],
)
def test_on_this_machine_is_who_comes_from_it_without_a_proxy(peer, headers, direct):
    assert is_direct(peer, headers) is direct
