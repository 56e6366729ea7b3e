"""Why somebody is not let in, in OpenClaw's words for programs: one table.

Its clients decide by ``details.code`` and ``recommendedNextStep`` whether to try again,
with what, or to ask a person.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from beamclaw.gateway.auth.device import Fault
from beamclaw.values import frozen

Code = Literal["INVALID_REQUEST", "NOT_PAIRED", "UNAVAILABLE", "FORBIDDEN"]
PairReason = Literal["not-paired", "role-upgrade", "scope-upgrade"]
# What came with the request, for the words.
Given = Literal["token", "password", "device-token", "none"]

_REVIEW: Final = "review_auth_configuration"
_CONFIGURE: Final = "update_auth_configuration"
_CREDENTIALS: Final = "update_auth_credentials"
_WAIT: Final = "wait_then_retry"


@frozen(kw_only=True)
class Refusal:
    """An answer to somebody who is not let in.

    Attributes:
        code: The error's own code.
        message: For a person; never holds anything that came with the request.
        details: For programs: ``code``, the reason, what to do next.
        retryable: Asking again may help without anybody doing anything.
        retry_after: Seconds after which it may.
        reason: For the log.
    """

    code: Code = "INVALID_REQUEST"
    message: str
    details: Mapping[str, object]
    retryable: bool | None = None
    retry_after: float | None = None
    reason: str = ""


@frozen
class _Row:
    code: str
    next_step: str
    message: str


# reason: details.code, what to do next, words.
_TABLE: Final[Mapping[str, _Row]] = {
    "token_missing": _Row(
        "AUTH_TOKEN_MISSING",
        _CONFIGURE,
        "gateway token missing (send it as auth.token)",
    ),
    "token_mismatch": _Row(
        "AUTH_TOKEN_MISMATCH",
        _CREDENTIALS,
        "gateway token mismatch (it is not the one of this gateway)",
    ),
    "password_missing": _Row(
        "AUTH_PASSWORD_MISSING",
        _CONFIGURE,
        "gateway password missing (send it as auth.password)",
    ),
    "password_mismatch": _Row(
        "AUTH_PASSWORD_MISMATCH",
        _CREDENTIALS,
        "gateway password mismatch (it is not the one of this gateway)",
    ),
    "device_token_mismatch": _Row(
        "AUTH_DEVICE_TOKEN_MISMATCH",
        _CREDENTIALS,
        "device token mismatch (connect with the gateway's token to get a new one)",
    ),
    "api_key_mismatch": _Row(
        "AUTH_TOKEN_MISMATCH",
        _CREDENTIALS,
        "the API key is unknown, revoked or expired",
    ),
    "bootstrap_token_invalid": _Row(
        "AUTH_BOOTSTRAP_TOKEN_INVALID",
        _REVIEW,
        "setup codes are not accepted by this gateway; pair the device instead",
    ),
    "scope_mismatch": _Row(
        "AUTH_SCOPE_MISMATCH",
        _REVIEW,
        "the device token is not good for that role or for any of those scopes",
    ),
    "rate_limited": _Row(
        "AUTH_RATE_LIMITED",
        _WAIT,
        "too many failed authentication attempts (retry later)",
    ),
    "link_void": _Row(
        "AUTH_UNAUTHORIZED",
        _CREDENTIALS,
        "this link was used before, or is too old (beamclaw dashboard makes another)",
    ),
    "proxy_untrusted": _Row(
        "AUTH_UNAUTHORIZED",
        _REVIEW,
        "this gateway is reached through its proxy only (gateway.trusted_proxies)",
    ),
    "missing_header": _Row(
        "AUTH_IDENTITY_HEADER_REQUIRED",
        _REVIEW,
        "the proxy did not say who this is (gateway.auth.proxy)",
    ),
    "user_not_allowed": _Row(
        "AUTH_UNAUTHORIZED",
        _REVIEW,
        "this user is not let in (gateway.auth.proxy.allow_users)",
    ),
}
_PAIRING: Final[Mapping[PairReason, tuple[str, str]]] = {
    "not-paired": (
        "device is not approved yet",
        "Approve this device from the pending pairing requests.",
    ),
    "role-upgrade": (
        "device is asking for a higher role than currently approved",
        "Review the requested role upgrade, then approve the pending request.",
    ),
    "scope-upgrade": (
        "device is asking for more scopes than currently approved",
        "Review the requested scopes, then approve the pending upgrade.",
    ),
}
REASONS: Final = frozenset(_TABLE)


def unauthorized(
    reason: str, *, given: Given = "none", device: bool = False, left: float = 0.0
) -> Refusal:
    """The credentials are not good.

    Args:
        reason: A key of the table; ``missing_header_<name>`` is one of them, too.
        given: What came.
        device: The client has a device, so it may have a token of its own.
        left: Seconds until it is asked again.
    """
    row = _TABLE["missing_header" if reason.startswith("missing_header") else reason]
    retry = reason == "token_mismatch" and device and given == "token"
    return Refusal(
        message=f"unauthorized: {row.message}",
        details={
            "code": row.code,
            "authReason": reason,
            "canRetryWithDeviceToken": retry,
            "recommendedNextStep": "retry_with_device_token"
            if retry
            else row.next_step,
        },
        retryable=True if reason == "rate_limited" else None,
        retry_after=left or None,
        reason=reason,
    )


def bad_proof(fault: Fault) -> Refusal:
    """The device is not the one it says."""
    return Refusal(
        message=fault.message,
        details={"code": fault.code, "reason": fault.reason},
        reason=fault.reason,
    )


def device_required(*, page: bool = False) -> Refusal:
    """Such a client has to prove a device; *page*: it is a web page of OpenClaw's."""
    if page:
        return Refusal(
            message="control ui requires device identity (open it over HTTPS or on "
            "this machine)",
            details={"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"},
            reason="device_required",
        )
    return Refusal(
        code="NOT_PAIRED",
        message="device identity required",
        details={"code": "DEVICE_IDENTITY_REQUIRED"},
        reason="device_required",
    )


