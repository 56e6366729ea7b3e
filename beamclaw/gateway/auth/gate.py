"""The gate: who comes in by a socket, and who asks over HTTP.

Decided here are the order of things and what is remembered: guesses are counted, a
device that is new is recorded, what is refused is told. What is allowed is decided by
``credentials``, ``device`` and ``pairing``.
"""

import hmac
import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, NoReturn, TypeVar

import attrs
import trio

import supervision
from beamclaw.config.schema import GatewayConfig
from beamclaw.contracts.devices import (
    NAME,
    NewKey,
    NoSuchDevice,
    PairRequest,
    TakeLink,
)
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.store import DataFolderError
from beamclaw.gateway.auth import device as proofs
from beamclaw.gateway.auth import lockout as lockouts
from beamclaw.gateway.auth import refusals
from beamclaw.gateway.auth.access import DEVICE_PREFIX, KEY_PREFIX, Access, Holder
from beamclaw.gateway.auth.attempt import Admitted, Attempt
from beamclaw.gateway.auth.credentials import (
    Known,
    Offered,
    Rules,
    Unknown,
    recognise,
)
from beamclaw.gateway.auth.lockout import Kind, Lockout
from beamclaw.gateway.auth.orders import (
    AskToPair,
    Crowded,
    JoinDevice,
    Minted,
    MintToken,
    Seen,
)
from beamclaw.gateway.auth.pairing import Ask, Deny, Enter, Join, Wanted, judge
from beamclaw.gateway.auth.principal import Principal, Role
from beamclaw.gateway.auth.proxies import Proxies, User, networks
from beamclaw.gateway.auth.refusals import PairReason, Refusal
from beamclaw.gateway.auth.scopes import WRITE, granted
from beamclaw.gateway.errors import MethodError

R = TypeVar("R")
DENIED: Final = "beamclaw.gateway.denied"
LOCKED_OUT: Final = "beamclaw.gateway.locked_out"
# Seconds that somebody waits at the gate until it is known who is let in.
PATIENCE: Final = 5.0
# A device is said to have been seen at most this often, in seconds.
SEEN_EVERY: Final = 60.0
# OpenClaw's pages and its terminal: they have a device, or are not what they say.
_PAGES: Final = frozenset({"openclaw-control-ui", "openclaw-tui"})
_INNER: Final = ("gateway-client", "backend")


