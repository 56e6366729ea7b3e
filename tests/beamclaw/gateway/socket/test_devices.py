"""Attacks on the handshake and on pairing, and what is right instead, on real sockets."""

from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import pytest
from trio_websocket import ConnectionClosed

from beamclaw.config.schema import AuthConfig, PairingConfig, RateLimitConfig
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.device import Signed
from beamclaw.gateway.methods.table import METHODS
from tests.beamclaw.gateway.edge import TOKEN, forever
from tests.beamclaw.gateway.socket.talk import UI, connected, opened, params
from tests.support.device import id_of, prove

READ, WRITE = "operator.read", "operator.write"
PAIRING, ADMIN = "operator.pairing", "operator.admin"
# Somebody who is not on this machine, as far as pairing goes.
FAR = AuthConfig(token=Secret(TOKEN), pairing=PairingConfig(local=False))


def connect(
    challenge: Any, *asked: str, seed=1, auth=None, forged=None, **more
) -> dict[str, Any]:
    """What a client with a device says to *challenge*."""
    auth = {"token": TOKEN} if auth is None else auth
    client = UI | {"id": "openclaw-macos"}
    signed = Signed(
        client_id=client["id"],
        client_mode=client["mode"],
        role=more.get("role", "operator"),
        scopes=asked,
        token=auth.get("token") or auth.get("deviceToken") or "",
        platform=client["platform"],
    )
    given = challenge["payload"]
    proof = prove(signed, nonce=given["nonce"], at_ms=given["ts"], seed=seed)
    proof = attrs.evolve(proof, **(forged or {}))
    device = {
        "id": proof.id,
        "publicKey": proof.public_key,
        "signature": proof.signature,
        "signedAt": proof.signed_at,
        "nonce": proof.nonce,
    }
    return params(client=client, scopes=asked, auth=auth, device=device, **more)


@asynccontextmanager
async def device(port: int, *asked: str, **more):
    async with opened(port) as talk:
        answer = await talk.call(
            "connect", connect(await talk.receive(), *asked, **more)
        )
        assert answer["ok"], answer
        talk.hello = answer["payload"]
        yield talk


async def refused(port: int, *asked: str, **more) -> dict[str, Any]:
    """The error of a client that is not let in; its connection is closed by policy."""
    async with opened(port) as talk:
        given = connect(await talk.receive(), *asked, **more)
        answer = await talk.call("connect", given)
        assert not answer["ok"]
        code, _ = await talk.closed()
        assert code == 1008
        return answer["error"]


async def pair(port: int, *asked: str, seed=1) -> str:
    """Have a person agree; the device's token."""
    error = await refused(port, *asked, seed=seed)
    async with connected(port) as owner:
        approved = {"requestId": error["details"]["requestId"]}
        answer = await owner.call("device.pair.approve", approved)
        assert answer["ok"], answer
    async with device(port, *asked, seed=seed) as talk:
        return talk.hello["auth"]["deviceToken"]


async def test_a_device_of_this_machine_comes_back_with_its_own_token(node):
    async with device(node.port, READ) as talk:
        auth = talk.hello["auth"]
        assert auth["scopes"] == [READ]
        assert auth["issuedAtMs"] > 0
    token = auth["deviceToken"]
    for given in ({"token": token}, {"deviceToken": token}):
        async with device(node.port, READ, auth=given) as talk:
            assert (await talk.call("health"))["ok"]
            assert "deviceToken" not in talk.hello["auth"]
    listed = await node.request("GET", "/v1/models", token=token)
    assert listed.status == 200


async def test_a_device_is_asked_about_and_let_in(start):
    async with start(auth=FAR) as node, connected(node.port) as owner:
        error = await refused(node.port, READ)
        assert error["code"] == "NOT_PAIRED"
        assert error["details"]["reason"] == "not-paired"
        requested = (await owner.event("device.pair.requested"))["payload"]
        assert requested["requestId"] == error["details"]["requestId"]
        assert requested["deviceId"] == id_of()
        listed = (await owner.call("device.pair.list"))["payload"]
        assert [row["requestId"] for row in listed["pending"]] == [
            requested["requestId"]
        ]
        approve = {"requestId": requested["requestId"]}
        answer = await owner.call("device.pair.approve", approve)
        assert answer["payload"]["device"]["roles"] == ["operator"]
        resolved = (await owner.event("device.pair.resolved"))["payload"]
        assert resolved["decision"] == "approved"
        again = await owner.call("device.pair.approve", approve)
        assert again["error"]["message"] == "unknown requestId"
        async with device(node.port, READ) as talk:
            assert talk.hello["auth"]["scopes"] == [READ]
            listed = (await owner.call("device.pair.list"))["payload"]
            (row,) = listed["paired"]
            assert (row["deviceId"], row["connected"]) == (id_of(), True)


