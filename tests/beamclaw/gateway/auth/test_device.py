"""Proofs of devices, as tables."""

import base64

import attrs
import pytest

from beamclaw.gateway.auth.attempt import Device
from beamclaw.gateway.auth.device import Signed, check, id_of, raw_key
from tests.support.device import prove, public

SIGNED = Signed(
    client_id="openclaw-tui",
    client_mode="ui",
    role="operator",
    scopes=("operator.read", "operator.write"),
    token="secret",
    platform=" Linux ",
    family="LINUX",
)
NOW = 1_800_000_000_000


def reason(proof: Device, signed: Signed = SIGNED, *, nonce="n-1", now=NOW, skew=120):
    fault = check(proof, signed, nonce=nonce, now_ms=now, skew_ms=skew * 1000)
    return None if fault is None else fault.reason


def proof(**other) -> Device:
    return prove(SIGNED, **({"nonce": "n-1", "at_ms": NOW} | other))


@pytest.mark.parametrize("version", [3, 2])
def test_both_versions_are_taken(version):
    assert reason(proof(version=version)) is None


def test_what_real_clients_sign():
    # RFC 8032, 7.1, test 1: the same key, and the id that its hash is.
    raw = bytes.fromhex(
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert raw_key(text) == raw
    assert id_of(raw) == (
        "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9"
    )


@pytest.mark.parametrize(
    "change, why",
    [
        ({"public_key": ""}, "device-public-key"),
        ({"public_key": public()[:-1]}, "device-public-key"),
        ({"public_key": public() + "="}, "device-public-key"),
        ({"public_key": public()[:-1] + "\u00e9"}, "device-public-key"),
        # The same 32 bytes in another text, by bits that mean nothing.
        (
            {"public_key": public()[:-1] + chr(ord(public()[-1]) + 1)},
            "device-public-key",
        ),
        ({"public_key": public(2)}, "device-id-mismatch"),
        ({"id": "0" * 64}, "device-id-mismatch"),
        ({"id": ""}, "device-id-mismatch"),
        ({"id": "\u0130"}, "device-id-mismatch"),
        ({"nonce": ""}, "device-nonce-missing"),
        ({"nonce": "  "}, "device-nonce-missing"),
        ({"nonce": "n-2"}, "device-nonce-mismatch"),
        ({"nonce": "\ud800"}, "device-nonce-mismatch"),
        ({"signature": ""}, "device-signature"),
        ({"signature": "A" * 86}, "device-signature"),
        ({"signature": "!" * 86}, "device-signature"),
    ],
)
def test_what_was_changed_after_it_was_signed_is_seen(change, why):
    assert reason(proof(**change)) == why


def test_a_proof_of_another_connection_is_none():
    assert reason(proof(nonce="n-0")) == "device-nonce-mismatch"
    # Nor if its nonce is changed to ours: that was signed, too.
    assert reason(attrs.evolve(proof(nonce="n-0"), nonce="n-1")) == "device-signature"


@pytest.mark.parametrize(
    "seconds, why",
    [(0, None), (120, None), (-120, None), (121, "stale"), (-121, "stale")],
)
def test_a_clock_may_be_wrong_by_so_much(seconds, why):
    found = reason(proof(at_ms=NOW + seconds * 1000))
    assert found == (None if why is None else "device-signature-stale")


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "cli"},
        {"client_mode": "cli"},
        {"role": "node"},
        {"scopes": ("operator.read", "operator.admin")},
        {"scopes": ("operator.write", "operator.read")},
        {"token": "other"},
        {"platform": "darwin"},
        {"family": "mac"},
    ],
)
def test_nothing_that_was_asked_for_can_be_changed(change):
    assert reason(proof(), attrs.evolve(SIGNED, **change)) == "device-signature"


def test_system_and_family_are_signed_in_small_letters_and_not_in_version_2():
    plain = attrs.evolve(SIGNED, platform="linux", family="linux")
    assert reason(proof(), plain) is None
    other = attrs.evolve(SIGNED, platform="darwin")
    assert reason(proof(version=2), other) is None


def test_no_field_can_be_moved_into_the_next_one():
    split = attrs.evolve(SIGNED, client_id="openclaw-tui|ui", client_mode="operator")
    assert reason(proof(), split) == "device-signature"
