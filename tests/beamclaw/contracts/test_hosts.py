"""Which hosts are this machine and nothing else."""

import pytest

from beamclaw.contracts.hosts import is_loopback


@pytest.mark.parametrize(
    "host, loopback",
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::1%lo", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback_is_known(host, loopback):
    assert is_loopback(host) is loopback