async def test_a_device_is_sent_away(start):
    async with start(auth=FAR) as node, connected(node.port) as owner:
        error = await refused(node.port, READ)
        reject = {"requestId": error["details"]["requestId"]}
        answer = await owner.call("device.pair.reject", reject)
        assert answer["payload"]["deviceId"] == id_of()
        resolved = (await owner.event("device.pair.resolved"))["payload"]
        assert resolved["decision"] == "rejected"


async def test_who_may_not_pair_is_not_told_of_devices(start):
    async with (
        start(auth=FAR) as node,
        connected(node.port, scopes=[READ]) as reader,
    ):
        await refused(node.port, READ)
        assert (await reader.call("health"))["ok"]
        names = [frame["event"] for frame in reader.events]
        assert "device.pair.requested" not in names


async def test_what_was_signed_once_is_good_for_one_connection(node):
    async with opened(node.port) as first, opened(node.port) as second:
        given = connect(await first.receive(), READ)
        await second.receive()
        answer = await second.call("connect", given)
        assert answer["error"]["details"]["code"] == "DEVICE_AUTH_NONCE_MISMATCH"
        assert (await second.closed())[0] == 1008
        assert (await first.call("connect", given))["ok"]


@pytest.mark.parametrize(
    "forged, code",
    [
        ({"signed_at": 1}, "DEVICE_AUTH_SIGNATURE_EXPIRED"),
        ({"id": id_of(2)}, "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
        ({"signature": "A" * 86}, "DEVICE_AUTH_SIGNATURE_INVALID"),
        ({"public_key": "x"}, "DEVICE_AUTH_PUBLIC_KEY_INVALID"),
    ],
)
async def test_a_forged_device_is_refused(node, forged, code):
    error = await refused(node.port, READ, forged=forged)
    assert error["details"]["code"] == code


async def test_scopes_are_cut_to_those_of_the_device(start):
    async with start(auth=FAR) as node:
        token = await pair(node.port, READ)
        for auth in ({"token": TOKEN}, {"token": token}):
            async with device(node.port, READ, ADMIN, auth=auth) as talk:
                assert talk.hello["auth"]["scopes"] == [READ]
        error = await refused(node.port, ADMIN, auth={"token": token})
        assert error["details"]["code"] == "AUTH_SCOPE_MISMATCH"


async def test_nobody_calls_what_his_scopes_do_not_say(node):
    """Over every method, by somebody who has each of the other scopes."""
    for held in (READ, PAIRING, "operator.approvals", "operator.questions"):
        async with connected(node.port, scopes=[held]) as talk:
            for name, method in METHODS.items():
                assert method.scope in scopes.ALL | {scopes.NODE}
                if scopes.allows(frozenset({held}), method.scope):
                    continue
                answer = await talk.call(name, {})
                error = answer["error"]
                if method.scope == scopes.NODE:
                    assert "unauthorized role" in error["message"]
                else:
                    assert error["code"] == "FORBIDDEN", name
                    assert error["details"]["missingScope"] == method.scope
            answer = await talk.call("no.such.method")
            assert answer["error"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("what", ["device.pair.remove", "device.token.revoke"])
async def test_whoever_is_removed_is_cut_off_at_once(start, what):
    async with start(auth=FAR) as node:
        token = await pair(node.port, READ)
        given = {"deviceId": id_of()}
        if what == "device.token.revoke":
            given["role"] = "operator"
        async with (
            connected(node.port) as owner,
            device(node.port, READ) as by_secret,
            device(node.port, READ, auth={"token": token}) as by_token,
        ):
            assert (await owner.call(what, given))["ok"]
            assert (await by_token.closed())[0] == 1008
            assert (await by_secret.closed())[0] == 1008
            assert (await owner.call("health"))["ok"]
        error = await refused(node.port, READ, auth={"token": token})
        assert error["details"]["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"
        assert (await node.request("GET", "/v1/models", token=token)).status == 401


async def test_who_is_cut_off_has_nothing_done_or_told_any_more(start):
    """What it has asked for and what it asks for from then on: neither is answered."""
    async with start(auth=FAR) as node:
        node.tenant.think = forever
        token = await pair(node.port, WRITE)
        async with (
            connected(node.port) as owner,
            device(node.port, WRITE, auth={"token": token}) as talk,
        ):
            said = {"message": "x", "sessionKey": "main", "idempotencyKey": "before"}
            begun = (await talk.call("agent", said))["payload"]
            await talk.request("agent.wait", {"runId": begun["runId"]})
            assert (await owner.call("device.pair.remove", {"deviceId": id_of()}))["ok"]
            # Here it may not know yet. What it sends is not taken, however fast it is.
            with suppress(ConnectionClosed):
                await talk.request("agent", said | {"idempotencyKey": "after"})
            run = await node.begun()
            run.say("words")
            run.end()
            assert (await talk.closed())[0] == 1008
            assert [e for e in talk.events if e["type"] == "res"] == []
            assert "words" not in repr(talk.events)
        assert len(node.tenant.accepted) == 1


async def test_a_device_gives_itself_another_token_and_hears_of_it(start):
    async with start(auth=FAR) as node:
        token = await pair(node.port, READ, PAIRING)
        async with device(node.port, READ, PAIRING, auth={"token": token}) as talk:
            order = {"deviceId": id_of(), "role": "operator"}
            answer = (await talk.call("device.token.rotate", order))["payload"]
            assert answer["tokenDelivery"] == "in-band"
            assert (await talk.closed())[0] == 1008
        await refused(node.port, READ, auth={"token": token})
        fresh = {"token": answer["token"]}
        async with device(node.port, READ, auth=fresh) as talk:
            assert (await talk.call("health"))["ok"]


async def test_an_owner_is_not_told_the_token_of_a_device(start):
    async with start(auth=FAR) as node, connected(node.port) as owner:
        await pair(node.port, READ)
        order = {"deviceId": id_of(), "role": "operator", "scopes": [READ]}
        answer = (await owner.call("device.token.rotate", order))["payload"]
        assert answer["tokenDelivery"] == "withheld-cross-device"
        assert "token" not in answer
        async with device(node.port, READ) as talk:
            assert talk.hello["auth"]["deviceToken"]


async def test_a_device_manages_nobody_else(start):
    async with start(auth=FAR) as node:
        token = await pair(node.port, READ, PAIRING)
        await pair(node.port, READ, seed=2)
        other = {"deviceId": id_of(2)}
        async with device(node.port, READ, PAIRING, auth={"token": token}) as talk:
            listed = (await talk.call("device.pair.list"))["payload"]
            assert [row["deviceId"] for row in listed["paired"]] == [id_of()]
            for name, given in (
                ("device.pair.remove", other),
                ("device.pair.rename", other | {"label": "mine"}),
                ("device.token.rotate", other | {"role": "operator"}),
                ("device.token.revoke", other | {"role": "operator"}),
            ):
                answer = await talk.call(name, given)
                assert "denied" in answer["error"]["message"], name
            # Nor does it find out who is there.
            nobody = {"deviceId": "0" * 64}
            answer = await talk.call("device.pair.remove", nobody)
            assert "denied" in answer["error"]["message"]
            renamed = {"deviceId": id_of(), "label": "Kitchen"}
            assert (await talk.call("device.pair.rename", renamed))["ok"]


async def test_whoever_guesses_is_not_asked_any_more(start):
    limit = RateLimitConfig(max_attempts=3, exempt_loopback=False)
    async with start(auth=AuthConfig(token=Secret(TOKEN), rate_limit=limit)) as node:
        for number in range(3):
            error = await refused(node.port, READ, auth={"token": f"wrong{number}"})
            assert error["details"]["code"] == "AUTH_TOKEN_MISMATCH"
        error = await refused(node.port, READ)
        assert error["details"]["code"] == "AUTH_RATE_LIMITED"
        assert 290_000 < error["retryAfterMs"] <= 300_000
        assert (await node.request("GET", "/v1/models")).status == 429


async def test_secrets_are_in_nothing_that_is_told(start):
    async with start(auth=FAR) as node:
        token = await pair(node.port, READ)
        await refused(node.port, READ, auth={"token": "wrong-canary"})
        async with connected(node.port) as owner, device(node.port, READ) as talk:
            listed = await owner.call("device.pair.list")
            said = repr([listed, owner.events, talk.events, owner.hello])
        told = repr([(event.name, event.metadata) for event in node.events])
        kept = repr((node.rows.devices, node.rows.tokens))
        for secret in (TOKEN, token, "wrong-canary"):
            assert secret not in said + told + kept


async def test_what_is_no_device_is_refused_by_shape(node):
    async with opened(node.port) as talk:
        given = connect(await talk.receive(), READ)
        given["device"]["more"] = 1
        answer = await talk.call("connect", given)
        assert "invalid connect params" in answer["error"]["message"]