class Denied(Exception):  # noqa: N818 -- a situation
    """Somebody is not let in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@attrs.define(eq=False, kw_only=True)
class Gate:
    """See the module; the :class:`~.attempt.Gate` of sockets, and that of HTTP.

    Attributes:
        rules: How the gateway is configured.
        access: Devices and keys.
        lockout: Who has guessed too often.
        wall: Seconds since the epoch.
        skew: Seconds that a device's clock may be wrong by.
        local_pairs: Devices on this machine are paired without a question.
        loading: Of what checks signatures.
    """

    rules: Rules
    access: Access
    lockout: Lockout
    wall: Callable[[], float]
    skew: float = 120.0
    local_pairs: bool = True
    loading: Loading = attrs.field(factory=Loading)

    async def admit(self, attempt: Attempt) -> Admitted:
        """See :class:`~.attempt.Gate`."""
        address = self._address(attempt.address, attempt.headers)
        try:
            with _telling(address, attempt.client_id):
                return await self._admit(attempt)
        except Denied as denied:
            raise _as_error(denied.refusal) from None

    async def admit_http(self, peer: str, headers: Mapping[str, str]) -> Principal:
        """Who asks over HTTP: ``Authorization: Bearer``, else Anthropic's ``x-api-key``.

        Raises:
            Denied: Nobody who may.
        """
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if not scheme:
            scheme, text = "bearer", headers.get("x-api-key", "")
        offered = Offered(token=text.strip() if scheme.lower() == "bearer" else "")
        with _telling(self._address(peer, headers), "http"):
            known = await self._recognise(offered, peer, headers)
        principal = Principal(
            role=known.role or "operator",
            scopes=known.stored,
            device_id=known.device_id,
            method=known.means,
            key_id=known.key_id,
            tenant=known.tenant or DEFAULT_TENANT,
        )
        self._seen(principal, token=known.means == "device-token")
        return principal

    def admit_hook(
        self, token: Secret, peer: str, headers: Mapping[str, str]
    ) -> Principal:
        """Who calls a hook: ``Authorization: Bearer``, else ``x-openclaw-token``.

        They may write, and are let in nowhere else.

        Raises:
            Denied: They have not brought *token*.
        """
        scheme, _, text = headers.get("authorization", "").partition(" ")
        offered = text.strip() if scheme.lower() == "bearer" else ""
        offered = offered or headers.get("x-openclaw-token", "")
        address = self._address(peer, headers)
        with _telling(address, "hook"):
            self._may_try(address, "hook")
            if not offered:
                _deny(refusals.unauthorized("token_missing"))
            if not hmac.compare_digest(offered.encode(), token.reveal().encode()):
                self._guessed(address, "hook")
                _deny(refusals.unauthorized("token_mismatch"))
        self.lockout.succeed(address, "hook")
        return Principal(scopes=frozenset({WRITE}))

    async def admit_link(
        self, code: str, peer: str, headers: Mapping[str, str]
    ) -> NewKey:
        """The key that a link's *code* becomes, for a browser.

        Raises:
            Denied: It is none, or was brought before.
        """
        address = self._address(peer, headers)
        with _telling(address, "page"):
            self._may_try(address, "link")
            try:
                made = await supervision.call(NAME, TakeLink(code=code))
            except NoSuchDevice:
                self._guessed(address, "link")
                _deny(refusals.unauthorized("link_void"))
            except (supervision.CallFailed, DataFolderError):
                _deny(refusals.starting())
        self.lockout.succeed(address, "link")
        return made

    # --- in this order

    async def _admit(self, attempt: Attempt) -> Admitted:
        offered = _offered(attempt)
        if attempt.role not in ("operator", "node"):
            _deny(refusals.no_such_role())
        if attempt.device is None:
            return await self._without_device(attempt, offered)
        known = await self._recognise(
            offered, attempt.address, attempt.headers, device=True
        )
        signed = proofs.Signed(
            client_id=attempt.client_id,
            client_mode=attempt.mode,
            role=attempt.role,
            scopes=attempt.scopes or (),
            token=offered.signed,
            platform=attempt.platform,
            family=attempt.device_family,
        )
        await self.loading.wait()
        fault = proofs.check(
            attempt.device,
            signed,
            nonce=attempt.nonce,
            now_ms=attempt.now_ms,
            skew_ms=round(self.skew * 1000),
        )
        if fault is not None:
            _deny(refusals.bad_proof(fault))
        return await self._with_device(attempt, attempt.device.id, known)

    async def _without_device(self, attempt: Attempt, offered: Offered) -> Admitted:
        proxied = self.rules.mode == "trusted-proxy"
        if attempt.client_id in _PAGES and not proxied:
            _deny(refusals.device_required(page=True))
        if attempt.role != "operator":
            _deny(refusals.device_required())
        if offered.given == "none" and self.rules.mode in ("token", "password"):
            _deny(refusals.device_required())
        known = await self._recognise(offered, attempt.address, attempt.headers)
        if known.means == "device-token":  # it is good for that device's key only
            _deny(refusals.device_required())
        scopes = known.stored
        if attempt.scopes is not None:
            scopes = granted(attempt.scopes, known.stored)
        principal = Principal(
            scopes=scopes,
            method=known.means,
            key_id=known.key_id,
            tenant=known.tenant or DEFAULT_TENANT,
        )
        self._seen(principal)
        return Admitted(principal=principal)

    async def _with_device(
        self, attempt: Attempt, device_id: str, known: Known
    ) -> Admitted:
        wanted = Wanted(
            device_id=device_id,
            role=_role(attempt),
            asked=attempt.scopes,
            local=attempt.local and self.local_pairs,
            inner=(attempt.client_id, attempt.mode) == _INNER,
        )
        device = self.access.devices.get(device_id)
        token = None  # also where there is one, and nobody has it any more
        if self.access.held(Holder("device", device_id, attempt.role)):
            token = self.access.tokens.get((device_id, attempt.role))
        minted = Minted()
        verdict = judge(known, wanted, device, token)
        match verdict:
            case Deny(reason):
                _deny(refusals.unauthorized(reason))
            case Ask(reason):
                await self._ask(attempt, device_id, reason)
            case Join(scopes):
                request = _request(attempt, tuple(sorted(scopes)))
                minted = await _call(JoinDevice(request=request, by="local"))
            case Enter(scopes=scopes, mint=mint, ask=ask):
                if ask:  # nobody waits for that
                    more = _request(attempt, attempt.scopes or ())
                    supervision.cast(NAME, AskToPair(more))
                if mint:
                    order = MintToken(device_id=device_id, role=attempt.role)
                    minted = await _call(order)
        # Whoever was removed meanwhile is not let in: nothing waits from here on.
        paired = known.owner and not (wanted.inner and wanted.local)
        if (paired or known.means == "device-token") and (
            device_id not in self.access.devices
        ):
            _deny(refusals.unauthorized("device_token_mismatch"))
        principal = Principal(
            role=_role(attempt),
            scopes=scopes,
            device_id=device_id,
            method=known.means,
            key_id=known.key_id,
            tenant=known.tenant or DEFAULT_TENANT,
        )
        self._seen(principal, token=known.means == "device-token")
        return Admitted(
            principal=principal,
            device_token=None if minted.secret is None else Secret(minted.secret),
            issued_at_ms=None if minted.secret is None else round(minted.at * 1000),
        )

    async def _ask(
        self, attempt: Attempt, device_id: str, reason: PairReason
    ) -> NoReturn:
        scopes = attempt.scopes or ()
        request_id = await _call(AskToPair(_request(attempt, scopes)))
        device = self.access.devices.get(device_id)
        _deny(
            refusals.pairing_required(
                reason,
                request_id=request_id,
                device_id=device_id,
                role=attempt.role,
                scopes=scopes,
                approved_roles=() if device is None else device.roles,
                approved_scopes=() if device is None else device.scopes,
                waits=attempt.client_id in _PAGES,
            )
        )

    # --- credentials

    async def _recognise(
        self,
        offered: Offered,
        peer: str,
        headers: Mapping[str, str],
        *,
        device: bool = False,
    ) -> Known:
        proxies = self.rules.proxies
        address, kinds = self._address(peer, headers), _kinds(offered)
        self._may_try(address, *kinds)
        if device or "api-key" in kinds or "device-token" in kinds:
            await self._wait_loaded()
        user = User()
        if self.rules.mode == "trusted-proxy":
            user = proxies.user(peer, headers)
        found = recognise(self.rules, offered, self.access, user=user, now=self.wall())
        wrong = found.kind if isinstance(found, Unknown) else found.wrong
        if wrong is not None:
            self._guessed(address, wrong)
        if isinstance(found, Unknown):
            _deny(
                refusals.unauthorized(found.reason, given=offered.given, device=device)
            )
        for kind in kinds:
            if kind != wrong:
                self.lockout.succeed(address, kind)
        return found

    def _may_try(self, address: str, *kinds: Kind) -> None:
        now = trio.current_time()
        left = max([self.lockout.left(address, kind, now) for kind in kinds], default=0)
        if left:
            _deny(refusals.unauthorized("rate_limited", left=left))

    def _guessed(self, address: str, kind: Kind) -> None:
        if self.lockout.fail(address, kind, trio.current_time()):
            supervision.emit(
                LOCKED_OUT,
                {"seconds": self.lockout.rules.lockout},
                {"address": address, "kind": kind},
            )

    async def _wait_loaded(self) -> None:
        if self.access.loaded:
            return
        with trio.move_on_after(PATIENCE):
            await self.access.wait_loaded()
        if not self.access.loaded:
            _deny(refusals.starting())

    def _address(self, peer: str, headers: Mapping[str, str]) -> str:
        return self.rules.proxies.client(peer, headers)

    def _seen(self, principal: Principal, *, token: bool = False) -> None:
        now = self.wall()
        if principal.key_id is not None:
            key = self.access.keys.get(principal.key_id)
            if key is not None and now - (key.used_at or 0.0) >= SEEN_EVERY:
                supervision.cast(NAME, Seen(at=now, key_id=key.id))
        elif principal.device_id is not None:
            device = self.access.devices.get(principal.device_id)
            if device is not None and now - (device.seen_at or 0.0) >= SEEN_EVERY:
                supervision.cast(
                    NAME,
                    Seen(at=now, device_id=device.id, role=principal.role, token=token),
                )


def _role(attempt: Attempt) -> Role:
    return "node" if attempt.role == "node" else "operator"


def _kinds(offered: Offered) -> set[Kind]:
    kinds: set[Kind] = set()
    for text in (offered.token, offered.password, offered.device_token):
        if text.startswith(KEY_PREFIX):
            kinds.add("api-key")
        elif text.startswith(DEVICE_PREFIX) or (text and text == offered.device_token):
            kinds.add("device-token")
        elif text:
            kinds.add("secret")
    if offered.bootstrap:
        kinds.add("secret")
    return kinds


def _offered(attempt: Attempt) -> Offered:
    def text(secret: Secret | None) -> str:
        return "" if secret is None else secret.reveal()

    given = attempt.secrets
    return Offered(
        token=text(given.token),
        password=text(given.password),
        device_token=text(given.device_token),
        bootstrap=text(given.bootstrap_token),
    )


def _request(attempt: Attempt, scopes: tuple[str, ...]) -> PairRequest:
    assert attempt.device is not None
    return PairRequest(
        id="",
        device_id=attempt.device.id,
        public_key=attempt.device.public_key,
        role=attempt.role,
        scopes=scopes if attempt.role == "operator" else (),
        name=attempt.display_name,
        platform=attempt.platform,
        family=attempt.device_family,
        client_id=attempt.client_id,
        client_mode=attempt.mode,
        address=attempt.address,
    )


def _deny(refusal: Refusal) -> NoReturn:
    raise Denied(refusal) from None


@contextmanager
def _telling(address: str, client: str) -> Generator[None]:
    """Whoever is not let in is told of, whatever they came by."""
    try:
        yield
    except Denied as denied:
        reason = denied.refusal.reason
        supervision.emit(
            DENIED, {}, {"reason": reason, "address": address, "client": client}
        )
        raise


async def _call(order: supervision.Call[R]) -> R:
    try:
        return await supervision.call(NAME, order)
    except Crowded:
        _deny(refusals.crowded())
    except NoSuchDevice:  # removed a moment ago
        _deny(refusals.unauthorized("device_token_mismatch"))
    except (supervision.CallFailed, DataFolderError):
        _deny(refusals.starting())


def _as_error(refusal: Refusal) -> MethodError:
    after = refusal.retry_after
    return MethodError(
        refusal.code,
        refusal.message,
        details=refusal.details,
        retryable=refusal.retryable,
        retry_after_ms=None if after is None else math.ceil(after * 1000),
    )


def gate_of(config: GatewayConfig, access: Access, outside: Outside) -> Gate:
    """The gate of a gateway that is configured so."""
    auth = config.auth
    rate, proxy = auth.rate_limit, auth.proxy
    return Gate(
        rules=Rules(
            mode=auth.mode,
            secret=auth.secret,
            proxies=Proxies(
                networks=networks(config.trusted_proxies),
                user_header=proxy.user_header,
                required_headers=proxy.required_headers,
                allow_users=frozenset(proxy.allow_users),
                allow_loopback=proxy.allow_loopback,
            ),
            proxy_scopes=frozenset(proxy.scopes),
            proxy_admins=frozenset(proxy.admins),
        ),
        access=access,
        lockout=Lockout(
            lockouts.Rules(
                max_attempts=rate.max_attempts,
                window=rate.window,
                lockout=rate.lockout,
                exempt_loopback=rate.exempt_loopback,
            )
        ),
        wall=outside.wall,
        skew=auth.pairing.clock_skew,
        local_pairs=auth.pairing.local,
        loading=Loading(outside.worker(), proofs.load),
    )
