"""A conversation on a screen: ``chat.send``, ``.abort``, ``.history``, ``.inject``."""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

import attrs
import orjson
import trio

import supervision
from beamclaw.arguments import Length, Null, Range
from beamclaw.contracts import names, sessions
from beamclaw.contracts.ledger_reads import ReadJournal, ReadSession, ReadSessionRow
from beamclaw.contracts.ledger_rows import Event, SessionRow
from beamclaw.contracts.lifecycle import (
    NoSuchSession,
    NoteSession,
    TurnInProgress,
    order,
)
from beamclaw.contracts.path import path
from beamclaw.contracts.sessions import QueueMode, read_answering, read_run
from beamclaw.gateway.auth.scopes import ADMIN, READ, WRITE
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.events.messages import Shown, cut, messages
from beamclaw.gateway.events.rows import Lately, session_row
from beamclaw.gateway.methods import _pending as pending
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._expected import Expected, check
from beamclaw.gateway.methods._in_flight import InFlight, in_flight
from beamclaw.gateway.methods._method import Context, Text, Whole, method
from beamclaw.gateway.methods.session_looks import defaults
from beamclaw.values import frozen

HISTORY: Final = 200
MAX_HISTORY: Final = 1000
# Characters of one text in a history, unless a client asks for fewer.
MAX_CHARS: Final = 500_000
# So often it is looked at anew because a turn has ended meanwhile.
MOST_LOOKS: Final = 3
# Events that are read on the loop; a longer conversation is read in a thread.
FEW: Final = 50

SessionKey = Annotated[str, Length(1, 512)]


@frozen(kw_only=True)
class ToolOverrides:
    """What is switched on or off for a session; it has nothing of the kind here."""

    mcp_servers: Mapping[str, bool] = attrs.field(factory=dict[str, bool])
    mcp_tools_deny: Mapping[str, tuple[Text, ...]] = attrs.field(
        factory=dict[str, tuple[Text, ...]]
    )
    skills: Mapping[str, bool] = attrs.field(factory=dict[str, bool])
    web_search: bool | None = None


@frozen(kw_only=True)
class SendParams:
    """What is said, and where."""

    session_key: SessionKey
    message: str
    idempotency_key: Text
    agent_id: Text | None = None
    session_id: Text | None = None
    thinking: str | None = None
    fast_mode: bool | Literal["auto"] | None = None
    fast_auto_on_seconds: Annotated[int, Range(1, 2**53 - 1)] | None = None
    queue_mode: QueueMode | None = None
    deliver: bool = False
    reply_to_id: Text | None = None
    attachments: tuple[Mapping[str, Any], ...] = ()
    timeout_ms: Whole = 0
    suppress_command_interpretation: bool = False
    expected_leaf_entry_id: Annotated[Text | None, Null()] = None
    expected_session_routing_contract: Text | None = None
    expected_permission_mode: Annotated[talking.PermissionMode | None, Null()] = None
    expected_tool_overrides: Annotated[ToolOverrides | None, Null()] = None


@method("chat.send", scope=WRITE, params=SendParams)
async def send(context: Context, params: SendParams) -> object:
    """Say something; what comes of it are events."""
    if params.deliver:
        raise talking.cannot_deliver()
    if params.fast_mode:
        raise invalid("no model has a fast mode here; leave out fastMode")
    where = talking.place(context, params.session_key, params.agent_id, writes=True)
    message = talking.inbound(
        context,
        where,
        talking.message_of(params.message, params.attachments),
        idempotency_key=params.idempotency_key,
        params=talking.settings(params.thinking, params.timeout_ms),
        queue=params.queue_mode,
        literal=params.suppress_command_interpretation,
    )
    overrides = params.expected_tool_overrides
    expected = Expected(
        leaf=params.expected_leaf_entry_id,
        # Steering is for whatever goes on by now.
        has_leaf="expectedLeafEntryId" in context.given
        and params.queue_mode != "steer",
        session_id=params.session_id,
        permission_mode=params.expected_permission_mode,
        tool_overrides=overrides and attrs.asdict(overrides, filter=_is_set),
        routing_contract=params.expected_session_routing_contract,
    )
    await check(context, where.key, message.run_id or "", expected)
    receipt = await talking.hand_in(context, message)
    status = "started"
    if receipt.duplicate:
        row = await read_answering(context.bus, context.tenant, receipt.run_id)
        over = row is not None and row.state == "ended"
        status = "ok" if over else "in_flight"
    return {"runId": receipt.run_id, "status": status}


