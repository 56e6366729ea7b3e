"""How a client and the gateway begin: challenge, connect, greeting or refusal. Pure.

What is refused, with which error and close code, is as OpenClaw's gateway does it; a
client that knows one knows the other.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from beamclaw.arguments import Length, Range
from beamclaw.contracts.secret import Secret
from beamclaw.gateway import frames
from beamclaw.gateway.auth.attempt import Admitted, Attempt, Device, Secrets
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.frames import Request, StateVersion, Unread
from beamclaw.gateway.methods._method import Text, Whole, read_params
from beamclaw.values import frozen

PROTOCOL: Final = 4
# Somebody who only looks whether anybody is there, and devices, may be a version older.
OLDEST_PROBE: Final = 3
MAX_PRE_HANDSHAKE: Final = 64 * 1024

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
POLICY: Final = 1008
TOO_BIG: Final = 1009
RESTART: Final = 1012
# What we can that older gateways of OpenClaw's could not, and its programs ask for:
# `models.list` takes `provider` and `includeDetails`.
CAPABILITIES: Final = ("published-model-catalog",)
# What fits into a close frame, in bytes.
MAX_REASON: Final = 123

ClientId = Literal[
    "webchat-ui", "openclaw-control-ui", "openclaw-browser-copilot", "openclaw-tui",
    "webchat", "cli", "gateway-client", "openclaw-macos", "openclaw-linux",
    "openclaw-ios", "openclaw-watchos", "openclaw-android", "node-host",
    "openclaw-worker", "test", "fingerprint", "openclaw-probe",
]  # fmt: skip
Mode = Literal["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"]
Word = Annotated[str, Length(1, 256)]


@frozen(kw_only=True)
class ClientInfo:
    """What program connects, as it says itself."""

    id: ClientId
    version: Word
    platform: Word
    mode: Mode
    display_name: Word | None = None
    build_id: Annotated[str, Length(1, 96)] | None = None
    device_family: Word | None = None
    model_identifier: Word | None = None
    time_zone: Annotated[str, Length(1, 64)] | None = None
    instance_id: Word | None = None


@frozen(kw_only=True)
class AuthParams:
    """Credentials, whichever somebody has."""

    token: str | None = None
    bootstrap_token: str | None = None
    device_token: str | None = None
    password: str | None = None
    approval_runtime_token: str | None = None
    agent_runtime_identity_token: str | None = None


@frozen(kw_only=True)
class DeviceParams:
    """A device's proof; see :class:`~beamclaw.gateway.auth.attempt.Device`."""

    id: Text
    public_key: Text
    signature: Text
    signed_at: Whole
    nonce: Text


@frozen(kw_only=True)
class WorkerRuns:
    """What a worker can run. There are none here; the field is read and left."""

    bundle_hash: Text
    openclaw_version: Text
    protocol_features: tuple[Text, ...]
    bundle_prewarm: Whole | None = None


_Words = Annotated[tuple[Word, ...], Length(0, 256)]


@frozen(kw_only=True)
class ConnectParams:
    """The first request of every client."""

    min_protocol: Annotated[int, Range(1, 2**31)]
    max_protocol: Annotated[int, Range(1, 2**31)]
    client: ClientInfo
    caps: _Words = ()
    commands: _Words = ()
    computer_use: Any = None
    worker_runs: WorkerRuns | None = None
    permissions: Mapping[str, bool] | None = None
    path_env: str | None = None
    role: Word = "operator"
    scopes: _Words | None = None
    device: DeviceParams | None = None
    auth: AuthParams | None = None
    locale: str | None = None
    user_agent: str | None = None


@frozen(kw_only=True)
class Challenge:
    """What a device has to sign, and when it was told so; for each connection its own."""

    nonce: str
    ts: int

    @property
    def frame(self) -> bytes:
        """The first frame of every connection."""
        payload = {"nonce": self.nonce, "ts": self.ts}
        return frames.unnumbered(frames.event("connect.challenge", payload))


@frozen(kw_only=True)
class Refusal:
    """Nobody comes in: what is sent, and how the connection is closed.

    Attributes:
        frame: The response; None: there was no request to respond to.
        cause: In a word, for the log.
    """

    frame: bytes | None
    code: int
    reason: str
    cause: str


@frozen(kw_only=True)
class Connecting:
    """A ``connect`` that says all it has to."""

    request_id: str
    params: ConnectParams


def first(data: bytes, *, max_depth: int = 64) -> Connecting | Refusal:
    """What the first text frame of a connection comes to."""
    if len(data) > MAX_PRE_HANDSHAKE:
        return Refusal(
            frame=None,
            code=TOO_BIG,
            reason="preauth payload too large",
            cause="too-large",
        )
    request = frames.read(data, max_depth=max_depth)
    if isinstance(request, Unread):
        code, reason = (
            (POLICY, "invalid request frame") if request.json else (NORMAL, "")
        )
        return Refusal(frame=None, code=code, reason=reason, cause="invalid-frame")
    if request.method != "connect":
        error = invalid("invalid handshake: first request must be connect")
        return refusal(request.id, error)
    return _connect(request)


def _connect(request: Request) -> Connecting | Refusal:
    try:
        params = read_params("connect", request.params, ConnectParams)
    except MethodError as error:
        return refusal(request.id, error)
    mismatch = _mismatch(params)
    if mismatch is not None:
        return refusal(request.id, mismatch, code=PROTOCOL_ERROR)
    return Connecting(request_id=request.id, params=params)


