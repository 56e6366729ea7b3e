"""Who somebody is by what he brings: a row for each combination."""

import attrs
import pytest

from beamclaw.contracts.devices import ApiKey, Device, DeviceToken
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.auth.access import Access, Holder
from beamclaw.gateway.auth.credentials import (
    Known,
    Offered,
    Rules,
    Unknown,
    recognise,
)
from beamclaw.gateway.auth.proxies import User

SHARED = "shared-secret-of-sixteen"
DEVICE, KEY, OLD, GONE = "bcd_device", "bck_1_key", "bck_2_old", "bck_3_gone"
NOW = 1000.0
RULES = {
    "token": Rules(mode="token", secret=Secret(SHARED)),
    "password": Rules(mode="password", secret=Secret(SHARED)),
    "none": Rules(mode="none"),
    "empty": Rules(mode="token", secret=Secret("")),
    "unset": Rules(mode="token"),
    "proxy": Rules(
        mode="trusted-proxy",
        proxy_scopes=frozenset({"operator.read"}),
        proxy_admins=frozenset({"ann"}),
    ),
}


def access() -> Access:
    made = Access()
    key = ApiKey(
        id="1", tenant="default", name="k", scopes=("operator.read",), made_at=0.0
    )
    made.load(
        {
            "d": Device(
                id="d", public_key="", roles=("operator",), scopes=("operator.read",)
            )
        },
        {
            ("d", "operator"): DeviceToken(
                role="operator",
                scopes=("operator.read", "operator.admin"),
                made_at=0.0,
            )
        },
        {
            "1": key,
            "2": attrs.evolve(key, id="2", expires_at=NOW),
            "3": attrs.evolve(key, id="3", revoked_at=1.0),
        },
        {},
    )
    made.set_hash(Holder("device", "d", "operator"), DEVICE)
    for number, secret in (("1", KEY), ("2", OLD), ("3", GONE)):
        made.set_hash(Holder("key", number), secret)
    return made


def who(mode: str, user: str = "", **offered: str) -> Known | Unknown:
    return recognise(
        RULES[mode],
        Offered(**offered),
        access(),
        user=User(user) if user else User(fault="proxy_untrusted"),
        now=NOW,
    )


@pytest.mark.parametrize(
    "mode, offered, means",
    [
        ("token", {"token": SHARED}, "token"),
        ("token", {"password": SHARED}, "token"),
        ("token", {"token": SHARED, "password": SHARED}, "token"),
        ("password", {"password": SHARED}, "password"),
        ("password", {"token": SHARED}, "password"),
        ("none", {}, "none"),
        ("none", {"token": "anything"}, "none"),
        ("token", {"token": KEY}, "api-key"),
        ("password", {"password": KEY}, "api-key"),
        ("none", {"token": KEY}, "api-key"),
        ("proxy", {"token": KEY}, "api-key"),
        ("token", {"token": DEVICE}, "device-token"),
        ("token", {"device_token": DEVICE}, "device-token"),
        ("token", {"token": "wrong", "device_token": DEVICE}, "device-token"),
        ("token", {"token": SHARED, "device_token": "bcd_void"}, "token"),
        ("proxy", {"device_token": DEVICE}, "device-token"),
    ],
)
def test_who_is_recognised(mode, offered, means):
    found = who(mode, **offered)
    assert isinstance(found, Known)
    assert found.means == means


@pytest.mark.parametrize(
    "mode, offered, reason, counts",
    [
        ("token", {}, "token_missing", False),
        ("password", {}, "password_missing", False),
        ("token", {"token": "wrong"}, "token_mismatch", True),
        ("token", {"token": SHARED + "x"}, "token_mismatch", True),
        ("token", {"token": SHARED[:-1]}, "token_mismatch", True),
        ("token", {"token": " " + SHARED}, "token_mismatch", True),
        ("token", {"token": SHARED.upper()}, "token_mismatch", True),
        ("token", {"token": SHARED, "password": "wrong"}, "token_mismatch", True),
        ("token", {"token": "wrong", "password": SHARED}, "token_mismatch", True),
        ("password", {"password": "wrong"}, "password_mismatch", True),
        ("empty", {"token": "x"}, "token_mismatch", True),
        ("unset", {"token": "x"}, "token_mismatch", True),
        ("token", {"bootstrap": "code"}, "bootstrap_token_invalid", True),
        ("token", {"token": "bck_none"}, "api_key_mismatch", True),
        ("token", {"token": OLD}, "api_key_mismatch", True),
        ("token", {"token": GONE}, "api_key_mismatch", True),
        ("none", {"token": GONE}, "api_key_mismatch", True),
        ("token", {"token": "bcd_none"}, "device_token_mismatch", True),
        ("none", {"token": "bcd_none"}, "device_token_mismatch", True),
        ("token", {"device_token": "none"}, "device_token_mismatch", True),
        ("token", {"device_token": SHARED}, "device_token_mismatch", True),
        ("token", {"device_token": KEY + "x"}, "api_key_mismatch", True),
        (
            "token",
            {"token": "wrong", "device_token": "none"},
            "device_token_mismatch",
            True,
        ),
        ("proxy", {"token": SHARED}, "proxy_untrusted", False),
    ],
)
def test_who_is_not(mode, offered, reason, counts):
    found = who(mode, **offered)
    assert isinstance(found, Unknown)
    assert (found.reason, found.kind is not None) == (reason, counts)


def test_a_wrong_secret_beside_a_right_one_counts():
    found = who("token", token="wrong", device_token=DEVICE)
    assert isinstance(found, Known)
    assert found.wrong == "secret"


def test_a_device_token_is_good_for_no_more_than_its_device():
    found = who("token", token=DEVICE)
    assert isinstance(found, Known)
    assert found.stored == {"operator.read"}
    assert (found.device_id, found.role, found.owner) == ("d", "operator", False)


@pytest.mark.parametrize(
    "user, stored", [("bob", {"operator.read"}), ("ann", "operator.admin")]
)
def test_a_proxys_user_may_do_what_is_configured(user, stored):
    found = who("proxy", user)
    assert isinstance(found, Known)
    assert found.stored == stored or stored in found.stored


def test_what_came_is_not_shown():
    assert SHARED not in repr(Offered(token=SHARED, password=SHARED))
