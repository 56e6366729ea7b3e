"""The process that tells clients what happens: each value once, to whoever may see it.

It follows what sessions write down and what they say meanwhile, for as long as there is
a client, and hands what comes of it (``gateway.events``) to their outboxes. What clients
follow stands in the :class:`~beamclaw.gateway.hall.Hall`, which outlives this process:
its successor goes on with the same clients, who see by the numbers of their events that
something may be missing.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import attrs
import trio

import supervision
from beamclaw.contracts import journal, lifecycle, names
from beamclaw.contracts.bus import Bus, Lost, Under
from beamclaw.contracts.journal import Noted, RunStarted, SessionReset
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sessions import (
    Delta,
    Joined,
    Reset,
    RunEnded,
    RunView,
    TopicValue,
)
from beamclaw.contracts.written import Written
from beamclaw.gateway import frames
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.catching_up import CatchUp, Found, Missed
from beamclaw.gateway.changes import SessionChanges
from beamclaw.gateway.events import devices
from beamclaw.gateway.events.messages import owned, shown
from beamclaw.gateway.events.rows import Lately
from beamclaw.gateway.events.runs import Told, Turn, pace
from beamclaw.gateway.hall import Client, Hall

NAME: Final = "gateway/broadcast"
# What clients may be told of.
EVENTS: Final = (
    "agent",
    "chat",
    "health",
    "presence",
    "session.message",
    "sessions.changed",
    "shutdown",
    "tick",
    *devices.EVENTS,
)
# Who comes and goes is told at most this often, and less often to many: a crowd that
# comes back after a restart is told of itself a few times, not once for each.
PRESENCE_SECONDS: Final = 0.1
PRESENCE_SECONDS_EACH: Final = 0.002
# So many clients are told something before others run.
CLIENTS_PER_CHECKPOINT: Final = 64
# Values of sessions that may wait for this process.
BUFFER: Final = 16_384
# Of so many sessions it is known what was told last.
MOST_TOLD: Final = 10_000
# Clients with this word want to hear of those sessions only that they follow.
SCOPED: Final = "session-scoped-events"


def presence_pause(clients: int) -> float:
    """Seconds between two lists of who is there, with so many *clients*.

    >>> presence_pause(1), presence_pause(10_000)
    (0.102, 20.1)
    """
    return round(PRESENCE_SECONDS + clients * PRESENCE_SECONDS_EACH, 3)


@attrs.define(eq=False)
class _Followed:
    """A run that is followed, and when its words are told next (None: none wait)."""

    tenant: str
    turn: Turn
    due: float | None = None
    told_at: float = float("-inf")


async def broadcast(hall: Hall, bus: Bus, outside: Outside) -> None:
    """The process; see the module."""
    await Broadcast(hall, bus, outside).run()


class Broadcast:
    """What it knows of runs in progress; nothing of it outlives the process."""

    def __init__(self, hall: Hall, bus: Bus, outside: Outside) -> None:
        self._hall = hall
        self._bus = bus
        self._outside = outside
        self._runs: dict[str, _Followed] = {}
        # The last event of each session's journal that was told, the latest one last.
        self._told: dict[tuple[str, str], int] = {}
        self._presence_due: float | None = None
        self._changes = SessionChanges(hall, bus, outside)
        self._catch_up = CatchUp(bus, self._caught_up)
        # Ends that were found where words were missed.
        self._ends = deque[tuple[_Followed, RunEnded]]()
        self._changed = trio.Event()
        self._waits = trio.CancelScope()

    async def run(self) -> None:
        """Follow sessions while there are clients, for ever."""
        self._hall.on_change = self._note_change
        self._note_change(shown=True)
        self._hall.miss()
        supervision.spawn_link(self._changes.run)
        supervision.spawn_link(self._catch_up.run)
        while True:
            if len(self._hall):
                await self._follow()
            else:
                self._changed = trio.Event()
                await self._changed.wait()

    def _note_change(self, *, shown: bool) -> None:
        """A client has come or gone."""
        if shown and self._presence_due is None:
            pause = presence_pause(len(self._hall))
            self._presence_due = trio.current_time() + pause
        self._changed.set()
        self._waits.cancel()

    # --- following

    async def _follow(self) -> None:
        tenant = names.DEFAULT_TENANT
        prefixes = (
            names.journal(tenant, ""),
            names.topic(tenant, ""),
            lifecycle.changes(tenant),
        )
        self._runs.clear()
        self._told.clear()
        self._ends.clear()
        self._catch_up.forget()
        with self._bus.subscribe_under(*prefixes, buffer=BUFFER) as values:
            while len(self._hall):
                value = None
                with trio.CancelScope(deadline=self._next_due()) as self._waits:
                    value = await values.receive()
                if isinstance(value, Lost):
                    self._look_again()
                elif isinstance(value, Under):
                    await self._take(value)
                while self._ends:
                    followed, end = self._ends.popleft()
                    if followed is self._runs.get(end.run_id):
                        key = followed.turn.session_key
                        await self._said(followed.tenant, key, end)
                await self._tell_due()

    async def _take(self, value: Under) -> None:
        tenant = value.topic.partition("/")[0]
        match value.value:
            case Written() as written:
                await self._written(tenant, written)
            case lifecycle.SessionChanged(session_key, reason):
                self._changes.tell(tenant, session_key, {"reason": reason})
            case Lost():
                # Words of that session: what it writes down is numbered.
                for followed in tuple(self._runs.values()):
                    if names.topic(tenant, followed.turn.session_key) == value.topic:
                        self._look_at(followed)
            case said:
                key = value.topic.removeprefix(names.topic(tenant, ""))
                await self._said(tenant, key, said)

    async def _written(self, tenant: str, written: Written) -> None:
        key, now = written.session_key, self._now_ms()
        if self._is_behind_a_gap(tenant, written):
            self._hall.miss()
        rows = owned(written.events)
        for seq, (event, body, owner) in enumerate(rows, written.after + 1):
            if isinstance(body, SessionReset) and body.reason != "reset":
                # By an order it is told by who has carried that out.
                self._changes.tell(tenant, key, {"reason": body.reason})
            if owner is None:
                await self._noted(tenant, key, body, seq, event.at)
                continue
            turn = self._turn(tenant, key, owner).turn
            await self._tell(tenant, key, turn.written(body, seq, event.at, now))
            if isinstance(body, RunStarted) and body.epoch == 1:
                began = {
                    "reason": "agent.run.started",
                    "phase": "start",
                    "runId": owner,
                }
                self._changes.tell(tenant, key, began)

    def _is_behind_a_gap(self, tenant: str, written: Written) -> bool:
        """Whether events before these were never told: their writer died before that."""
        at = tenant, written.session_key
        told = self._told.pop(at, written.after)
        self._told[at] = max(told, written.after + len(written.events))
        if len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        return told < written.after

    async def _noted(
        self, tenant: str, key: str, body: journal.Body, seq: int, at: float
    ) -> None:
        """Something that stands in a conversation without a turn."""
        rows = shown(body, seq, at, None, {}) if isinstance(body, Noted) else []
        for row in rows:
            turn = Turn(f"note-{seq}", key)
            payload = turn.message(row, seq)
            final = turn.final(row)
            await self._tell(tenant, key, [payload, final])

    async def _said(self, tenant: str, key: str, value: TopicValue) -> None:
        known = value.run_id in self._runs
        if not known and not isinstance(value, Delta | Reset | RunEnded | Joined):
            return
        followed = self._turn(tenant, key, value.run_id)
        found = followed.turn.sees(value, self._now_ms())
        if found is None:
            self._look_at(followed)
        else:
            await self._tell(tenant, key, found)
        if followed.turn.ended:
            self._runs.pop(value.run_id, None)
            if isinstance(value, RunEnded):
                self._settled(tenant, key, value)
        else:
            self._set_due(followed)

    def _set_due(self, followed: _Followed) -> None:
        """When the words are told that wait for that, if any do."""
        if followed.turn.has_words and followed.due is None:
            wait = pace(len(self._hall), followed.turn.shown.length)
            followed.due = max(trio.current_time(), followed.told_at + wait)

    def _settled(self, tenant: str, key: str, end: RunEnded) -> None:
        reason = "agent.input.settled"
        over = {"reason": reason, "phase": "end", "runId": end.run_id}
        lately = Lately(outcome=end.outcome, run_id=end.run_id, error=end.error)
        self._changes.tell(tenant, key, over, lately)

    def _turn(self, tenant: str, key: str, run_id: str) -> _Followed:
        followed = self._runs.get(run_id)
        if followed is None:
            followed = self._runs[run_id] = _Followed(tenant, Turn(run_id, key))
        return followed

    # --- what was missed

    def _look_at(self, followed: _Followed) -> None:
        """Words of the run were missed: have it asked for all of them."""
        self._catch_up.look(Missed(followed.tenant, followed.turn.run_id))

    def _caught_up(self, missed: Missed, found: Found) -> None:
        """What it has said, or that it is over; it may not be followed any more."""
        followed = self._runs.get(missed.run_id)
        if followed is None or followed.turn.ended:
            return
        if isinstance(found, RunView):
            followed.turn.caught_up(found.text, found.attempt)
            self._set_due(followed)
        elif found is not None:
            self._ends.append((followed, found))
        self._waits.cancel()

    def _look_again(self) -> None:
        """Anything may have been missed: clients are told so, runs are looked at."""
        self._hall.miss()
        for followed in tuple(self._runs.values()):
            self._look_at(followed)

    # --- telling

    async def _tell_due(self) -> None:
        now = trio.current_time()
        for followed in tuple(self._runs.values()):
            if followed.due is not None and followed.due <= now:
                followed.due, followed.told_at = None, now
                turn = followed.turn
                words = list(turn.words(self._now_ms()))
                await self._tell(followed.tenant, turn.session_key, words)
        if self._presence_due is not None and self._presence_due <= now:
            self._presence_due = None
            await self._tell_presence()

    def _next_due(self) -> float:
        if self._ends:
            return float("-inf")
        dues = [each.due for each in self._runs.values() if each.due is not None]
        if self._presence_due is not None:
            dues.append(self._presence_due)
        return min(dues, default=float("inf"))

    async def _tell(self, tenant: str, key: str, told: Iterable[Told]) -> None:
        for each in told:
            receivers = [c for c in self._hall if _wants(c, tenant, key, each)]
            if receivers:
                event = frames.event(each.event, each.payload)
                await self._send(event, receivers, lossy=each.lossy)

    async def _send(
        self, event: bytes, receivers: list[Client], *, lossy: bool
    ) -> None:
        for count, client in enumerate(receivers, 1):
            client.line.deliver(event, lossy=lossy)
            if count % CLIENTS_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()

    async def _tell_presence(self) -> None:
        lists: dict[str, bytes] = {}
        for client in self._hall:
            tenant = client.principal.tenant
            if tenant not in lists:
                lists[tenant] = self._hall.presence_event(tenant)
            await self._send(lists[tenant], [client], lossy=True)

    def _now_ms(self) -> int:
        return round(self._outside.wall() * 1000)


def _wants(client: Client, tenant: str, key: str, told: Told) -> bool:
    if not client.may_see(tenant, READ):
        return False
    if told.needs is not None and told.needs not in client.caps:
        return False
    if told.event == "session.message":
        return client.sessions or key in client.messages
    return SCOPED not in client.caps or client.sessions or key in client.messages
