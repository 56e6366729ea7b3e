"""What is proved: who may begin and who is refused, with which words and close code."""

import orjson
import pytest

from beamclaw.contracts.secret import Secret
from beamclaw.gateway.auth.attempt import Admitted
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.frames import StateVersion
from beamclaw.gateway.socket import handshake
from beamclaw.gateway.socket.handshake import Challenge, Connecting, Refusal

CLIENT = {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "cli"}


def params(**more):
    given = {"minProtocol": 4, "maxProtocol": 4, "client": CLIENT} | more
    return {name: value for name, value in given.items() if value is not ...}


def connect(**more) -> bytes:
    return frame(params=params(**more))


def frame(**fields) -> bytes:
    return orjson.dumps({"type": "req", "id": "c1", "method": "connect"} | fields)


def test_the_challenge_has_no_number():
    assert orjson.loads(Challenge(nonce="n", ts=5).frame) == {
        "type": "event",
        "event": "connect.challenge",
        "payload": {"nonce": "n", "ts": 5},
    }


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"caps": ["tool-events"], "role": "operator", "scopes": ["operator.read"]},
        {"minProtocol": 1, "maxProtocol": 9},
        {"minProtocol": 3, "maxProtocol": 3, "client": CLIENT | {"mode": "probe"}},
        {"minProtocol": 3, "maxProtocol": 3, "role": "node"},
        {"auth": {"token": "x", "password": "y", "deviceToken": "z"}},
        {"auth": {}},
        {"permissions": {"camera": True}, "commands": ["x"], "pathEnv": "/bin"},
        {"locale": "de", "userAgent": "x"},
        {
            "device": {
                "id": "d",
                "publicKey": "k",
                "signature": "s",
                "signedAt": 1,
                "nonce": "n",
            }
        },
    ],
)
def test_what_may_begin(more):
    found = handshake.first(connect(**more))
    assert isinstance(found, Connecting), found
    assert found.request_id == "c1"


@pytest.mark.parametrize(
    "data, code, message",
    [
        (b"hello", 1000, None),
        (b"", 1000, None),
        (b"[]", 1008, None),
        (frame(type="event"), 1008, None),
        (frame(id=3), 1008, None),
        (b'{"a":1,"a":1}', 1008, None),
        (b" " * (64 * 1024 + 1), 1009, None),
        (frame(method="health"), 1008, "invalid handshake: first request must be conn"),
        (frame(params=None), 1008, "invalid connect params: "),
        (frame(params=[]), 1008, "invalid connect params: "),
        (connect(client=...), 1008, "'client' is missing"),
        (connect(client=CLIENT | {"id": "x"}), 1008, "at /client/id: expected one of"),
        (connect(client=CLIENT | {"x": 1}), 1008, "at /client: there is no 'x'"),
        (connect(client=CLIENT | {"mode": "operator"}), 1008, "at /client/mode"),
        (connect(client=CLIENT | {"version": ""}), 1008, "at /client/version"),
        (connect(more=1), 1008, "there is no 'more'"),
        (connect(auth={"token": 3}), 1008, "at /auth/token: expected a text"),
        (connect(auth={"Token": "x"}), 1008, "at /auth: there is no 'Token'"),
        (connect(auth=None), 1008, "'auth' is null"),
        (connect(scopes="operator.admin"), 1008, "at /scopes: expected a list"),
        (connect(scopes=[3]), 1008, "at /scopes/0"),
        (connect(device={"id": "d"}), 1008, "at /device: 'publicKey' is missing"),
        (connect(minProtocol="4"), 1008, "at /minProtocol"),
        (connect(minProtocol=1, maxProtocol=1), 1002, "protocol mismatch"),
        (connect(minProtocol=3, maxProtocol=3), 1002, "protocol mismatch"),
        (connect(minProtocol=5, maxProtocol=9), 1002, "protocol mismatch"),
        (
            connect(minProtocol=2, maxProtocol=2, client=CLIENT | {"mode": "probe"}),
            1002,
            "protocol mismatch",
        ),
    ],
)
def test_what_is_refused(data, code, message):
    found = handshake.first(data)
    assert isinstance(found, Refusal)
    assert found.code == code
    if message is None:
        assert found.frame is None
        return
    assert found.frame is not None
    answer = orjson.loads(found.frame)
    assert (answer["id"], answer["ok"]) == ("c1", False)
    assert answer["error"]["code"] == "INVALID_REQUEST"
    assert message in answer["error"]["message"]
    assert answer["error"]["message"].startswith(found.reason)


