"""What becomes of a device: a row for each case."""

import pytest

from beamclaw.contracts.devices import (
    Actor,
    Device,
    DeviceToken,
    NotAllowed,
    PairRequest,
)
from beamclaw.gateway.auth import management, scopes
from beamclaw.gateway.auth.credentials import Known
from beamclaw.gateway.auth.pairing import Ask, Deny, Enter, Join, Wanted, judge

READ, WRITE, ADMIN = "operator.read", "operator.write", "operator.admin"
OWNER = Known(means="token", stored=scopes.ALL)
GUEST = Known(
    means="device-token", stored=frozenset({READ}), role="operator", device_id="d"
)
DEVICE = Device(id="d", public_key="k", roles=("operator",), scopes=(READ, WRITE))
TOKEN = DeviceToken(role="operator", scopes=(READ, WRITE), made_at=0.0)
VOID = DeviceToken(role="operator", scopes=(READ,), made_at=0.0, revoked_at=1.0)


def wants(*asked: str, local=False, role="operator", **more) -> Wanted:
    return Wanted(device_id="d", role=role, asked=asked, local=local, **more)


def enter(*names: str, **more) -> Enter:
    return Enter(scopes=frozenset(names), **more)


@pytest.mark.parametrize(
    "known, wanted, device, token, verdict",
    [
        # New.
        (OWNER, wants(READ), None, None, Ask("not-paired")),
        (OWNER, wants(READ, local=True), None, None, Join(frozenset({READ}))),
        (OWNER, wants(local=True, role="node"), None, None, Join(frozenset())),
        (OWNER, wants(READ, local=True, inner=True), None, None, enter(READ)),
        (OWNER, wants(READ, inner=True), None, None, Ask("not-paired")),
        # Paired.
        (OWNER, wants(READ), DEVICE, TOKEN, enter(READ)),
        (OWNER, wants(READ, WRITE), DEVICE, TOKEN, enter(READ, WRITE)),
        (OWNER, wants(), DEVICE, TOKEN, enter()),
        (OWNER, wants(READ), DEVICE, None, enter(READ, mint=True)),
        (OWNER, wants(READ), DEVICE, VOID, enter(READ, mint=True)),
        (OWNER, wants(READ, ADMIN), DEVICE, TOKEN, enter(READ, ask=True)),
        (OWNER, wants(ADMIN), DEVICE, TOKEN, Ask("scope-upgrade")),
        (
            OWNER,
            wants(READ, ADMIN, local=True),
            DEVICE,
            TOKEN,
            Join(frozenset({READ, ADMIN})),
        ),
        (OWNER, wants(READ, "operator.unheard"), DEVICE, TOKEN, enter(READ)),
        (OWNER, wants(role="node"), DEVICE, TOKEN, Ask("role-upgrade")),
        (OWNER, wants(role="node", local=True), DEVICE, TOKEN, Ask("role-upgrade")),
        # With a token of its own.
        (GUEST, wants(READ), DEVICE, TOKEN, enter(READ)),
        (GUEST, wants(READ, ADMIN), DEVICE, TOKEN, enter(READ, ask=True)),
        (GUEST, wants(ADMIN), DEVICE, TOKEN, Deny("scope_mismatch")),
        (GUEST, wants(ADMIN, local=True), DEVICE, TOKEN, Deny("scope_mismatch")),
        (GUEST, wants(role="node"), DEVICE, TOKEN, Ask("role-upgrade")),
        (GUEST, wants(READ), None, None, Deny("device_token_mismatch")),
    ],
)
def test_what_becomes_of_it(known, wanted, device, token, verdict):
    assert judge(known, wanted, device, token) == verdict


def test_a_token_of_another_device_is_none():
    wanted = Wanted(device_id="other", role="operator", asked=(READ,), local=True)
    assert judge(GUEST, wanted, DEVICE, TOKEN) == Deny("device_token_mismatch")


def test_who_says_nothing_gets_what_it_has():
    wanted = Wanted(device_id="d", role="operator", asked=None, local=False)
    assert judge(OWNER, wanted, DEVICE, TOKEN) == enter(READ, WRITE)


@pytest.mark.parametrize("means", ["api-key", "trusted-proxy"])
def test_whoever_is_known_otherwise_needs_no_pairing(means):
    known = Known(means=means, stored=frozenset({READ}))
    assert judge(known, wants(READ, ADMIN), None, None) == enter(READ)


# --- who may change what

OWNS = Actor(by="owner", scopes=tuple(scopes.ALL))
HELPS = Actor(by="helper", scopes=("operator.pairing", READ))
ITSELF = Actor(by="device", scopes=("operator.pairing", READ), device_id="d")
OTHER = Actor(by="other", scopes=("operator.pairing", READ), device_id="e")
NODE = Device(id="d", public_key="k", roles=("operator", "node"), scopes=(READ,))


def request(role="operator", *names: str) -> PairRequest:
    return PairRequest(
        id="r", device_id="d", public_key="k", role=role, scopes=names or (READ,)
    )


@pytest.mark.parametrize(
    "actor, asked, missing",
    [
        (OWNS, request(), None),
        (OWNS, request("node"), None),
        (OWNS, request("operator", ADMIN), None),
        (HELPS, request(), None),
        (HELPS, request("operator", WRITE), WRITE),
        (HELPS, request("operator", ADMIN), ADMIN),
        (HELPS, request("operator", READ, WRITE), WRITE),
        (HELPS, request("node"), ADMIN),
        (ITSELF, request(), None),
        (ITSELF, request("operator", ADMIN), ADMIN),
        (OTHER, request(), ADMIN),
    ],
)
def test_nobody_gives_away_more_than_he_has(actor, asked, missing):
    if missing is None:
        management.approve(actor, asked)
        return
    with pytest.raises(NotAllowed) as caught:
        management.approve(actor, asked)
    assert caught.value.missing == missing


@pytest.mark.parametrize(
    "actor, device, allowed",
    [
        (OWNS, NODE, True),
        (HELPS, DEVICE, True),
        (ITSELF, DEVICE, True),
        (ITSELF, NODE, False),
        (OTHER, DEVICE, False),
    ],
)
def test_a_device_manages_itself_alone(actor, device, allowed):
    if allowed:
        management.manage(actor, device, "denied")
        return
    with pytest.raises(NotAllowed, match="denied"):
        management.manage(actor, device, "denied")


@pytest.mark.parametrize(
    "actor, role, names, allowed",
    [
        (OWNS, "node", (), True),
        (HELPS, "operator", (READ,), True),
        (HELPS, "operator", (READ, WRITE), False),
        (HELPS, "node", (), False),
        (OTHER, "operator", (READ,), False),
    ],
)
def test_a_token_is_changed_by_who_has_as_much(actor, role, names, allowed):
    if allowed:
        management.token(actor, DEVICE, role, names)
        return
    with pytest.raises(NotAllowed):
        management.token(actor, DEVICE, role, names)
