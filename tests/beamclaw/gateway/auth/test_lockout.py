"""Who may guess how often, as tables; time is a number."""

import pytest

from beamclaw.gateway.auth.lockout import Lockout, Rules

RULES = Rules(max_attempts=3, window=60.0, lockout=300.0, max_addresses=4)
THERE = "192.0.2.7"


def tries(*times: float, address=THERE, lockout=None) -> Lockout:
    lockout = lockout or Lockout(RULES)
    for at in times:
        lockout.fail(address, "secret", at)
    return lockout


@pytest.mark.parametrize(
    "times, now, left",
    [
        ((), 0, 0),
        ((0, 1), 1, 0),
        ((0, 1, 2), 2, 300),
        ((0, 1, 2), 100, 202),
        ((0, 1, 2), 302, 0),
        ((0, 30, 61), 61, 0),
        ((0, 30, 60), 60, 300),
        ((0, 1, 2, 310, 311), 311, 0),
        ((0, 1, 2, 310, 311, 312), 312, 300),
    ],
)
def test_the_one_too_many_locks(times, now, left):
    assert tries(*times).left(THERE, "secret", now) == left


def test_it_says_when_it_locks():
    lockout = Lockout(RULES)
    assert [lockout.fail(THERE, "secret", at) for at in range(4)] == [
        False,
        False,
        True,
        False,
    ]


def test_each_kind_and_each_address_counts_for_itself():
    lockout = tries(0, 1, 2)
    assert lockout.left(THERE, "device-token", 2) == 0
    assert lockout.left("192.0.2.8", "secret", 2) == 0


def test_a_right_one_makes_up_for_those_before():
    lockout = tries(0, 1)
    lockout.succeed(THERE, "secret")
    tries(2, 3, lockout=lockout)
    assert lockout.left(THERE, "secret", 3) == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_exempt_unless_told_otherwise(address):
    assert tries(0, 1, 2, address=address).left(address, "secret", 2) == 0
    strict = Lockout(Rules(max_attempts=3, exempt_loopback=False))
    assert tries(0, 1, 2, address=address, lockout=strict).left(address, "secret", 2)


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
def test_whoever_has_a_network_has_one_address(one, other, same):
    assert bool(tries(0, 1, 2, address=one).left(other, "secret", 2)) is same


def test_no_more_addresses_are_remembered_than_there_may_be():
    lockout = Lockout(RULES)
    for number in range(9):
        lockout.fail(f"192.0.2.{number}", "secret", number)
    assert lockout.addresses == 4