def test_a_mismatch_of_versions_says_which_one_is_spoken():
    found = handshake.first(connect(minProtocol=5, maxProtocol=9))
    assert isinstance(found, Refusal)
    assert found.frame is not None
    assert orjson.loads(found.frame)["error"]["details"] == {
        "code": "PROTOCOL_MISMATCH",
        "clientMinProtocol": 5,
        "clientMaxProtocol": 9,
        "expectedProtocol": 4,
        "minimumProbeProtocol": 3,
    }


def test_a_reason_fits_into_a_close_frame_whole_characters_only():
    found = handshake.refusal("1", invalid("ü" * 100))
    assert found.reason == "ü" * 61
    assert len(found.reason.encode()) <= 123


def test_the_cause_of_a_refusal_is_its_finest_code():
    assert handshake.refusal("1", invalid("x", code="AUTH_X")).cause == "AUTH_X"
    assert (
        handshake.refusal("1", MethodError("UNAVAILABLE", "x")).cause == "UNAVAILABLE"
    )


def test_an_attempt_has_what_was_said_and_what_is_known():
    device = {
        "id": "d",
        "publicKey": "k",
        "signature": "s",
        "signedAt": 7,
        "nonce": "n",
    }
    found = handshake.first(
        connect(auth={"token": "canary", "password": ""}, device=device)
    )
    assert isinstance(found, Connecting)
    attempt = handshake.attempt(
        found.params,
        Challenge(nonce="mine", ts=7),
        now_ms=8,
        address="10.0.0.1",
        local=False,
        headers={"origin": "https://x.example", "x-real-ip": "127.0.0.1"},
    )
    assert attempt.secrets.token == Secret("canary")
    # An empty one is none: whether a field is there proves nothing.
    assert attempt.secrets.password is None
    assert attempt.device is not None
    assert attempt.device.nonce == "n"
    assert (attempt.nonce, attempt.challenged_ms, attempt.now_ms) == ("mine", 7, 8)
    assert (attempt.address, attempt.local) == ("10.0.0.1", False)
    assert attempt.origin == "https://x.example"
    assert attempt.scopes is None
    assert "canary" not in repr(attempt.secrets)


def test_the_greeting():
    payload = handshake.hello(
        handshake.Server(version="1", boot_id="b"),
        "conn",
        Admitted(
            principal=Principal(scopes=frozenset({"operator.write", "operator.read"})),
            device_token=Secret("dt"),
            issued_at_ms=9,
        ),
        methods=["health"],
        events=["tick"],
        snapshot=handshake.Snapshot(
            presence=[{"ts": 1}],
            health={"ok": True},
            version=StateVersion(1, 2),
            uptime_ms=3,
            session_defaults={"defaultAgentId": "main"},
        ),
        policy=handshake.Policy(max_payload=1, max_buffered_bytes=2, tick_ms=3),
    )
    assert orjson.loads(orjson.dumps(payload)) == {
        "type": "hello-ok",
        "protocol": 4,
        "server": {"version": "1", "bootId": "b", "connId": "conn"},
        "features": {
            "methods": ["health"],
            "events": ["tick"],
            "capabilities": ["published-model-catalog"],
        },
        "snapshot": {
            "presence": [{"ts": 1}],
            "health": {"ok": True},
            "stateVersion": {"presence": 1, "health": 2},
            "uptimeMs": 3,
            "sessionDefaults": {"defaultAgentId": "main"},
        },
        "auth": {
            "role": "operator",
            "scopes": ["operator.read", "operator.write"],
            "deviceToken": "dt",
            "issuedAtMs": 9,
        },
        "policy": {"maxPayload": 1, "maxBufferedBytes": 2, "tickIntervalMs": 3},
    }
