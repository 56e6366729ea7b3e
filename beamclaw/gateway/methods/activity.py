"""What was done in all sessions: ``audit.list`` and ``audit.activity.list``.

The journals have it: nothing is written for these lists, and what is erased of a session
is not in them any more. There is nothing in them that anybody has said.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

from beamclaw.arguments import Range
from beamclaw.contracts import keys
from beamclaw.contracts.ledger_reads import ActivityRead, ReadActivity
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events import activity
from beamclaw.gateway.events.activity import Kind, Shown, Status
from beamclaw.gateway.methods._method import Context, Text, Whole, method
from beamclaw.gateway.methods._sessions import ledger_of, looked_at
from beamclaw.values import frozen

LINES: Final = 100
MOST_LINES: Final = 500
# So many stretches of the journals one request looks at; `nextCursor` goes on from there.
MOST_READS: Final = 20


@frozen(kw_only=True)
class Filter:
    """Which lines; *after* and *before* are in milliseconds, and count themselves."""

    agent_id: Text | None = None
    session_key: Text | None = None
    run_id: Text | None = None
    status: Status | None = None
    after: Whole | None = None
    before: Whole | None = None
    limit: Annotated[int, Range(1, MOST_LINES)] = LINES
    cursor: Text | None = None


@frozen(kw_only=True)
class ListParams(Filter):
    """Turns, tool calls, or both."""

    kind: Kind | None = None


@frozen(kw_only=True)
class ActivityParams(Filter):
    """The same, or messages of channels, of which there are none here."""

    kind: Kind | Literal["message"] | None = None
    direction: Literal["inbound", "outbound"] | None = None
    channel: Text | None = None


@method("audit.list", scope=READ, params=ListParams)
async def list_(context: Context, params: ListParams) -> object:
    """Turns and tool calls of all sessions: who, when, how it came out; the last first."""
    return await _page(context, params, params.kind)


@method("audit.activity.list", scope=READ, params=ActivityParams)
async def activity_list(context: Context, params: ActivityParams) -> object:
    """The same, each line with its type; messages of channels would be among them."""
    if params.kind == "message" or params.direction or params.channel:
        return {"events": []}
    page = await _page(context, params, params.kind)
    return {**page, "events": [activity.named(each) for each in page["events"]]}


async def _page(context: Context, params: Filter, kind: Kind | None) -> dict[str, Any]:
    found: list[Shown] = []
    before = _place(params.cursor)
    # What is left out of the rows only here may be most of them.
    sifted = (params.agent_id, params.status, params.after, params.before)
    rows = params.limit if sifted == (None,) * 4 else MOST_LINES
    for _ in range(MOST_READS):
        request = ReadActivity(
            kinds=tuple(
                each
                for name, kinds in activity.KINDS.items()
                if kind in (None, name)
                for each in kinds
            ),
            about=activity.ABOUT,
            before=before,
            limit=rows,
            session_key=_key(context, params),
            run_id=params.run_id,
        )
        read = await context.bus.call(ledger_of(context), request, timeout=None)
        found += await looked_at(context, partial(lines, read, params))
        before = read.before
        if len(found) > params.limit:
            found = found[: params.limit]
            before = found[-1]["sequence"]
        if not before or len(found) == params.limit:
            break
    page: dict[str, Any] = {"events": found}
    return {**page, "nextCursor": str(before)} if before else page


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and int(cursor)):
        raise invalid("this cursor is none of ours", reason="INVALID_CURSOR")
    return min(int(cursor), 2**62)


def _key(context: Context, params: Filter) -> str | None:
    """The session, whose agent may be gone by now."""
    if params.session_key is None:
        return None
    agent = params.agent_id or context.node.agents.default
    return str(keys.resolve(params.session_key, agent))


def lines(read: ActivityRead, params: Filter) -> Sequence[Shown]:
    """What is wanted of *read*."""
    turns = {run: activity.about(events) for run, events in read.turns.items()}
    shown = (activity.line(row, turns[row.event.run_id or ""]) for row in read.rows)
    return [each for each in shown if each is not None and _wanted(each, params)]


def _wanted(shown: Mapping[str, Any], params: Filter) -> bool:
    at = shown["occurredAt"]
    return (
        params.agent_id in (None, shown["agentId"])
        and params.status in (None, shown["status"])
        and (params.after is None or at >= params.after)
        and (params.before is None or at <= params.before)
    )


METHODS: Final = (list_, activity_list)
