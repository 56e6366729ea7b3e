"""The gate and the process behind it, over a store in memory and a clock of our own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio

import supervision
from beamclaw import bus as carrier
from beamclaw.config.schema import AuthConfig, GatewayConfig, PairingConfig
from beamclaw.contracts import devices as contract
from beamclaw.contracts.devices import (
    NAME,
    SCOPES,
    TOPIC,
    Actor,
    NoSuchDevice,
    NotAllowed,
    PairRequested,
    PairResolved,
)
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.store import DataFolderError
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.access import DEVICE_PREFIX, KEY_PREFIX, Access
from beamclaw.gateway.auth.attempt import Admitted, Attempt, Secrets
from beamclaw.gateway.auth.gate import Denied, Gate, gate_of
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.devices import DevicesServer
from beamclaw.gateway.errors import MethodError
from supervision import ChildSpec
from supervision.testing import wait_exit, wait_name
from tests.support.device import id_of, prove_attempt, public
from tests.support.rows import MemoryStore, Rows

SHARED = "shared-secret-of-sixteen"
OWNER = Actor(by="owner", scopes=SCOPES)
READ, WRITE, ADMIN = "operator.read", "operator.write", "operator.admin"
FAR, HERE = "192.0.2.7", "127.0.0.1"


@attrs.define(eq=False)
class Door:
    """What a test has."""

    gate: Gate
    access: Access
    rows: Rows
    bus: carrier.LocalBus
    began: float = attrs.field(factory=trio.current_time)

    @property
    def now(self) -> float:
        return 1_800_000_000.0 + trio.current_time() - self.began

    def attempt(self, *asked: str, **more) -> Attempt:
        ms = round(self.now * 1000)
        given: dict[str, Any] = {
            "client_id": "openclaw-macos",
            "mode": "ui",
            "scopes": asked or (READ,),
            "secrets": Secrets(token=Secret(SHARED)),
            "nonce": "n-1",
            "challenged_ms": ms,
            "now_ms": ms,
            "address": FAR,
        }
        return Attempt(**(given | more))

    async def come(self, *asked: str, seed=1, forged=None, **more) -> Admitted:
        attempt = prove_attempt(
            self.attempt(*asked, **more), seed=seed, **(forged or {})
        )
        return await self.gate.admit(attempt)

    async def refused(self, *asked: str, **more) -> MethodError:
        with pytest.raises(MethodError) as caught:
            await self.come(*asked, **more)
        return caught.value

    async def pair(self, *asked: str, **more) -> Admitted:
        """Come from far away, be let in by a person, come again."""
        error = await self.refused(*asked, **more)
        assert error.details is not None
        await self.do(
            contract.ApprovePairing(
                actor=OWNER, request_id=str(error.details["requestId"])
            )
        )
        return await self.come(*asked, **more)

    async def do(self, order):
        return await supervision.call(NAME, order)

    async def http(self, token: str, address=FAR, **headers: str) -> Principal:
        given = {"authorization": f"Bearer {token}"} | headers
        return await self.gate.admit_http(address, given)


@asynccontextmanager
async def opened(rows: Rows | None = None, **auth) -> AsyncIterator[Door]:
    rows, access, bus = rows or Rows(), Access(), carrier.LocalBus()
    given: dict[str, Any] = {"token": Secret(SHARED), **auth}
    config = GatewayConfig(auth=AuthConfig(**given))
    began = trio.current_time()
    outside = Outside(
        worker=InlineWorker, wall=lambda: 1_800_000_000.0 + trio.current_time() - began
    )
    children = [
        ChildSpec("store", partial(MemoryStore, rows), name="store"),
        ChildSpec("bus", carrier.BusServer, name="bus"),
        ChildSpec(
            "devices",
            partial(DevicesServer, access, config.auth, bus, outside),
            name=NAME,
        ),
    ]
    async with supervision.open_supervisor(children):
        await access.wait_loaded()
        yield Door(gate_of(config, access, outside), access, rows, bus, began)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened() as made:
        yield made


def code(error: MethodError) -> object:
    return (error.details or {}).get("code")


async def test_a_store_that_is_not_there_yet_is_waited_for(autojump_clock):
    access, bus = Access(), carrier.LocalBus()
    outside, config = Outside(worker=InlineWorker), GatewayConfig()
    devices = partial(DevicesServer, access, config.auth, bus, outside)
    children = [
        ChildSpec("devices", devices, name=NAME),
        ChildSpec("bus", carrier.BusServer, name="bus"),
    ]
    async with supervision.open_supervisor(children) as top:
        pid = supervision.whereis(NAME)
        await trio.sleep(2)
        assert not access.loaded
        store = ChildSpec("store", partial(MemoryStore, Rows()), name="store")
        await supervision.start_child(top, store)
        await access.wait_loaded()
        assert supervision.whereis(NAME) == pid


# --- devices


async def test_a_device_on_this_machine_is_paired_without_a_question(
    autojump_clock, door
):
    first = await door.come(READ, WRITE, address=HERE, local=True)
    assert first.principal.scopes == {READ, WRITE}
    assert first.principal.device_id == id_of()
    assert first.device_token is not None
    again = await door.come(READ, address=HERE, local=True)
    assert again.device_token is None  # it has one
    assert door.access.devices[id_of()].scopes == (READ, WRITE)


async def test_a_device_from_far_away_waits_for_a_person(autojump_clock, door):
    with door.bus.subscribe(TOPIC) as told:
        error = await door.refused(READ)
        assert (error.code, code(error)) == ("NOT_PAIRED", "PAIRING_REQUIRED")
        details = error.details
        assert (details["reason"], details["deviceId"]) == ("not-paired", id_of())
        again = await door.refused(READ)
        assert again.details["requestId"] == details["requestId"]
        device = await door.do(
            contract.ApprovePairing(actor=OWNER, request_id=details["requestId"])
        )
        assert device.paired_by == "owner"
        asked, resolved, _ = [told.receive_nowait() for _ in range(3)]
    assert isinstance(asked, PairRequested)
    assert asked.request.address == FAR
    assert isinstance(resolved, PairResolved | contract.DevicesChanged)
    admitted = await door.come(READ)
    assert admitted.principal.scopes == {READ}
    assert admitted.device_token is not None


async def test_a_request_is_good_once_and_for_a_while(autojump_clock, door):
    error = await door.refused(READ)
    order = contract.ApprovePairing(actor=OWNER, request_id=error.details["requestId"])
    await trio.sleep(301)
    assert not door.access.pending
    with pytest.raises(NoSuchDevice):
        await door.do(order)
    assert await door.pair(READ)
    with pytest.raises(NoSuchDevice):
        await door.do(order)


async def test_no_more_wait_than_may(autojump_clock):
    async with opened(pairing=PairingConfig(max_waiting=3)) as door:
        for seed in range(1, 4):
            await door.refused(READ, seed=seed)
        error = await door.refused(READ, seed=4)
        assert (error.code, error.retryable) == ("UNAVAILABLE", True)
        assert len(door.access.pending) == 3
        # One that waits already is not one more.
        assert code(await door.refused(READ, seed=1)) == "PAIRING_REQUIRED"


async def test_who_asks_for_something_else_takes_its_own_place(autojump_clock, door):
    first = await door.refused(READ)
    with door.bus.subscribe(TOPIC) as told:
        second = await door.refused(READ, WRITE)
        assert told.receive_nowait().decision == "rejected"
    assert first.details["requestId"] != second.details["requestId"]
    assert [*door.access.pending] == [second.details["requestId"]]


async def test_scopes_are_cut_to_what_a_person_has_agreed_to(autojump_clock, door):
    await door.pair(READ)
    admitted = await door.come(READ, ADMIN)
    assert admitted.principal.scopes == {READ}
    await supervision.call(NAME, contract.ListDevices(actor=OWNER))
    (waiting,) = door.access.pending.values()  # a person is asked about the rest
    assert waiting.known
    assert waiting.scopes == (READ, ADMIN)
    error = await door.refused(ADMIN)
    assert error.details["reason"] == "scope-upgrade"
    assert error.details["approvedScopes"] == [READ]


async def test_a_paired_operator_is_no_node(autojump_clock, door):
    await door.pair(READ)
    error = await door.refused(role="node")
    assert (error.code, error.details["reason"]) == ("NOT_PAIRED", "role-upgrade")
    assert error.details["approvedRoles"] == ["operator"]
    helper = Actor(by="helper", scopes=("operator.pairing", READ))
    order = contract.ApprovePairing(actor=helper, request_id=error.details["requestId"])
    with pytest.raises(NotAllowed):
        await door.do(order)
    await door.do(attrs.evolve(order, actor=OWNER))
    admitted = await door.come(role="node")
    assert (admitted.principal.role, admitted.principal.scopes) == ("node", frozenset())


async def test_with_its_own_token_a_device_needs_no_secret(autojump_clock, door):
    token = (await door.pair(READ)).device_token
    for given in (Secrets(token=token), Secrets(device_token=token)):
        admitted = await door.come(READ, ADMIN, secrets=given)
        assert admitted.principal.method == "device-token"
        assert admitted.principal.scopes == {READ}
    error = await door.refused(ADMIN, secrets=Secrets(token=token))
    assert code(error) == "AUTH_SCOPE_MISMATCH"
    # Another device cannot use it, nor can a client without a device.
    assert code(await door.refused(READ, seed=2, secrets=Secrets(token=token))) == (
        "AUTH_DEVICE_TOKEN_MISMATCH"
    )
    with pytest.raises(MethodError, match="device identity required"):
        await door.gate.admit(door.attempt(secrets=Secrets(token=token)))


@pytest.mark.parametrize(
    "forged, wanted",
    [
        ({"nonce": "n-0"}, "DEVICE_AUTH_NONCE_MISMATCH"),
        ({"signed_at": 0}, "DEVICE_AUTH_SIGNATURE_EXPIRED"),
        ({"id": id_of(2)}, "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
        ({"public_key": public(2)}, "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
        ({"signature": "A" * 86}, "DEVICE_AUTH_SIGNATURE_INVALID"),
    ],
)
async def test_a_device_has_to_prove_itself(autojump_clock, door, forged, wanted):
    for local in (True, False):
        error = await door.refused(READ, forged=forged, local=local)
        assert (error.code, code(error)) == ("INVALID_REQUEST", wanted)
    assert not door.access.devices
    assert not door.access.pending


# --- without a device


@pytest.mark.parametrize(
    "more, wanted",
    [
        ({"secrets": Secrets()}, ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED")),
        ({"role": "node"}, ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED")),
        ({"role": "worker"}, ("INVALID_REQUEST", "AUTH_UNAUTHORIZED")),
        (
            {"client_id": "openclaw-control-ui"},
            ("INVALID_REQUEST", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
        ),
        (
            {"secrets": Secrets(token=Secret("wrong"))},
            ("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"),
        ),
        (
            {"secrets": Secrets(password=Secret("wrong"), token=Secret(SHARED))},
            ("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"),
        ),
        (
            {"secrets": Secrets(bootstrap_token=Secret("x"), token=Secret("x"))},
            ("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"),
        ),
    ],
)
async def test_who_is_refused(autojump_clock, door, more, wanted):
    with pytest.raises(MethodError) as caught:
        await door.gate.admit(door.attempt(**more))
    assert (caught.value.code, code(caught.value)) == wanted


async def test_the_owner_has_what_he_asks_for(autojump_clock, door):
    admitted = await door.gate.admit(door.attempt(ADMIN))
    assert admitted.principal.scopes == {ADMIN}
    admitted = await door.gate.admit(attrs.evolve(door.attempt(), scopes=None))
    assert admitted.principal.scopes == scopes.ALL


async def test_a_client_with_a_device_is_told_to_try_its_token(autojump_clock, door):
    error = await door.refused(READ, secrets=Secrets(token=Secret("wrong")))
    assert error.details["canRetryWithDeviceToken"] is True
    assert error.details["recommendedNextStep"] == "retry_with_device_token"
    error = await door.refused(READ, secrets=Secrets())
    assert code(error) == "AUTH_TOKEN_MISSING"


# --- guesses


async def test_whoever_guesses_too_often_is_not_asked(autojump_clock, door):
    events: list[supervision.Event] = []
    detach = supervision.telemetry.attach(events.append)
    for _ in range(10):
        with pytest.raises(Denied):
            await door.http("wrong")
    detach()
    with pytest.raises(Denied) as caught:
        await door.http(SHARED)  # also with the right one
    assert caught.value.refusal.reason == "rate_limited"
    assert caught.value.refusal.retry_after == 300.0
    error = await door.refused(READ)
    assert (code(error), error.retry_after_ms) == ("AUTH_RATE_LIMITED", 300_000)
    assert error.details["recommendedNextStep"] == "wait_then_retry"
    assert await door.http(SHARED, address="192.0.2.8")
    await trio.sleep(300)
    assert await door.http(SHARED)
    assert [event.name for event in events].count("beamclaw.gateway.locked_out") == 1


async def test_a_proxys_word_for_where_somebody_is_counts_from_a_proxy_alone(
    autojump_clock, door
):
    reasons: list[str] = []
    for number in range(12):
        with pytest.raises(Denied) as caught:
            await door.http("wrong", **{"x-forwarded-for": f"127.0.0.{number}"})
        reasons.append(caught.value.refusal.reason)
    assert reasons[-1] == "rate_limited"


# --- what a person does


async def closing(door: Door, who: Principal, said: list[str]) -> None:
    with door.access.guest(who, said.append):
        await trio.sleep_forever()


@pytest.mark.parametrize("what", ["remove", "rotate", "revoke"])
async def test_who_is_removed_is_cut_off_and_not_let_in_again(
    autojump_clock, door, what, nursery
):
    admitted = await door.pair(READ)
    token, said = admitted.device_token, []
    nursery.start_soon(closing, door, admitted.principal, said)
    by_token = await door.come(READ, secrets=Secrets(token=token))
    nursery.start_soon(closing, door, by_token.principal, said)
    await trio.testing.wait_all_tasks_blocked()
    order = {
        "remove": contract.RemoveDevice(actor=OWNER, device_id=id_of()),
        "rotate": contract.RotateToken(actor=OWNER, device_id=id_of(), role="operator"),
        "revoke": contract.RevokeToken(actor=OWNER, device_id=id_of(), role="operator"),
    }[what]
    await door.do(order)
    assert len(said) == 2
    for given in (Secrets(token=token), Secrets(device_token=token)):
        error = await door.refused(READ, secrets=given)
        assert code(error) == "AUTH_DEVICE_TOKEN_MISMATCH"
    with pytest.raises(Denied):
        await door.http(token.reveal())
    if what == "remove":
        assert code(await door.refused(READ)) == "PAIRING_REQUIRED"
        assert not door.rows.tokens
    else:
        again = await door.come(READ)
        assert again.device_token is not None
        assert again.device_token != token
    nursery.cancel_scope.cancel()


async def test_a_device_rotates_its_own_token_and_is_told_the_new_one(
    autojump_clock, door
):
    await door.pair(READ, "operator.pairing")
    itself = Actor(by="device", scopes=("operator.pairing", READ), device_id=id_of())
    made = await door.do(
        contract.RotateToken(
            actor=itself, device_id=id_of(), role="operator", scopes=(READ,)
        )
    )
    assert made.token.scopes == (READ,)
    assert (await door.http(made.secret)).scopes == {READ}
    with pytest.raises(NotAllowed, match="not given"):
        await door.do(
            contract.RotateToken(
                actor=OWNER, device_id=id_of(), role="operator", scopes=(ADMIN,)
            )
        )


async def test_a_device_is_renamed(autojump_clock, door):
    await door.pair(READ)
    device = await door.do(
        contract.RenameDevice(actor=OWNER, device_id=id_of(), label=" Kitchen ")
    )
    assert device.label == "Kitchen"
    for label in ("", "  ", "x" * 65, "a\nb", "\u202ex"):
        with pytest.raises(ValueError, match="a label has"):
            await door.do(
                contract.RenameDevice(actor=OWNER, device_id=id_of(), label=label)
            )


# --- keys


async def create(door: Door, *names: str, seconds=None) -> contract.NewKey:
    return await door.do(
        contract.CreateKey(
            actor=OWNER,
            tenant="default",
            name="bot",
            scopes=names or (READ,),
            seconds=seconds,
        )
    )


async def test_a_key_is_good_for_its_scopes_until_it_is_revoked(
    autojump_clock, door, nursery
):
    made = await create(door)
    principal = await door.http(made.secret)
    assert (principal.scopes, principal.method) == ({READ}, "api-key")
    assert principal.key_id == made.key.id
    # The same over a socket, with or without a device, and no more than it has.
    given = Secrets(token=Secret(made.secret))
    assert (await door.come(READ, ADMIN, secrets=given)).principal.scopes == {READ}
    admitted = await door.gate.admit(door.attempt(ADMIN, secrets=given))
    assert admitted.principal.scopes == frozenset()
    said: list[str] = []
    nursery.start_soon(closing, door, principal, said)
    await trio.testing.wait_all_tasks_blocked()
    await door.do(contract.RevokeKey(actor=OWNER, id=made.key.id))
    assert said == ["API key revoked"]
    with pytest.raises(Denied):
        await door.http(made.secret)
    nursery.cancel_scope.cancel()


async def test_a_key_that_was_void_for_long_is_forgotten_when_another_is_made(
    autojump_clock,
):
    rows = Rows()
    async with opened(rows, void_days=2.0) as door:
        revoked, expires = await create(door), await create(door, seconds=3600.0)
        lasts = await create(door)
        await door.do(contract.RevokeKey(actor=OWNER, id=revoked.key.id))

        async def known() -> set[str]:
            return {key.id for key in await door.do(contract.ListKeys(actor=OWNER))}

        await trio.sleep(2 * 86_400 - 1)
        late = await create(door)
        all_of_them = {made.key.id for made in (revoked, expires, lasts, late)}
        assert await known() == all_of_them
        await trio.sleep(2)
        again = await create(door)
        left = all_of_them - {revoked.key.id} | {again.key.id}
        assert await known() == left
        await trio.sleep(3600)
        last = await create(door)
        left = left - {expires.key.id} | {last.key.id}
        assert await known() == left
        with pytest.raises(Denied):
            await door.http(expires.secret)
        assert (await door.http(lasts.secret)).key_id == lasts.key.id
    # It is so after a restart, too.
    async with opened(rows) as door:
        assert {key.id for key in await door.do(contract.ListKeys(actor=OWNER))} == left


async def test_a_key_that_expires_is_cut_off_in_that_moment(
    autojump_clock, door, nursery
):
    made = await create(door, seconds=7200.0)
    said: list[str] = []
    nursery.start_soon(closing, door, await door.http(made.secret), said)
    await trio.sleep(7199)
    assert not said
    await trio.sleep(1.01)
    assert said == ["API key expired"]
    with pytest.raises(Denied):
        await door.http(made.secret)
    nursery.cancel_scope.cancel()


async def test_secrets_are_in_no_row(autojump_clock, door):
    made = await create(door)
    token = (await door.pair(READ)).device_token
    kept = repr((door.rows.devices, door.rows.tokens, door.rows.keys))
    assert made.key.id in kept
    # What is by chance in a secret may have a "_" of its own.
    bare = (
        made.secret.removeprefix(f"{KEY_PREFIX}{made.key.id}_"),
        token.reveal().removeprefix(DEVICE_PREFIX),
    )
    assert [len(secret) for secret in bare] == [43, 43]
    for secret in (*bare, SHARED):
        assert secret not in kept
    assert made.secret not in repr(made)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 65},
        {"tenant": "other"},
        {"scopes": ()},
        {"scopes": ("operator.reed",)},
        {"seconds": 0.0},
        {"seconds": -1.0},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
    ],
)
async def test_what_is_no_key(autojump_clock, door, change):
    order = contract.CreateKey(
        actor=OWNER, tenant="default", name="bot", scopes=(READ,)
    )
    with pytest.raises(ValueError, match=r"key|tenant"):
        await door.do(attrs.evolve(order, **change))


@pytest.mark.parametrize("names", [(READ,), (READ, "operator.pairing"), (WRITE,)])
async def test_keys_are_made_by_who_may_do_everything(autojump_clock, door, names):
    actor = Actor(by="x", scopes=names)
    with pytest.raises(NotAllowed):
        await door.do(
            contract.CreateKey(
                actor=actor, tenant="default", name="bot", scopes=(READ,)
            )
        )
    made = await create(door)
    with pytest.raises(NotAllowed):
        await door.do(contract.RevokeKey(actor=actor, id=made.key.id))


# --- when it dies


async def kill() -> None:
    pid = supervision.whereis(NAME)
    assert pid is not None
    supervision.exit(pid, supervision.KILL)
    await wait_exit(pid)
    await wait_name(NAME)


async def test_while_it_is_dead_and_after_it_everybody_is_who_he_was(
    autojump_clock, door
):
    token = (await door.pair(READ)).device_token
    made = await create(door)
    await kill()
    assert (await door.http(made.secret)).key_id == made.key.id
    assert (await door.come(READ, secrets=Secrets(token=token))).principal.device_id
    assert (await door.come(READ)).device_token is None


async def test_what_the_one_before_has_written_and_not_done_is_done(
    autojump_clock, door, nursery
):
    made = await create(door)
    said: list[str] = []
    nursery.start_soon(closing, door, await door.http(made.secret), said)
    await trio.testing.wait_all_tasks_blocked()
    row = door.rows.keys[made.key.id]
    gone = row.body.replace(b'"scopes"', b'"revoked_at":1.0,"scopes"')
    door.rows.keys[made.key.id] = attrs.evolve(row, hash=None, body=gone)
    await kill()
    await door.do(contract.ListKeys(actor=OWNER))
    assert said == ["API key revoked"]
    with pytest.raises(Denied):
        await door.http(made.secret)
    nursery.cancel_scope.cancel()


async def test_who_has_cut_himself_off_hears_of_it_first(autojump_clock, door, nursery):
    admitted = await door.pair(READ, "operator.pairing")
    said: list[str] = []
    nursery.start_soon(closing, door, admitted.principal, said)
    await trio.testing.wait_all_tasks_blocked()
    itself = Actor(by="device", scopes=(READ, "operator.pairing"), device_id=id_of())
    order = contract.RotateToken(actor=itself, device_id=id_of(), role="operator")
    await door.do(order)
    assert not said
    await trio.sleep(0.5)
    assert said == ["token rotated"]
    # And if the process dies before, the next one does it.
    await door.do(order)
    await kill()
    await door.do(contract.ListKeys(actor=OWNER))
    assert said == ["token rotated"] * 2
    nursery.cancel_scope.cancel()


async def test_what_cannot_be_written_has_not_happened(autojump_clock, door):
    made = await create(door)
    door.rows.full = True
    with pytest.raises(DataFolderError):
        await door.do(contract.RevokeKey(actor=OWNER, id=made.key.id))
    assert await door.http(made.secret)
    error = await door.refused(READ, address=HERE, local=True)
    assert (error.code, error.retryable) == ("UNAVAILABLE", True)
    assert not door.access.devices
    door.rows.full = False
    assert await door.come(READ, address=HERE, local=True)


async def test_rows_are_read_before_anybody_is_let_in_by_them(autojump_clock):
    access = Access()
    config = GatewayConfig(auth=AuthConfig(token=Secret(SHARED)))
    gate = gate_of(config, access, Outside(worker=InlineWorker, wall=lambda: 0.0))
    with pytest.raises(Denied) as caught:
        await gate.admit_http(FAR, {"authorization": "Bearer bck_1_x"})
    assert caught.value.refusal.code == "UNAVAILABLE"
    # The owner needs no row.
    assert await gate.admit_http(FAR, {"authorization": f"Bearer {SHARED}"})


async def test_who_was_seen_is_written_down_a_moment_later(autojump_clock, door):
    made = await create(door)
    before = door.rows.written
    for _ in range(5):
        await door.http(made.secret)
    await trio.sleep(2)
    assert door.rows.written == before + 1
    (key,) = await door.do(contract.ListKeys(actor=OWNER))
    assert key.used_at is not None
