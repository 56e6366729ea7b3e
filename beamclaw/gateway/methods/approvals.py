"""Questions of turns to persons, and what was allowed for good.

``exec.approval.*`` and ``approval.*`` are two views of the same questions. The first
answer counts, and is durable before it is answered here.
"""

from typing import Annotated, Any, Final, Literal

import trio

from beamclaw.arguments import Length, Range
from beamclaw.contracts import grants as granted
from beamclaw.contracts import names, waits
from beamclaw.contracts.ledger_errors import (
    AnsweredAlready,
    AnsweredTooLate,
    NoSuchWait,
    NotForGood,
    TooManyGrants,
)
from beamclaw.contracts.ledger_reads import ReadWaitsOver
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.gateway.auth.scopes import APPROVALS
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.events import approvals as shown
from beamclaw.gateway.events.approvals import Decision
from beamclaw.gateway.methods._method import Context, NoParams, Text, method
from beamclaw.values import frozen

Kind = Literal["exec", "plugin", "system-agent"]
MOST_GRANTS: Final = 500


@frozen(kw_only=True)
class IdParams:
    """One question."""

    id: Text


@frozen(kw_only=True)
class Reviewer:
    """Who has decided, in a chat. Only what the gateway itself knows of is noted."""

    channel: Text
    account_id: Text
    sender_id: Text


@frozen(kw_only=True)
class ResolveParams:
    """A decision. What is allowed for good stays so until it is revoked."""

    id: Text
    decision: Decision
    reviewer: Reviewer | None = None
    grant_expires_in_days: Annotated[int, Range(1, 3650)] | None = None


@frozen(kw_only=True)
class ResolveKindParams(ResolveParams):
    """The same, of a question of that kind."""

    kind: Kind


@frozen(kw_only=True)
class HistoryParams:
    """So many, before those that a page has shown."""

    cursor: Annotated[str, Length(1, 512)] | None = None
    limit: Annotated[int, Range(1, 100)] = 50
    kind: Kind | None = None


@frozen(kw_only=True)
class GrantsParams:
    """So many, the latest."""

    limit: Annotated[int, Range(1, MOST_GRANTS)] = 200


@frozen(kw_only=True)
class RevokeParams:
    """One of them."""

    grant_id: Text


# --- exec.approval.*


@method("exec.approval.list", scope=APPROVALS)
async def list_(context: Context, params: NoParams) -> object:
    """What persons are asked, the oldest first."""
    now = context.outside.wall()
    rows = await waits.read_waits(context.bus, context.tenant)
    return [shown.pending(row) for row in rows if not shown.is_over(row, now)]


@method("exec.approval.get", scope=APPROVALS, params=IdParams)
async def get(context: Context, params: IdParams) -> object:
    """One open question; so much of its id as it takes."""
    return shown.short(await _open(context, params.id))


@method("exec.approval.resolve", scope=APPROVALS, params=ResolveParams)
async def resolve(context: Context, params: ResolveParams) -> object:
    """Answer a question; the first answer counts."""
    row = await _open(context, params.id)
    await _answer(context, row, params)
    return {"ok": True}


@method("exec.approval.waitDecision", scope=APPROVALS, params=IdParams)
async def wait_decision(context: Context, params: IdParams) -> object:
    """Wait until a question is answered, or over."""
    topic = waits.topic(context.tenant)
    # Subscribed first, so that no answer falls between the look and the wait.
    with context.bus.subscribe(topic) as changes:
        row = await _found(context, params.id)
        while not shown.is_over(row, context.outside.wall()):
            with trio.move_on_after(row.expires_at - context.outside.wall()):
                await changes.receive()
            row = await _found(context, params.id)
    return {
        "id": row.wait_id,
        "decision": shown.decision(row),
        "createdAtMs": shown.ms(row.at),
        "expiresAtMs": shown.ms(row.expires_at),
    }


@method("exec.approval.grants.list", scope=APPROVALS, params=GrantsParams)
async def grants_list(context: Context, params: GrantsParams) -> object:
    """What persons have allowed for good, also what they took back; the latest first."""
    rows = await granted.read_grants(context.bus, context.tenant, revoked=True)
    return {"grants": [shown.grant(row) for row in rows[::-1][: params.limit]]}


@method("exec.approval.grants.revoke", scope=APPROVALS, params=RevokeParams)
async def grants_revoke(context: Context, params: RevokeParams) -> object:
    """Take back what was allowed for good."""
    given = params.grant_id
    number = int(given) if given.isascii() and given.isdigit() else -1
    rows = await granted.read_grants(context.bus, context.tenant, revoked=True)
    found = next((row for row in rows if row.id == number), None)
    if found is None:
        return {"outcome": "not-found"}
    at, by = context.outside.wall(), context.principal.account
    done = await granted.revoke(context.bus, context.tenant, number, at=at, by=by)
    return {"outcome": "revoked" if done else "already-revoked"}


# --- questions of two more kinds, which nothing here asks: so clients have no error


