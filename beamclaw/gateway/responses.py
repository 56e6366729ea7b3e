"""Responses that are kept: read again, stopped, deleted."""

import re
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import trio

import supervision
from beamclaw.contracts import journal, lifecycle, names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.codec import decode
from beamclaw.contracts.ends import run_ended
from beamclaw.contracts.journal import InboundTaken
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadMessage, ReadTurn
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.messages import Message
from beamclaw.contracts.sessions import Inbound, abort, read_answering, read_run
from beamclaw.gateway.openai import response
from beamclaw.gateway.openai.items import Page, listed
from beamclaw.gateway.openai.response import ResponseEvents
from beamclaw.gateway.problem import Problem, invalid
from beamclaw.values import frozen

# Waits between tries while the tenant is down.
_PAUSES: Final = (0.02, 0.1, 0.4, 1.0, 1.0)
_LONGEST: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
UNAVAILABLE: Final = Problem(
    status=503,
    type="api_error",
    message="this node cannot look it up at the moment; ask again",
    code="unavailable",
    retry_after=1.0,
)


@frozen
class Rejoined:
    """The run of a response, and what makes events of what is published of it."""

    row: RunRow
    events: ResponseEvents


@frozen(kw_only=True)
class Asked:
    """How a response is to be read; see :func:`read_query`."""

    stream: bool = False
    after: int = -1


def read_query(query: str) -> Asked | Problem:
    """What the query of ``GET /v1/responses/{id}`` asks for; what is not ours is passed over."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    stream, after = given.get("stream", "false"), given.get("starting_after")
    if stream not in ("true", "false"):
        return invalid("stream must be true or false", param="stream")
    if after is not None and _NUMBER.fullmatch(after) is None:
        return invalid("starting_after must be a whole number", param="starting_after")
    if after is not None and stream == "false":
        return invalid("starting_after goes with stream=true", param="starting_after")
    return Asked(stream=stream == "true", after=-1 if after is None else int(after))


@frozen(kw_only=True)
class Stored:
    """See the module. Each of the three gives the answer's body, or a problem."""

    bus: Bus

    async def get(self, response_id: str) -> bytes | Problem:
        """The response as it stands now."""
        return await self._tried(self._get, response_id)

    async def cancel(self, response_id: str) -> bytes | Problem:
        """Stop it if it is not over; as it stands then."""
        return await self._tried(self._cancel, response_id)

    async def delete(self, response_id: str) -> bytes | Problem:
        """Forget it; with the last one of a conversation that is deleted, too."""
        found = False

        async def once(_: str) -> bytes | Problem:
            nonlocal found
            row = await self._row(response_id)
            if isinstance(row, Problem):
                # What a try before this one has done, whose reply was lost, is done.
                return _deleted(response_id) if found else row
            found = True
            return await self._delete(row)

        return await self._tried(once, response_id)

    async def streamed(self, response_id: str, after: int) -> Rejoined | Problem:
        """The events of it that follow number *after*, also of one that is over."""
        return await self._tried(partial(self._streamed, after=after), response_id)

    async def input_items(self, response_id: str, page: Page) -> bytes | Problem:
        """What it was given, a page of it."""
        return await self._tried(partial(self._input_items, page=page), response_id)

    async def _input_items(self, response_id: str, page: Page) -> bytes | Problem:
        ledger = names.of_tenant(names.DEFAULT_TENANT, "ledger")
        # Looked at first: what does not wait any more stands in the journal by now.
        waiting = await self.bus.call(ledger, ReadMessage(response_id))
        row = await self._row(response_id)
        if isinstance(row, Problem):
            return row
        if waiting is not None:
            given = decode(waiting.body, Inbound).messages
        else:
            given = await self._given(row)
        return listed(response_id, given, page)

    async def _given(self, row: RunRow) -> tuple[Message, ...]:
        """What the run's message has brought into the conversation."""
        # The turn that answers it may be another message's.
        turn = await read_answering(self.bus, names.DEFAULT_TENANT, row.run_id) or row
        joins = None if turn.run_id == row.run_id else row.run_id
        ledger = names.of_tenant(names.DEFAULT_TENANT, "ledger")
        events = await self.bus.call(ledger, ReadTurn(turn.run_id, "inbound"))
        return tuple(
            message
            for body in map(journal.read, events)
            if isinstance(body, InboundTaken) and body.joins == joins
            for message in body.messages
        )

    async def _streamed(self, response_id: str, after: int) -> Rejoined | Problem:
        row = await self._row(response_id)
        if isinstance(row, Problem):
            return row
        about = orjson.loads(row.about)
        if not about.get(response.STREAMED):
            return invalid(
                "only what was asked for with stream: true can be streamed again; read "
                "it without stream",
                param="stream",
            )
        return Rejoined(row, ResponseEvents(row.run_id, about, after=after))

    async def _tried(self, do: Any, response_id: str) -> Any:
        for pause in _PAUSES:
            try:
                return await do(response_id)
            except (supervision.CallFailed, LedgerError):
                await trio.sleep(pause)
        return UNAVAILABLE

    async def _row(self, response_id: str) -> RunRow | Problem:
        row = await read_run(self.bus, names.DEFAULT_TENANT, response_id)
        if row is None or not row.about:
            return Problem(
                status=404,
                message=f"there is no response {response_id[:_LONGEST]!r}; it may have "
                "been deleted, or asked for with store false",
                param="response_id",
                code="not_found",
            )
        return row

    async def _get(self, response_id: str) -> bytes | Problem:
        row = await self._row(response_id)
        if isinstance(row, Problem):
            return row
        about, answered = orjson.loads(row.about), row
        if row.joined is not None:
            into = await read_run(self.bus, names.DEFAULT_TENANT, row.joined)
            answered = into or row
        end = run_ended(answered)
        if end is None:
            status = "queued" if row.state == "queued" else "in_progress"
            return response.open_(row.run_id, about, status)
        return response.whole(row.run_id, about, end)

    async def _cancel(self, response_id: str) -> bytes | Problem:
        row = await self._row(response_id)
        if isinstance(row, Problem):
            return row
        if row.state != "ended":
            await abort(self.bus, names.DEFAULT_TENANT, row.session_key, row.run_id)
        return await self._get(response_id)

    async def _delete(self, row: RunRow) -> bytes:
        forget = lifecycle.ForgetAbout(row.run_id)
        # With the whole conversation it is gone, too.
        with suppress(lifecycle.NoSuchSession):
            await lifecycle.order(
                self.bus, names.DEFAULT_TENANT, row.session_key, forget
            )
        return _deleted(row.run_id)


def _deleted(response_id: str) -> bytes:
    return orjson.dumps({"id": response_id, "object": "response", "deleted": True})