def pairing_required(
    reason: PairReason,
    *,
    request_id: str | None,
    device_id: str,
    role: str,
    scopes: Sequence[str],
    approved_roles: Sequence[str] = (),
    approved_scopes: Sequence[str] = (),
    waits: bool = False,
) -> Refusal:
    """A person has to agree; *waits*: the client shows that, and asks again."""
    requirement, hint = _PAIRING[reason]
    details: dict[str, object] = {
        "code": "PAIRING_REQUIRED",
        "reason": reason,
        "remediationHint": hint,
        "deviceId": device_id,
        "requestedRole": role,
        "requestedScopes": list(scopes),
    }
    if request_id is not None:
        details["requestId"] = request_id
    if approved_roles:
        details["approvedRoles"] = list(approved_roles)
    if approved_scopes:
        details["approvedScopes"] = list(approved_scopes)
    if waits:
        details |= {
            "recommendedNextStep": _WAIT,
            "retryable": True,
            "pauseReconnect": False,
        }
    return Refusal(
        code="NOT_PAIRED",
        message=f"pairing required: {requirement}",
        details=details,
        reason=reason,
    )


def starting() -> Refusal:
    """Who is let in is not known yet, or cannot be written down now."""
    return Refusal(
        code="UNAVAILABLE",
        message="gateway starting; retry shortly",
        details={"reason": "startup-sidecars"},
        retryable=True,
        retry_after=0.5,
        reason="starting",
    )


def no_such_role() -> Refusal:
    """It wants to be what nobody can be here."""
    return Refusal(
        message="invalid role (operator or node)",
        details={"code": "AUTH_UNAUTHORIZED"},
        reason="role",
    )


def crowded() -> Refusal:
    """Too many wait for a person already."""
    return Refusal(
        code="UNAVAILABLE",
        message="too many devices wait to be paired; retry later",
        details={"code": "PAIRING_REQUIRED", "recommendedNextStep": _WAIT},
        retryable=True,
        retry_after=60.0,
        reason="pairing_crowded",
    )


def mode_reason(mode: str, *, missing: bool) -> str:
    """The reason for a shared secret of *mode* that is missing or wrong."""
    kind = "password" if mode == "password" else "token"
    return f"{kind}_missing" if missing else f"{kind}_mismatch"