def _is_set(_: Any, value: object) -> bool:
    return bool(value) or value is False


@frozen(kw_only=True)
class AbortParams:
    """Which conversation; without a run, whatever goes on in it."""

    session_key: Text
    agent_id: Text | None = None
    run_id: Text | None = None
    preserve_side_runs: bool = False


@method("chat.abort", scope=WRITE, params=AbortParams)
async def abort(context: Context, params: AbortParams) -> object:
    """Stop a turn, or all that goes on in a session; what was said so far stays."""
    where = talking.place(context, params.session_key, params.agent_id, writes=False)
    runs = [params.run_id] if params.run_id else await _open_runs(context, where.key)
    stopped = [
        run
        for run in runs
        if await _is_of(context, run, where.key)
        and await sessions.abort(context.bus, context.tenant, where.key, run)
    ]
    return {"ok": True, "aborted": bool(stopped), "runIds": stopped}


async def _open_runs(context: Context, key: str) -> list[str]:
    ledger = names.of_tenant(context.tenant, "ledger")
    row = await context.bus.call(ledger, ReadSessionRow(key), timeout=None)
    if row is None or row.deleted_at is not None:
        return []
    found = await context.bus.call(ledger, ReadSession(key, row.seq), timeout=None)
    # From the last one on, so that none begins because the one before is stopped.
    runs = [waiting.run_id for waiting in reversed(found.inbox)]
    return runs if found.open_run is None else [*runs, found.open_run.run_id]


async def _is_of(context: Context, run_id: str, key: str) -> bool:
    """Whether the run is one of this session: nobody stops others by guessing."""
    row = await read_run(context.bus, context.tenant, run_id)
    return row is not None and row.session_key == key


@frozen(kw_only=True)
class HistoryParams:
    """Which part of which conversation."""

    session_key: Text
    agent_id: Text | None = None
    cursor: str | None = None
    limit: Annotated[int, Range(1, MAX_HISTORY)] = HISTORY
    offset: Whole = 0
    pending_before: Annotated[int, Range(1, 2**53)] | None = None
    input_run_ids: (
        Annotated[tuple[Annotated[str, Length(1, 256)], ...], Length(1, 50)] | None
    ) = None
    message_id: Text | None = None
    session_id: Text | None = None
    max_chars: Annotated[int, Range(1, MAX_CHARS)] = MAX_CHARS
    max_bytes: Whole | None = None


@method("chat.history", scope=READ, params=HistoryParams)
async def history(context: Context, params: HistoryParams) -> object:
    """The messages of a conversation; the last *limit*, without the last *offset*."""
    where = talking.place(context, params.session_key, params.agent_id, writes=False)
    if params.cursor is not None:
        # None is ever given: whoever has one has it from another gateway.
        return {"kind": "reset"}
    if params.session_id is not None and params.message_id is None:
        raise invalid("sessionId says of which conversation messageId is; give both")
    begins = {"sessionKey": where.key, "defaults": defaults(context, where.agent)}
    looked = await _look(context, where.key)
    _check_conversation(params, None if looked is None else looked.row)
    if looked is None:
        return {**begins, "messages": [], "total": 0, "hasMore": False}
    row, waiting, turn = looked.row, looked.waiting, looked.turn
    total, rows, more = await _read(context, looked, params)
    reached = params.offset + len(rows)
    has_more = params.message_id is None and reached < total
    return {
        **begins,
        "sessionId": row.session_id,
        "messages": rows,
        "sessionInfo": session_row(
            row, Lately(waiting=tuple(each.run_id for each in waiting.inbox))
        ),
        "total": total,
        "totalMessages": total,
        "hasMore": has_more,
        **({"nextOffset": reached} if has_more else {}),
        "thinkingLevel": row.meta.thinking,
        "verboseLevel": row.meta.verbosity,
        **({} if turn is None else {"inFlightRun": turn.shape}),
        **more,
    }


def _check_conversation(params: HistoryParams, row: SessionRow | None) -> None:
    """Whether the message is asked for in the conversation that goes on by now.

    Raises:
        MethodError: It is not; ids of messages may be the same in another one.
    """
    if params.session_id in (None, None if row is None else row.session_id):
        return
    raise invalid(
        "sessionId is not that of the conversation under sessionKey",
        reason="session-changed",
    )


