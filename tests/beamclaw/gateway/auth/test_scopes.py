"""What is proved: which scope contains which, and that asking adds nothing."""

import pytest

from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.auth.scopes import (
    ADMIN,
    ALL,
    APPROVALS,
    NODE,
    PAIRING,
    QUESTIONS,
    READ,
    WRITE,
)

EXACT = (APPROVALS, QUESTIONS, PAIRING)


@pytest.mark.parametrize(
    "held, needed, expected",
    [
        ({READ}, READ, True),
        ({WRITE}, READ, True),
        ({READ}, WRITE, False),
        ({WRITE}, ADMIN, False),
        *(({ADMIN}, scope, True) for scope in ALL),
        *(({scope}, READ, False) for scope in EXACT),
        *(({READ, WRITE}, scope, False) for scope in EXACT),
        ({ADMIN}, "operator.something.new", True),
        ({WRITE}, "operator.something.new", False),
        # What belongs to nodes no operator has, whoever he is.
        (ALL, NODE, False),
        (set(), READ, False),
    ],
)
def test_what_contains_what(held, needed, expected):
    assert scopes.allows(frozenset(held), needed) is expected


@pytest.mark.parametrize(
    "asked, stored, expected",
    [
        ((READ,), ALL, {READ}),
        ((ADMIN, READ), {READ}, {READ}),
        ((READ,), {WRITE}, {READ}),
        ((ADMIN,), {WRITE, READ}, set()),
        (("operator.made.up",), {WRITE}, set()),
        ((), ALL, set()),
        ((READ, READ), ALL, {READ}),
    ],
)
def test_granted_is_what_was_asked_for_and_is_stored(asked, stored, expected):
    assert scopes.granted(asked, frozenset(stored)) == expected


def test_idempotency_keys_are_kept_apart_by_who_uses_them():
    accounts = {
        Principal().account,
        Principal(device_id="a").account,
        Principal(device_id="b").account,
        Principal(key_id="a", method="api-key").account,
    }
    assert len(accounts) == 4
