"""From what somebody brings to who he is: one function for sockets and for HTTP.

Decided on verified facts only: a field that is there and wrong never counts as one that
is not there, and where somebody says that he is on this machine never counts at all.
Pure but for the table that it looks into; the time is an argument.
"""

from typing import Literal

import attrs

from beamclaw.contracts.secret import Secret
from beamclaw.gateway.auth import scopes as scope
from beamclaw.gateway.auth.access import DEVICE_PREFIX, KEY_PREFIX, Access
from beamclaw.gateway.auth.lockout import Kind
from beamclaw.gateway.auth.principal import Means, Role
from beamclaw.gateway.auth.proxies import Proxies, User
from beamclaw.gateway.auth.refusals import Given, mode_reason
from beamclaw.values import frozen

Mode = Literal["token", "password", "trusted-proxy", "none"]
NOTHING: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Rules:
    """How the gateway is configured.

    Attributes:
        secret: The shared token or password, whichever the mode wants.
        proxies: Who may say who somebody is.
        proxy_scopes: What a user may do whom a proxy has let in.
        proxy_admins: Users who may do everything.
    """

    mode: Mode = "token"
    secret: Secret | None = None
    proxies: Proxies = attrs.field(factory=Proxies)
    proxy_scopes: frozenset[str] = frozenset()
    proxy_admins: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Offered:
    """What came: each field is empty if it was not sent."""

    token: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)
    device_token: str = attrs.field(default="", repr=False)
    bootstrap: str = attrs.field(default="", repr=False)

    @property
    def given(self) -> Given:
        """What of it there is, for words."""
        if self.password:
            return "password"
        if self.token:
            return "token"
        return "device-token" if self.device_token else "none"

    @property
    def signed(self) -> str:
        """The secret that a device's signature covers."""
        return self.token or self.device_token or self.bootstrap


@frozen(kw_only=True)
class Known:
    """Somebody was recognised.

    Attributes:
        stored: What he may do at most.
        role: The only role in which he may; None: any.
        device_id: Whose device token it was.
        wrong: What else came, and is not right.
    """

    means: Means
    stored: frozenset[str]
    role: Role | None = None
    tenant: str | None = None
    device_id: str | None = None
    key_id: str | None = None
    wrong: Kind | None = None

    @property
    def owner(self) -> bool:
        """Whether it was the shared secret, or none is needed."""
        return self.means in ("token", "password", "none")


@frozen
class Unknown:
    """Nobody was. *kind*: what was guessed; None: nothing was, and nothing counts."""

    reason: str
    kind: Kind | None = None


def recognise(
    rules: Rules, offered: Offered, access: Access, *, user: User, now: float
) -> Known | Unknown:
    """Who it is.

    Args:
        rules: How the gateway is configured.
        offered: What came.
        access: Devices and keys.
        user: Whom a proxy says it is; looked at in that mode only.
        now: Seconds since the epoch.
    """
    text = offered.token or offered.password
    if KEY_PREFIX in (text[: len(KEY_PREFIX)], offered.device_token[: len(KEY_PREFIX)]):
        return _by_key(text or offered.device_token, access, now)
    if offered.device_token or text.startswith(DEVICE_PREFIX):
        return _by_device(rules, offered, access, user)
    return _shared(rules, offered, user)


def _by_key(text: str, access: Access, now: float) -> Known | Unknown:
    key = access.api_key(text, now)
    if key is None:
        return Unknown("api_key_mismatch", "api-key")
    return Known(
        means="api-key",
        stored=frozenset(key.scopes),
        role="operator",
        tenant=key.tenant,
        key_id=key.id,
    )


def _by_device(
    rules: Rules, offered: Offered, access: Access, user: User
) -> Known | Unknown:
    """By a device token, beside which a shared secret may have come.

    A client whose shared secret is not right any more tries again with both.
    """
    apart = bool(offered.device_token and (offered.token or offered.password))
    shared = _shared(rules, offered, user) if apart else None
    found = access.device_token(offered.device_token or offered.token)
    if found is None:
        if isinstance(shared, Known):
            return attrs.evolve(shared, wrong="device-token")
        return Unknown("device_token_mismatch", "device-token")
    device, token = found
    own = token.role == "operator"
    return Known(
        means="device-token",
        stored=frozenset(token.scopes) & frozenset(device.scopes) if own else NOTHING,
        role="node" if token.role == "node" else "operator",
        tenant=device.tenant,
        device_id=device.id,
        wrong=shared.kind if isinstance(shared, Unknown) else None,
    )


def _shared(rules: Rules, offered: Offered, user: User) -> Known | Unknown:
    if rules.mode == "none":
        return Known(means="none", stored=scope.ALL)
    if rules.mode == "trusted-proxy":
        return _by_proxy(rules, user)
    texts = {text for text in (offered.token, offered.password) if text}
    if not texts:
        if offered.bootstrap:
            return Unknown("bootstrap_token_invalid", "secret")
        return Unknown(mode_reason(rules.mode, missing=True))
    # Each is compared, also when there are two: it takes as long whichever is wrong.
    secret = rules.secret
    right = [secret is not None and bool(secret) and secret.matches(t) for t in texts]
    if not all(right):
        return Unknown(mode_reason(rules.mode, missing=False), "secret")
    return Known(
        means="password" if rules.mode == "password" else "token", stored=scope.ALL
    )


def _by_proxy(rules: Rules, user: User) -> Known | Unknown:
    if user.fault:
        return Unknown(user.fault)
    stored = scope.ALL if user.name in rules.proxy_admins else rules.proxy_scopes
    return Known(means="trusted-proxy", stored=stored)