@method("plugin.approval.list", scope=APPROVALS)
async def plugin_list(context: Context, params: NoParams) -> object:
    """What plugins of the gateway ask persons: there are none here."""
    await trio.lowlevel.checkpoint()
    return []


@method("openclaw.approval.list", scope=APPROVALS)
async def system_agent_list(context: Context, params: NoParams) -> object:
    """What an agent that looks after the gateway asks: there is none here."""
    await trio.lowlevel.checkpoint()
    return []


# --- approval.*


@method("approval.get", scope=APPROVALS, params=IdParams)
async def approval_get(context: Context, params: IdParams) -> object:
    """A question by its whole id, also one that is over."""
    row = await _found(context, params.id)
    return {"approval": shown.snapshot(row, context.outside.wall())}


@method("approval.resolve", scope=APPROVALS, params=ResolveKindParams)
async def approval_resolve(context: Context, params: ResolveKindParams) -> object:
    """Answer a question; ``applied`` is false where somebody was faster."""
    row = await _found(context, params.id)
    if params.kind != "exec":
        raise not_found()
    applied = not shown.is_over(row, context.outside.wall())
    if applied:
        try:
            await _answer(context, row, params)
        except MethodError as error:
            if (error.details or {}).get("reason") not in _OVER:
                raise
            applied = False
        row = await _found(context, params.id)
    return {"applied": applied, "approval": shown.snapshot(row, context.outside.wall())}


@method("approval.history", scope=APPROVALS, params=HistoryParams)
async def approval_history(context: Context, params: HistoryParams) -> object:
    """Questions that are over, the last asked first."""
    if params.kind not in (None, "exec"):
        return {"items": []}
    before = 0
    if params.cursor is not None:
        if not (params.cursor.isascii() and params.cursor.isdigit()):
            raise invalid("this cursor is none of ours", reason="INVALID_CURSOR")
        before = min(int(params.cursor), 2**62)
    ledger = names.of_tenant(context.tenant, "ledger")
    rows = await context.bus.call(ledger, ReadWaitsOver(params.limit, before))
    now = context.outside.wall()
    page: dict[str, Any] = {"items": [shown.snapshot(row, now) for row in rows]}
    if len(rows) == params.limit:
        page["nextCursor"] = str(rows[-1].number)
    return page


# --- looking and answering


async def _found(context: Context, wait_id: str) -> WaitRow:
    row = await waits.read_wait(context.bus, context.tenant, wait_id)
    if row is None:
        raise not_found()
    return row


async def _open(context: Context, given: str) -> WaitRow:
    """The open question whose id is *given*, or the only one that begins so."""
    rows = await waits.read_waits(context.bus, context.tenant)
    fits = [row for row in rows if row.wait_id.startswith(given)]
    exact = [row for row in fits if row.wait_id == given]
    if len(fits) > 1 and not exact:
        raise invalid(
            f"{len(fits)} open questions begin with {given[:64]}; say more of the id",
            reason="APPROVAL_AMBIGUOUS",
        )
    if not fits:
        over = await waits.read_wait(context.bus, context.tenant, given)
        raise not_found() if over is None else already(over)
    return (exact or fits)[0]


async def _answer(context: Context, row: WaitRow, params: ResolveParams) -> None:
    if params.grant_expires_in_days is not None:
        raise invalid(
            "what is allowed for good here holds until it is revoked, so it cannot "
            "expire; leave grantExpiresInDays out",
            reason="GRANT_EXPIRY_UNSUPPORTED",
        )
    given = waits.Answer(
        wait_id=row.wait_id,
        verdict=shown.ENDS[params.decision],
        by=_by(context),
        always=params.decision == "allow-always",
    )
    try:
        await waits.answer(context.bus, context.tenant, row.session_key, given)
    except (AnsweredAlready, AnsweredTooLate):
        raise already(row) from None
    except TooManyGrants as error:
        raise invalid(str(error), reason="TOO_MANY_GRANTS") from None
    except NotForGood:
        raise invalid(
            "allow-always is unavailable for this command",
            reason="APPROVAL_ALLOW_ALWAYS_UNAVAILABLE",
        ) from None
    except NoSuchWait:
        raise not_found() from None


def _by(context: Context) -> str:
    """Who answers: what the gateway knows of them, and nothing that they say."""
    principal = context.principal
    return f"{principal.account} ({principal.method})"


def not_found() -> MethodError:
    """Nothing waits for an answer under this id."""
    return invalid("unknown or expired approval id", reason="APPROVAL_NOT_FOUND")


def already(row: WaitRow) -> MethodError:
    """Somebody was faster, or the time is over."""
    by = f" by {row.by}" if row.by else ""
    return invalid(f"approval already resolved{by}", reason="APPROVAL_ALREADY_RESOLVED")


_OVER: Final = ("APPROVAL_ALREADY_RESOLVED", "APPROVAL_NOT_FOUND")


METHODS: Final = (
    list_,
    get,
    resolve,
    wait_decision,
    grants_list,
    grants_revoke,
    plugin_list,
    system_agent_list,
    approval_get,
    approval_resolve,
    approval_history,
)