def _mismatch(params: ConnectParams) -> MethodError | None:
    lenient = params.client.mode == "probe" or params.role == "node"
    oldest = OLDEST_PROBE if lenient else PROTOCOL
    if params.min_protocol <= PROTOCOL and params.max_protocol >= oldest:
        return None
    return invalid(
        "protocol mismatch",
        code="PROTOCOL_MISMATCH",
        clientMinProtocol=params.min_protocol,
        clientMaxProtocol=params.max_protocol,
        expectedProtocol=PROTOCOL,
        minimumProbeProtocol=OLDEST_PROBE,
    )


def refusal(request_id: str, error: MethodError, *, code: int = POLICY) -> Refusal:
    """*error* as the answer to ``connect``, and the end of the connection."""
    details = error.details or {}
    return Refusal(
        frame=frames.failure(request_id, error),
        code=code,
        reason=short(error.message),
        cause=str(details.get("code", error.code)),
    )


def short(reason: str) -> str:
    """*reason* as it fits into a close frame."""
    return reason.encode()[:MAX_REASON].decode(errors="ignore")


def attempt(
    params: ConnectParams,
    given: Challenge,
    *,
    now_ms: int,
    address: str,
    local: bool,
    headers: Mapping[str, str],
) -> Attempt:
    """What *params* say, as it is decided on."""
    client, auth, device = params.client, params.auth or AuthParams(), params.device
    return Attempt(
        client_id=client.id,
        mode=client.mode,
        platform=client.platform,
        device_family=client.device_family or "",
        display_name=client.display_name or "",
        role=params.role,
        scopes=params.scopes,
        secrets=Secrets(
            token=_secret(auth.token),
            password=_secret(auth.password),
            device_token=_secret(auth.device_token),
            bootstrap_token=_secret(auth.bootstrap_token),
        ),
        device=None
        if device is None
        else Device(
            id=device.id,
            public_key=device.public_key,
            signature=device.signature,
            signed_at=device.signed_at,
            nonce=device.nonce,
        ),
        nonce=given.nonce,
        challenged_ms=given.ts,
        now_ms=now_ms,
        address=address,
        local=local,
        headers=dict(headers),
        origin=headers.get("origin"),
    )


def _secret(text: str | None) -> Secret | None:
    return None if not text else Secret(text)


def facts(client: ClientInfo) -> dict[str, str]:
    """What *client* says of itself, by the names on the wire."""
    given = {
        "id": client.id,
        "version": client.version,
        "platform": client.platform,
        "mode": client.mode,
        "displayName": client.display_name,
        "deviceFamily": client.device_family,
        "modelIdentifier": client.model_identifier,
        "timeZone": client.time_zone,
        "instanceId": client.instance_id,
    }
    return {name: value for name, value in given.items() if value is not None}


# --- the greeting


@frozen(kw_only=True)
class Policy:
    """The numbers a client has to keep to."""

    max_payload: int
    max_buffered_bytes: int
    tick_ms: int

    @property
    def shape(self) -> dict[str, object]:
        """As on the wire."""
        return {
            "maxPayload": self.max_payload,
            "maxBufferedBytes": self.max_buffered_bytes,
            "tickIntervalMs": self.tick_ms,
        }


@frozen(kw_only=True)
class Snapshot:
    """How things stand when a client comes in.

    Attributes:
        session_defaults: Which agent and session a client begins with.
    """

    presence: Sequence[Mapping[str, object]]
    health: Mapping[str, object]
    version: StateVersion
    uptime_ms: int
    session_defaults: Mapping[str, object]

    @property
    def shape(self) -> dict[str, object]:
        """As on the wire."""
        return {
            "presence": list(self.presence),
            "health": dict(self.health),
            "stateVersion": self.version.shape,
            "uptimeMs": self.uptime_ms,
            "sessionDefaults": dict(self.session_defaults),
        }


@frozen(kw_only=True)
class Server:
    """Who answers. *boot_id*: of this start of the node."""

    version: str
    boot_id: str


def hello(
    server: Server,
    conn_id: str,
    admitted: Admitted,
    *,
    methods: Sequence[str],
    events: Sequence[str],
    snapshot: Snapshot,
    policy: Policy,
) -> dict[str, object]:
    """The payload of the response that lets a client in."""
    return {
        "type": "hello-ok",
        "protocol": PROTOCOL,
        "server": {
            "version": server.version,
            "bootId": server.boot_id,
            "connId": conn_id,
        },
        "features": {
            "methods": list(methods),
            "events": list(events),
            "capabilities": list(CAPABILITIES),
        },
        "snapshot": snapshot.shape,
        "auth": _auth(admitted),
        "policy": policy.shape,
    }


def _auth(admitted: Admitted) -> dict[str, object]:
    principal: Principal = admitted.principal
    auth: dict[str, object] = {
        "role": principal.role,
        "scopes": sorted(principal.scopes),
    }
    if admitted.device_token is not None:
        auth["deviceToken"] = admitted.device_token.reveal()
    if admitted.issued_at_ms is not None:
        auth["issuedAtMs"] = admitted.issued_at_ms
    return auth