@frozen
class _Look:
    """The session, what waits for it, its journal, the turn that it is in the middle of."""

    row: SessionRow
    waiting: pending.Waiting
    events: Sequence[Event]
    turn: InFlight | None


async def _look(context: Context, key: str) -> _Look | None:
    """A turn that ends in between is in the journal of another look."""
    ledger = names.of_tenant(context.tenant, "ledger")
    for looks in itertools.count(1):
        row = await context.bus.call(ledger, ReadSessionRow(key), timeout=None)
        if row is None or row.deleted_at is not None:
            break
        # Before the journal: what is taken in between stands in both, and not in none.
        read = ReadSession(key, row.seq)
        found = await context.bus.call(ledger, read, timeout=None)
        events = await context.bus.call(ledger, ReadJournal(key), timeout=None)
        waiting = pending.Waiting(found.inbox, found.cancelled, found.seq).without(
            events
        )
        turn = await in_flight(context, row)
        if turn is None or turn.open:
            return _Look(row, waiting, events, turn)
        if looks == MOST_LOOKS:
            return _Look(row, waiting, events, None)
    return None


_Page = tuple[int, list[Shown], dict[str, Any]]


async def _read(context: Context, look: _Look, params: HistoryParams) -> _Page:
    work = partial(_page, look, params)
    if len(look.events) <= FEW:
        return work()
    return await context.node.reader.run(work)


def _page(look: _Look, params: HistoryParams) -> _Page:
    """How many messages there are, some of them, and what is asked beside them."""
    rows = messages(path(look.events))
    total = len(rows)
    more = {
        "pendingInputs": pending.page(
            look.waiting,
            before=params.pending_before,
            limit=params.limit,
            max_chars=params.max_chars,
        )
    }
    if params.input_run_ids is not None and params.message_id is None:
        more |= pending.receipts(look.waiting, rows, params.input_run_ids)
    if params.message_id is not None:
        rows = [row for row in rows if row["__openclaw"]["id"] == params.message_id]
    else:
        end = max(0, total - params.offset)
        rows = rows[max(0, end - params.limit) : end]
    rows = cut(rows, params.max_chars)
    if params.max_bytes is not None:
        rows = last(rows, params.max_bytes)
    return total, rows, more


def last(rows: list[Shown], max_bytes: int) -> list[Shown]:
    """As many of the last *rows* as go into so many bytes; at least one."""
    kept = 0
    for row in reversed(rows):
        max_bytes -= len(orjson.dumps(row))
        if kept and max_bytes < 0:
            break
        kept += 1
    return rows[len(rows) - kept :]


@frozen(kw_only=True)
class InjectParams:
    """Words that stand in the conversation as the assistant's.

    Said again with the same key of ours (OpenClaw has none here), they stand there once.
    """

    session_key: Text
    message: Text
    agent_id: Text | None = None
    label: Annotated[str, Length(0, 100)] = ""
    idempotency_key: Annotated[str, Length(1, 200)] | None = None


@method("chat.inject", scope=ADMIN, params=InjectParams)
async def inject(context: Context, params: InjectParams) -> object:
    """Put a note into a conversation, as the assistant's; no turn begins."""
    where = talking.place(context, params.session_key, params.agent_id, writes=True)
    text = f"[{params.label}]\n\n{params.message}" if params.label else params.message
    # Whoever gives no key is protected against deaths inside the node.
    unique = params.idempotency_key or context.outside.new_id()
    try:
        seq = await _note(context, where.key, NoteSession(text, unique))
    except NoSuchSession as error:
        raise invalid(str(error)) from None
    except TurnInProgress:
        raise unavailable(
            "a turn is in progress in this session; ask again when it is over",
            retry_after=1.0,
            reason="busy",
        ) from None
    return {"ok": True, "messageId": f"{seq}"}


async def _note(context: Context, key: str, note: NoteSession) -> int:
    for pause in talking.PAUSES:
        try:
            return await order(context.bus, context.tenant, key, note)
        except supervision.CallFailed:
            # Whether it was noted is unknown; asking again finds out.
            await trio.sleep(pause)
    raise unavailable(
        "this node cannot take messages at the moment; ask again",
        retry_after=1.0,
        reason="restarting",
    )
